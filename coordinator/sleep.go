package coordinator

import (
	"sync/atomic"
	"time"
)

// On Linux and macOS the monotonic clock, which time.Since and timers read,
// stands still while the machine is suspended
// (https://github.com/golang/go/issues/24595); so it may while a virtual machine
// is. A process that only counted on it would serve a token past its end by as
// long as the machine slept. The wall clock goes on, or is set right afterwards.
// So the two are compared: every glance while tokens are asked for, every nap at
// rest. Where the wall clock has run ahead, the machine may have slept: what is
// over by that account is not served before the store was heard again. If it was
// only the wall clock that was set, that has cost one look.

const (
	// glance is how often Token compares the clocks, at most: an expired token
	// may be served for that long after the machine woke up.
	glance = 10 * time.Millisecond
	// nap is how often Run does.
	nap = 30 * time.Second
	// unsteady is how far the clocks may go apart without anything having
	// happened: some systems keep only one of them to the rate of true time.
	unsteady = 250 * time.Millisecond
)

var (
	started = time.Now()
	pretend atomic.Int64 // by how much tests set the wall clock ahead
)

// apart is by how much the wall clock has gone ahead of the monotonic one at
// now, which has readings of both.
func apart(now time.Time) time.Duration {
	return now.Round(0).Sub(started.Round(0)) - now.Sub(started) + time.Duration(pretend.Load())
}

// sleptSince is how long the machine may have slept since the clocks were that
// far apart.
func sleptSince(then time.Duration) time.Duration {
	if d := apart(time.Now()) - then; d > unsteady {
		return d
	}
	return 0
}

// slept is how long the machine may have slept since the store was heard.
func (c storeClock) slept() time.Duration { return sleptSince(c.apart) }

// over reports whether s is not to be served any more.
func (c *Coordinator) over(s *served) bool {
	return time.Since(c.epoch)+sleptSince(s.apart) >= s.end
}

// wakeful returns the token if there is nothing to do but to look at the clocks,
// and lets Token go without that for a moment.
func (c *Coordinator) wakeful() (Token, bool) {
	s := c.current.Load()
	if s == nil {
		return Token{}, false
	}
	now := time.Since(c.epoch)
	if now >= s.look || c.overslept() {
		return Token{}, false
	}
	s.fine.Store(int64(min(s.look, now+glance)))
	return s.token, true
}

// overslept reports whether the machine may have slept since the store was
// heard, and sees to it that the next flight looks.
func (c *Coordinator) overslept() bool {
	if s := c.current.Load(); s == nil || sleptSince(s.apart) == 0 {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.missed = true
	return true
}
