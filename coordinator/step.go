package coordinator

import (
	"context"
	"errors"
	"time"
)

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
