package coordinator

import "time"

// storeClock relates the store's clock to this process's monotonic one. The
// wall clock of this process takes no part in it.
type storeClock struct {
	now            time.Time     // on the store's clock, read between sent and received
	sent, received time.Time     // on this process's clock, with monotonic readings
	apart          time.Duration // of this machine's clocks then; see sleep.go
	guessed        bool          // the store was never heard: now is this process's wall clock
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

// until is the local time by which the store's clock has certainly not passed
// t: whoever stops then stops early rather than late.
func (c storeClock) until(t time.Time) time.Time { return c.sent.Add(t.Sub(c.now)) }

// passed is the local time by which the store's clock has certainly reached t:
// whoever looks then finds that it is time.
func (c storeClock) passed(t time.Time) time.Time {
	return c.received.Add(t.Sub(c.now) + time.Millisecond)
}

// at is a store time that is certainly not after the local time t. It has
// whole milliseconds, like all times of a record.
func (c storeClock) at(t time.Time) time.Time {
	return c.now.Add(t.Sub(c.received)).Truncate(time.Millisecond)
}
