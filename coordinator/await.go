package coordinator

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// await waits until there is news, or until it is worth another try. It
// returns false when nobody waits for this flight.
func (c *Coordinator) await(f *flight, news <-chan struct{}, obstacle error) bool {
	c.mu.Lock()
	left, waiters := f.left, f.waiters
	c.mu.Unlock()
	if waiters == 0 {
		return false
	}
	if !f.watching {
		f.watching = true
		close(f.stuck)
		c.watch() // its first hint makes up for what happened since the last look
	}
	timer := time.NewTimer(worthWaiting(obstacle))
	defer timer.Stop()
	select {
	case <-news:
		c.mu.Lock()
		c.told = true
		c.mu.Unlock()
	case <-timer.C:
	case <-left.Done():
	}
	return true
}

// worthWaiting is how long to wait for news before trying anew. News may be
// lost, so it is never long.
func worthWaiting(obstacle error) time.Duration {
	wait := retryPause()
	var locked *LockedError
	var backoff *BackoffError
	var pending *pendingError
	switch {
	case errors.As(obstacle, &locked) && locked.Remaining > 0:
		wait = min(wait, locked.Remaining+jitter(50*time.Millisecond))
	case errors.As(obstacle, &backoff):
		wait = min(wait, backoff.RetryAfter+jitter(50*time.Millisecond))
	case errors.As(obstacle, &pending):
		wait = min(wait, time.Until(pending.until)+jitter(50*time.Millisecond))
	}
	return max(wait, time.Millisecond)
}

// retryPause is a pause of about a second, spread so that replicas do not try
// in step.
func retryPause() time.Duration { return 500*time.Millisecond + jitter(time.Second) }

// jitter draws a time below most. It comes from crypto/rand, as all that this
// package draws, so that a simulation that seeds that can be repeated.
func jitter(most time.Duration) time.Duration {
	var random [8]byte
	rand.Read(random[:]) // never fails: crypto/rand ends the process instead
	return time.Duration(binary.BigEndian.Uint64(random[:]) % uint64(most))
}

// inTheWay says why the record was not settled when waiting ended.
func (c *Coordinator) inTheWay(end error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.obstacle == nil {
		return end
	}
	return fmt.Errorf("%w while waiting: %w", end, c.obstacle)
}

// pendingError: another process's mint is under way.
type pendingError struct{ until time.Time }

func (e *pendingError) Error() string {
	return "mintonce: another mint of this token is not resolved yet"
}
