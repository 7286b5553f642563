package coordinator_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

const lineageDepth = 32

// written returns r after n more writes, a second apart, the first at from.
func written(r coordinator.Record, from time.Time, n int) coordinator.Record {
	for i := range n {
		r = r.Child(stamp(from.Add(time.Duration(i) * time.Second)))
	}
	return r
}

func TestChildKeepsTheLastWrites(t *testing.T) {
	r := written(coordinator.Record{}, day, lineageDepth)
	next := r.Child(stamp(day.Add(time.Hour)))
	if len(next.Lineage) != lineageDepth || next.Stamp() != stamp(day.Add(time.Hour)) || next.Lineage[0] != r.Lineage[1] {
		t.Errorf("%d writes from %v to %v", len(next.Lineage), next.Lineage[0], next.Stamp())
	}
	if len(r.Lineage) != lineageDepth || r.Stamp() == next.Stamp() {
		t.Error("Child changed its parent")
	}
	if again := next.Child(next.Stamp()); !slices.Equal(again.Lineage, next.Lineage) {
		t.Error("a second Child of the same write is another write")
	}
	one, two := r.Child(stamp(day.Add(time.Hour))), r.Child(stamp(day.Add(2*time.Hour)))
	if one.Stamp() == two.Stamp() {
		t.Error("two children share their memory")
	}
}

func TestNewStampRises(t *testing.T) {
	r := coordinator.Record{}.Child(stamp(day))
	tests := []struct {
		name string
		now  time.Time
		want int64
	}{
		{"clock ahead", day.Add(time.Second), day.Add(time.Second).UnixMilli()},
		{"clock level", day, day.UnixMilli() + 1},
		{"clock behind", day.Add(-time.Hour), day.UnixMilli() + 1},
	}
	for _, test := range tests {
		a, b := coordinator.NewStamp(r, test.now), coordinator.NewStamp(r, test.now)
		if a.Revision != test.want || b.Revision != test.want {
			t.Errorf("%s: revisions %d and %d, want %d", test.name, a.Revision, b.Revision, test.want)
		}
		if a.ID == b.ID {
			t.Errorf("%s: two writes have the id %016x", test.name, a.ID)
		}
	}
}

// ofGeneration is r with a token of that generation.
func ofGeneration(n int64, r coordinator.Record) coordinator.Record {
	r.Grant.Generation = n
	return r
}

func TestRelate(t *testing.T) {
	root := written(coordinator.Record{}, day, 3)
	full := written(coordinator.Record{}, day, lineageDepth+8)
	child := root.Child(stamp(day.Add(time.Hour)))
	twin := root.Child(coordinator.Stamp{Revision: child.Revision(), ID: 1}) // the same moment on another server
	none := coordinator.Record{}
	first := full.Lineage[0]
	cut := none.Child(coordinator.Stamp{Revision: first.Revision, ID: first.ID - 1})     // where lineages were joined,
	twinned := none.Child(coordinator.Stamp{Revision: first.Revision, ID: first.ID + 1}) // several writes have one revision
	tests := []struct {
		name           string
		memory, record coordinator.Record
		want           coordinator.Relation
	}{
		{"nothing remembered, nothing stored", none, none, coordinator.Level},
		{"nothing remembered", none, root, coordinator.Level},
		{"the same", root, root, coordinator.Level},
		{"stored is newer", root, child, coordinator.Level},
		{"stored is newer by a whole lineage", written(none, day, 1), full, coordinator.Level},
		{"stored is newer by all that its lineage reaches", written(none, day, 9), full, coordinator.Level},
		{"stored is newer, by one less than cut", written(none, day, 8), full, coordinator.Level},
		{"stored is newer, by a write of the revision at which it was cut", cut, full, coordinator.Level},
		{"a write of the revision at which it was cut, and not cut off", twinned, full, coordinator.Forked},
		{"stored is newer by far, of a lower generation", ofGeneration(2, written(none, day, 8)), ofGeneration(1, full), coordinator.Forked},
		{"stored is newer by far, of the same generation", ofGeneration(2, written(none, day, 8)), ofGeneration(2, full), coordinator.Level},
		{"nothing stored", root, none, coordinator.Behind},
		{"stored is older", child, root, coordinator.Behind},
		{"two children", child, root.Child(stamp(day.Add(2 * time.Hour))), coordinator.Forked},
		{"two children of one revision", child, twin, coordinator.Forked},
		{"a new history", root, coordinator.Record{}.Child(stamp(day.Add(time.Hour))), coordinator.Forked},
		{"a new history in the past", root, coordinator.Record{}.Child(stamp(day.Add(-time.Hour))), coordinator.Forked},
		{"a new history after a long one", full, coordinator.Record{}.Child(stamp(day.Add(time.Hour))), coordinator.Forked},
		{"a new history in the past after a long one", full, coordinator.Record{}.Child(stamp(day.Add(-time.Hour))), coordinator.Forked},
	}
	for _, test := range tests {
		if got := coordinator.Relate(test.memory, test.record); got != test.want {
			t.Errorf("%s: relation %d, want %d", test.name, got, test.want)
		}
	}
}

func TestReconcile(t *testing.T) {
	root := minted(t, "root", day, 2*time.Hour, lastWins)
	commit := func(value string, at time.Time) coordinator.Record {
		r, _ := announce(root, value, at, lastWins).Child(stamp(at.Add(time.Second))).Commit(value, grantOf(value, at, 2*time.Hour), lastWins)
		return r
	}
	early, late := commit("early", day.Add(time.Hour)), commit("late", day.Add(2*time.Hour))
	at := stamp(day.Add(3 * time.Hour))

	t.Run("level", func(t *testing.T) {
		got, relation := coordinator.Reconcile(root, early, at)
		if relation != coordinator.Level || got.Stamp() != early.Stamp() {
			t.Errorf("relation %d, write %v", relation, got.Stamp())
		}
	})
	t.Run("behind", func(t *testing.T) {
		for _, stored := range []coordinator.Record{root, {}} {
			got, relation := coordinator.Reconcile(early, stored, at)
			if relation != coordinator.Behind || got.Stamp() != at || got.Grant.Value != "early" || got.DoubtAt != 0 {
				t.Errorf("relation %d, write %v, %v, doubt at %d", relation, got.Stamp(), got.Grant, got.DoubtAt)
			}
			if coordinator.Relate(early, got) != coordinator.Level || coordinator.Relate(stored, got) != coordinator.Level {
				t.Error("the result is not a child of both")
			}
		}
	})
	t.Run("forked", func(t *testing.T) {
		for _, sides := range [][2]coordinator.Record{{early, late}, {late, early}} {
			memory, stored := sides[0], announce(sides[1], "under way", day.Add(150*time.Minute), lastWins)
			got, relation := coordinator.Reconcile(memory, stored, at)
			if relation != coordinator.Forked || got.Stamp() != at || got.Grant.Value != "late" || got.DoubtAt != at.Revision {
				t.Errorf("relation %d, write %v, %v, doubt at %d", relation, got.Stamp(), got.Grant, got.DoubtAt)
			}
			if coordinator.Relate(memory, got) != coordinator.Level || coordinator.Relate(stored, got) != coordinator.Level {
				t.Error("the result is not a child of both")
			}
			if len(got.Attempts) != 1 || got.Attempts[0].ID != "under way" {
				t.Errorf("attempts are %v, want those that are stored", got.Attempts)
			}
		}
	})
}

// TestForkDoesNotFreeBudget: a mint that either side has counted stays counted.
func TestForkDoesNotFreeBudget(t *testing.T) {
	root := minted(t, "root", day, 2*time.Hour, lastWins)
	rotated := day.Add(time.Minute)
	tests := []struct {
		name           string
		memory, record coordinator.Budget
		committed      time.Duration // when the memory's token was, after the record's
		want           coordinator.Budget
	}{
		{"memory has more, record's token", coordinator.Budget{Day: "2026-03-14", Mints: 5, Rotations: 2}, coordinator.Budget{Day: "2026-03-14", Mints: 3}, -time.Second,
			coordinator.Budget{Day: "2026-03-14", Mints: 5, Rotations: 2}},
		{"record has more, memory's token", coordinator.Budget{Day: "2026-03-14", Mints: 3}, coordinator.Budget{Day: "2026-03-14", Mints: 5, Rotations: 2}, time.Second,
			coordinator.Budget{Day: "2026-03-14", Mints: 5, Rotations: 2}},
		{"memory is of yesterday, its token", coordinator.Budget{Day: "2026-03-13", Mints: 90}, coordinator.Budget{Day: "2026-03-14", Mints: 5}, time.Second,
			coordinator.Budget{Day: "2026-03-14", Mints: 5}},
		{"memory has rotated, record's token", coordinator.Budget{Day: "2026-03-14", Mints: 2, Rotations: 1, RotatedAt: rotated}, coordinator.Budget{Day: "2026-03-14", Mints: 2}, -time.Second,
			coordinator.Budget{Day: "2026-03-14", Mints: 2, Rotations: 1, RotatedAt: rotated}},
		{"record has rotated, memory's token", coordinator.Budget{Day: "2026-03-14", Mints: 2}, coordinator.Budget{Day: "2026-03-14", Mints: 2, Rotations: 1, RotatedAt: rotated}, time.Second,
			coordinator.Budget{Day: "2026-03-14", Mints: 2, Rotations: 1, RotatedAt: rotated}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			memory, record := root.Child(stamp(day.Add(time.Hour))), root.Child(stamp(day.Add(2*time.Hour)))
			memory.Budget, record.Budget = test.memory, test.record
			memory.CommittedAt = record.CommittedAt + test.committed.Milliseconds()
			got, relation := coordinator.Reconcile(memory, record, stamp(day.Add(3*time.Hour)))
			if relation != coordinator.Forked || got.Budget != test.want {
				t.Errorf("relation %d, budget %+v, want %+v", relation, got.Budget, test.want)
			}
		})
	}
}

func rising(lineage []coordinator.Stamp) bool {
	for i := range len(lineage) - 1 {
		if lineage[i].Revision >= lineage[i+1].Revision {
			return false
		}
	}
	return true
}

// TestJoinedLineagesStayWithinTheirDepth joins histories of every length, and
// checks that both sides and their parents still know the result.
func TestJoinedLineagesStayWithinTheirDepth(t *testing.T) {
	for _, depth := range []int{1, 16, 31, 32} {
		for _, apart := range []int{1, 2, 16, 31, 32, 40} {
			t.Run(fmt.Sprintf("%d and %d", depth, apart), func(t *testing.T) {
				root := written(coordinator.Record{}, day, depth)
				memory := root.Child(stamp(day.Add(time.Hour)))
				record := written(root, day.Add(2*time.Hour), apart)
				at := stamp(day.Add(3 * time.Hour))
				got, _ := coordinator.Reconcile(memory, record, at)
				got = got.Child(at)
				if len(got.Lineage) > lineageDepth || !rising(got.Lineage) {
					t.Errorf("lineage of %d: %v", len(got.Lineage), got.Lineage)
				}
				for _, before := range []coordinator.Record{memory, record, root} {
					if relation := coordinator.Relate(before, got); relation != coordinator.Level {
						t.Errorf("relation %d to a side of the fork, want level", relation)
					}
				}
			})
		}
	}
}

// After two flushes in a row, two processes may have put back the same record.
// Nothing was minted, so nothing is in doubt.
func TestTwinRestorationsAreNotDoubted(t *testing.T) {
	root := minted(t, "root", day, 2*time.Hour, lastWins)
	one := root.Child(stamp(day.Add(time.Hour)))
	two := root.Child(stamp(day.Add(time.Hour + time.Millisecond)))
	at := stamp(day.Add(2 * time.Hour))
	if joined, relation := coordinator.Reconcile(one, two, at); relation != coordinator.Forked || joined.DoubtAt != 0 || joined.Grant != root.Grant {
		t.Errorf("relation %d, %v", relation, joined)
	}
	busy := announce(one, "next", day.Add(time.Hour+time.Minute), lastWins)
	if joined, _ := coordinator.Reconcile(busy, two, at); joined.DoubtAt == 0 {
		t.Error("an attempt was under way on one side, and the join is not in doubt")
	}
}
