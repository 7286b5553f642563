package integration_test

import (
	"errors"
	"testing"
	"time"

	"github.com/mintonce/mintonce/wechat/wechattest"
)

// afterSending: the provider has the request, and has not looked at it. It is
// the provider that tells; see gate_test.go for the other points.
const afterSending = "after sending"

// A holder is stopped with SIGSTOP at an exact point of its mint, past its
// lease, and goes on when another process has minted. Before sending, that is
// the case of which the protocol is made: its request goes out last of all, and
// no lock and no fence keeps it from ending the token that everybody uses.
//
// All converge within the provider's overlap, at the price of at most two
// mints; with a usable token, no call of the others fails.
func TestHolderStoppedInMidMint(t *testing.T) {
	for _, point := range []string{beforeSending, afterSending, afterAnswer} {
		for _, usable := range []bool{false, true} {
			name := point + ", on an empty store"
			if usable {
				name = point + ", with a usable token"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel() // mostly waiting, for the lease and an attempt to end
				stopHolder(t, point, usable)
			})
		}
	}
}

func stopHolder(t *testing.T, point string, usable bool) {
	const overlap = 60 * time.Second // of five minutes at WeChat, and still wide for a busy machine
	w := newWorld(t, wechattest.Config{Overlap: overlap})
	g := newGate(t)
	cfg := replicaConfig{MintTimeout: 2 * time.Second, Gate: g.addr()}
	client := w.client()
	var replicas []*remote
	if usable {
		cfg.Calls = 20 * time.Millisecond
		replicas = w.replicas(3, "replica", cfg)
		moreCalls(t, replicas)
		w.atRest(client)
	}
	before, _ := w.provider.mints()

	c := w.catch(g, point)
	if usable {
		go ask[held](replicas[0], "POST", "/rotate") // it fails, or is overtaken
	} else {
		replicas = w.replicas(3, "replica", cfg)
	}
	paused, others := split(t, replicas, c.caught(t))
	paused.freeze()
	ran := w.provider.newest() // what it minted before it was stopped, if anything
	c.release()
	if point == afterSending {
		eventually(t, "the provider has carried out its request", func() error {
			return expect("still the same token", w.provider.newest() == ran, false)
		})
		ran = w.provider.newest()
	}
	eventually(t, "another process has minted", func() error {
		return errors.Join(expect("still the same token", w.provider.newest() == ran, false), w.servesNewest(others[0]))
	})
	overtaken := w.provider.newest()

	paused.thaw()
	woke := time.Now()
	if point == beforeSending {
		eventually(t, "its request goes out last of all", func() error {
			return expect("still the same token", w.provider.newest() == overtaken, false)
		})
	}
	paused.drain()
	w.atRest(client)
	for _, r := range replicas {
		eventually(t, r.name+" serves the provider's newest token", func() error { return w.servesNewest(r) })
	}
	took := time.Since(woke)
	t.Logf("converged %s after it went on; the overlap is %s", took.Round(time.Millisecond), overlap)
	if took > overlap {
		t.Errorf("converged after %s, which is longer than the overlap of %s", took, overlap)
	}
	if minted, _ := w.provider.mints(); minted-before > 3 {
		t.Errorf("%d mints, want at most 3\n%s", minted-before, w.provider.told())
	}
	if usable {
		moreCalls(t, replicas)
		wantNoFailure(t, replicas)
		t.Logf("%d calls were rejected and healed", w.provider.rejected())
	}
}

// catch holds the next mint at a point.
type catch struct {
	arrived func(t testing.TB) string // waits, and returns who mints
	release func()
}

func (c catch) caught(t testing.TB) string {
	t.Helper()
	return c.arrived(t)
}

func (w *world) catch(g *gate, point string) catch {
	if point == afterSending {
		held := w.provider.HoldNext(wechattest.Mints)
		return catch{release: held.Release, arrived: func(t testing.TB) string {
			t.Helper()
			signalled(t, "a mint arrives at the provider", held.Arrived)
			return g.minter()
		}}
	}
	h := g.close(point)
	return catch{release: h.release, arrived: func(t testing.TB) string {
		t.Helper()
		select {
		case name := <-h.arrived:
			return name
		case <-time.After(patience):
			t.Fatalf("no mint comes to the point %s after %s", point, patience)
			return ""
		}
	}}
}
