package simulation_test

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// Where the last refresh token is lost, an operator has to log in again. That
// may happen: coordinator's doc says when. Each time, the judge asks where every
// refresh token went that the provider would still have accepted, and why a
// family was revoked. What has no such explanation is a violation.

const theStore = "the store"

// The causes, as they are counted.
const (
	answerLost   = "its answer was lost, and so was a second one, or the time for that"
	diedUnsaved  = "its process died before it could write it down"
	storeLost    = "the store lost it, together with every process that knew it"
	wentOn       = "the fleet went on with another one"
	heldApart    = "only a process that could not write it down knew it, or a copy"
	tossUp       = "it might have been spent just as well as the one that was, for as many uses of it had got no answer"
	cameLate     = "a request came after its attempt's deadline, when others had spent its refresh token"
	cameSecond   = "others spent a request's refresh token while it was on its way"
	savedSince   = "it was put back after another mint had begun"
	familyIsLost = "the refresh token is lost"
)

// statesOf are the refresh tokens that a record holds.
func statesOf(r coordinator.Record) []string {
	if !r.Exists() || r.Grant.State == "" {
		return r.Spares
	}
	return append([]string{r.Grant.State}, r.Spares...)
}

// states are the refresh tokens that the process knows, those that it has not
// written down yet included.
func (w *world) states(p *process) []string {
	known := slices.Clone(statesOf(p.knows()))
	for _, t := range w.provider.all() {
		if c := t.call; c.process == p && c.answered.Load() && !c.saved.Load() {
			known = append(known, t.state())
		}
	}
	return known
}

// holders returns who has which refresh token: the store, processes, copies.
func (w *world) holders() map[string]string {
	holders := make(map[string]string)
	hold := func(who string, states ...string) {
		for _, s := range states {
			holders[s] = who
		}
	}
	for _, m := range w.machines {
		if m.copy != nil {
			if r, _, err := m.copy.Load(context.Background(), name); err == nil {
				hold(fmt.Sprintf("the copy of m%d", m.number), statesOf(r)...)
			}
		}
		if p := m.current(); p != nil && p.alive() {
			hold(p.name, w.states(p)...)
		}
	}
	for _, t := range w.provider.all() {
		if p := t.call.process; p.alive() && !t.call.over.Load() {
			hold(p.name, t.state())
		}
	}
	hold(theStore, statesOf(w.backend.record())...)
	return holders
}

// writtenDown notes the refresh tokens that are in a record which was stored or
// copied. Those that are not in it any more are not needed if it has one with
// which it can go on.
func (w *world) writtenDown(r coordinator.Record) {
	f := w.provider.families
	if f == nil {
		return
	}
	f.provider.mu.Lock()
	defer f.provider.mu.Unlock()
	states, alive := statesOf(r), false
	for _, s := range states {
		if t := f.tokens[s]; t != nil {
			t.kept = true
			f.used = f.used || t.family == f.latest().family
			alive = alive || t.spent.IsZero() && f.reaches(t)
		}
	}
	for _, t := range f.tokens {
		if alive && t.kept && t.gone == "" && t.spent.IsZero() && !slices.Contains(states, t.value) {
			t.gone = wentOn
		}
	}
}

// forgetTokens notes the refresh tokens that nobody has any more, after
// something was lost.
func (w *world) forgetTokens(why string) {
	f := w.provider.families
	if f == nil {
		return
	}
	holders := w.holders()
	f.provider.mu.Lock()
	defer f.provider.mu.Unlock()
	for _, r := range f.tokens {
		if _, held := holders[r.value]; r.access != nil && r.kept && r.gone == "" && !held {
			r.gone = why
		}
	}
}

// leaves are the refresh tokens of the login that were never used, and are
// accepted. The caller holds mu.
func (f *families) leaves(login int) []*refreshToken {
	var all []*refreshToken
	for _, t := range f.provider.tokens {
		if r := t.refresh; r.family.login == login && r.spent.IsZero() && f.reaches(r) {
			all = append(all, r)
		}
	}
	return all
}

// cause says why the fleet does not go on with the refresh token; nothing if
// there is no reason. The caller holds mu.
func (w *world) cause(r *refreshToken, holders map[string]string) string {
	c := r.access.call
	switch who := holders[r.value]; {
	case who == theStore:
		return savedSince
	case who != "":
		return heldApart
	case !c.answered.Load() && w.forgone(r) && w.provider.families.keptSince(r):
		return wentOn // a second use was not needed: an overlap had brought another (seed 820509)
	case !c.answered.Load() && w.forgone(r):
		return ""
	case !c.answered.Load():
		return answerLost
	case !r.kept && !c.process.alive():
		return diedUnsaved
	default:
		return r.gone
	}
}

// keptSince reports whether a refresh token that was issued after r has been
// written down. The caller holds mu.
func (f *families) keptSince(r *refreshToken) bool {
	for _, t := range f.tokens {
		if t.kept && t.access != nil && t.access.at.After(r.access.at) {
			return true
		}
	}
	return false
}

// forgone reports whether the fleet has had the time, and known enough, to use
// the refresh token before r once more, within the grace, and has not. The
// caller holds mu.
func (w *world) forgone(r *refreshToken) bool {
	c, before := r.access.call, r.parent
	if before.uses > 1 || c.lost.Load() || c.late.Load() {
		return false
	}
	return w.quiet(before.spent, earliest(before.spent.Add(w.provider.traits.Overlap), time.Now()), settled)
}

// span is a time of unrest.
type span struct{ from, until time.Time }

// unsettle notes unrest from now on. The caller holds mu.
func (w *world) unsettle(until time.Time) {
	now := time.Now()
	if n := len(w.unrest); n > 0 && !now.After(w.unrest[n-1].until) {
		w.unrest[n-1].until = latest(w.unrest[n-1].until, until)
		return
	}
	w.unrest = append(w.unrest, span{now, latest(now, until)})
}

// quiet reports whether there was rest for that long between the two moments.
func (w *world) quiet(from, to time.Time, long time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.unrest {
		if s.until.Before(from) {
			continue
		}
		if earliest(s.from, to).Sub(from) >= long {
			return true
		}
		from = latest(from, s.until)
	}
	return to.Sub(from) >= long
}

// counted is up to how many uses the record counts that got no answer.
const counted = 4

// judgeReuse asks why a request carries a refresh token that was spent before,
// which ends its family. The caller holds the provider's mu.
func (w *world) judgeReuse(call *minting, r *refreshToken) {
	f, was := w.provider.families, call.refresh
	w.note(call.process, "REUSE of %s, spent %s ago by %d requests", r.value, time.Since(r.spent), r.uses)
	switch {
	case call.late.Load():
		w.lose(cameLate)
		return
	case !r.spent.Before(was.sent):
		w.lose(cameSecond)
		return
	}
	forgotten := r.usesForgotten()
	for _, leaf := range f.leaves(r.family.login) {
		why := w.cause(leaf, was.holders)
		switch {
		case forgotten != "":
			w.lose("reuse: " + forgotten)
		case slices.Contains(was.knew, leaf.value) && leaf.sent >= min(r.sent-1, counted):
			w.lose(tossUp)
		case slices.Contains(was.knew, leaf.value):
			w.violation(call.process, "uses %s again, spent %s ago, though it knows %s", r.value, time.Since(r.spent), leaf.value)
		case why == "":
			w.violation(call.process, "uses %s again, spent %s ago: where %s is does not explain that (%q, answered %v, kept %v)",
				r.value, time.Since(r.spent), leaf.value, was.holders[leaf.value], leaf.access.call.answered.Load(), leaf.kept)
		case why != wentOn:
			w.lose("reuse: " + why)
		}
	}
}

// usesForgotten says why nobody knows any more that the refresh token was used:
// what its use brought, and the record of it, were lost.
func (r *refreshToken) usesForgotten() string {
	for _, c := range r.children {
		if c.gone != "" && c.gone != wentOn {
			return c.gone
		}
	}
	return ""
}

// judgeLoss asks why an operator has to log in again.
func (w *world) judgeLoss() {
	holders, f := w.holders(), w.provider.families
	f.provider.mu.Lock()
	defer f.provider.mu.Unlock()
	for _, leaf := range f.leaves(f.latest().family.login) {
		switch why := w.cause(leaf, holders); why {
		case "":
			w.violation(nil, "%s is lost without a reason (%q, answered %v, kept %v)", leaf.value, holders[leaf.value], leaf.access.call.answered.Load(), leaf.kept)
		case wentOn:
		default:
			w.lose(why)
		}
	}
}

// lose counts a loss with its cause.
func (w *world) lose(why string) {
	w.note(nil, "LOST: %s", why)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.losses[why]++
}

// stranded returns what is to be said where neither the store, with the record
// r, nor any process that is able to put its own back, has a refresh token with
// which it can go on.
func (w *world) stranded(r coordinator.Record) string {
	f := w.provider.families
	if f == nil {
		return ""
	}
	all := [][]string{statesOf(r)}
	if !r.Exists() {
		all[0] = []string{""}
	}
	for _, m := range w.machines {
		if p := m.current(); p != nil && p.still() {
			all = append(all, w.states(p))
		}
	}
	for _, t := range w.provider.all() {
		if t.call.process.still() && !t.call.over.Load() {
			all = append(all, []string{t.state()})
		}
	}
	f.provider.mu.Lock()
	defer f.provider.mu.Unlock()
	for _, states := range all {
		for _, s := range states {
			if r := f.carriedWith(s); r != nil && f.reaches(r) {
				return ""
			}
		}
	}
	return familyIsLost
}

// goesOn reports whether a record at rest has a refresh token that is neither
// spent nor ended.
func (w *world) goesOn(r coordinator.Record) bool {
	f := w.provider.families
	f.provider.mu.Lock()
	defer f.provider.mu.Unlock()
	t := f.tokens[r.Grant.State]
	return t != nil && t.spent.IsZero() && f.reaches(t)
}

// unaware reports whether nobody can know that the refresh token is lost: the
// access token is accepted, and nothing is to be done. The next mint tells.
func (w *world) unaware() bool {
	r := w.backend.record()
	w.mu.Lock()
	alerted := w.alerted
	w.mu.Unlock()
	return w.rotating && !alerted && r.DoubtAt == 0 && len(r.Attempts) == 0 && w.provider.accepts(r.Grant.Value)
}

// mayServe reports whether a process that has minted t and could not write it to
// the store serves it all the same: where refresh tokens rotate, if its copy has
// it.
func (w *world) mayServe(t *issued) bool {
	if t.refresh == nil {
		return true
	}
	w.provider.mu.Lock()
	defer w.provider.mu.Unlock()
	return t.refresh.kept
}

// judgeServed: a token is given to callers only when it was written down,
// together with its refresh token.
func (w *world) judgeServed(p *process, token coordinator.Token) {
	f := w.provider.families
	if f == nil || token.Value == "" {
		return
	}
	f.provider.mu.Lock()
	i := f.provider.index[token.Value]
	kept := f.provider.tokens[i].refresh.kept
	f.provider.mu.Unlock()
	if !kept {
		w.violation(p, "was given %s before its refresh token was written down", token.Value)
	}
}

// endLogin revokes the last login, as a user may do.
func (p *provider) endLogin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f := p.families.latest().family; f.revoked.IsZero() {
		f.revoked = time.Now()
	}
}

// alert has an operator look after a refresh token that was refused. That
// takes some minutes.
func (w *world) alert() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.alerted || w.over {
		return
	}
	w.alerted = true
	time.AfterFunc(w.dice(fmt.Sprintf("operator %d", w.logins)).between(time.Minute, 4*time.Minute), w.operate)
}

// operate: if the fleet cannot help itself, the operator logs in again, puts the
// new refresh token where the sources find it, and rotates until it is in use.
func (w *world) operate() {
	for w.stranded(w.backend.record()) != "" && !w.ended() {
		w.logIn()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.alerted = false
}

func (w *world) ended() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.over || len(w.violations) > 0
}

// logIn returns when the new refresh token is in use, or is not needed any more,
// or lost as well.
func (w *world) logIn() {
	w.judgeLoss()
	f := w.provider.families
	f.provider.mu.Lock()
	f.login()
	newest := f.latest().family
	f.provider.mu.Unlock()
	w.mu.Lock()
	w.logins++
	n := w.logins
	w.mu.Unlock()
	w.unanswered.Add(3) // explains the mints
	w.note(nil, "an operator logs in again, login %d", newest.login)
	d := w.dice(fmt.Sprintf("operator rotates %d", n))
	for {
		// A process may come back meanwhile with what only it knew: then the
		// fleet goes on with that (seed 780266).
		inUse := w.goesOn(w.backend.record())
		f.provider.mu.Lock()
		lost := !newest.revoked.IsZero()
		f.provider.mu.Unlock()
		if inUse || lost || w.ended() {
			return
		}
		w.rotate(d)
		time.Sleep(d.between(31*time.Second, 40*time.Second))
	}
}

// kind is what the provider is like, for people.
func (w *world) kind() string {
	t := w.provider.traits
	if f := w.provider.families; f != nil {
		return fmt.Sprintf("%s, grace %s, forks %v, %d uses, bearer %v", t.Kind, t.Overlap, f.forks, f.uses, f.bearer)
	}
	return t.Kind.String()
}
