package explore

import (
	"slices"

	"github.com/mintonce/mintonce/coordinator"
)

// request is a mint on its way to the provider; 0 is none.
type request uint8

const (
	forced    request = 1 << 6
	carryBits         = 2 // of the refresh token that it carries, above the sender
)

func newRequest(sender int, p process) request {
	r := request(sender+1) | request(p.carries)<<carryBits
	if p.forced {
		r |= forced
	}
	return r
}

func (r request) sender() int    { return int(r&(1<<carryBits-1)) - 1 }
func (r request) carries() uint8 { return uint8(r&^forced) >> carryBits }

// provider: it processes any request under way.
func (w *world) provider(s state) {
	for n, r := range s.wire {
		if r == 0 {
			continue
		}
		to := s
		to.wire[n] = 0
		switch w.scenario.Kind {
		case coordinator.LastMintWins:
			to.live = uint8(n)
			w.answer(to, r, uint8(n), uint8(n), "the provider processes")
		case coordinator.Idempotent:
			w.repeat(to, r, uint8(n))
		case coordinator.Rotating:
			w.exchange(to, r, uint8(n))
		}
	}
}

// answer brings what the provider gave to the process that waits for it, if it
// still does.
func (w *world) answer(to state, r request, n, got uint8, what string) {
	if p := &to.procs[r.sender()]; p.step == sent && p.attempt == n {
		p.step, p.got = answered, got
		if got == none {
			p.step = refused
		}
	}
	w.emit(move{nobody, what, int16(n)}, to)
}

// repeat: an idempotent provider gives out its token again, unless it is asked
// to force another one or the token has expired. In the last part of a token's
// life it may give out the next one; both are good until the old one's end.
func (w *world) repeat(to state, r request, n uint8) {
	over := to.expired&(1<<to.live) != 0
	if r&forced != 0 || over {
		to.live = n
		w.answer(to, r, n, n, "the provider issues a new token for")
		return
	}
	w.answer(to, r, n, to.live, "the provider repeats its token for")
	if to.renewals > 0 {
		to.renewals--
		to.ending |= 1 << to.live
		to.live = n
		w.answer(to, r, n, n, "the provider renews its token for")
	}
}

// exchange: each mint spends the refresh token that it carries, which may be
// used once more within the grace, and issues the next. At some providers the
// second use ends what the first one brought; Forks says that both live on.
func (w *world) exchange(to state, r request, n uint8) {
	carried := uint8(1) << r.carries()
	switch {
	case to.valid&carried != 0:
		to.valid, to.retry = to.valid&^carried|1<<n, to.retry|carried
		if !w.scenario.Forks {
			to.valid, to.retry = 1<<n, carried
		}
	case to.retry&carried != 0:
		to.valid, to.retry = to.valid|1<<n, to.retry&^carried
		if !w.scenario.Forks {
			to.valid, to.retry = 1<<n, 0
		}
	default:
		w.answer(to, r, n, none, "the provider refuses")
		return
	}
	to.live, to.spent = n, to.spent|carried
	w.answer(to, r, n, n, "the provider processes")
}

// accepts reports whether the provider accepts the token, or whether the token
// ends at a time that its record knows.
func (s state) accepts(kind coordinator.Kind, token uint8) bool {
	switch kind {
	case coordinator.Idempotent:
		return token == s.live || token < maxTokens && s.ending&(1<<token) != 0
	case coordinator.Rotating:
		return token < maxTokens && s.valid&(1<<token) != 0
	default:
		return token == s.live
	}
}

// reaches reports whether a mint with that refresh token would succeed.
func (s state) reaches(token uint8) bool {
	return token < maxTokens && (s.valid|s.retry)&(1<<token) != 0
}

// grace: time passes while nothing is under way and everybody has looked, and
// what was spent cannot be used once more. What is lost with that is lost: it
// ends only where the record does not depend on it.
func (w *world) grace(s state) {
	if s.graces == 0 || s.retry == 0 || !quiet(s) {
		return
	}
	r := w.archive.records[s.record]
	if len(r.Attempts) > 0 || !slices.ContainsFunc(states(r), s.unspent) {
		return
	}
	s.graces--
	s.retry = 0
	w.emit(move{nobody, "time passes and ends the grace of what was spent", 0}, s)
}

// reuses reports whether a mint that begins on r carries a refresh token that
// was used up, though r has another one. Many providers take that for theft, and
// end all that descends from the same login. Where mints with both of them got
// no answer, nobody knows which one was spent, unless a commit has told.
func (s state) reuses(r coordinator.Record) bool {
	carried := tokenNumber(r.Grant.State)
	usedUp := carried < maxTokens && s.spent&(1<<carried) != 0 && !s.reaches(carried)
	return usedUp && len(r.Attempts) == 0 && slices.ContainsFunc(r.Spares, func(spare string) bool {
		return s.unspent(spare) && (s.tried&(1<<tokenNumber(spare)) == 0 || s.told&(1<<carried) != 0)
	})
}

// knowsAll reports whether r descends from what each process that lives
// remembers. Who mints before a process has put back what the store lost cannot
// know what that had spent.
func (w *world) knowsAll(s state, r coordinator.Record) bool {
	for i, p := range s.procs {
		if p.step != dead && coordinator.Relate(w.archive.records[s.memories[i]], r) != coordinator.Level {
			return false
		}
	}
	return true
}

// unspent reports whether the provider accepts the refresh token for the first
// time.
func (s state) unspent(state string) bool {
	n := tokenNumber(state)
	return n < maxTokens && s.valid&(1<<n) != 0
}

// carriedBy is the token whose refresh token the attempt carries; none if it
// carries none.
func carriedBy(a coordinator.Attempt) uint8 {
	for token := range uint8(none) {
		if a.With == coordinator.Fingerprint(tokenValue(token)) {
			return token
		}
	}
	return none
}

// states are the refresh tokens that the record has.
func states(r coordinator.Record) []string { return append([]string{r.Grant.State}, r.Spares...) }
