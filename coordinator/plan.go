package coordinator

import (
	"fmt"
	"time"
)

// Slack is how long after an attempt's deadline it is given up: time for a
// commit that is on its way, and for clocks that drift.
const Slack = time.Second

// maxOpen bounds the unresolved attempts of a record, far above what the
// back-off lets through before the first of them is given up.
const maxOpen = 16

// The reasons for a mint, as stored in the record and in events.
const (
	ReasonMissing = "no token"
	ReasonExpired = "expired"
	ReasonDue     = "due"
	ReasonDoubt   = "doubt"
	ReasonRotate  = "rotate"
)

// Action is what a process should do about a record.
type Action int

const (
	// Rest: nothing, until Plan.At.
	Rest Action = iota
	// Await: a mint is needed, but a usable token exists and another attempt
	// is unresolved. Waiting makes one mint of two.
	Await
	// Blocked: a mint is needed, but the back-off, the budget or the spacing
	// after rejections that a foreign minter causes forbids it.
	Blocked
	// Mint: take the lock, look again, mint.
	Mint
)

// String returns "rest", "await", "blocked" or "mint".
func (a Action) String() string {
	switch a {
	case Rest:
		return "rest"
	case Await:
		return "await"
	case Blocked:
		return "blocked"
	default:
		return "mint"
	}
}

// MarshalText makes encoding/json write String.
func (a Action) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what MarshalText has written.
func (a *Action) UnmarshalText(text []byte) error {
	for _, known := range []Action{Rest, Await, Blocked, Mint} {
		if known.String() == string(text) {
			*a = known
			return nil
		}
	}
	return fmt.Errorf("mintonce: %.20q is not an action", text)
}

// Plan is the decision on a record at one moment.
type Plan struct {
	Action Action
	Reason string    // of the mint; empty for Rest
	At     time.Time // when to decide anew, if nothing changes before; zero for Mint
	Err    error     // a *BackoffError, *BudgetError or *ForeignMinterError for Blocked
}

// Plan decides what to do about r at now. It is the one place where that is
// decided, before locking and again after it. rotate asks for a new token
// though the current one is good.
func (r Record) Plan(now time.Time, t Traits, rotate bool) Plan {
	reason := r.need(now)
	if rotate {
		reason = ReasonRotate
	}
	if reason == "" {
		return Plan{Action: Rest, At: r.nextTurn()}
	}
	if r.shouldAwait(now, t) {
		at := r.overdueAt()
		if r.Usable(now) {
			at = earlier(at, r.Grant.ExpiresAt)
		}
		return Plan{Action: Await, Reason: reason, At: at}
	}
	if until, err := r.forbidden(now, t, rotate); err != nil {
		return Plan{Action: Blocked, Reason: reason, At: until, Err: err}
	}
	return Plan{Action: Mint, Reason: reason}
}

// need returns why a mint is needed, or nothing.
func (r Record) need(now time.Time) string {
	switch {
	case r.Grant.Value == "":
		return ReasonMissing
	case !r.Usable(now):
		return ReasonExpired
	case r.DoubtAt != 0:
		return ReasonDoubt
	case !now.Before(r.RefreshAt):
		return ReasonDue
	default:
		return ""
	}
}

// shouldAwait reports whether to leave an unresolved attempt its time: while
// there is a token to serve, that makes one mint of two. A token that the
// provider has rejected is none to serve, and an idempotent source takes no
// harm from two mints.
func (r Record) shouldAwait(now time.Time, t Traits) bool {
	serving := r.Usable(now) && !r.rejected() && t.Kind != Idempotent
	return len(r.Attempts) >= maxOpen || len(r.Attempts) > 0 && serving && !r.mayRetry(now, t)
}

// mayRetry: a rotating source may use the same refresh token once more, within
// the provider's grace, when the first use got no answer.
func (r Record) mayRetry(now time.Time, t Traits) bool {
	return t.Kind == Rotating && len(r.Attempts) == 1 &&
		now.Sub(time.UnixMilli(r.Attempts[0].BeganAt)) < t.Overlap
}

func (r Record) forbidden(now time.Time, t Traits, rotate bool) (time.Time, error) {
	budget := r.Budget.on(now, t)
	midnight := nextDay(now, t)
	if t.DailyMints > 0 && budget.Mints >= t.DailyMints {
		return midnight, &BudgetError{What: "mints today", Spent: budget.Mints, Limit: t.DailyMints, Until: midnight, RetryAfter: midnight.Sub(now)}
	}
	if rotate {
		if t.DailyRotations > 0 && budget.Rotations >= t.DailyRotations {
			return midnight, &BudgetError{What: "rotations today", Spent: budget.Rotations, Limit: t.DailyRotations, Until: midnight, RetryAfter: midnight.Sub(now)}
		}
		if free := budget.RotatedAt.Add(t.RotationSpacing); !budget.RotatedAt.IsZero() && now.Before(free) && !isAhead(budget.RotatedAt, now) {
			return free, &BudgetError{What: "rotation spacing", Until: free, RetryAfter: free.Sub(now)}
		}
		return time.Time{}, nil // an operator who has just mended something need not sit out the back-off
	}
	// A failure of the future is one of before the store's clock was set back.
	if f := r.Failure; now.Before(f.RetryAfter) && !isAhead(f.At, now) && (f.Credential == t.Credential || t.Credential == "") {
		return f.RetryAfter, &BackoffError{Failure: f, RetryAfter: f.RetryAfter.Sub(now)}
	}
	if until := r.spacedUntil(now); !until.IsZero() {
		return until, r.foreign(now, until, t)
	}
	return time.Time{}, nil
}

// nextTurn is when a record at rest wants attention.
func (r Record) nextTurn() time.Time {
	at := earlier(r.RefreshAt, r.Grant.ExpiresAt)
	if len(r.Attempts) > 0 {
		at = earlier(at, r.overdueAt())
	}
	return at
}

// overdueAt is when the first of the attempts may be given up.
func (r Record) overdueAt() time.Time {
	var at time.Time
	for _, a := range r.Attempts {
		if over := a.Deadline.Add(Slack); at.IsZero() || over.Before(at) {
			at = over
		}
	}
	return at
}

// overdue also holds for a deadline that no attempt of today can have: it is
// from before the store's clock was set back, and nobody knows its true end.
func (a Attempt) overdue(now time.Time) bool {
	const farthest = 5 * time.Minute // Config.MintTimeout is a minute at most
	return !now.Before(a.Deadline.Add(Slack)) || a.Deadline.After(now.Add(farthest))
}

// refreshAt picks the moment at which a token that lives from now until end is
// to be replaced: a random point of the last quarter of its life, and not in
// the last five minutes, which stay free to survive an outage of the provider.
// A provider that renews only in the last part of the life is asked in the
// first half of that. random spreads the moments; all of its values are fine.
func refreshAt(now, issued, end time.Time, t Traits, random uint64) time.Time {
	const reserve = 5 * time.Minute
	life, left := end.Sub(issued), end.Sub(now)
	from, to := end.Add(-life/4), end.Add(-min(reserve, life/8))
	if t.RenewsWithin > 0 {
		within := min(t.RenewsWithin, life)
		from, to = end.Add(-within*19/20), end.Add(-within/2)
	}
	// A token that is given out again in its last minutes must not be asked
	// for again at once.
	if soonest := now.Add(left / 8); from.Before(soonest) {
		from = soonest
	}
	if latest := now.Add(left / 4); to.Before(latest) {
		to = latest
	}
	const steps = 1 << 16
	at := from.Add(to.Sub(from) / steps * time.Duration(random%steps))
	return at.Truncate(time.Millisecond)
}
