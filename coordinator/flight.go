package coordinator

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// flight is the work that this process does for a credential: one at a time,
// detached from the callers that started it. Callers without a usable token
// wait for it; with the last of them gone, it no longer waits for others, but
// a mint under way is always finished.
type flight struct {
	done    chan struct{}      // closed when the flight has ended
	stuck   chan struct{}      // closed when it first waits for others
	round   *round             // of those who joined before the look under way
	next    *round             // of those who joined since
	err     error              // why it did not settle; read after done
	waiters int                // guarded by Coordinator.mu, like the rest
	again   bool               // somebody joined, or there are news: look once more before ending
	futile  bool               // the look before met what time does not heal
	left    context.Context    // ends when the last waiter leaves
	leave   context.CancelFunc // ends left

	watching bool // used by the flight's own goroutine only
}

// round is one look of a flight, for those who wait for it.
type round struct {
	done chan struct{}
	err  error // read after done
}

func newRound() *round { return &round{done: make(chan struct{})} }

func (r *round) end(err error) {
	r.err = err
	close(r.done)
}

// fly starts a flight in the background, unless one is under way or it is too
// soon for another, and returns the one under way.
func (c *Coordinator) fly() *flight {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flight == nil && !time.Now().Before(c.quiet) {
		c.start()
	}
	return c.flight
}

// lookAnew has news looked at: a flight under way may have looked before they
// came, and somebody else may have started it.
func (c *Coordinator) lookAnew() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.quiet, c.told = time.Time{}, true
	if c.flight != nil {
		c.flight.again = true
	}
}

// start begins a flight. The caller holds mu.
func (c *Coordinator) start() {
	f := &flight{done: make(chan struct{}), stuck: make(chan struct{}), round: newRound(), next: newRound()}
	f.left, f.leave = context.WithCancel(context.Background())
	c.flight = f
	go c.run(f)
}

// settle joins the flight, or starts one, and waits until it ends, until
// enough says so of a newly published token, or until ctx or MaxWait ends. It
// returns why the record is not settled. order, if not nil, is given to the
// flight before it can end.
func (c *Coordinator) settle(ctx context.Context, order *rotation, enough func() bool) error {
	timeout := time.NewTimer(c.cfg.MaxWait)
	defer timeout.Stop()
	return c.settleBefore(ctx, timeout.C, order, enough)
}

// settleBefore is settle, with what is left of MaxWait.
func (c *Coordinator) settleBefore(ctx context.Context, timeout <-chan time.Time, order *rotation, enough func() bool) error {
	f, look := c.join(order)
	defer func() { c.part(f) }()
	for {
		published := c.publication()
		if enough() {
			return nil
		}
		select {
		case <-look.done:
			var rotation *rotationError
			if order != nil || !errors.As(look.err, &rotation) {
				return look.err
			}
			// It is of an order that was under way, and says nothing of an ordinary mint.
			c.part(f)
			f, look = c.join(nil)
		case <-published:
		case <-ctx.Done():
			return c.inTheWay(ctx.Err())
		case <-timeout:
			return c.inTheWay(context.DeadlineExceeded)
		}
	}
}

func (c *Coordinator) join(order *rotation) (*flight, *round) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if order != nil {
		order.also(c.rotation)
		c.rotation = order
	}
	begun := c.flight != nil
	if !begun {
		c.start()
	}
	f := c.flight
	look := f.round
	if begun {
		f.again, look = true, f.next
	}
	if f.waiters == 0 && f.left.Err() != nil {
		f.left, f.leave = context.WithCancel(context.Background())
	}
	f.waiters++
	return f, look
}

func (c *Coordinator) part(f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.waiters--; f.waiters == 0 {
		f.leave()
	}
}

// run is the goroutine of a flight.
func (c *Coordinator) run(f *flight) {
	for {
		err := c.work(f)
		c.mu.Lock()
		var rotation *rotationError
		if f.again && !errors.As(err, &rotation) {
			f.again = false
			if lasting(err) { // those who come during the next look need not wait for it
				f.futile, c.obstacle, c.quiet = true, err, time.Now().Add(retryPause())
			}
			f.round.end(err)
			f.round, f.next = f.next, newRound()
			c.mu.Unlock()
			continue
		}
		f.err, c.obstacle, c.flight, c.rotation = err, err, nil, nil
		if errors.As(err, &rotation) {
			c.obstacle = nil // of the order, and not of those who ask for a token
		}
		c.rest(err, f.again)
		f.round.end(err)
		f.next.end(err)
		c.mu.Unlock()
		f.leave()
		close(f.done)
		if f.watching {
			c.unwatch()
		}
		if c.cfg.landed != nil {
			c.cfg.landed(c.name)
		}
		return
	}
}

// rest sees to it that calls of Token do not start one flight after another
// while there is nothing to gain, and that a look which is still owed is not
// forgotten. The caller holds mu.
func (c *Coordinator) rest(err error, again bool) {
	now := time.Now()
	c.quiet = time.Time{}
	c.missed = again || errors.Is(err, ErrStoreUnavailable)
	if plan := c.planAt(now, nil); err != nil || c.ahead || plan.Action == Mint {
		c.quiet = now.Add(retryPause())
	}
	c.publish()
}

// work looks at the record and does what is to be done, until the record is at
// rest, or nobody waits and somebody else is at work.
func (c *Coordinator) work(f *flight) error {
	for {
		news := c.hint()
		err := c.step()
		if err == nil || final(err) {
			return err
		}
		c.mu.Lock()
		c.obstacle = err
		c.mu.Unlock()
		if !c.await(f, news, err) {
			return err
		}
	}
}

// step looks and, where it is this process's turn, mints. It returns nil when
// the record is at rest, and otherwise what is in the way.
func (c *Coordinator) step() error {
	c.readCopy()
	if !c.dueByItsOwnAccount() {
		if err := c.look(context.Background(), c.ordered()); err != nil {
			return c.withoutStore(err)
		}
	}
	for {
		switch plan := c.plan(); plan.Action {
		case Rest:
			return nil
		case Await:
			return &pendingError{until: c.localTime(plan.At)}
		case Blocked:
			if plan.Reason == ReasonRotate { // it says nothing of an ordinary mint
				return &rotationError{c.blocked(plan)}
			}
			return c.blocked(plan)
		default:
			if c.cfg.NeverMint {
				return ErrNeverMint
			}
			if err := c.mintUnderLock(); err != nil {
				return c.withoutStore(err)
			}
		}
	}
}

// dueByItsOwnAccount reports whether a refresh is due by all that this process
// knows, and it would have been told if somebody else had done it. Then it need
// not look before it takes the lock: begin finds out with the lock.
func (c *Coordinator) dueByItsOwnAccount() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	plan := c.planAt(time.Now(), c.rotation)
	return c.hinted() && !c.ahead && !c.missed && !c.told && !c.copying.isUnread() && c.clock.slept() == 0 && plan.Action == Mint && plan.Reason == ReasonDue
}

// plan decides on what this process remembers.
func (c *Coordinator) plan() Plan {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.planAt(time.Now(), c.rotation)
}

// planAt decides on the memory at a local time. The caller holds mu.
func (c *Coordinator) planAt(local time.Time, order *rotation) Plan {
	now := c.clock.at(local)
	memory := c.memory.record()
	return c.asKnown(memory, now).Plan(now, c.traits, order.wants(memory))
}

// asKnown returns r as this process has to take it: a token whose end it has
// lived through is over, even if the store's clock was set back since.
func (c *Coordinator) asKnown(r Record, now time.Time) Record {
	s := c.current.Load()
	if s.of(r) && c.over(s) {
		r.Grant.ExpiresAt = earlier(r.Grant.ExpiresAt, now)
	}
	return r
}

func (c *Coordinator) blocked(plan Plan) error {
	if errors.Is(plan.Err, ErrBudget) {
		c.tellOnce(EventBudget, ErrBudget, plan.Err)
	}
	return plan.Err
}

// tellOnce emits an event about an obstacle, unless the last flight met the
// same.
func (c *Coordinator) tellOnce(kind EventKind, sentinel, obstacle error) {
	c.mu.Lock()
	known := errors.Is(c.obstacle, sentinel)
	c.mu.Unlock()
	if !known {
		e := c.eventNow(kind)
		e.Detail = detail(obstacle)
		c.emit(e)
	}
}

// withoutStore is what can be done while the store does not answer: serve what
// is usable, and mint without a lock where that can do no harm.
func (c *Coordinator) withoutStore(err error) error {
	for _, unusable := range []error{ErrNewerRecord, ErrBadRecord, ErrSealed} {
		if errors.Is(err, unusable) {
			c.tellOnce(EventUnreadable, unusable, err)
		}
	}
	if !errors.Is(err, ErrStoreUnavailable) {
		return err
	}
	if c.traits.Kind == Idempotent && !c.cfg.NeverMint {
		switch plan := c.plan(); {
		case plan.Reason == ReasonRotate:
			return &rotationError{err} // to force a new token is not idempotent
		case plan.Action == Mint:
			return c.mintUnlocked(plan)
		case plan.Action == Blocked:
			return plan.Err
		}
	}
	if _, ok := c.usable(); ok {
		return &storeAwayError{err}
	}
	return err
}

// final reports whether a flight should end with err rather than wait: the
// obstacle lasts, or it concerns only an order that is not repeated.
func final(err error) bool {
	var away *storeAwayError
	var rotation *rotationError
	return errors.As(err, &away) || errors.As(err, &rotation) || lasting(err)
}

// lasting reports whether time alone does not remove the obstacle.
func lasting(err error) bool {
	var backoff *BackoffError
	var source *SourceError
	switch {
	case errors.As(err, &backoff):
		return !backoff.Failure.Class.Temporary()
	case errors.As(err, &source):
		return !source.Class.Temporary()
	}
	for _, sentinel := range []error{ErrCredentialMismatch, ErrNewerRecord, ErrBadRecord, ErrSealed, ErrBudget, ErrForeignMinter} {
		if errors.Is(err, sentinel) {
			return true
		}
	}
	return false
}

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

// pendingError: another process's mint is under way.
type pendingError struct{ until time.Time }

func (e *pendingError) Error() string {
	return "mintonce: another mint of this token is not resolved yet"
}

// storeAwayError: the store is away, and there is a usable token.
type storeAwayError struct{ err error }

func (e *storeAwayError) Error() string { return e.err.Error() }
func (e *storeAwayError) Unwrap() error { return e.err }
