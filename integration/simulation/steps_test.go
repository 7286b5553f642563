package simulation_test

import (
	"context"
	"errors"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// The promises about single steps of a process. Each is judged when the step
// is taken, so that a guard that is missing shows at once, whether or not it
// does harm this time.

// hear notes what the store has told or taken: the process knows it for
// certain.
func (p *process) hear(r coordinator.Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.saw[r.Grant.Value]; !ok {
		p.saw[r.Grant.Value] = time.Now()
	}
	if coordinator.Relate(p.heard, r) == coordinator.Level {
		p.heard = r
	}
}

func (p *process) hasHeard() coordinator.Record {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.heard
}

// judgeWrite: what a process writes descends from all that it had heard of the
// store before, even if the store has lost that meanwhile; and the fleet counts
// its mints within the budget.
func (w *world) judgeWrite(p *process, heard, next coordinator.Record) {
	if coordinator.Relate(heard, next) != coordinator.Level {
		w.violation(p, "writes %s, which leaves out %s, of which it knew", next.Stamp(), heard.Stamp())
	}
	if limit := w.provider.traits.DailyMints; limit > 0 && next.Budget.Mints > limit {
		w.violation(p, "announces mint %d of a day whose budget is %d", next.Budget.Mints, limit)
	}
}

// told is how soon a process that runs serves a new token, where nothing is in
// the way of the hints and of its looks.
const told = 5 * time.Second

// judgeNews: whoever runs is told of a new token, rather than to find out in
// the end. It is called some time after one was stored.
func (w *world) judgeNews() {
	w.mu.Lock()
	quiet := latest(w.renewed, w.disturbed)
	w.mu.Unlock()
	stored := w.backend.record().Grant
	for _, m := range w.machines {
		p := m.current()
		if p == nil || !m.runs || time.Since(latest(quiet, p.disturbedUntil())) < told || w.excuse() != "" {
			continue
		}
		p.mu.Lock()
		c, stopping := p.coord, p.stopping
		p.mu.Unlock()
		if c == nil || stopping {
			continue
		}
		if token, err := c.Peek(); err == nil && token.Generation < stored.Generation {
			w.violation(p, "serves generation %d, %s after generation %d was stored", token.Generation, time.Since(quiet), stored.Generation)
		}
	}
}

// judgeConflict: a swap that took effect is no conflict, however often it was
// sent.
func (w *world) judgeConflict(p *process, next coordinator.Record, err error) {
	if errors.Is(err, coordinator.ErrConflict) && w.backend.record().Stamp() == next.Stamp() {
		w.violation(p, "is told of a conflict, and the store holds the very record that it wrote: %s", next.Stamp())
	}
}

// judgeAnnounced: a mint that ends a token, spends a refresh token or forces a
// new token was announced: nobody else could tell.
func (w *world) judgeAnnounced(p *process, call *minting, force bool) {
	switch {
	case call.attempt.ID != "":
	case force:
		w.violation(p, "forces a new token that it has not announced")
	case !w.idempotent:
		w.violation(p, "sends a mint that it has not announced")
	}
}

// judgeBreakingOff: only its time-out, the loss of its lock and the end of the
// process break off a mint; that the callers have gone does not.
func (w *world) judgeBreakingOff(ctx context.Context, p *process) {
	end, bounded := ctx.Deadline()
	if ctx.Err() == nil || !p.alive() || bounded && !time.Now().Before(end) || p.lostLock() {
		return
	}
	w.violation(p, "breaks off a mint %s before its time is over, though it has its lock", time.Until(end))
}

// judgeSending: no mint is sent by a process that knows of the loss of its
// lock.
func (w *world) judgeSending(p *process) {
	if p.lostLock() {
		w.violation(p, "sends a mint though its lock is lost")
	}
}

// lostLock reports whether the process knows that it has lost the lock that it
// took last and has not given up.
func (p *process) lostLock() bool {
	p.mu.Lock()
	lost := p.lease
	p.mu.Unlock()
	select {
	case <-lost:
		return true
	default:
		return false
	}
}
