package coordinator_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
)

// announcing tells of each write before the writer has its answer, as Redis
// does to whoever reads the change stream. It counts loads.
type announcing struct {
	*storetest.Memory
	notify atomic.Pointer[func(coordinator.Change)]
	loads  atomic.Int64
}

func (a *announcing) WatchAll(notify func(coordinator.Change)) (stop func()) {
	a.notify.Store(&notify)
	notify(coordinator.Change{}) // watching has begun
	return func() { a.notify.Store(nil) }
}

func (a *announcing) Swap(ctx context.Context, name string, old coordinator.Stamp, next coordinator.Record, events ...coordinator.Event) (time.Time, error) {
	now, err := a.Memory.Swap(ctx, name, old, next, events...)
	if notify := a.notify.Load(); err == nil && len(events) > 0 && notify != nil {
		(*notify)(coordinator.Change{Name: name, Write: next.Stamp()})
	}
	return now, err
}

func (a *announcing) Load(ctx context.Context, name string) (coordinator.Record, time.Time, error) {
	a.loads.Add(1)
	return a.Memory.Load(ctx, name)
}

func (a *announcing) LoadAll(ctx context.Context, names []string) ([]coordinator.Loaded, error) {
	a.loads.Add(int64(len(names)))
	return a.Memory.LoadAll(ctx, names)
}

// A refresh that is due loads nothing: the swap of its beginning finds out
// whether anybody has written, and its own commit is no news.
func TestGroupRefreshLoadsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, store := &platform{accounts: map[string]*provider{}}, &announcing{Memory: storetest.NewMemory()}
		g := group(t, p, store, coordinator.GroupConfig{})
		defer run(t, g)()
		if err := g.Keep("shop"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		loads := store.loads.Load()
		time.Sleep(24 * time.Hour)
		if p.minted() < 10 || store.loads.Load() != loads {
			t.Errorf("%d mints within a day, and %d loads after the first; want several mints and no load", p.minted(), store.loads.Load()-loads)
		}
	})
}

// What others write is news, whatever else is heard at the same time.
func TestGroupHearsOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, store := &platform{accounts: map[string]*provider{}}, &announcing{Memory: storetest.NewMemory()}
		g := group(t, p, store, coordinator.GroupConfig{})
		defer run(t, g)()
		if err := g.Keep("shop"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		other := group(t, p, store, coordinator.GroupConfig{})
		for range 5 {
			theirs, err := other.Get("shop")
			if err != nil {
				t.Fatal(err)
			}
			want, err := theirs.Rotate(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if got, err := g.Token(t.Context(), "shop"); err != nil || got.Value != want.Value {
				t.Errorf("after a rotation by another process: %v, %v; want %v", got, err, want)
			}
			time.Sleep(time.Minute)
		}
	})
}
