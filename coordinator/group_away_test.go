package coordinator_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
)

// allAway is a store of which nothing answers, loads in bulk included.
func allAway(memory *storetest.Memory) coordinator.Store {
	store, faults := storetest.NewFaulty(memory)
	away(faults)
	flaky := &flakyBulk{Memory: memory}
	flaky.fail.Store(true)
	return bulkOf(store, flaky)
}

// Run reads the copy though the bulk load fails, so that a process that was
// restarted without its store is ready.
func TestGroupStartsFromTheCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, memory, disk := &platform{accounts: map[string]*provider{}}, storetest.NewMemory(), storetest.NewMemory()
		config := coordinator.GroupConfig{Config: coordinator.Config{Fallback: disk}}
		before := group(t, p, memory, config)
		stop := run(t, before)
		if err := before.Keep(names(10)...); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		stop()

		told := make(chan coordinator.EventKind, 1000)
		config.Observer = func(e coordinator.Event) { told <- e.Kind }
		after := group(t, p, allAway(memory), config)
		defer run(t, after)()
		if err := after.Keep(names(10)...); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		for _, name := range names(10) {
			c, err := after.Get(name)
			if err != nil {
				t.Fatal(err)
			}
			if tok, err := c.Peek(); err != nil || tok.Generation != 1 {
				t.Errorf("%s: %v, %v", name, tok, err)
			}
		}
		if len(told) == 0 || <-told != coordinator.EventStoreAway {
			t.Error("nobody was told that the store is away")
		}
	})
}

// Where a mint without the store does no harm, Run does not let tokens end
// because the store is away.
func TestGroupMintsIdempotentlyWithoutTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, memory := &platform{accounts: map[string]*provider{}}, storetest.NewMemory()
		for _, name := range names(10) {
			p.accounts[name] = newProvider()
			p.accounts[name].traits.Kind = coordinator.Idempotent
		}
		g := group(t, p, allAway(memory), coordinator.GroupConfig{})
		defer run(t, g)()
		if err := g.Keep(names(10)...); err != nil {
			t.Fatal(err)
		}
		for hour := range 12 {
			time.Sleep(time.Hour)
			for _, name := range names(10) {
				c, err := g.Get(name)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := c.Peek(); err != nil {
					t.Fatalf("hour %d, %s: %v", hour+1, name, err)
				}
			}
		}
	})
}
