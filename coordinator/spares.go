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

// trying makes these the refresh tokens to try, in this order; none leaves
// those that there are.
func (r Record) trying(states []string) Record {
	if len(states) == 0 {
		return r
	}
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

// Refused is Abandon for an attempt whose refresh token the provider did not
// accept. Where there is another one, the next mint uses that; changed says so.
// The one that was refused goes to the end: the reason may be another one.
func (r Record) Refused(id string) (next Record, changed bool) {
	i := r.attempt(id)
	changed = i >= 0 && r.Attempts[i].From == r.Grant.Generation && len(r.Spares) > 0
	r = r.without(id)
	if changed {
		states := r.states()
		r.Grant.State, r.Spares = states[1], append(states[2:], states[0])
	}
	return r, changed
}
