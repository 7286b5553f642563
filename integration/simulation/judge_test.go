package simulation_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// settled is how long after its last disturbance a fleet is in order again: an
// attempt without an answer is given up (11 s), the longest back-off (60 s)
// passes, a second mint resolves the doubt, and everybody hears of it.
const settled = 2 * time.Minute

// calm reports whether neither the world nor the process was disturbed lately,
// so that there is no excuse.
func (w *world) calm(p *process) bool {
	now := time.Now()
	if w.excuse() != "" {
		w.disturb(now)
	}
	slack := settled
	if !p.machine.runs {
		slack += p.machine.recheck + 3*p.machine.interval // it looks when it is called; see Config.Recheck
	}
	w.mu.Lock()
	// A failure from before the clock was set back counts again when the clock
	// comes to it.
	setBack := w.setBack.Add(6 * time.Minute)
	w.mu.Unlock()
	if now.Before(setBack) {
		return false
	}
	return now.After(latest(w.disturbedUntil(), p.disturbedUntil()).Add(slack))
}

// excuse returns why the record may be wrong at this moment without saying so,
// or why nothing can be done: what coordinator does not promise.
func (w *world) excuse() string {
	r, limit := w.backend.record(), w.provider.traits.DailyMints
	if limit > 0 && r.Budget.Mints >= limit && r.Budget.Day == w.storeTime().UTC().Format(time.DateOnly) {
		return budgetSpent
	}
	if why := w.stranded(r); why != "" {
		return why
	}
	if live := w.provider.live(); live != nil && r.Grant.Value != live.value {
		return live.untold()
	}
	return ""
}

const budgetSpent = "the budget is spent"

// judge checks what Token has given to a caller, at this very moment. It
// returns false where there was nothing to judge.
func (w *world) judge(p *process, token coordinator.Token, err error) bool {
	p.mu.Lock()
	if p.died || p.paused != nil || p.stopping {
		p.mu.Unlock()
		return false
	}
	before, forks, known := p.served, p.forks, p.seen
	if err == nil {
		if token.Value != before.Value {
			p.before = before
			w.spell(p, token.Value)
		}
		p.served, p.forks = token, int(w.forks.Load())
	}
	p.mu.Unlock()
	w.calls.Add(1)
	w.judgeServed(p, token)
	now := time.Now()
	if err != nil {
		w.failed.Add(1)
		w.mark(p, true)
		w.note(p, "Token failed: %v", err)
		w.judgeFailure(p, known, err)
		return true
	}
	if token.Generation < before.Generation && forks == int(w.forks.Load()) {
		w.violation(p, "generation went back from %d to %d without a fork", before.Generation, token.Generation)
	}
	if since := w.provider.refused(token.Value); !now.Before(since) && w.calm(p) && !w.misjudged(p, token.Value) {
		w.violation(p, "was given %s of generation %d, refused since %s ago", token.Value, token.Generation, now.Sub(since))
	}
	return true
}

// mintTime is longer than a mint takes, with all its writes.
const mintTime = 20 * time.Second

// misjudged reports whether the token has simply expired, and the process cannot
// know: the store's clock was set off between the mint and the moment at which
// the store first told the process of the token, or during the mint. What the
// process has reckoned from a copy and its wall clock before counts for less: that
// clock may have been set, too. The rejection heals it.
func (w *world) misjudged(p *process, value string) bool {
	t := w.provider.token(value)
	if t == nil || time.Now().Before(t.end) {
		return false
	}
	p.mu.Lock()
	saw := p.saw[value]
	p.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.jumps, func(at time.Time) bool {
		return at.After(t.at.Add(-mintTime)) && (at.Before(saw) || at.Before(t.at.Add(mintTime)))
	})
}

// judgeFailure: nothing usable is lost. Who has a token that the provider
// accepts gives it out, whatever goes on; in calm times, everybody has one.
func (w *world) judgeFailure(p *process, known coordinator.Record, err error) {
	value := known.Grant.Value
	const commit = 2 * time.Second // until it is served unsaved
	if own := w.provider.unsaved(p); own != nil && w.mayServe(own) && time.Since(time.Unix(0, own.call.since.Load())) > commit {
		value = own.value // it goes for the one that the store has, though that may outlive it (seed 40125)
	}
	// A token's life is counted from the sending of its request, which may take
	// the mint's whole time-out to arrive (seed 201162).
	const early = 11 * time.Second
	left := time.Until(w.provider.refused(value))
	switch {
	case value != "" && left > early && !w.jumpedSince(w.provider.token(value).at):
		w.violation(p, "Token failed though the process knows %s, good for %s: %v", value, left, err)
	case w.calm(p):
		w.violation(p, "Token failed in calm times: %v", err)
	}
}

// judgeBegin: no mint is announced where none is needed.
func (w *world) judgeBegin(p *process, before, next coordinator.Record) {
	if len(next.Attempts) == 0 || next.Stamp() == before.Stamp() || !descends(next, before.Stamp()) {
		return
	}
	if next.Grant.Value != before.Grant.Value {
		return // what the store had lost is put back with the same write, and that is due (seed 600248)
	}
	const drift = 5 * time.Second // of a process's idea of the store's clock
	a := next.Attempts[len(next.Attempts)-1]
	if a.By != p.name || a.BeganAt != next.Revision() || a.Reason == coordinator.ReasonRotate || w.jumpedSince(time.Now().Add(-2*w.provider.life)) {
		return
	}
	if plan := before.Plan(w.storeTime().Add(drift), w.provider.traits, false); plan.Action == coordinator.Rest && next.DoubtAt == 0 {
		w.violation(p, "announces a mint (%s) though the record is at rest", a.Reason)
	}
}

// judgeDoubt: a report concerns the token that it names, and none that is too
// young for the rejection to be about it.
func (w *world) judgeDoubt(p *process, before, next coordinator.Record) {
	if before.DoubtAt != 0 || next.DoubtAt == 0 || next.Grant.Value != before.Grant.Value || !strings.HasPrefix(next.DoubtReason, "the provider rejected it, says "+p.name) {
		return
	}
	value := next.Grant.Value
	p.mu.Lock()
	reported := p.reported[value]
	p.mu.Unlock()
	if !reported {
		w.violation(p, "doubts %s because of a report that named another token", value)
	}
	t, least := w.provider.token(value), 29*time.Second
	if t.call != nil && t.call.process.disturbedUntil().After(t.at.Add(-mintTime)) {
		// A minter that was paused while the store told it the time commits by
		// the time of before: it has to err on that side (seed 611031).
		least -= 11 * time.Second
	}
	if age := time.Since(t.at); age < least && !w.jumpedSince(t.at) {
		w.violation(p, "doubts %s because of a report when it was %s old", value, age)
	}
}

// judgeBudget: a day's mints stay within the budget. What the store forgot
// together with every process, and what two sides of a fork have counted apart,
// comes on top.
func (w *world) judgeBudget() {
	limit := w.provider.traits.DailyMints
	if limit == 0 {
		return
	}
	const apart = 8
	w.mu.Lock()
	most := limit*w.budgetDays + w.forgotten + apart*int(w.forks.Load())
	w.mu.Unlock()
	if n := w.provider.ours(); n > most {
		w.violation(nil, "%d mints in %d days of the store's clock, at most %d are within the budget", n, w.budgetDays, most)
	}
}

// converged returns what is missing to a fleet in order, or nothing.
func (w *world) converged() string {
	r, live := w.backend.record(), w.provider.live()
	switch {
	case live == nil || r.Grant.Value == "":
		return "there is no token"
	case !w.provider.accepts(r.Grant.Value):
		return "the record holds a token that the provider refuses"
	case w.rotating && !w.goesOn(r):
		return "the record does not hold a refresh token that is unspent"
	case !w.idempotent && !w.rotating && r.Grant.Value != live.value:
		return "the record does not hold the live token"
	case r.DoubtAt != 0:
		return "doubt: " + r.DoubtReason
	case len(r.Attempts) > 0:
		return fmt.Sprintf("%d attempts are open", len(r.Attempts))
	}
	for _, m := range w.machines {
		p := m.current()
		if p == nil {
			continue
		}
		p.mu.Lock()
		generation := p.served.Generation
		p.mu.Unlock()
		if generation != r.Grant.Generation {
			return fmt.Sprintf("%s serves generation %d, the record has %d", p.name, generation, r.Grant.Generation)
		}
	}
	return ""
}

// converge waits until the fleet is in order after a burst, for as long as that
// may take.
func (w *world) converge() {
	began := latest(time.Now(), w.disturbedUntil())
	// A replica without Run looks when it is called, and has the outcome at the
	// call after that: up to three minutes each.
	const slowest = 8 * time.Minute
	excused := false
	for !w.stopped() {
		missing := w.converged()
		if missing == "" {
			w.worst(max(0, time.Since(began)), excused)
			return
		}
		if why := w.excuse(); why != "" {
			// From here on, only reports heal, and those come when the token
			// is refused.
			if !excused {
				w.note(nil, "excused: %s", why)
			}
			excused = true
			if why == budgetSpent || w.unaware() {
				return
			}
		}
		limit := settled + slowest
		if excused {
			limit += w.provider.traits.Overlap + 2*time.Minute
		}
		if time.Since(began) > limit {
			w.violation(nil, "not converged %s after the last fault: %s", time.Since(began), missing)
			return
		}
		time.Sleep(2 * time.Second)
	}
}
