package coordinator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// RejectedError is the cause to give to Report when the provider answered with
// a code of its own. Of any other cause nothing but its presence is kept,
// because its text may hold a URL with a token.
type RejectedError struct{ Code int }

func (e *RejectedError) Error() string {
	return fmt.Sprintf("the provider rejected the token with code %d", e.Code)
}

// Report says that the provider rejected exactly this token. If it is the
// current one, and at least Config.MinimumAge old, it is doubted, and Report
// waits for its successor like Token does: call Token again afterwards. A late
// report of a token that has been replaced costs nothing, and nil is returned.
// A report of a token younger than that is counted and changes nothing, unless
// the token is in doubt already: then it is to be replaced in any case. While a
// mint is unresolved, the rejection may well be its doing: then Report waits for
// what comes of that. WithActor says who reports.
//
// While the store is away, a report of the current token waits for it like
// Token does without a token.
//
// Where somebody else seems to mint with the same credential, the successor is
// not minted at once from the second time on; Report then returns an error that
// matches ErrForeignMinter and says when.
func (c *Coordinator) Report(ctx context.Context, value string, cause error) error {
	_, err := c.Reject(ctx, value, cause)
	return err
}

// Reject is Report, and tells what came of it.
func (c *Coordinator) Reject(ctx context.Context, value string, cause error) (Verdict, error) {
	verdict, err := c.judgeLocally(value)
	if err != nil {
		return verdict, err
	}
	timeout := time.NewTimer(c.cfg.MaxWait) // whoever meets its end returns
	defer timeout.Stop()
	if verdict == Acted || verdict == Unknown {
		if verdict, err = c.outlast(ctx, timeout.C, verdict, value, cause); err != nil {
			return verdict, err
		}
	}
	if verdict == TooYoung {
		verdict = c.outlive(ctx, timeout.C, value)
	}
	if verdict != Acted {
		return verdict, nil
	}
	return verdict, c.settleBefore(ctx, timeout.C, nil, func() bool { return c.replaced(value) })
}

// outlive waits while the token with this value is too young for its rejection
// to count and a mint is unresolved, and returns what the rejection means then.
// An attempt without an answer ends by its deadline, in doubt, so the wait is
// never long.
func (c *Coordinator) outlive(ctx context.Context, timeout <-chan time.Time, value string) Verdict {
	c.watch()
	defer c.unwatch()
	reported := c.storeTime(time.Now()) // the token may come of age meanwhile
	for {
		news, published := c.hint(), c.publication()
		verdict, unresolved := c.judgement(value, reported)
		if verdict != TooYoung || !unresolved {
			return verdict
		}
		retry := time.NewTimer(retryPause())
		select {
		case <-published:
		case <-news:
			c.lookAnew()
			c.fly()
		case <-retry.C:
			c.fly()
		case <-timeout:
			return TooYoung
		case <-ctx.Done():
			return TooYoung
		}
		retry.Stop()
	}
}

// judgement is what a report of that time means, and whether a mint is
// unresolved, by all that this process knows.
func (c *Coordinator) judgement(value string, at time.Time) (verdict Verdict, unresolved bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.memory.record()
	// Where the store is away, nobody gives up what is over.
	now := c.clock.at(time.Now()).Add(-2 * time.Second)
	unresolved = slices.ContainsFunc(r.Attempts, func(a Attempt) bool { return !a.overdue(now) })
	return r.Judge(value, at, c.cfg.MinimumAge), unresolved
}

// judgeLocally judges a report by what this process remembers. Late is final:
// generations never go back. So is TooYoung once it was counted, and any other
// verdict with an error: a storm of rejections must not become one of loads
// while the next mint is spaced out.
func (c *Coordinator) judgeLocally(value string) (Verdict, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	verdict := c.memory.record().Judge(value, c.clock.at(now), c.cfg.MinimumAge)
	switch {
	case verdict == TooYoung && c.early != c.memory.record().Grant.Generation:
		return Unknown, nil // not counted yet
	case verdict == Acted:
		if plan := c.planAt(now, c.rotation); errors.Is(plan.Err, ErrForeignMinter) {
			return Acted, plan.Err
		}
	}
	return verdict, nil
}

// outlast applies the report to the record. While the store is away, it tries
// again for as long as the caller has time: the token is of no use any more,
// and after a failover the successor may be there already. verdict is that of
// this process; of a token that is not its current one, the store's silence
// says all there is to say.
func (c *Coordinator) outlast(ctx context.Context, timeout <-chan time.Time, verdict Verdict, value string, cause error) (Verdict, error) {
	for {
		published := c.publication()
		latest, err := c.doubt(ctx, value, cause)
		if !errors.Is(err, ErrStoreUnavailable) || verdict != Acted {
			return latest, err
		}
		retry := time.NewTimer(retryPause())
		select {
		case <-published:
		case <-retry.C:
		case <-timeout:
			return latest, err
		case <-ctx.Done():
			return latest, fmt.Errorf("%w while waiting: %w", ctx.Err(), err)
		}
		retry.Stop()
		if c.replaced(value) {
			return Late, nil
		}
	}
}

// replaced reports whether this process has another token to give out.
func (c *Coordinator) replaced(value string) bool {
	token, ok := c.usable()
	return ok && token.Value != value
}

// doubt applies the report to the record.
func (c *Coordinator) doubt(ctx context.Context, value string, cause error) (Verdict, error) {
	var verdict Verdict
	claimed := int64(-1) // the generation for which this report is the one that counts
	apply := func(draft Record, now time.Time) (Record, []Event, bool) {
		verdict = draft.Judge(value, now, c.cfg.MinimumAge)
		e := c.event(EventReported, now)
		e.Generation, e.Reason, e.Actor = draft.Grant.Generation, string(verdict), actorOf(ctx)
		var rejected *RejectedError
		if errors.As(cause, &rejected) {
			e.Code = rejected.Code
		}
		switch {
		case verdict == Acted && draft.DoubtAt == 0:
			return c.reported(draft, e)
		case verdict == TooYoung && (claimed == draft.Grant.Generation || c.countEarly(draft.Grant.Generation)):
			claimed = draft.Grant.Generation // again, if the write is overtaken
			e.Kind = EventReportKept
			return draft.ReportedEarly(), []Event{e}, true
		default:
			return draft, nil, false
		}
	}
	_, err := c.update(ctx, true, false, apply)
	if err != nil && claimed >= 0 {
		c.uncountEarly(claimed)
	}
	if errors.Is(err, ErrStoreUnavailable) && c.traits.Kind == Idempotent && !c.cfg.NeverMint {
		// Without the store, the doubt is this process's own for now. It is
		// resolved without a lock, and written back with the outcome.
		c.mu.Lock()
		memory, clock := c.memory.record(), c.clock
		c.mu.Unlock()
		now := clock.at(time.Now())
		if draft, events, ok := apply(memory.Child(NewStamp(memory, now)), now); ok {
			c.adopt(written{draft, clock})
			c.emit(events...)
		}
		return verdict, nil
	}
	return verdict, err
}

// reported applies a report that is acted on. The history tells what points to
// a foreign minter; an idempotent source is asked before one is named.
func (c *Coordinator) reported(draft Record, e Event) (Record, []Event, bool) {
	next := draft.Reported(cmp.Or(e.Actor, e.By), e.At, c.traits)
	if next.Foreign == draft.Foreign || c.traits.Kind == Idempotent {
		return next, []Event{e}, true
	}
	e.Detail = evidence(next.Foreign.Count, "")
	if !next.Foreign.Named() {
		return next, []Event{e}, true
	}
	return next, []Event{e, c.foreignMinter(next, e.At)}, true
}

// foreignMinter is the event that names one, with what it is based on and what
// to do about it.
func (c *Coordinator) foreignMinter(r Record, now time.Time) Event {
	e := c.event(EventForeign, now)
	e.Generation = r.Foreign.Generation
	e.Detail = evidence(r.Foreign.Count, r.Foreign.By)
	if until := r.spacedUntil(now); !until.IsZero() {
		e.Detail += "; next mint in " + until.Sub(now).Round(time.Second).String()
	}
	e.Detail += ": " + c.traits.foreignAdvice()
	return e
}

// countEarly reports whether this process has yet to count an early report of
// this generation. One per process tells as much as a thousand.
func (c *Coordinator) countEarly(generation int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	first := c.early != generation
	c.early = generation
	return first
}

// uncountEarly takes a count back that could not be written.
func (c *Coordinator) uncountEarly(generation int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.early == generation {
		c.early = 0
	}
}
