package coordinator

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"
)

// mintUnderLock takes the lock and mints, if that is still needed. It returns
// nil when the record has moved on, by this process or another.
//
// Nothing is loaded here: begin swaps what this process remembers, so that a
// write by anybody since then makes it load, and decide anew. That is to look
// again with the lock, with no gap between looking and announcing.
func (c *Coordinator) mintUnderLock() error {
	lease, err := c.lock()
	if err != nil {
		return err
	}
	defer c.release(lease)
	plan := c.plan()
	if plan.Action != Mint {
		return nil
	}
	defer c.setUnderWay("")
	m, err := c.begin(plan, lease)
	if err != nil || m == nil {
		return err
	}
	return c.send(m)
}

func (c *Coordinator) lock() (Lease, error) {
	ctx, cancel := context.WithTimeout(context.Background(), c.cfg.StoreTimeout)
	defer cancel()
	lease, err := c.cfg.store.Lock(ctx, c.name, c.cfg.Instance, c.cfg.Lease)
	return lease, c.answered(context.Background(), err)
}

// release gives the lock up, with a context that outlives every caller's.
func (c *Coordinator) release(lease Lease) {
	ctx, cancel := context.WithTimeout(context.Background(), c.cfg.StoreTimeout)
	defer cancel()
	_ = lease.Release(ctx) // a lock that is not given up lapses
}

// mint is one attempt under way.
type mint struct {
	attempt Attempt
	prev    Token
	lost    <-chan struct{} // of the lease; nil without one
	sent    time.Time
	end     time.Time // when the answer has to be there
}

// errLostBeforeSending breaks a mint off that is certainly not sent.
var errLostBeforeSending = fmt.Errorf("%w before anything was sent", ErrLockLost)

// begin announces the attempt in the record, before anything is sent. It
// returns nil if a mint is no longer needed.
func (c *Coordinator) begin(plan Plan, lease Lease) (*mint, error) {
	started := time.Now()
	m := &mint{attempt: Attempt{ID: attemptID(), By: c.cfg.Instance, Reason: plan.Reason}, lost: lease.Lost(), end: started.Add(c.cfg.MintTimeout)}
	c.setUnderWay(m.attempt.ID)
	rotate := plan.Reason == ReasonRotate
	_, err := c.update(context.Background(), false, rotate, func(draft Record, now time.Time) (Record, []Event, bool) {
		again := c.asKnown(draft, now).Plan(now, c.traits, rotate)
		if again.Action != Mint {
			return draft, nil, false
		}
		m.attempt.Reason = again.Reason
		m.attempt.Deadline = now.Add(c.cfg.MintTimeout + deadlineSlack).Truncate(time.Millisecond)
		m.prev = c.previous(draft.Grant)
		return draft.Begin(m.attempt, now, c.traits), c.ordersFor(m, now), true
	})
	if err != nil {
		c.forget(m.attempt.ID) // it may have been announced
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	record := c.memory.record()
	i := record.attempt(m.attempt.ID)
	if i < 0 {
		return nil, nil
	}
	if record.Attempts[i].Reason == ReasonRotate {
		c.rotation = nil // an order that came during another mint's announcement stays open
	}
	m.attempt = record.Attempts[i] // with the revision at which it began
	return m, nil
}

// previous is the current token, for the Source to replace.
func (c *Coordinator) previous(g Grant) Token {
	c.mu.Lock()
	defer c.mu.Unlock()
	return g.token(c.clock)
}

// ordersFor tells the history who asked for a rotation, even if it then fails.
func (c *Coordinator) ordersFor(m *mint, now time.Time) []Event {
	if m.attempt.Reason != ReasonRotate {
		return nil
	}
	e := c.event(EventRotating, now)
	e.Attempt, e.Reason = m.attempt.ID, ReasonRotate
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rotation != nil {
		e.Actor = c.rotation.actor
	}
	return []Event{e}
}

// forget notes an own attempt that certainly minted nothing, for the next
// update to abandon.
func (c *Coordinator) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	const enough = 8 // older ones are past their deadline
	c.idle = append(c.idle, id)
	c.idle = c.idle[max(0, len(c.idle)-enough):]
}

func (c *Coordinator) setUnderWay(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.underWay = id
}

// send mints and writes down what came of it.
func (c *Coordinator) send(m *mint) error {
	token, err := c.ask(m)
	if err == nil {
		return c.commit(m, token)
	}
	err = c.fail(m, err)
	if m.attempt.Reason == ReasonRotate {
		return &rotationError{err}
	}
	return err
}

func attemptID() string {
	var id [8]byte
	rand.Read(id[:]) // never fails: crypto/rand ends the process instead
	return hex.EncodeToString(id[:])
}
