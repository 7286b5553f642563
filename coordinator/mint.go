package coordinator

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// maxTokenSize bounds what a Source may return. The longest tokens known are
// JWTs of about 4 KiB.
const maxTokenSize = 32 << 10

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

func (c *Coordinator) setUnderWay(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.underWay = id
}

// ask calls the Source. Its context ends with the mint's time-out and with the
// trust in the lease; a process that slept through either sends nothing.
func (c *Coordinator) ask(m *mint) (Token, error) {
	ctx, cancel := context.WithDeadline(context.Background(), m.end)
	defer cancel()
	ctx, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	stopped := make(chan struct{})
	defer close(stopped)
	if m.lost != nil {
		select {
		case <-m.lost:
			return Token{}, errLostBeforeSending
		default:
		}
		go func() {
			select {
			case <-m.lost:
				lose(ErrLockLost)
			case <-stopped:
			}
		}()
	}
	m.sent = time.Now()
	// The answer to the announcement told the store's time anew. If that clock
	// was set since it was last heard, others may give the attempt up before it
	// has had its time.
	if !m.sent.Before(m.end) || c.storeTime(m.end).After(m.attempt.Deadline) || m.attempt.overdue(c.storeTime(m.sent)) {
		return Token{}, errLostBeforeSending
	}
	token, err := c.call(ctx, m)
	if err != nil {
		if context.Cause(ctx) == ErrLockLost {
			err = fmt.Errorf("%w: %w", ErrLockLost, err)
		}
		return Token{}, err
	}
	return token, c.checkToken(m, token)
}

// call calls the Source, and turns its panic into an error: the attempt must
// be resolved, and a panic's text may hold anything.
func (c *Coordinator) call(ctx context.Context, m *mint) (token Token, err error) {
	defer func() {
		if p := recover(); p != nil {
			token, err = Token{}, fmt.Errorf("mintonce: the source panicked with a %T", p)
		}
	}()
	if r, ok := c.source.(Rotator); ok && m.attempt.Reason == ReasonRotate {
		return r.Rotate(ctx, m.prev)
	}
	return c.source.Mint(ctx, m.prev)
}

func (c *Coordinator) checkToken(m *mint, t Token) error {
	problem := ""
	switch {
	case t.Value == "":
		problem = "has no value"
	case strings.ContainsFunc(t.Value, func(r rune) bool { return r < ' ' || r > '~' }) || !utf8.ValidString(t.State()):
		problem = "has characters that no token has"
	case strings.HasPrefix(t.Value, SealedPrefix) || strings.HasPrefix(t.State(), SealedPrefix):
		problem = "looks like one that was sealed"
	case len(t.Value) > maxTokenSize || len(t.State()) > maxTokenSize:
		problem = fmt.Sprintf("is larger than %d bytes", maxTokenSize)
	case !t.ExpiresAt().After(m.sent):
		problem = "has expired already"
	case t.ExpiresAt().Sub(m.sent) > 10*365*24*time.Hour:
		problem = "expires in more than ten years"
	default:
		return nil
	}
	return &SourceError{Class: Transient, Message: "the token that the source returned " + problem}
}

// grant puts the token on the store's clock, where it is now: its life counts
// from the moment at which the request was sent.
func (c *Coordinator) grant(m *mint, t Token, now time.Time) Grant {
	issued := now.Add(-time.Since(m.sent)).Truncate(time.Millisecond)
	return Grant{
		Value: t.Value, State: t.State(), MintedBy: c.cfg.Instance, Reason: m.attempt.Reason,
		IssuedAt: issued, ExpiresAt: issued.Add(t.ExpiresAt().Sub(m.sent)).Truncate(time.Millisecond),
	}
}

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

// fail notes a failed mint with its back-off. Only what certainly minted
// nothing is abandoned; any other attempt stays, and becomes doubt when its
// deadline has passed.
func (c *Coordinator) fail(m *mint, err error) error {
	source, err := asSourceError(err)
	refused := source.Refused || errors.Is(err, errLostBeforeSending)
	if errors.Is(err, ErrLockLost) {
		c.emit(c.eventNow(EventLockLost))
	}
	var took time.Duration
	if !m.sent.IsZero() {
		took = time.Since(m.sent)
	}
	// Longer than one call may take: a store that does not answer is noticed.
	ctx, cancel := context.WithTimeout(context.Background(), 2*c.cfg.StoreTimeout)
	defer cancel()
	outcome := err
	_, failed := c.update(ctx, false, true, func(draft Record, now time.Time) (Record, []Event, bool) {
		outcome = err
		e := c.event(EventUnanswered, now)
		e.Generation, e.Attempt, e.Reason, e.Took = draft.Grant.Generation, m.attempt.ID, m.attempt.Reason, took
		e.Class, e.Code, e.Detail = source.Class, source.Code, clip(source.Error())
		told := source
		switch {
		case refused:
			e.Kind = EventFailed
			if source.Class.Temporary() || source.Class == Quota || c.traits.Kind != Rotating {
				draft = draft.Abandon(m.attempt.ID)
				break
			}
			var untried bool
			if draft, untried = draft.Refused(m.attempt.ID, source.Code); untried {
				e.Detail += "; there is another refresh token, which is tried next"
				told = &SourceError{Class: Transient, Code: source.Code, Message: source.Message, Refused: true, Err: source.Err}
				outcome = told
			}
		case !draft.awaits(m.attempt.ID, now):
			draft = draft.Reannounce(m.attempt, now.Add(deadlineSlack))
		}
		if errors.Is(err, errLostBeforeSending) {
			return draft, []Event{e}, true // that says nothing of the provider
		}
		return draft.Fail(c.failure(draft, now, told)), []Event{e}, true
	})
	if failed != nil && refused {
		c.forget(m.attempt.ID) // any other attempt becomes doubt by itself
	}
	return outcome
}

// asSourceError is a failed mint as callers and the record are told of it: the
// text of any other error, one around a SourceError included, may be anything.
func asSourceError(err error) (*SourceError, error) {
	var source *SourceError
	switch {
	case errors.As(err, &source):
	case errors.Is(err, errLostBeforeSending):
		source = &SourceError{Class: Transient, Message: "nothing was sent: the lock, or the time for it, was over before", Err: err}
	default:
		source = &SourceError{Class: Transient, Message: "no answer from the provider", Err: err}
	}
	if errors.Is(err, ErrLockLost) && !errors.Is(source, ErrLockLost) {
		return source, fmt.Errorf("%w: %w", ErrLockLost, source)
	}
	return source, source
}

// failure is what the record keeps of a failed mint.
func (c *Coordinator) failure(r Record, now time.Time, e *SourceError) Failure {
	wait := backoff(r.Failure.Count, c.cfg.BackoffMin, c.cfg.BackoffMax)
	return Failure{
		At: now, By: c.cfg.Instance, Class: e.Class, Code: e.Code, Message: clip(e.Error()), Credential: c.traits.Credential,
		RetryAfter: now.Add(max(wait, e.After)).Truncate(time.Millisecond),
	}
}

// backoff doubles from low to high with the failures so far, and takes off up
// to a quarter so that fleets of different credentials do not move in step.
func backoff(failures int, low, high time.Duration) time.Duration {
	wait := high
	if low <= high>>failures { // otherwise it may be more than a Duration can hold
		wait = low << failures
	}
	return wait - jitter(wait/4+1)
}

// detail is an error's text for an event or a status, where everything is ours.
func detail(err error) string {
	return strings.TrimPrefix(joints.Replace(err.Error()), "mintonce: ")
}

// joints are where one error's text follows another's. Elsewhere, mintonce may
// be the end of a path.
var joints = strings.NewReplacer(": mintonce: ", ": ", "; mintonce: ", "; ", "\nmintonce: ", "\n")

// clip bounds a text of a source, and keeps it on one line of valid UTF-8.
func clip(text string) string {
	const most = 500
	if len(text) > most {
		text = text[:most] + "..."
	}
	return strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " ")
}

func attemptID() string {
	var id [8]byte
	rand.Read(id[:]) // never fails: crypto/rand ends the process instead
	return hex.EncodeToString(id[:])
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
