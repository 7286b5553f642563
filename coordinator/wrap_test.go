package coordinator_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
)

// wrapped passes Load, Swap and Lock through, and nothing else by itself.
type wrapped struct{ coordinator.Store }

func (w wrapped) Unwrap() coordinator.Store { return w.Store }

// counting sees the bulk loads.
type counting struct {
	wrapped
	loads *int
}

func (c counting) LoadAll(ctx context.Context, names []string) ([]coordinator.Loaded, error) {
	*c.loads++
	return coordinator.LoadAll(ctx, c.Store, names)
}

func TestWrapperPassesThrough(t *testing.T) {
	storetest.RunWithin(t, synctest.Test, func(testing.TB) storetest.Fixture {
		m := storetest.NewMemory()
		store := wrapped{counting{wrapped{m}, new(int)}}
		return storetest.Fixture{
			Open:     func(testing.TB) coordinator.Store { return store },
			WriteRaw: func(_ testing.TB, name string, fields map[string]string) { m.WriteRaw(name, fields) },
			Flush:    func(testing.TB) { m.Flush() },
			DropLock: func(_ testing.TB, name string) { m.DropLock(name) },
		}
	})
}

func TestAsFindsTheOutermost(t *testing.T) {
	memory, loads := storetest.NewMemory(), 0
	store := wrapped{counting{wrapped{memory}, &loads}}
	if _, err := coordinator.LoadAll(t.Context(), store, []string{"shop"}); err != nil || loads != 1 {
		t.Errorf("%d loads passed the wrapper that counts them, error %v; want 1", loads, err)
	}
	if w, ok := coordinator.As[coordinator.Watcher](store); !ok || w != coordinator.Watcher(memory) {
		t.Errorf("As[Watcher] = %v, %t; want that of the innermost store", w, ok)
	}
	plain := struct{ coordinator.Store }{memory}
	if _, ok := coordinator.As[coordinator.Watcher](plain); ok {
		t.Error("As has looked into a store that is no Wrapper")
	}
	if _, ok := coordinator.As[coordinator.Watcher](nil); ok {
		t.Error("As has found something in no store")
	}
}

func TestLoadAllOneByOne(t *testing.T) {
	memory := storetest.NewMemory()
	memory.WriteRaw("damaged", map[string]string{"revision": "x"})
	plain := struct{ coordinator.Store }{memory}
	all, err := coordinator.LoadAll(t.Context(), plain, []string{"absent", "damaged"})
	if err != nil || len(all) != 2 || all[0].Err != nil || all[0].Now.IsZero() || !errors.Is(all[1].Err, coordinator.ErrBadRecord) {
		t.Errorf("LoadAll = %v, %v", all, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := coordinator.LoadAll(ctx, plain, []string{"absent"}); !errors.Is(err, context.Canceled) {
		t.Errorf("LoadAll after the end of its context: %v", err)
	}
}

func TestWrappedStoreIsUsedInFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, memory, loads := &platform{accounts: map[string]*provider{}}, storetest.NewMemory(), 0
		a := group(t, p, counting{wrapped{memory}, &loads}, coordinator.GroupConfig{})
		if err := a.Keep("shop"); err != nil {
			t.Fatal(err)
		}
		defer run(t, a)()
		time.Sleep(time.Second)
		if _, err := a.Token(t.Context(), "shop"); err != nil || loads == 0 {
			t.Fatalf("%d bulk loads, error %v", loads, err)
		}
		st, err := coordinator.ReadStatus(t.Context(), wrapped{memory}, "shop", coordinator.Traits{})
		if err != nil || len(st.History) == 0 {
			t.Errorf("status %+v, error %v: want a history", st, err)
		}
	})
}
