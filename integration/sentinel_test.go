package integration_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/mintonce/mintonce/wechat/wechattest"
)

// The primary dies with writes that its replica has never got, and three
// sentinels promote the replica. At rest, the token that only the dead primary
// had is written back, and nobody mints. In the midst of a mint, the lock is
// lost too. Nobody goes back to an older token, and no call fails.
func TestSentinelFailoverLosesTheNewestWrites(t *testing.T) {
	for name, test := range map[string]struct{ inMidMint, hung bool }{
		"at rest":                   {},
		"in mid-mint":               {inMidMint: true},
		"the primary was only hung": {inMidMint: true, hung: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // mostly waiting, for the sentinels
			w, sentinels := newSentinelWorld(t, wechattest.Config{})
			g := newGate(t)
			// A rotation follows the other at once, so a token may be rejected while
			// it is younger than anybody would expect.
			replicas := w.replicas(3, "replica", replicaConfig{Calls: 20 * time.Millisecond, Unrationed: true, MinimumAge: 100 * time.Millisecond, Gate: g.addr()})
			moreCalls(t, replicas)
			w.atRest(w.client())
			w.wantReplicated()

			w.stopReplication()
			rotated, err := ask[held](replicas[0], "POST", "/rotate")
			if err != nil || rotated.Generation != 2 {
				t.Fatalf("rotate: %+v, %v", rotated, err)
			}
			lost := w.atRest(w.client())
			for _, r := range replicas {
				eventually(t, r.name+" serves what will be lost", func() error { return w.servesNewest(r) })
			}
			c := catch{release: func() {}}
			if test.inMidMint {
				c = w.catch(g, afterSending)
				go ask[held](replicas[1], "POST", "/rotate")
				c.caught(t)
			}
			has := w.at(w.standby).HGet(t.Context(), recordKey, "generation").Val()
			if has != "1" {
				t.Fatalf("the replica is at generation %s, want 1", has)
			}
			old := w.redis
			if test.hung {
				old.Pause()
			} else {
				old.Stop()
			}
			w.promoted(sentinels)
			c.release()
			if test.hung {
				old.Resume() // and takes itself for the primary, until a sentinel tells it
			} else {
				old.Restart()
			}
			w.standbyFollows()

			w.atRest(w.at(w.redis))
			moreCalls(t, replicas)
			for _, r := range replicas {
				r.drain()
				eventually(t, r.name+" serves the provider's newest token", func() error { return w.servesNewest(r) })
			}
			record := w.atRest(w.at(w.redis))
			wantNoFailure(t, replicas)
			minted, _ := w.provider.mints()
			t.Logf("the replica was at generation %s, the primary that was lost at %s, now it is %s after %d mints; %d calls were rejected and healed",
				has, lost["generation"], record["generation"], minted, w.provider.rejected())
			if !test.inMidMint {
				wantField(t, record, "generation", "2")
				w.provider.wantMints(t, 2)
				return
			}
			if generation, _ := strconv.Atoi(record["generation"]); generation < 3 {
				t.Errorf("the generation is %s, want at least 3", record["generation"])
			}
			if minted > 5 {
				t.Errorf("%d mints, want 3 and at most 2 more\n%s", minted, w.provider.told())
			}
		})
	}
}
