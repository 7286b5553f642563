package coordinator

import (
	"errors"
	"time"
)

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

// mintUnlocked mints while the store is away, for a source where two mints do
// no harm. The record that results is written when the store is back.
func (c *Coordinator) mintUnlocked(plan Plan) error {
	m := &mint{attempt: Attempt{ID: attemptID(), By: c.cfg.Instance, Reason: plan.Reason}, end: time.Now().Add(c.cfg.MintTimeout)}
	c.mu.Lock()
	now := c.clock.at(time.Now())
	memory := c.memory.record()
	clock := c.clock
	m.prev = memory.Grant.token(clock)
	m.attempt.Deadline = now.Add(c.cfg.MintTimeout + deadlineSlack)
	before, ahead := memory.Lineage, c.ahead
	draft := memory.Child(NewStamp(memory, now)).Begin(m.attempt, now, c.traits)
	c.mu.Unlock()

	token, err := c.ask(m)
	if err != nil {
		source, err := asSourceError(err)
		failed := draft.Abandon(m.attempt.ID).Fail(c.failure(draft, now, source))
		if ahead {
			failed.Lineage = before // or the failures of a long outage would push out of it what tells a fork
		}
		c.adopt(written{failed, clock})
		return err
	}
	record, kind := draft.Commit(m.attempt.ID, c.grant(m, token, clock.at(time.Now())), c.traits)
	clock.byWall = false // this token's end was counted here from its request, whatever the wall clock shows
	c.adopt(written{record, clock})
	c.copyRecord()
	e := c.eventNow(kind)
	e.Reason, e.Attempt, e.Detail = plan.Reason, m.attempt.ID, DetailUnlocked
	c.emit(e)
	return nil
}

// storeAwayError: the store is away, and there is a usable token.
type storeAwayError struct{ err error }

func (e *storeAwayError) Error() string { return e.err.Error() }
func (e *storeAwayError) Unwrap() error { return e.err }
