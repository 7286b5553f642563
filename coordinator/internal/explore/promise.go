package explore

import (
	"fmt"
	"slices"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// check returns the promise that s breaks, or nothing.
func (w *world) check(s state) string {
	if !quiet(s) {
		return ""
	}
	record := w.archive.get(s.record, s.expired)
	at := coordinator.Stamp{Revision: record.Revision() + 1, ID: uint64(s.writes) + 1}
	if !w.needed(record, at) {
		if token := tokenNumber(record.Grant.Value); !s.accepts(w.scenario.Kind, token) {
			return fmt.Sprintf("the record serves token %d in good faith, the provider accepts %d", token, s.live)
		}
		return w.lost(s, record)
	}
	for _, promise := range []func(state, coordinator.Record, coordinator.Stamp) string{w.comes, w.heals} {
		if broken := promise(s, record, at); broken != "" {
			return broken
		}
	}
	return ""
}

// quiet: nothing is under way, and every process that lives has looked.
func quiet(s state) bool {
	if s.wire != [maxTokens]request{} {
		return false
	}
	for i, p := range s.procs {
		if p.step != dead && (p.step != idle || s.memories[i] != s.record) {
			return false
		}
	}
	return true
}

// lost: a rotating source has a refresh token with which it can go on.
func (w *world) lost(s state, r coordinator.Record) string {
	if w.scenario.Kind != coordinator.Rotating || !r.Exists() {
		return ""
	}
	if slices.ContainsFunc(states(r), func(state string) bool { return s.reaches(tokenNumber(state)) }) {
		return ""
	}
	return fmt.Sprintf("the refresh token is lost: the record has that of token %d", tokenNumber(r.Grant.State))
}

// comes: every attempt ends, and a mint that is needed comes, also one that is
// spaced out. Whoever decides anew whenever Plan says so gets there.
func (w *world) comes(_ state, r coordinator.Record, at coordinator.Stamp) string {
	now := moment(at)
	r = r.Child(at)
	r.Attempts = slices.Clone(r.Attempts)
	for i := range r.Attempts {
		r.Attempts[i].Deadline = now.Add(time.Duration(i+1) * time.Minute)
	}
	if r.DoubtAt == r.CommittedAt { // a rejection, at the height of a fight
		r.Foreign = coordinator.Foreign{Count: 9, At: now, Until: now.Add(time.Hour)}
	}
	for range 2*len(r.Attempts) + 4 {
		r, _ = w.rules.Expire(r, now)
		plan := r.Plan(now, w.traits, false)
		switch {
		case plan.Action == coordinator.Mint && len(r.Attempts) == 0:
			return ""
		case plan.Action == coordinator.Mint: // by somebody who does not wait for the attempts
			now = now.Add(time.Minute)
			continue
		case plan.Action == coordinator.Rest && len(r.Attempts) == 0:
			return "a mint that is needed never comes"
		case !plan.At.After(now) || plan.At.Equal(never):
			return "whoever waits as Plan says never gets on"
		}
		now = plan.At
	}
	return "an attempt never ends"
}

// heals: one mint that nobody disturbs must settle whatever is open. A rotating
// source may have to try all of its refresh tokens.
func (w *world) heals(s state, r coordinator.Record, at coordinator.Stamp) string {
	if broken := w.lost(s, r); broken != "" {
		return broken
	}
	r = r.Child(at)
	r.Attempts = slices.Clone(r.Attempts)
	for i := range r.Attempts {
		r.Attempts[i].Deadline = longAgo
	}
	r, _ = w.rules.Expire(r, moment(at))
	const healer = maxTokens + 1
	got := uint8(healer)
	if live := s.live; w.scenario.Kind == coordinator.Idempotent && s.expired&(1<<live) == 0 {
		got = live
	}
	for range 1 + len(r.Spares) {
		r = w.rules.Begin(r, coordinator.Attempt{ID: attemptID(0), By: processName(0), Deadline: never}, moment(at), w.traits)
		at.Revision++
		at.ID++
		if w.scenario.Kind == coordinator.Rotating && r.Exists() && r.Grant.State != "" && !s.reaches(tokenNumber(r.Grant.State)) {
			r, _ = w.rules.Refused(r.Child(at), attemptID(0))
			at.Revision++
			at.ID++
			r = r.Child(at)
			continue
		}
		draft := w.rules.Spend(r.Child(at), r.Grant.State, w.grant(got, at).State)
		r, _ = w.rules.Commit(draft, attemptID(0), w.grant(got, at), w.traits)
		break
	}
	if w.needed(r, at) || r.Grant.Value != tokenValue(got) {
		return "an undisturbed mint does not settle the doubt"
	}
	return ""
}
