package storetest_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
)

func TestMemoryFlushAndRestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := storetest.NewMemory()
		var hints int
		defer m.Watch("shop", func() { hints++ })()
		wantHints := func(n int, when string) {
			t.Helper()
			synctest.Wait()
			if hints != n {
				t.Errorf("%d hints %s, want %d", hints, when, n)
			}
		}
		wantHints(1, "at first")
		if _, err := m.Swap(t.Context(), "shop", coordinator.Stamp{}, record(), coordinator.Event{Kind: coordinator.EventMinted}); err != nil {
			t.Fatal(err)
		}
		wantHints(2, "after a swap")
		kept := m.Contents()
		if _, err := m.Lock(t.Context(), "shop", "alpha", time.Second); err != nil {
			t.Fatal(err)
		}
		m.Flush()
		wantHints(3, "after the flush")
		entries, _ := m.History(t.Context(), "shop", 10)
		locked, _ := m.Holder(t.Context(), "shop")
		if exists(t, m) || len(entries) != 0 || locked != nil {
			t.Errorf("after a flush: record %t, %d events, lock %v", exists(t, m), len(entries), locked)
		}
		m.Restore(kept)
		wantHints(4, "after the roll-back")
		if entries, _ = m.History(t.Context(), "shop", 10); !exists(t, m) || len(entries) != 1 {
			t.Errorf("after the roll-back: record %t, %d events, want one each", exists(t, m), len(entries))
		}
	})
}

// A lock that is no longer renewed lapses ttl after its last renewal, and its
// holder has lost its trust in it before.
func TestMemoryStopRenewing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ttl = 4 * time.Second
		m := storetest.NewMemory()
		lease, err := m.Lock(t.Context(), "shop", "alpha", ttl)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(ttl/4 + 1) // one renewal, at ttl/4
		m.StopRenewing("shop")
		<-lease.Lost()
		locked, _ := m.Holder(t.Context(), "shop")
		if locked == nil || locked.Remaining != ttl/8 {
			t.Fatalf("when the lease was lost, the lock was %v, want %s left", locked, ttl/8)
		}
		time.Sleep(locked.Remaining - 1)
		if _, err := m.Lock(t.Context(), "shop", "beta", ttl); !errors.Is(err, coordinator.ErrLocked) {
			t.Errorf("before the lock lapsed: %v, want ErrLocked", err)
		}
		time.Sleep(time.Nanosecond)
		next, err := m.Lock(t.Context(), "shop", "beta", ttl)
		if err != nil {
			t.Fatalf("after the lock lapsed: %v", err)
		}
		lease.Release(t.Context())
		if locked, _ := m.Holder(t.Context(), "shop"); locked == nil || locked.Holder != "beta" {
			t.Errorf("after the old holder released: %v, want beta's lock", locked)
		}
		next.Release(t.Context())
	})
}

func TestMemorySkew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := storetest.NewMemory()
		m.Skew(-time.Hour)
		_, now, _ := m.Load(t.Context(), "shop")
		if got := time.Since(now); got != time.Hour {
			t.Errorf("the store's clock is %s behind, want 1h", got)
		}
	})
}
