package coordinator_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
)

// TestNewsOfARefresh: at the moment at which all are to refresh, all try to
// lock. Who was not first and is told of the new token reads it, and does not
// queue for the lock to find out (found by simulation).
func TestNewsOfARefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		var all []*storetest.Faults
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			c, faults := f.member(name)
			token(t, c)
			defer f.runs(c)()
			all = append(all, faults)
		}
		synctest.Wait()
		locks := func() (n int) {
			for _, faults := range all {
				n += faults.Calls(storetest.Lock)
			}
			return n
		}
		before := locks()
		time.Sleep(time.Until(f.record().RefreshAt) + 5*time.Second)
		f.wantMints(2)
		if n := locks() - before; n > len(all) {
			t.Errorf("%d times, one of %d tried to lock", n, len(all))
		}
	})
}

// TestNewsForThoseWhoWait: who waits for the lock and is told of the new token
// reads it, whoever has the lock then (found by simulation, TestRotating seed
// 730178).
func TestNewsForThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		c, faults := f.member("a")
		token(t, c)
		defer f.runs(c)()
		synctest.Wait() // until the lock of the first mint is released
		old := f.record()
		lease, err := f.memory.Lock(t.Context(), "shop", "b", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(old.RefreshAt) + 10*time.Millisecond)
		begun, refreshed := faults.Calls(storetest.Lock), make(chan coordinator.Token)
		go func() {
			tok, err := c.Refresh(t.Context())
			if err != nil {
				t.Error(err)
			}
			refreshed <- tok
		}()
		time.Sleep(5 * time.Second)
		if faults.Calls(storetest.Lock) == begun {
			t.Error("nobody waits for the lock")
		}

		now := time.Now().UTC()
		next, _ := announce(old, "b", now, f.provider.traits).Child(stamp(now.Add(time.Millisecond))).Commit("b", grantOf("new", now, 2*time.Hour), f.provider.traits)
		if _, err := f.memory.Swap(t.Context(), "shop", old.Stamp(), next, coordinator.Event{Kind: coordinator.EventMinted, Name: "shop"}); err != nil {
			t.Fatal(err)
		}
		select {
		case tok := <-refreshed:
			if tok.Value != "new" {
				t.Errorf("got %v", tok)
			}
		case <-time.After(100 * time.Millisecond):
			t.Error("still waits for the lock, though the new token is there")
			lease.Release(t.Context())
			<-refreshed
		}
		lease.Release(t.Context())
	})
}
