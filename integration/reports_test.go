package integration_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/mintonce/mintonce/wechat/wechattest"
)

// Number 4: 24 reports of the dead current token from as many processes cost
// one mint; 1,000 late reports of the token before cost none.
func TestReportsOfADeadToken(t *testing.T) {
	w := newWorld(t, wechattest.Config{})
	const processes = 24
	all := w.replicas(processes, "replica", replicaConfig{MinimumAge: -1})
	for _, r := range all {
		if got := r.mustToken(); got.Generation != 1 {
			t.Fatalf("%s serves generation %d, want 1", r.name, got.Generation)
		}
	}
	w.provider.wantMints(t, 1)

	w.provider.Revoke(appID) // somebody has minted twice elsewhere
	reportFromAll(t, all, 1, 1)
	w.provider.wantMints(t, 2)
	newest := w.atRest(w.client())
	for _, r := range all {
		// The reporters have it already; whoever was late sees it by now, too.
		eventually(t, r.name+" serves the successor", func() error {
			got, err := r.token()
			if err != nil {
				return err
			}
			return expect("the token", got.Fingerprint, w.provider.newest())
		})
	}
	wantField(t, newest, "generation", "2")

	const late = 1000
	verdicts := reportFromAll(t, all, 1, (late+processes-1)/processes)
	if verdicts["late"] < late || len(verdicts) != 1 {
		t.Errorf("verdicts on late reports: %v, want at least %d late ones and no other", verdicts, late)
	}
	w.provider.wantMints(t, 2)
	record := w.atRest(w.client())
	wantField(t, record, "revision", newest["revision"])
}

// reportFromAll makes all processes report the token of a generation, at once,
// and adds their verdicts up.
func reportFromAll(t testing.TB, all []*remote, generation, times int) map[string]int {
	t.Helper()
	var reports sync.WaitGroup
	var mu sync.Mutex
	sum := make(map[string]int)
	for _, r := range all {
		reports.Go(func() {
			verdicts, err := ask[map[string]int](r, "POST", fmt.Sprintf("/report?generation=%d&times=%d", generation, times))
			if err != nil {
				t.Errorf("%s: %v", r.name, err)
			}
			mu.Lock()
			defer mu.Unlock()
			for verdict, n := range verdicts {
				sum[verdict] += n
			}
		})
	}
	reports.Wait()
	return sum
}
