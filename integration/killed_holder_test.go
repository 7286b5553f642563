package integration_test

import (
	"testing"
	"time"

	"github.com/mintonce/mintonce/wechat/wechattest"
)

// lease is how long a lock outlives its holder, where locks lapse. The mint
// itself takes no time worth counting here, as the provider answers at once.
const lease = 3 * time.Second

// Number 2: the holder is killed in mid-mint, with nothing in the store. The
// provider carries out its request all the same, and last of all: the worst
// moment.
func TestHolderKilledOnAnEmptyStore(t *testing.T) {
	for kind, lease := range map[string]time.Duration{"redis": lease, "file": 0} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel() // mostly waiting, for an attempt to be given up
			var w *world
			if kind == "redis" {
				w = newWorld(t, wechattest.Config{})
			} else {
				w = newFileWorld(t, wechattest.Config{})
			}
			lost := w.provider.HoldNext(wechattest.Mints)
			replicas := w.replicas(3, "replica", replicaConfig{MintTimeout: 2 * time.Second})
			signalled(t, "a mint begins", lost.Arrived)
			client := w.lookingClient()
			victim, others := split(t, replicas, w.holder(client))
			victim.kill()

			limit := lease + 2*time.Second
			took := within(t, limit+machineMargin, "another process has a token", func() error {
				for _, r := range others {
					if w.servesNewest(r) == nil {
						return nil
					}
				}
				return errNotYet
			})
			t.Logf("another process had a token after %s; the requirement says %s", took.Round(time.Millisecond), limit)

			lost.Release() // now the provider's newest token is one that nobody has
			eventually(t, "the provider has carried out the victim's request", func() error {
				if minted, _ := w.provider.mints(); minted < 2 {
					return errNotYet
				}
				return nil
			})
			w.atRest(client)
			for _, r := range others {
				eventually(t, r.name+" serves the provider's newest token", func() error { return w.servesNewest(r) })
			}
			if minted, _ := w.provider.mints(); minted > 3 {
				t.Errorf("%d mints, want at most 3\n%s", minted, w.provider.told())
			}
		})
	}
}

// Number 2: the holder is killed in mid-mint while a usable token exists, and
// the provider has carried out its request, or not. No call of the others
// fails.
func TestHolderKilledWithAUsableToken(t *testing.T) {
	for name, kind := range map[string]wechattest.Kind{"the provider minted": wechattest.Hold, "the provider never minted": wechattest.Hang} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // mostly waiting, for an attempt to be given up
			w := newWorld(t, wechattest.Config{})
			replicas := w.replicas(3, "replica", replicaConfig{Calls: 20 * time.Millisecond, MinimumAge: -1, MintTimeout: 2 * time.Second})
			moreCalls(t, replicas)
			w.provider.wantMints(t, 1)

			w.provider.Inject(wechattest.Fault{Kind: kind})
			operator := w.start("operator", "rotate", "shop")
			eventually(t, "the operator's mint begins", func() error {
				_, requests := w.provider.mints()
				return expect("requests", requests, 2)
			})
			operator.kill()
			w.provider.Release()
			moreCalls(t, replicas)
			client := w.lookingClient()
			eventually(t, "the replicas have made up for it", func() error {
				record, err := w.record(client)
				if err != nil {
					return err
				}
				return expect("generation 1", record["generation"] == "1", false)
			})
			w.atRest(client)
			moreCalls(t, replicas)
			wantNoFailure(t, replicas)
			t.Logf("%d calls were rejected and healed", w.provider.rejected())
		})
	}
}

// servesNewest is nil once a replica serves the token that the provider has
// minted last.
func (w *world) servesNewest(r *remote) error {
	got, err := r.token()
	if err != nil {
		return err
	}
	return expect("the token", got.Fingerprint, w.provider.newest())
}

// split finds the replica that holds the lock.
func split(t testing.TB, all []*remote, holder string) (victim *remote, others []*remote) {
	t.Helper()
	for _, r := range all {
		if r.name == holder {
			victim = r
		} else {
			others = append(others, r)
		}
	}
	if victim == nil {
		t.Fatalf("nobody is called %q, which holds the lock", holder)
	}
	return victim, others
}
