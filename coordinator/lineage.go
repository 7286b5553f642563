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
	case !record.Exists() || descends(memory, record):
		return Behind
	default:
		return Forked
	}
}

// descends reports whether old is an ancestor of r, or r itself. Where r's
// lineage was cut, anything older than its reach counts as an ancestor.
func descends(r, old Record) bool {
	stamp := old.Stamp()
	if slices.Contains(r.Lineage, stamp) {
		return true
	}
	return len(r.Lineage) == lineageDepth && stamp.Revision < r.Lineage[0].Revision
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
	kept := record
	if memory.CommittedAt > record.CommittedAt {
		kept = memory
	}
	joined := kept.clone()
	joined.Lineage = join(memory.Lineage, record.Lineage)
	joined.Attempts = record.clone().Attempts
	// Both sides may have counted; the budget must not grow by a fork.
	if memory.Budget.Day == record.Budget.Day {
		joined.Budget.Mints = max(memory.Budget.Mints, record.Budget.Mints)
		joined.Budget.Rotations = max(memory.Budget.Rotations, record.Budget.Rotations)
	}
	return joined.Child(at).Doubt("two histories of the record were joined"), relation
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
	return r
}

// join merges two lineages in the order of their revisions and keeps the last.
func join(a, b []Stamp) []Stamp {
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(x, y Stamp) int {
		return cmp.Or(cmp.Compare(x.Revision, y.Revision), cmp.Compare(x.ID, y.ID))
	})
	all = slices.Compact(all)
	return all[max(0, len(all)-lineageDepth):]
}
