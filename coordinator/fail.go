package coordinator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

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
