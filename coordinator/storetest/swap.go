package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

func swapCreate(t testing.TB, f Fixture) {
	s, other := f.Open(t), f.Open(t)
	r := first(time.Now())
	wantConflict(t, s, coordinator.Stamp{Revision: 1, ID: 1}, r, "from a record that does not exist")
	swap(t, s, name, coordinator.Record{}, r)
	got, _ := load(t, other, name)
	wantSame(t, got, r, "as another handle sees it")
	wantConflict(t, other, coordinator.Stamp{}, first(time.Now()), "creating what exists")
}

func swapReplace(t testing.TB, f Fixture) {
	s, other := f.Open(t), f.Open(t)
	r := first(time.Now())
	swap(t, s, name, coordinator.Record{}, r)
	for i, handle := range []coordinator.Store{other, s, s, other} {
		child := next(r, time.Now(), fmt.Sprint("write ", i))
		swap(t, handle, name, r, child)
		r = child
		got, _ := load(t, s, name)
		wantSame(t, got, r, "after it was replaced")
	}
}

func swapLeavesNothing(t testing.TB, f Fixture) {
	s := f.Open(t)
	long := full(t, time.Now())
	swap(t, s, name, coordinator.Record{}, long)
	short := coordinator.Record{Lineage: long.Lineage}
	short = short.Child(coordinator.NewStamp(short, time.Now()))
	swap(t, s, name, long, short)
	got, _ := load(t, s, name)
	wantSame(t, got, short, "that replaced a longer one")
}

func swapConflict(t testing.TB, f Fixture) {
	s := f.Open(t)
	r := first(time.Now())
	swap(t, s, name, coordinator.Record{}, r)
	child := next(r, time.Now(), "the winner")
	swap(t, s, name, r, child)

	stamp := child.Stamp()
	grandchild := next(child, time.Now(), "must not be written")
	wantConflict(t, s, coordinator.Stamp{}, grandchild, "from nothing")
	wantConflict(t, s, r.Stamp(), grandchild, "from an older record")
	wantConflict(t, s, coordinator.Stamp{Revision: stamp.Revision, ID: stamp.ID + 1}, grandchild, "from another write of the same revision")
	wantConflict(t, s, coordinator.Stamp{Revision: stamp.Revision + 1, ID: stamp.ID}, grandchild, "from another revision with the same id")
	wantConflict(t, s, grandchild.Stamp(), next(grandchild, time.Now(), "must not be written either"), "from a newer record")

	// The last write, with the same revision but made by somebody else, is not
	// the stored record.
	twin := r.Child(coordinator.Stamp{Revision: stamp.Revision, ID: stamp.ID + 1})
	wantConflict(t, s, r.Stamp(), twin, "to another write of the stored revision")
}

// swapRepeated: the reply of a Swap was lost, so its caller repeats it.
func swapRepeated(t testing.TB, f Fixture) {
	s, other := f.Open(t), f.Open(t)
	history, isHistorian := coordinator.As[coordinator.Historian](s)
	wantEntries := func(n int, when string) {
		t.Helper()
		if !isHistorian {
			return
		}
		entries, err := history.History(t.Context(), name, 100)
		if err != nil || len(entries) != n {
			t.Errorf("history %s: %d entries, error %v; want %d", when, len(entries), err, n)
		}
	}
	r := first(time.Now())
	swap(t, s, name, coordinator.Record{}, r, event(time.Now(), "created"))
	swap(t, s, name, coordinator.Record{}, r, event(time.Now(), "created"))
	swap(t, other, name, coordinator.Record{}, r, event(time.Now(), "created"))
	wantEntries(1, "after a repeated creation")

	child := next(r, time.Now(), "child")
	swap(t, s, name, r, child, event(time.Now(), "replaced"))
	swap(t, s, name, r, child, event(time.Now(), "replaced"))
	wantEntries(2, "after a repeated replacement")
	got, _ := load(t, s, name)
	wantSame(t, got, child, "after a repeated Swap")

	// Repeated too late, it must not undo what another has written since.
	grandchild := next(child, time.Now(), "grandchild")
	swap(t, other, name, child, grandchild)
	wantConflict(t, s, r.Stamp(), child, "repeated after another write")
	wantEntries(2, "after a Swap that was repeated too late")
}

func swapOwned(t testing.TB, f Fixture) {
	s := f.Open(t)
	r := full(t, time.Now())
	want, err := coordinator.ParseRecord(r.Fields())
	if err != nil {
		t.Fatal(err)
	}
	swap(t, s, name, coordinator.Record{}, r)
	scribble(r)
	got, _ := load(t, s, name)
	wantSame(t, got, want, "after the caller wrote into what it had given to Swap")
}

// swapRace: of all that replace the same record, exactly one wins.
func swapRace(t testing.TB, f Fixture) {
	const racers, rounds = 8, 12
	handles := []coordinator.Store{f.Open(t), f.Open(t)}
	r := first(time.Now())
	swap(t, handles[0], name, coordinator.Record{}, r)
	for round := range rounds {
		var wins atomic.Int32
		var winner atomic.Pointer[coordinator.Record]
		var group sync.WaitGroup
		for racer := range racers {
			child := next(r, time.Now(), fmt.Sprintf("round %d racer %d", round, racer))
			group.Go(func() {
				_, err := handles[racer%len(handles)].Swap(t.Context(), name, r.Stamp(), child)
				switch {
				case err == nil:
					wins.Add(1)
					winner.Store(&child)
				case !errors.Is(err, coordinator.ErrConflict):
					t.Errorf("Swap in a race: %v", err)
				}
			})
		}
		group.Wait()
		if n := wins.Load(); n != 1 {
			t.Fatalf("round %d: %d of %d swaps from the same record won, want 1", round, n, racers)
		}
		got, _ := load(t, handles[round%2], name)
		wantSame(t, got, *winner.Load(), "after a race")
		r = got
	}
}

// names are allowed by coordinator.CheckName and easily mistaken for each
// other, or for a file or key that a store keeps beside the record.
var names = []string{
	"shop", "shop.lock", "shop.history", "shop.json", "shop.tmp", "shop.json.tmp", ".shop", "-shop", "_", "...", "a..b", "changes", "marker", "0",
	strings.Repeat("n", 63), strings.Repeat("n", 64),
}

func swapNames(t testing.TB, f Fixture) {
	s := f.Open(t)
	records := make(map[string]coordinator.Record)
	for _, name := range names {
		if err := coordinator.CheckName(name); err != nil {
			t.Fatal(err)
		}
		got, now := load(t, s, name)
		wantSame(t, got, coordinator.Record{}, name+" before it was written")
		records[name] = next(coordinator.Record{}, now, "record of "+name)
		swap(t, s, name, coordinator.Record{}, records[name], event(now, name))
	}
	other := f.Open(t)
	for _, name := range names {
		got, _ := load(t, other, name)
		wantSame(t, got, records[name], name)
	}
}

// contextEnded: a caller that cannot wait is not kept, and leaves nothing in
// the way of others.
func contextEnded(t testing.TB, f Fixture) {
	s := f.Open(t)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	expired, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	for _, ctx := range []context.Context{cancelled, expired} {
		calls := map[string]func() error{
			"Load": func() error { _, _, err := s.Load(ctx, name); return err },
			"Swap": func() error { _, err := s.Swap(ctx, name, coordinator.Stamp{}, first(time.Now())); return err },
			"Lock": func() error { _, err := s.Lock(ctx, name, "gone", ttl); return err },
		}
		if h, ok := coordinator.As[coordinator.Historian](s); ok {
			calls["History"] = func() error { _, err := h.History(ctx, name, 1); return err }
			calls["Append"] = func() error { return h.Append(ctx, name, event(time.Now(), "")) }
		}
		if l, ok := coordinator.As[coordinator.LockInspector](s); ok {
			calls["Holder"] = func() error { _, err := l.Holder(ctx, name); return err }
		}
		for method, call := range calls {
			wantEnded(t, method, call)
		}
	}
	// Load and Swap work again, and the lock is free after its ttl at most.
	r, now := load(t, s, name)
	swap(t, s, name, r, next(r, now, "after the contexts ended"))
	lease := lockWithin(t, s, name, "next", ttl+soon)
	release(t, lease)
}

func wantEnded(t testing.TB, method string, call func() error) {
	t.Helper()
	began := time.Now()
	err := call()
	if err == nil {
		t.Errorf("%s with a context that has ended succeeded", method)
	}
	if took := time.Since(began); took > soon {
		t.Errorf("%s with a context that has ended took %s", method, took)
	}
	for _, sentinel := range sentinels {
		if errors.Is(err, sentinel) {
			t.Errorf("%s with a context that has ended: error %v matches %v", method, err, sentinel)
		}
	}
}
