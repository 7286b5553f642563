package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// wantHistory expects the last n entries to have these details.
func wantHistory(t testing.TB, s coordinator.Store, name string, n int, details ...string) []coordinator.Event {
	t.Helper()
	entries, err := optional[coordinator.Historian](t, s).History(t.Context(), name, n)
	if err != nil {
		t.Fatalf("History(%q, %d): %v", name, n, err)
	}
	got := make([]string, len(entries))
	for i, e := range entries {
		got[i] = e.Detail
	}
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", details) {
		t.Errorf("History(%q, %d) is %q, want %q", name, n, got, details)
	}
	return entries
}

func historyOrder(t testing.TB, f Fixture) {
	s, other := f.Open(t), f.Open(t)
	history := optional[coordinator.Historian](t, s)
	wantHistory(t, s, name, 10)
	now := time.Now()
	add := func(events ...coordinator.Event) {
		t.Helper()
		if err := history.Append(t.Context(), name, events...); err != nil {
			t.Fatalf("Append: %v", err)
		}
	}
	one := event(now, "one")
	add(one)
	add()
	add(event(now.Add(time.Second), "two"), event(now, "three"))
	for _, handle := range []coordinator.Store{s, other} {
		entries := wantHistory(t, handle, name, 10, "three", "two", "one")
		if len(entries) == 3 && entries[2] != one {
			t.Errorf("the oldest entry is %+v, want %+v", entries[2], one)
		}
		wantHistory(t, handle, name, 2, "three", "two")
		wantHistory(t, handle, name, 1, "three")
		wantHistory(t, handle, name, 0)
	}
	r, _ := load(t, s, name)
	wantSame(t, r, coordinator.Record{}, "that has a history only")
}

func historySwap(t testing.TB, f Fixture) {
	s, other := f.Open(t), f.Open(t)
	history := optional[coordinator.Historian](t, s)
	now := time.Now()
	r := first(now)
	swap(t, s, name, coordinator.Record{}, r, event(now, "first"), event(now, "second"))
	wantHistory(t, other, name, 10, "second", "first")
	if err := history.Append(t.Context(), name, event(now, "between")); err != nil {
		t.Fatalf("Append: %v", err)
	}
	child := next(r, now, "child")
	swap(t, other, name, r, child, event(now, "third"))
	wantConflict(t, s, r.Stamp(), next(r, now, "loser"), "from an older record")
	swap(t, s, name, child, next(child, now, "without events"))
	wantHistory(t, s, name, 10, "third", "between", "second", "first")
}

func historyNames(t testing.TB, f Fixture) {
	s := f.Open(t)
	history := optional[coordinator.Historian](t, s)
	for _, name := range names {
		if err := history.Append(t.Context(), name, event(time.Now(), "of "+name)); err != nil {
			t.Fatalf("Append(%q): %v", name, err)
		}
	}
	for _, name := range names {
		wantHistory(t, s, name, 10, "of "+name)
	}
}
