package coordinator

import (
	"slices"
	"time"
)

// The transitions are pure: each returns a changed copy of a record. They are
// applied to a Child, whose revision stands for "this moment" in them.

// Begin announces a mint. It is written before anything is sent, under the
// lock, and only when Plan says that a mint is needed now.
func (r Record) Begin(a Attempt, now time.Time, t Traits) Record {
	r = r.clone()
	a.BeganAt = r.Revision()
	a.From = r.Grant.Generation
	if t.Kind == Rotating {
		a.With = Fingerprint(r.Grant.State)
	}
	r.Attempts = append(r.Attempts, a)
	r.Budget = r.Budget.on(now, t)
	r.Budget.Mints++
	if a.Reason == ReasonRotate {
		r.Budget.Rotations++
		r.Budget.RotatedAt = now
	}
	return r
}

// Commit stores what the attempt id has minted. A late mint, one during which
// somebody else committed or that was given up by the fleet, is never dropped
// in silence: the provider's order is unknown, so the record is in doubt.
func (r Record) Commit(id string, g Grant, t Traits) (Record, EventKind) {
	i := r.attempt(id)
	inTime := i >= 0 && r.CommittedAt < r.Attempts[i].BeganAt
	var began int64
	if inTime {
		began = r.Attempts[i].BeganAt
	}
	same := g.Value == r.Grant.Value
	usable := r.Usable(r.moment(g))
	r = r.without(id)

	states := r.overlapping(g, t)
	switch {
	case inTime:
		r = r.grant(g, t)
		if r.DoubtAt <= began {
			r.DoubtAt, r.DoubtReason, r.Spares, r.Unanswered = 0, "", nil, nil
		} else {
			r = r.trying(states)
		}
	case same && t.Kind == Idempotent:
		// Overlaps are harmless where both were given the same token. Some
		// providers prolong its life with every call.
		if g.ExpiresAt.After(r.Grant.ExpiresAt) {
			r = r.grant(g, t)
		}
	case !usable:
		return r.grant(g, t).Doubt("mints overlapped").trying(states), EventOverlapped
	default:
		if t.Kind == Rotating {
			r.Failure = Failure{} // there is another refresh token to try
		}
		return r.Doubt("mints overlapped").trying(states), EventOverlapped
	}
	if same {
		return r, EventConfirmed
	}
	return r, EventMinted
}

// grant makes g the current token. A token that the provider gave out again
// keeps its generation: a generation is a token, not a call.
func (r Record) grant(g Grant, t Traits) Record {
	old := r.Grant
	now := r.moment(g)
	if g.Value != old.Value {
		g.Generation = old.Generation + 1
		if old.Value != "" {
			r.Previous = Previous{Fingerprint: Fingerprint(old.Value), Generation: old.Generation, Until: earlier(old.ExpiresAt, g.IssuedAt.Add(t.Overlap))}
		}
	} else {
		g.Generation = old.Generation
		if old.Reason != "" {
			g.IssuedAt, g.MintedBy, g.Reason = old.IssuedAt, old.MintedBy, old.Reason
		}
	}
	r.Grant = g
	r.RefreshAt = refreshAt(now, g.IssuedAt, g.ExpiresAt, t, r.Stamp().ID)
	r.CommittedAt = r.Revision()
	r.Credential = t.Credential
	r.Failure = Failure{}
	r.EarlyReports = 0
	r.Foreign = r.Foreign.on(now).settled(g.Value == old.Value, old.Generation, now, t)
	return r
}

// moment is when the answer g is committed. Revisions are times, but they run
// ahead of a store's clock that was set back; a commit follows its request
// within a minute or so.
func (r Record) moment(g Grant) time.Time {
	return earlier(time.UnixMilli(r.Revision()).UTC(), g.IssuedAt.Add(time.Minute))
}

// Abandon ends an attempt that certainly minted nothing.
func (r Record) Abandon(id string) Record { return r.without(id) }

// Fail notes a failed mint and its back-off. The attempt stays where it is:
// whether it minted is for Abandon to say.
func (r Record) Fail(f Failure) Record {
	r = r.clone()
	f.Count, f.Refused = r.Failure.Count+1, r.Failure.Refused
	r.Failure = f
	return r
}

// Expire gives up the attempts whose deadline passed more than Slack ago. Each
// may have minted, so there is doubt. It returns the attempts given up.
func (r Record) Expire(now time.Time) (Record, []Attempt) { return r.expireBut("", now) }

// expireBut spares one attempt: that of the process that is about to say what
// came of it. As long as nobody else has given it up, all is well with it.
func (r Record) expireBut(own string, now time.Time) (Record, []Attempt) {
	var expired []Attempt
	for _, a := range r.Attempts {
		if a.ID != own && a.overdue(now) {
			expired = append(expired, a)
		}
	}
	for _, a := range expired {
		r = r.unanswered(a)
		r = r.without(a.ID).Doubt("a mint by " + a.By + " ended without an answer")
	}
	return r, expired
}

// Doubt says that the current token may not be the one that the provider
// accepts, so that a new mint is needed.
func (r Record) Doubt(reason string) Record {
	r = r.clone()
	r.DoubtAt, r.DoubtReason = r.Revision(), reason
	return r
}

// Reported doubts the token because the provider rejected it, as the actor or
// instance by has found. Where a mint always issues another token, any commit
// after this token's settles that, the one of an attempt under way too.
func (r Record) Reported(by string, now time.Time, t Traits) Record {
	if r.DoubtAt != 0 {
		return r
	}
	r = r.suspect(by, now, t).Doubt("the provider rejected it, says " + by)
	if t.Kind != Idempotent && r.CommittedAt > 0 {
		r.DoubtAt = r.CommittedAt
	}
	return r
}

// rejected reports whether the doubt is a report, at a provider where each mint
// issues another token.
func (r Record) rejected() bool { return r.DoubtAt != 0 && r.DoubtAt == r.CommittedAt }

// Reannounce puts an attempt back that the fleet has given up, because its
// owner has learned that it may yet be processed.
func (r Record) Reannounce(a Attempt, deadline time.Time) Record {
	r = r.without(a.ID)
	a.Deadline = deadline.Truncate(time.Millisecond)
	r.Attempts = append(r.Attempts, a)
	return r
}

// awaits reports whether the attempt is unresolved and has time left.
func (r Record) awaits(id string, now time.Time) bool {
	i := r.attempt(id)
	return i >= 0 && !r.Attempts[i].overdue(now)
}

// ReportedEarly counts a process that reported the token while it was young.
func (r Record) ReportedEarly() Record {
	r = r.clone()
	r.EarlyReports++
	return r
}

func (r Record) without(id string) Record {
	r = r.clone()
	r.Attempts = slices.DeleteFunc(r.Attempts, func(a Attempt) bool { return a.ID == id })
	return r
}

// Verdict says what a report of a rejected token led to.
type Verdict string

const (
	// Acted: it was the current token, which is in doubt now.
	Acted Verdict = "acted"
	// TooYoung: it is the current token, but so young that the rejection more
	// likely has another cause. It was counted.
	TooYoung Verdict = "too young"
	// Vouched: it is the current token, and the provider gave out that very
	// token again when it was asked because of such a rejection. The mistake
	// is the caller's, or another call's of the same token.
	Vouched Verdict = "vouched for"
	// Late: there is a newer token already; use that.
	Late Verdict = "late"
	// Unknown: it is not a token of this record, or one from long ago.
	Unknown Verdict = "unknown"
)

// Judge says what a report means that the provider rejected the token with
// this value. It changes nothing: for Acted, the caller applies Doubt.
func (r Record) Judge(value string, now time.Time, minimumAge time.Duration) Verdict {
	switch {
	case value == "" || r.Grant.Value == "":
		return Unknown
	case value == r.Grant.Value && r.DoubtAt != 0 && !r.vouched(now):
		return Acted // it costs no mint: one is due in any case
	case value == r.Grant.Value && minimumAge > 0 && r.Age(now) < minimumAge:
		return TooYoung
	case value == r.Grant.Value && r.vouched(now):
		return Vouched
	case value == r.Grant.Value:
		return Acted
	case Fingerprint(value) == r.Previous.Fingerprint:
		return Late
	default:
		return Unknown
	}
}

// on returns the budget as it stands on the day of now.
func (b Budget) on(now time.Time, t Traits) Budget {
	if day := now.UTC().Add(t.DayOffset).Format(time.DateOnly); day != b.Day {
		return Budget{Day: day, RotatedAt: b.RotatedAt}
	}
	return b
}

// nextDay returns the moment after now at which the daily counts start anew.
func nextDay(now time.Time, t Traits) time.Time {
	there := now.UTC().Add(t.DayOffset)
	return there.Truncate(24 * time.Hour).Add(24*time.Hour - t.DayOffset)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
