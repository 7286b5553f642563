package coordinator

import (
	"cmp"
	"slices"
)

// lineageDepth is how many writes a record remembers. A mint takes two, so it
// reaches back some sixteen tokens.
const lineageDepth = 32

// Relation says how a record relates to what a process remembers.
type Relation int

const (
	// Level: the store is ahead of the memory, or the same. Take the record.
	Level Relation = iota
	// Behind: the store lost writes that the memory has. Put them back.
	Behind
	// Forked: the store lost writes, and somebody has written since. Join.
	Forked
)

// Relate compares what a process remembers with what the store holds, as git
// compares two branches.
func Relate(memory, record Record) Relation {
	switch {
	case !memory.Exists() || descends(record, memory):
		return Level
	case !record.Exists() || slices.Contains(memory.Lineage, record.Stamp()):
		return Behind
	default:
		return Forked
	}
}

// descends reports whether old is an ancestor of r, or r itself. Where r's
// lineage was cut, anything older than its reach counts as an ancestor: a
// process that slept must not doubt what it finds. But generations never go
// back along a lineage: a record of a lower one is no descendant, however many
// writes it took since the store lost the newer token. The other way round that
// would be unsafe, for a new history may begin in the past.
func descends(r, old Record) bool {
	stamp := old.Stamp()
	if slices.Contains(r.Lineage, stamp) {
		return true
	}
	return len(r.Lineage) == lineageDepth && stamp.compare(r.Lineage[0]) < 0 &&
		r.Grant.Generation >= old.Grant.Generation
}

// Reconcile returns what a process builds on, given what it remembers and what
// the store holds. It comes before every write. The result is the record
// itself unless the relation is Behind or Forked; then it is a child, with the
// stamp at, that has to be written.
func Reconcile(memory, record Record, at Stamp) (Record, Relation) {
	relation := Relate(memory, record)
	switch relation {
	case Level:
		return record, relation
	case Behind:
		return memory.Child(at), relation
	}
	memory = memory.clone()
	for _, a := range memory.Attempts {
		if record.attempt(a.ID) < 0 {
			memory = memory.counted(a.With) // it is dropped below, and nobody will give it up
		}
	}
	kept, other := record, memory
	if memory.CommittedAt > record.CommittedAt {
		kept, other = memory, record
	}
	joined := kept.clone()
	// Those who follow rely on it that a newer token has a higher generation.
	switch {
	case kept.Grant.Value == other.Grant.Value:
		joined.Grant.Generation = max(kept.Grant.Generation, other.Grant.Generation)
	case kept.Grant.Generation <= other.Grant.Generation:
		joined.Grant.Generation = other.Grant.Generation + 1
	}
	joined.Lineage = join(memory.Lineage, record.Lineage)
	joined.Attempts = record.clone().Attempts
	joined.Budget = memory.Budget.join(record.Budget)
	joined.Foreign = memory.Foreign.join(record.Foreign)
	joined = joined.joinStates(other)
	joined = joined.Child(at)
	if memory.quietly(record) {
		return joined, relation
	}
	return joined.Doubt("two histories of the record were joined"), relation
}

// quietly reports whether neither side of a fork can have minted since their
// common commit, as when two processes have put back the same record: an
// attempt since then would be open, or would have left a commit or doubt.
func (r Record) quietly(other Record) bool {
	open := len(r.Attempts) + len(other.Attempts)
	return open == 0 && r.DoubtAt == 0 && other.DoubtAt == 0 && r.CommittedAt == other.CommittedAt && r.Grant.sameToken(other.Grant)
}

// sameToken leaves times aside: who puts a token back may tell them anew.
func (g Grant) sameToken(other Grant) bool {
	return g.Value == other.Value && g.State == other.State && g.Generation == other.Generation
}

// Child returns a copy of r that is to be written with the stamp at. The
// transitions are applied to it, one or several for one write. Asked again for
// the same stamp, it returns r.
func (r Record) Child(at Stamp) Record {
	if r.Stamp() == at {
		return r
	}
	child := r.clone()
	child.Lineage = append(child.Lineage, at)
	if extra := len(child.Lineage) - lineageDepth; extra > 0 {
		child.Lineage = slices.Delete(child.Lineage, 0, extra)
	}
	return child
}

func (r Record) clone() Record {
	r.Lineage = slices.Clone(r.Lineage)
	r.Attempts = slices.Clone(r.Attempts)
	r.Spares, r.Spent, r.Unanswered = slices.Clone(r.Spares), slices.Clone(r.Spent), slices.Clone(r.Unanswered)
	return r
}

// Settled is what a fork of memory and record comes to at a provider of these
// traits: an idempotent source settles the matter if it gave out the same token
// on both sides.
func (r Record) Settled(memory, record Record, t Traits) Record {
	if t.Kind == Idempotent && memory.vouchesWith(record) {
		r.DoubtAt, r.DoubtReason = 0, ""
	}
	return r
}

// vouchesWith reports whether the sides of a fork hold the same token, and
// neither doubts it or has announced a mint. At an idempotent source that
// settles the matter: it gave out that token on both sides. Doubt and an
// announced mint may be those of a rotation, which has forced another token.
func (r Record) vouchesWith(other Record) bool {
	open := len(r.Attempts) + len(other.Attempts)
	return r.Grant.Value == other.Grant.Value && open == 0 && r.DoubtAt == 0 && other.DoubtAt == 0
}

// join keeps the higher counts of the later day: a fork must not free budget.
func (b Budget) join(other Budget) Budget {
	if other.Day > b.Day {
		b, other = other, b
	}
	if other.Day == b.Day {
		b.Mints, b.Rotations = max(b.Mints, other.Mints), max(b.Rotations, other.Rotations)
	}
	if other.RotatedAt.After(b.RotatedAt) {
		b.RotatedAt = other.RotatedAt
	}
	return b
}

// join merges two lineages in the order of their revisions and keeps the last.
func join(a, b []Stamp) []Stamp {
	all := slices.Concat(a, b)
	slices.SortFunc(all, Stamp.compare)
	all = slices.Compact(all)
	return all[max(0, len(all)-lineageDepth):]
}

// compare orders the writes of a lineage.
func (s Stamp) compare(other Stamp) int {
	return cmp.Or(cmp.Compare(s.Revision, other.Revision), cmp.Compare(s.ID, other.ID))
}
