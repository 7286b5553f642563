package coordinator_test

import (
	"testing"
	"testing/synctest"
	"time"

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
