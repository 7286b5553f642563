package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// loadAll: a bulk says the same as single loads, in the order of the names.
func loadAll(t testing.TB, f Fixture) {
	s, other := f.Open(t), f.Open(t)
	loader := optional[coordinator.BulkLoader](t, s)
	r := first(time.Now())
	swap(t, other, "one", coordinator.Record{}, r, news)
	child := next(r, time.Now(), "write")
	swap(t, other, "two", coordinator.Record{}, child, news)
	names := []string{"two", "absent", "one", "two"}
	want := []coordinator.Stamp{child.Stamp(), {}, r.Stamp(), child.Stamp()}
	if f.WriteRaw != nil {
		f.WriteRaw(t, "damaged", map[string]string{"format": "1", "revision": "x"})
		names, want = slices.Insert(names, 1, "damaged"), slices.Insert(want, 1, coordinator.Stamp{})
	}
	before := time.Now().Add(-time.Minute)
	all, err := loader.LoadAll(t.Context(), names)
	if err != nil || len(all) != len(names) {
		t.Fatalf("LoadAll of %d names: %d results, %v", len(names), len(all), err)
	}
	for i, got := range all {
		if got.Record.Stamp() != want[i] || (got.Err != nil) != (names[i] == "damaged") {
			t.Errorf("LoadAll: result %d, of %q: %v, %v; want the record %v", i, names[i], got.Record, got.Err, want[i])
		}
		if got.Err == nil && got.Now.Before(before) {
			t.Errorf("LoadAll: result %d, of %q: the clock says %v", i, names[i], got.Now)
		}
	}
	if none, err := loader.LoadAll(t.Context(), nil); err != nil || len(none) != 0 {
		t.Errorf("LoadAll of no names: %v, %v", none, err)
	}
}

// watchAll: one watch tells of every name, and of the right write if of any.
func watchAll(t testing.TB, f Fixture) {
	s, other := f.Open(t), f.Open(t)
	told := make(chan coordinator.Change, 1000)
	stop := optional[coordinator.WatcherOfAll](t, s).WatchAll(func(news coordinator.Change) {
		select {
		case told <- news:
		default:
		}
	})
	defer stop()
	want := func(name string, write coordinator.Stamp) {
		t.Helper()
		late := time.After(soon)
		for {
			select {
			case got := <-told:
				if got.Name != name {
					continue
				}
				if got.Write != (coordinator.Stamp{}) && got.Write != write {
					t.Errorf("the hint of %q is about the write %v, want %v or none", name, got.Write, write)
				}
				return
			case <-late:
				t.Fatalf("no hint of %q within %s", name, soon)
			}
		}
	}
	want("", coordinator.Stamp{}) // watching has begun
	for _, name := range []string{"one", "two", "one-more"} {
		r := first(time.Now())
		swap(t, other, name, coordinator.Record{}, r, news)
		want(name, r.Stamp())
	}
	if f.Flush != nil {
		f.Flush(t)
		want("", coordinator.Stamp{})
	}
}
