package storetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// listedNames: the records are listed, and nothing else that belongs to them.
func listedNames(t testing.TB, f Fixture) {
	s := f.Open(t)
	lister := optional[coordinator.Lister](t, s)
	if names, all, err := lister.Names(t.Context()); len(names) != 0 || !all || err != nil {
		t.Errorf("Names of an empty store: %q, %t, %v", names, all, err)
	}
	event := coordinator.Event{Kind: coordinator.EventMinted, Name: name}
	want := []string{"a.json", "shop", "shop-2", "z.lock"}
	for _, name := range []string{"shop-2", "z.lock", "shop", "a.json"} {
		swap(t, s, name, coordinator.Record{}, first(time.Now()), event)
	}
	lock(t, s, name, "host-1")
	lock(t, s, "no-record", "host-1")
	names, all, err := lister.Names(t.Context())
	if !slices.Equal(names, want) || !all || err != nil {
		t.Errorf("Names: %q, %t, %v; want %q, all of them", names, all, err, want)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, all, err := lister.Names(ended); all || err != nil {
		t.Errorf("Names without time: all %t, %v; want what there was time for", all, err)
	}
}
