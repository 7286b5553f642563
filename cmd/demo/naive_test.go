package main

import (
	"context"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// naiveReplicas are n replicas of today's way that share a cache.
func naiveReplicas(t *testing.T, n int) ([]*naiveApp, *provider, *miniredis.Miniredis, context.Context) {
	t.Helper()
	p, ctx := providerForTest(t)
	server := miniredis.RunT(t)
	var apps []*naiveApp
	for replica := 1; replica <= n; replica++ {
		a, err := newNaiveApp(orders{Replica: replica, API: p.url(replica), Redis: "redis://" + server.Addr(), Prefix: "test"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(a.close)
		apps = append(apps, a.(*naiveApp))
	}
	return apps, p, server, ctx
}

func mintsOf(p *provider) int { mints, _ := p.counts(); return mints }

func TestTodaysWaySharesTheCacheWithAMargin(t *testing.T) {
	apps, p, server, ctx := naiveReplicas(t, 2)
	for _, a := range apps {
		if err := a.call(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if mints := mintsOf(p); mints != 1 {
		t.Errorf("%d mints, want 1: the second replica has the cache", mints)
	}
	const want = 10*time.Second - 10*time.Second*1500/7200
	if got := server.TTL(naiveKey("test")); got != want.Truncate(time.Millisecond) {
		t.Errorf("the cache keeps the token for %s, want %s", got, want)
	}
}

func TestTodaysWayMintsAgainWhateverOthersHaveDone(t *testing.T) {
	apps, p, server, ctx := naiveReplicas(t, 1)
	a := apps[0]
	if err := a.call(ctx); err != nil {
		t.Fatal(err)
	}
	server.Set(a.key, "a-dead-token")
	if err := a.call(ctx); err != nil {
		t.Errorf("the call failed: %v; it should be repeated once", err)
	}
	if _, rejected := p.counts(); mintsOf(p) != 2 || rejected != 1 {
		t.Errorf("%d mints and %d rejected, want 2 and 1", mintsOf(p), rejected)
	}
	if err := a.rotate(ctx); err != nil || mintsOf(p) != 3 {
		t.Errorf("a refresh with a good token in the cache: %v, %d mints in all; want 3", err, mintsOf(p))
	}
}

// stale is a cache that always has the token that another replica has stored.
type stale struct{ redis.UniversalClient }

func (stale) Set(context.Context, string, any, time.Duration) *redis.StatusCmd {
	return redis.NewStatusResult("OK", nil)
}

func TestTodaysWayRepeatsACallOnce(t *testing.T) {
	apps, p, _, ctx := naiveReplicas(t, 1)
	a := apps[0]
	if err := a.call(ctx); err != nil {
		t.Fatal(err)
	}
	a.cache.Set(ctx, a.key, "dead", 0)
	a.cache = stale{a.cache}
	if err := a.call(ctx); err == nil {
		t.Error("the call succeeded with a dead token")
	}
	if _, rejected := p.counts(); rejected != 2 {
		t.Errorf("%d calls were rejected, want 2: the call and its repeat", rejected)
	}
}
