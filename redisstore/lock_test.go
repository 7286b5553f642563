package redisstore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/faultproxy"
	"github.com/mintonce/mintonce/internal/redistest"
	"github.com/mintonce/mintonce/redisstore"
)

// generous bounds what has to happen; nothing waits for it when all is well.
const generous = time.Minute

// behindProxy starts Redis, a store behind a proxy, and one that is not.
func behindProxy(t *testing.T) (far, near *redisstore.Store, proxy *faultproxy.Proxy, server *redistest.Server) {
	t.Helper()
	server = redistest.Start(t)
	proxy = faultproxy.New(t, server.Addr())
	far = open(t, "redis://"+proxy.Addr(), redisstore.Config{})
	near = open(t, server.URL(), redisstore.Config{})
	return far, near, proxy, server
}

func wantLost(t *testing.T, lost <-chan struct{}) {
	t.Helper()
	select {
	case <-lost:
	case <-time.After(generous):
		t.Fatal("did not happen")
	}
}

// TestLockReplyLost: Redis took the lock, and nobody was told. It must not stay
// locked for its whole ttl.
func TestLockReplyLost(t *testing.T) {
	t.Parallel()
	far, near, proxy, _ := behindProxy(t)
	warm, err := near.Lock(t.Context(), "warm", "near", time.Second) // loads the script: the reply to lose is that of its run
	if err != nil {
		t.Fatal(err)
	}
	defer warm.Release(t.Context())
	ctx, cancel := context.WithTimeout(t.Context(), generous)
	defer cancel()
	lost := proxy.LoseReply("{shop}:lock")
	if _, err := far.Lock(ctx, "shop", "far", time.Hour); err == nil || errors.Is(err, coordinator.ErrLocked) {
		t.Fatalf("Lock whose reply was lost: error %v", err)
	}
	wantLost(t, lost)
	for {
		locked, err := near.Holder(ctx, "shop")
		if err != nil {
			t.Fatalf("the lock is still held: %v", err)
		}
		if locked == nil {
			break
		}
		if locked.Holder != "far" {
			t.Fatalf("the lock is held by %q", locked.Holder)
		}
		time.Sleep(5 * time.Millisecond) // no signal comes from Redis
	}
}

// TestGiveBackIsOurs: giving back what may have been obtained leaves the lock
// of another holder alone.
func TestGiveBackIsOurs(t *testing.T) {
	t.Parallel()
	far, near, proxy, _ := behindProxy(t)
	lease, err := near.Lock(t.Context(), "shop", "near", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Release(t.Context())
	proxy.LoseReply("{shop}:lock")
	_, err = far.Lock(t.Context(), "shop", "far", time.Hour)
	if err == nil || errors.Is(err, coordinator.ErrLocked) {
		t.Fatalf("Lock whose reply was lost: error %v", err)
	}
	// The same connection pool serves in order: this call follows the other.
	for range 20 {
		if locked, err := far.Holder(t.Context(), "shop"); err != nil || locked == nil || locked.Holder != "near" {
			t.Fatalf("the lock is held by %+v, %v; want near", locked, err)
		}
	}
}

// TestSwapReplyLost: the same swap, sent again, succeeds and leaves one entry
// in the history.
func TestSwapReplyLost(t *testing.T) {
	t.Parallel()
	far, near, proxy, _ := behindProxy(t)
	first := write(t, near, "shop", coordinator.Record{})
	next := child(first)
	event := coordinator.Event{Kind: coordinator.EventMinted, Name: "shop"}
	lost := proxy.LoseReply(next.Stamp().String())
	if _, err := far.Swap(t.Context(), "shop", first.Stamp(), next, event); err == nil || errors.Is(err, coordinator.ErrConflict) {
		t.Fatalf("Swap whose reply was lost: error %v", err)
	}
	wantLost(t, lost)
	if got, _, err := near.Load(t.Context(), "shop"); err != nil || got.Stamp() != next.Stamp() {
		t.Fatalf("the proxy did not let the request through: %v, %v", got.Stamp(), err)
	}
	if _, err := far.Swap(t.Context(), "shop", first.Stamp(), next, event); err != nil {
		t.Errorf("the same Swap again: %v", err)
	}
	if history, err := near.History(t.Context(), "shop", 10); err != nil || len(history) != 2 {
		t.Errorf("history: %d entries, %v; want 2, of the first swap and of this one", len(history), err)
	}
}

// TestLeaseSurvivesLostRenewal: one renewal without an answer is made up for
// by the next, before trust ends.
func TestLeaseSurvivesLostRenewal(t *testing.T) {
	t.Parallel()
	far, near, proxy, _ := behindProxy(t)
	const ttl = 6 * time.Second // room for a machine that stands still for a moment
	lease, err := far.Lock(t.Context(), "shop", "far", ttl)
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Release(t.Context())
	for range 3 {
		wantLost(t, proxy.LoseReply("{shop}:lock"))
	}
	// Without the renewals in between, trust had ended 2 ttl/4 ago.
	time.Sleep(ttl / 4)
	select {
	case <-lease.Lost():
		t.Error("the lease was lost")
	default:
	}
	if locked, err := near.Holder(t.Context(), "shop"); err != nil || locked == nil || locked.Holder != "far" {
		t.Errorf("the lock is held by %+v, %v; want far", locked, err)
	}
}

// TestTrustEndsFirst: when Redis hangs, the holder stops trusting the lock
// before anybody else can get it.
func TestTrustEndsFirst(t *testing.T) {
	t.Parallel()
	far, near, proxy, _ := behindProxy(t)
	const ttl = 3 * time.Second
	lease, err := far.Lock(t.Context(), "shop", "far", ttl)
	if err != nil {
		t.Fatal(err)
	}
	proxy.Stall()
	ctx, cancel := context.WithTimeout(t.Context(), generous)
	defer cancel()
	for {
		next, err := near.Lock(ctx, "shop", "near", ttl)
		if errors.Is(err, coordinator.ErrLocked) {
			time.Sleep(time.Millisecond) // no signal comes from Redis
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		defer next.Release(ctx)
		break
	}
	select {
	case <-lease.Lost():
	default:
		t.Error("two trust the same lock")
	}
	proxy.Resume()
	if err := lease.Release(ctx); err != nil {
		t.Errorf("Release of a lock that had lapsed: %v", err)
	}
	if locked, err := near.Holder(ctx, "shop"); err != nil || locked == nil || locked.Holder != "near" {
		t.Errorf("the lock is held by %+v, %v; want near", locked, err)
	}
}

// TestReleaseOutlivesItsContext: a caller that is told to stop still gives its
// lock back.
func TestReleaseOutlivesItsContext(t *testing.T) {
	t.Parallel()
	server := startMini(t)
	s := open(t, "redis://"+server.Addr(), redisstore.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	lease, err := s.Lock(ctx, "shop", "me", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := lease.Release(ctx); err != nil {
		t.Fatal(err)
	}
	if server.Exists("mintonce:{shop}:lock") {
		t.Error("the lock is still there")
	}
	select {
	case <-lease.Lost():
		t.Error("a lease that was released counts as lost")
	default:
	}
}
