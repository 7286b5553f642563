package coordinator

import (
	"fmt"
	"time"
)

// storeClock relates the store's clock to this process's monotonic one. The
// wall clock of this process takes no part in it.
type storeClock struct {
	now            time.Time     // on the store's clock, read between sent and received
	sent, received time.Time     // on this process's clock, with monotonic readings
	apart          time.Duration // of this machine's clocks then; see sleep.go
	guessed        bool          // the store was never heard: now is this process's wall clock
	byWall         bool          // nor was it by this process: now comes from the wall clock and a copy
}

// heard is the clock of a store that said now in its answer, which is there, to
// what was sent.
func heard(now, sent time.Time) storeClock {
	return storeClock{now: now, sent: sent, received: time.Now(), apart: apart(sent)}
}

func guessClock() storeClock {
	now := time.Now()
	return storeClock{now: now.Round(0).UTC(), sent: now, received: now, apart: apart(now), guessed: true}
}

// sane refuses a time that no clock shows: it is the answer of a store that has
// not heard the question, and no record must be made of it.
func sane(now time.Time) error {
	if now.Unix() < 0 {
		return fmt.Errorf("mintonce: the store's clock shows the year %d, so it has not answered: check its address and password", now.Year())
	}
	return nil
}

// until is the local time by which the store's clock has certainly not passed
// t: whoever stops then stops early rather than late.
func (c storeClock) until(t time.Time) time.Time { return c.sent.Add(t.Sub(c.now)) }

// passed is the local time by which the store's clock has certainly reached t:
// whoever looks then finds that it is time.
func (c storeClock) passed(t time.Time) time.Time {
	return c.received.Add(t.Sub(c.now) + time.Millisecond)
}

// vague is by how much the store's time is uncertain.
func (c storeClock) vague() time.Duration { return c.received.Sub(c.sent) }

// at is a store time that is certainly not after the local time t. It has
// whole milliseconds, like all times of a record.
func (c storeClock) at(t time.Time) time.Time {
	return c.now.Add(t.Sub(c.received)).Truncate(time.Millisecond)
}

// storeTime is the time on the store's clock.
func (c *Coordinator) storeTime(local time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.clock.at(local)
}

func (c *Coordinator) localTime(at time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.clock.passed(at)
}

// restated is r with the times of its token on the clock as it is now. Between
// the mint and the moment at which r can be put back, the store's clock may have
// been set, or be that of another machine after a failover; this process has
// counted on its own. Where the machine may have slept, or the count began with
// the wall clock, it says nothing. The caller holds mu.
func (c *Coordinator) restated(r Record, clock storeClock) Record {
	const drift = 100 * time.Millisecond
	s := c.reckoned(r)
	if !s.of(r) || s.byWall || sleptSince(s.apart) > 0 {
		return r
	}
	off := clock.at(c.epoch.Add(s.end)).Sub(r.Grant.ExpiresAt)
	if off.Abs() <= clock.vague()+c.clock.vague()+drift {
		return r
	}
	return r.shifted(off)
}

// shifted is r with the times of its token off by that much.
func (r Record) shifted(by time.Duration) Record {
	r.Grant.IssuedAt, r.Grant.ExpiresAt, r.RefreshAt = r.Grant.IssuedAt.Add(by), r.Grant.ExpiresAt.Add(by), r.RefreshAt.Add(by)
	if !r.Previous.Until.IsZero() {
		r.Previous.Until = r.Previous.Until.Add(by)
	}
	return r
}
