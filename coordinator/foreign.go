package coordinator

import (
	"fmt"
	"math/bits"
	"time"
)

// A stranger who mints with the same credential ends our token, and tells
// nobody. It shows in one way only: the provider rejects the current token
// though no mint of ours explains it. One such rejection may be a caller's
// mistake, so it is healed at once, as any other, and no more than suspected.
// With the second within foreignQuiet the foreign minter is named, and mints
// because of a rejection are spaced out.

const (
	// foreignNamed is how many rejections without an explanation it takes.
	foreignNamed = 2
	// foreignQuiet is how long without another one ends the suspicion: three
	// lives of a usual token, for a stranger mints once in each of its own.
	foreignQuiet = 6 * time.Hour
	// spacingBase and spacingMost bound the time from one mint to the next that
	// a rejection may cause, which doubles with every one in a row. An overlap
	// that is longer is the bound instead.
	spacingBase = time.Minute
	spacingMost = 5 * time.Minute
)

// severalReporters is Foreign.By where not all reports came from one.
const severalReporters = "several reporters"

// Foreign is what points to somebody else who mints with this credential.
type Foreign struct {
	// Count is how many rejections in a row no mint of ours explains.
	Count int
	// At is when the last of them was reported.
	At time.Time
	// By is the actor or instance that reported them all, or "several
	// reporters".
	By string
	// Generation is the token that was rejected last.
	Generation int64
	// Vouched is how often in a row an idempotent source, asked because of a
	// rejection, gave out that very token again: then the provider accepts it,
	// and the mistake is the caller's.
	Vouched int
	// Until is before when no rejection of the current token causes a mint.
	Until time.Time
}

// Named reports whether a foreign minter is more than suspected.
func (f Foreign) Named() bool { return f.Count >= foreignNamed }

// on returns what is left of the suspicion at now. A moment of the future is
// one of before the store's clock was set back.
func (f Foreign) on(now time.Time) Foreign {
	if isAhead(f.At, now) || !now.Before(f.At.Add(foreignQuiet)) {
		return Foreign{}
	}
	return f
}

// suspect counts a rejection of the current token, unless a mint of ours may
// explain it: doubt and open attempts do. Past RefreshAt, the token is to be
// replaced in any case, and may have ended by itself.
func (r Record) suspect(by string, now time.Time, t Traits) Record {
	if r.DoubtAt != 0 || len(r.Attempts) > 0 || !now.Before(r.RefreshAt) {
		return r
	}
	f := r.Foreign.on(now)
	wait := spacing(f.pace(now, t), t)
	if f.Count > 0 && f.By != by {
		by = severalReporters
	}
	f.Count++
	if r.EarlyReports >= foreignNamed && t.Kind != Idempotent {
		f.Count++ // several processes had it rejected from the start: a mistake of one caller is unlikely
	}
	f.At, f.By, f.Generation, f.Until = now, by, r.Grant.Generation, time.Time{}
	if age := r.Age(now); age < wait && t.Kind != Idempotent {
		f.Until = now.Add(wait - age).Truncate(time.Millisecond)
	}
	r = r.clone()
	r.Foreign = f
	return r
}

// spacing is the shortest time between two mints after that many rejections.
func spacing(rejections int, t Traits) time.Duration {
	if rejections < 1 {
		return 0
	}
	most := longestSpacing(t)
	return min(spacingBase<<min(rejections-1, doublings(most)), most)
}

// longestSpacing keeps what a fight costs to some 300 mints a day, and costs no
// call where the other side heals as we do: then each token lives on for its own
// overlap and the other's.
func longestSpacing(t Traits) time.Duration {
	if t.Kind == LastMintWins {
		return max(spacingMost, t.Overlap)
	}
	return spacingMost
}

// doublings is how many of them make spacingBase the longest spacing.
func doublings(most time.Duration) int {
	return bits.Len64(uint64((most - 1) / spacingBase))
}

// pace is how many rejections before this one count for the spacing. Twice the
// longest spacing without any takes one of them back: a stranger who comes every
// two hours is healed at once.
func (f Foreign) pace(now time.Time, t Traits) int {
	most := longestSpacing(t)
	return min(f.Count, doublings(most)+1) - int(now.Sub(f.At)/(2*most))
}

// spacedUntil is when a mint is allowed that nothing but a rejection asks for,
// or zero for at once. A refresh that is due need not wait.
func (r Record) spacedUntil(now time.Time) time.Time {
	f := r.Foreign.on(now)
	if !r.rejected() || !r.Usable(now) || !now.Before(r.RefreshAt) || !now.Before(f.Until) {
		return time.Time{}
	}
	return earlier(f.Until, r.RefreshAt)
}

// vouched reports whether the provider has, not long ago, given the current
// token out again when it was asked because of a rejection.
func (r Record) vouched(now time.Time) bool {
	f := r.Foreign.on(now)
	return f.Vouched > 0 && now.Before(f.Until)
}

// settled is what a commit means for the suspicion; same says that it
// brought the token that there was.
func (f Foreign) settled(same bool, generation int64, now time.Time, t Traits) Foreign {
	if !same {
		f.Vouched, f.Until = 0, time.Time{} // the spacing concerned the token before
		return f
	}
	if t.Kind == Idempotent && f.Generation == generation {
		f.Count, f.Generation, f.Vouched = max(0, f.Count-1), 0, f.Vouched+1
		f.Until = now.Add(spacing(f.Vouched, t)).Truncate(time.Millisecond)
	}
	return f
}

// suspected reports whether the doubt about the current token is one that no
// mint of ours explains.
func (r Record) suspected() bool {
	return r.DoubtAt != 0 && r.Foreign.Count > 0 && r.Foreign.Generation == r.Grant.Generation
}

// join keeps the later suspicion: a fork must not end the spacing.
func (f Foreign) join(other Foreign) Foreign {
	if other.At.After(f.At) {
		return other
	}
	return f
}

// foreign is the error that Plan gives for a mint that is spaced out.
func (r Record) foreign(now, until time.Time, t Traits) *ForeignMinterError {
	return &ForeignMinterError{Count: r.Foreign.Count, By: r.Foreign.By, RetryAfter: until.Sub(now), Advice: t.foreignAdvice()}
}

// foreignAdvice is what to do about a foreign minter.
func (t Traits) foreignAdvice() string {
	advice := t.ForeignAdvice
	if advice == "" {
		advice = "find the other environment, old job or leaked secret that mints, and let all share one record"
	}
	return "if only one kind of call is rejected, look at that call first; otherwise " + advice
}

// evidence says in words what speaks for a foreign minter.
func evidence(count int, by string) string {
	text := "a token was rejected that no mint of ours explains"
	if count > 1 {
		text = fmt.Sprintf("%d rejections in a row that no mint of ours explains", count)
	}
	if by != "" {
		text += ", reported by " + by
	}
	return text
}
