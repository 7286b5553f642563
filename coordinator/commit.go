package coordinator

import (
	"context"
	"fmt"
	"time"
)

// commit writes the new token down. If the store does not answer, this process
// serves it all the same, and the next look saves it.
func (c *Coordinator) commit(m *mint, token Token) error {
	took := time.Since(m.sent)
	ctx, cancel := context.WithTimeout(context.Background(), c.cfg.MintTimeout)
	defer cancel()
	last, err := c.update(ctx, false, true, func(draft Record, now time.Time) (Record, []Event, bool) {
		next, kind := draft.Spend(m.prev.State(), token.State()).Commit(m.attempt.ID, c.grant(m, token, now), c.traits)
		e := c.event(kind, now)
		e.Generation, e.Attempt, e.Reason, e.Took = next.Grant.Generation, m.attempt.ID, m.attempt.Reason, took
		if kind == EventConfirmed && m.attempt.Reason == ReasonDoubt {
			e.Detail = "the provider vouches for the token that was in doubt"
		}
		if kind == EventMinted && c.traits.Kind == Idempotent && draft.suspected() && next.Foreign.Named() {
			return next, []Event{e, c.foreignMinter(next, now)}, true
		}
		return next, []Event{e}, true
	})
	if err == nil {
		return nil
	}
	c.adopt(c.committed(last, m, token))
	return c.save(ctx, m, err)
}

// committed is last if the commit got as far as a swap whose fate is unknown,
// and otherwise the commit on what this process remembers.
func (c *Coordinator) committed(last written, m *mint, token Token) written {
	if r := last.record; r.Exists() && r.attempt(m.attempt.ID) < 0 && r.Grant.Value == token.Value {
		return last
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	memory, now := c.memory.record(), c.clock.at(time.Now())
	draft := memory.Child(NewStamp(memory, now)).Spend(m.prev.State(), token.State())
	record, _ := draft.Commit(m.attempt.ID, c.grant(m, token, now), c.traits)
	return written{record, c.clock}
}

// save writes back what the store has not acknowledged, for as long as a
// commit may take.
func (c *Coordinator) save(ctx context.Context, m *mint, err error) error {
	c.copyRecord()
	for {
		select {
		case <-ctx.Done():
			e := c.eventNow(EventUnsaved)
			e.Attempt, e.Detail = m.attempt.ID, detail(err)
			c.emit(e)
			return fmt.Errorf("%w: %w", ErrUnsaved, err)
		case <-time.After(c.cfg.StoreTimeout/4 + jitter(c.cfg.StoreTimeout/4)):
		}
		if err = c.look(ctx, true); err == nil {
			return nil
		}
	}
}
