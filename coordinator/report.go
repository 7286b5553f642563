package coordinator

import (
	"context"
	"errors"
	"fmt"
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
// A report of a token younger than that is counted and changes nothing.
// WithActor says who reports.
func (c *Coordinator) Report(ctx context.Context, value string, cause error) error {
	_, err := c.Reject(ctx, value, cause)
	return err
}

// Reject is Report, and tells what came of it.
func (c *Coordinator) Reject(ctx context.Context, value string, cause error) (Verdict, error) {
	verdict := c.judgeLocally(value)
	if verdict == Acted || verdict == Unknown {
		var err error
		if verdict, err = c.doubt(ctx, value, cause); err != nil {
			return verdict, err
		}
	}
	if verdict != Acted {
		return verdict, nil
	}
	return verdict, c.settle(ctx, nil, func() bool {
		token, ok := c.usable()
		return ok && token.Value != value
	})
}

// judgeLocally judges a report by what this process remembers. Late is final:
// generations never go back. So is TooYoung once it was counted.
func (c *Coordinator) judgeLocally(value string) Verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	verdict := c.memory.Judge(value, c.clock.at(time.Now()), c.cfg.MinimumAge)
	if verdict == TooYoung && c.early != c.memory.Grant.Generation {
		return Unknown // not counted yet
	}
	return verdict
}

// doubt applies the report to the record.
func (c *Coordinator) doubt(ctx context.Context, value string, cause error) (Verdict, error) {
	var verdict Verdict
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
			return draft.Reported("the provider rejected it, says "+c.cfg.Instance, c.traits), []Event{e}, true
		case verdict == TooYoung && c.countEarly(draft.Grant.Generation):
			e.Kind = EventReportKept
			return draft.ReportedEarly(), []Event{e}, true
		default:
			return draft, nil, false
		}
	}
	_, err := c.update(ctx, true, false, apply)
	if errors.Is(err, ErrStoreUnavailable) && c.traits.Kind == Idempotent && !c.cfg.NeverMint {
		// Without the store, the doubt is this process's own for now. It is
		// resolved without a lock, and written back with the outcome.
		c.mu.Lock()
		memory, now := c.memory, c.clock.at(time.Now())
		c.mu.Unlock()
		if draft, events, ok := apply(memory.Child(NewStamp(memory, now)), now); ok {
			c.adopt(draft)
			c.emit(events...)
		}
		return verdict, nil
	}
	return verdict, err
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
