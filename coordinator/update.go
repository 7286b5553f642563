package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// change applies transitions to a draft, a child of what the store holds. It
// returns ok false to leave the record as it is.
type change func(draft Record, now time.Time) (next Record, events []Event, ok bool)

// maxSwaps bounds how often an update starts anew because others were faster.
const maxSwaps = 50

// look brings memory up to date: it loads the record, puts back what the store
// has lost, and gives up attempts that are overdue.
func (c *Coordinator) look(ctx context.Context, adoptCredential bool) error {
	_, err := c.update(ctx, true, adoptCredential, nil)
	return err
}

// update is the one way by which a record changes. It reconciles what the
// store holds with what this process remembers, then applies the change, then
// swaps, until nobody else was faster. With fresh false, it first tries on
// what it remembers and saves a load.
//
// It returns the record that it tried to write last, and the clock by which it
// is told: when the error says that the store did not answer, that record may or
// may not have been stored.
func (c *Coordinator) update(ctx context.Context, fresh, adoptCredential bool, apply change) (written, error) {
	c.readCopy()
	var last written
	for try := range maxSwaps {
		base, err := c.base(ctx, fresh || try > 0, adoptCredential)
		if err != nil {
			return last, err
		}
		draft, events := c.tidy(base)
		changed := base.relation != Level || len(events) > 0
		next := draft
		if apply != nil {
			if applied, more, ok := apply(draft, base.now); ok {
				next, events, changed = applied, append(events, more...), true
			}
		}
		if !changed {
			c.keep(base.record, base.clock)
			return written{base.record, base.clock}, nil
		}
		last = written{next, base.clock}
		err = c.swap(ctx, base.old, next, events)
		if errors.Is(err, ErrStoreUnavailable) && base.relation == Forked {
			c.adopt(last) // it may have been stored: the next look tells
		}
		if !errors.Is(err, ErrConflict) {
			return last, err
		}
		pause(ctx, try)
	}
	return last, fmt.Errorf("%w: %d swaps in a row were overtaken by others", ErrStoreUnavailable, maxSwaps)
}

// written is a record, and the clock on which its times are.
type written struct {
	record Record
	clock  storeClock
}

// base is what an update builds on.
type base struct {
	record   Record // reconciled
	relation Relation
	old      Stamp     // what the store holds
	at       Stamp     // of the next write
	now      time.Time // on the store's clock
	clock    storeClock
}

func (c *Coordinator) base(ctx context.Context, fresh, adoptCredential bool) (base, error) {
	c.mu.Lock()
	memory, clock := c.memory.record(), c.clock
	if !fresh && !c.ahead && memory.Exists() {
		c.mu.Unlock()
		now := clock.at(time.Now())
		return base{record: memory, old: memory.Stamp(), at: NewStamp(memory, now), now: now, clock: clock}, nil
	}
	c.mu.Unlock()

	record, clock, err := c.load(ctx)
	if err != nil {
		return base{}, err
	}
	if ours := c.traits.Credential; !adoptCredential && ours != "" && record.Credential != "" && record.Credential != ours {
		err := &MismatchError{Name: c.name, Record: record.Credential, Ours: ours}
		c.tellOnce(EventMismatch, ErrCredentialMismatch, err)
		return base{}, err
	}
	c.mu.Lock()
	memory = c.memory.record() // may have grown during the load
	if c.clock.guessed {
		// What was minted before the store was ever heard carries this
		// process's own idea of the time. It is minted again; only an
		// idempotent source gets here, and returns the same token.
		memory = Record{}
	}
	memory = c.restated(memory, clock)
	c.mu.Unlock()

	b := base{old: record.Stamp(), at: NewStamp(record, clock.now), now: clock.now, clock: clock}
	if memory.Revision() > record.Revision() {
		b.at = NewStamp(memory, clock.now)
	}
	b.record, b.relation = Reconcile(memory, record, b.at)
	switch {
	case b.relation == Forked:
		b.record = b.record.Settled(memory, record, c.traits)
	case b.relation == Level && record.Stamp() != memory.Stamp():
		c.learn(record, clock) // at once: the store may lose it before the next write, of this goroutine or another
	}
	return b, nil
}

// tidy returns the draft of the next write with what is always done: events
// for what reconciling did, attempts given up that are overdue, own attempts
// abandoned that came to nothing.
func (c *Coordinator) tidy(b base) (Record, []Event) {
	draft := b.record.Child(b.at)
	var events []Event
	add := func(kind EventKind, attempt, detail string) {
		e := c.event(kind, b.now)
		e.Generation, e.Attempt, e.Detail = draft.Grant.Generation, attempt, detail
		events = append(events, e)
	}
	switch {
	case b.relation == Behind:
		add(EventRestored, "", "the store had lost this record, or its newest writes")
	case b.relation == Forked && draft.DoubtAt == 0:
		add(EventRestored, "", "several processes had put this record back")
	case b.relation == Forked:
		add(EventForked, "", draft.DoubtReason)
	}
	c.mu.Lock()
	idle, underWay := slices.Clone(c.idle), c.underWay
	c.mu.Unlock()
	for _, id := range idle {
		if draft.attempt(id) >= 0 {
			draft = draft.Abandon(id)
			add(EventFailed, id, "abandoned: it minted nothing")
		}
	}
	if isAhead(draft.Failure.At, b.now) {
		draft.Failure = Failure{} // of before the store's clock was set back; written with the next change
	}
	draft, overdue := draft.expireBut(underWay, b.now)
	for _, a := range overdue {
		add(EventExpired, a.ID, "a mint by "+a.By+" ended without an answer")
	}
	return draft, events
}

func (c *Coordinator) load(ctx context.Context) (Record, storeClock, error) {
	limited, cancel := context.WithTimeout(ctx, c.cfg.StoreTimeout)
	defer cancel()
	sent := time.Now()
	record, now, err := c.cfg.store.Load(limited, c.name)
	if err == nil {
		err = errors.Join(record.opened(c.name), sane(now))
	}
	if err = c.answered(ctx, err); err != nil {
		return Record{}, storeClock{}, err
	}
	return record, heard(now, sent), nil
}

func (c *Coordinator) swap(ctx context.Context, old Stamp, next Record, events []Event) error {
	limited, cancel := context.WithTimeout(ctx, c.cfg.StoreTimeout)
	defer cancel()
	sent := time.Now()
	now, err := c.cfg.store.Swap(limited, c.name, old, next, events...)
	if err == nil {
		err = sane(now)
	}
	if err = c.answered(ctx, err); err != nil {
		return err
	}
	c.keep(next, heard(now, sent))
	c.emit(events...)
	return nil
}

// keep remembers a record that the store holds, with nothing left to write,
// and copies it to the fallback.
func (c *Coordinator) keep(r Record, clock storeClock) {
	c.mu.Lock()
	c.missed, c.told = false, false
	was := c.away
	c.away = false
	c.mu.Unlock()
	if was {
		c.emit(c.eventNow(EventStoreBack))
	}
	c.learn(r, clock)
	c.copyRecord()
}

// learn remembers a record that the store holds. A slower look must not take
// back what a faster write has learned.
func (c *Coordinator) learn(r Record, clock storeClock) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if Relate(c.memory.record(), r) == Level || c.clock.guessed {
		c.remember(r, clock)
	}
}

// answered sorts an error of the store, and notices when it goes: keep notices
// when it is back, for one that answers and refuses to write is not. A caller
// who gave up says nothing of the store.
func (c *Coordinator) answered(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	for _, verdict := range []error{ErrConflict, ErrNewerRecord, ErrBadRecord, ErrSealed, ErrLocked} {
		if errors.Is(err, verdict) {
			return err
		}
	}
	c.mu.Lock()
	was := c.away
	c.away = was || err != nil
	c.mu.Unlock()
	if err != nil && !was {
		e := c.eventNow(EventStoreAway)
		e.Detail = detail(err)
		c.emit(e)
	}
	if err != nil && !errors.Is(err, ErrStoreUnavailable) {
		err = fmt.Errorf("%w: %w", ErrStoreUnavailable, err)
	}
	return err
}

// pause spreads processes that keep overtaking each other.
func pause(ctx context.Context, try int) {
	rest(ctx, jitter(time.Millisecond*time.Duration(1+min(try, 20))))
}
