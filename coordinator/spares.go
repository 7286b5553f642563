package coordinator

import "slices"

// Mints of a rotating source that overlap, because one of them was a retry with
// the same refresh token or came from a process that was paused, each bring
// another refresh token. Providers differ in which of them lives on: both, or
// the one that was issued last, and nobody knows which that was. So all are
// kept, and the next mints try them in turn.

// maxSpares bounds them; the oldest go first. A refresh token can be used twice,
// so there is hardly ever more than one.
const maxSpares = 3

// maxSpareSize bounds them together, so that their field can be read again even
// if it is sealed. Refresh tokens of more than a few kilobytes are not known.
const maxSpareSize = 10 << 10

// maxSpent bounds Record.Spent. A lineage reaches back as far: who remembers
// less is taken for an ancestor.
const maxSpent = lineageDepth / 2

// maxUses is up to how many uses without an answer are counted. Of refresh tokens
// that were used so often, any may be spent.
const maxUses = 4

// maxUnanswered bounds Record.Unanswered.
const maxUnanswered = maxUses * (maxSpares + 1)

// Spend notes that a mint which carried one refresh token has brought another:
// the first is used up. It comes before Commit. Some providers bring the same
// one for a while.
func (r Record) Spend(carried, brought string) Record {
	if carried == brought {
		return r
	}
	return r.clone().spend(Fingerprint(carried))
}

// spend adds to the fingerprints of what was spent.
func (r Record) spend(spent ...string) Record {
	for _, s := range spent {
		if s != "" && !slices.Contains(r.Spent, s) {
			r.Spent = append(r.Spent, s)
		}
	}
	r.Spent = slices.Clip(r.Spent[max(0, len(r.Spent)-maxSpent):])
	return r
}

// states are the refresh tokens that there are, the one to try first in front.
func (r Record) states() []string { return append([]string{r.Grant.State}, r.Spares...) }

// overlapping are those to try if the mint that brought g overlapped with
// others. Its own comes first: it is the least likely to be spent.
func (r Record) overlapping(g Grant, t Traits) []string {
	if t.Kind != Rotating {
		return nil
	}
	return append([]string{g.State}, r.states()...)
}

// trying makes these the refresh tokens to try, in this order, but without those
// that were spent, and with those at the end that may be; none leaves those that
// there are.
func (r Record) trying(states []string) Record {
	states = slices.DeleteFunc(slices.Clone(states), func(state string) bool { return slices.Contains(r.Spent, Fingerprint(state)) })
	if len(states) == 0 {
		return r
	}
	r.safestFirst(states)
	r.Grant.State, r.Spares = states[0], nil
	room := maxSpareSize
	for _, state := range states[1:] {
		known := state == "" || state == r.Grant.State || slices.Contains(r.Spares, state)
		if known || len(r.Spares) == maxSpares || len(state) > room {
			continue
		}
		r.Spares = append(r.Spares, state)
		room -= len(state)
	}
	return r
}

// safestFirst sorts refresh tokens by how often a use of them got no answer, so
// that they may be spent.
func (r Record) safestFirst(states []string) {
	slices.SortStableFunc(states, func(a, b string) int {
		return count(r.Unanswered, Fingerprint(a)) - count(r.Unanswered, Fingerprint(b))
	})
}

// joinStates adds the refresh tokens of the other side of a fork. A failure that
// concerns others than those to try now is none.
func (r Record) joinStates(other Record) Record {
	own, states := r.Spent, slices.Concat([]string{r.Grant.State, other.Grant.State}, r.Spares, other.Spares)
	r.Spent = slices.Clone(other.Spent)
	joined := r.spend(own...).joinUnanswered(other).trying(states)
	if joined.Grant.State != r.Grant.State || len(joined.Spares) > len(r.Spares) {
		joined.Failure = Failure{}
	}
	return joined
}

// turned moves the refresh token in front to the end: the next one is tried.
func (r Record) turned() Record {
	states := r.states()
	r.Grant.State, r.Spares = states[1], append(slices.Clone(states[2:]), states[0])
	return r
}

// carried reports whether a's request carries the refresh token in front.
// Attempts of older versions do not say.
func (r Record) carried(a Attempt) bool {
	if a.With == "" && a.From > 0 {
		return a.From == r.Grant.Generation
	}
	return a.With == Fingerprint(r.Grant.State)
}

// counted notes a use without an answer of what has this fingerprint.
func (r Record) counted(with string) Record {
	if with != "" && count(r.Unanswered, with) < maxUses {
		r.Unanswered = append(slices.Clip(r.Unanswered), with) // which other copies of r share
	}
	r.Unanswered = r.Unanswered[max(0, len(r.Unanswered)-maxUnanswered):]
	return r
}

// joinUnanswered counts at least as many as the other side of a fork has.
func (r Record) joinUnanswered(other Record) Record {
	for _, with := range other.Unanswered {
		if count(r.Unanswered, with) < count(other.Unanswered, with) {
			r = r.counted(with)
		}
	}
	return r
}

func count(all []string, one string) (n int) {
	for _, s := range all {
		if s == one {
			n++
		}
	}
	return n
}

// unanswered is for an attempt that was given up: its refresh token may have
// been spent. If there is another one that is no more likely to be, that is
// tried first; should it be refused, this one has its turn again, for it was not.
func (r Record) unanswered(a Attempt) Record {
	r = r.clone().counted(a.With)
	if len(r.Spares) == 0 || !r.carried(a) {
		return r
	}
	states := r.turned().states()
	r.safestFirst(states)
	r.Grant.State, r.Spares = states[0], states[1:]
	r.Failure.Refused = 0
	return r
}

// Refused is Abandon for an attempt whose refresh token the provider did not
// accept, with this code. It counts that, and turns to the next one, if there is
// any. The one that was refused goes to the end: the reason may be another one,
// such as a network that the provider does not trust. So only refusals with one
// code are counted together; untried says that not all of those that there are
// have met with that.
func (r Record) Refused(id string, code int) (next Record, untried bool) {
	i := r.attempt(id)
	if i < 0 {
		return r.without(id), false
	}
	carried := r.carried(r.Attempts[i])
	r = r.without(id)
	if !carried {
		return r, r.Grant.State != "" // that came meanwhile
	}
	if r.Failure.Code != code {
		r.Failure.Refused = 0
	}
	r.Failure.Refused++
	if len(r.Spares) == 0 {
		return r, false
	}
	return r.turned(), r.Failure.Refused%(len(r.Spares)+1) != 0
}
