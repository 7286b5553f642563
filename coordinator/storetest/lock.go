package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// lock takes the lock, which must be free.
func lock(t testing.TB, s coordinator.Store, name, holder string) coordinator.Lease {
	t.Helper()
	lease, err := s.Lock(t.Context(), name, holder, ttl)
	if err != nil {
		t.Fatalf("Lock(%q) for %s: %v", name, holder, err)
	}
	t.Cleanup(func() { lease.Release(context.WithoutCancel(t.Context())) })
	return lease
}

// lockWithin tries to take the lock until d has passed.
func lockWithin(t testing.TB, s coordinator.Store, name, holder string, d time.Duration) coordinator.Lease {
	t.Helper()
	for began := time.Now(); ; pause(t, 5*time.Millisecond) {
		lease, err := s.Lock(t.Context(), name, holder, ttl)
		if err == nil {
			return lease
		}
		if !errors.Is(err, coordinator.ErrLocked) {
			t.Fatalf("Lock(%q) for %s: %v", name, holder, err)
		}
		if time.Since(began) > d {
			t.Fatalf("Lock(%q) for %s: still locked after %s: %v", name, holder, d, err)
		}
	}
}

func release(t testing.TB, lease coordinator.Lease) {
	t.Helper()
	if err := lease.Release(t.Context()); err != nil {
		t.Errorf("Release: %v", err)
	}
}

// wantLocked expects that holder has the lock.
func wantLocked(t testing.TB, s coordinator.Store, name, holder string) {
	t.Helper()
	began := time.Now()
	lease, err := s.Lock(t.Context(), name, "intruder", ttl)
	if err == nil {
		lease.Release(t.Context())
		t.Errorf("Lock(%q) succeeded although %s holds it", name, holder)
		return
	}
	if took := time.Since(began); took > soon {
		t.Errorf("Lock took %s to say that it is held", took)
	}
	var locked *coordinator.LockedError
	if !errors.As(err, &locked) || !errors.Is(err, coordinator.ErrLocked) {
		t.Errorf("Lock(%q): got error %v, want a *LockedError", name, err)
		return
	}
	if locked.Holder != holder && locked.Holder != "" {
		t.Errorf("LockedError.Holder is %q, want %q", locked.Holder, holder)
	}
	if locked.Remaining < 0 || locked.Remaining > ttl {
		t.Errorf("LockedError.Remaining is %s, want from 0 to %s", locked.Remaining, ttl)
	}
}

func wantHeld(t testing.TB, lease coordinator.Lease, when string) {
	t.Helper()
	select {
	case <-lease.Lost():
		t.Errorf("Lost is closed %s", when)
	default:
	}
}

func lockExclusive(t testing.TB, f Fixture) {
	s, other := f.Open(t), f.Open(t)
	lease := lock(t, s, name, "alpha")
	wantLocked(t, s, name, "alpha")
	wantLocked(t, other, name, "alpha")
	if again, err := s.Lock(t.Context(), name, "alpha", ttl); !errors.Is(err, coordinator.ErrLocked) {
		if err == nil {
			again.Release(t.Context())
		}
		t.Errorf("Lock by the holder itself: got error %v, want ErrLocked", err)
	}
	wantHeld(t, lease, "while others were refused")
	r, _ := load(t, other, name)
	wantSame(t, r, coordinator.Record{}, "that was locked but never written")
	// The lock is advice: it does not stop a Swap.
	swap(t, other, name, r, first(time.Now()))
}

// lockRenewed: neither the end of the context of Lock nor that of ttl ends the
// lock. Only Release does.
func lockRenewed(t testing.TB, f Fixture) {
	s, other := f.Open(t), f.Open(t)
	ctx, cancel := context.WithCancel(t.Context())
	lease, err := s.Lock(ctx, name, "alpha", ttl)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for range 6 {
		pause(t, ttl/4)
		wantLocked(t, other, name, "alpha")
		wantHeld(t, lease, "while the lock is renewed")
	}
	release(t, lease)
	release(t, lock(t, other, name, "beta"))
}

func lockRelease(t testing.TB, f Fixture) {
	s, other := f.Open(t), f.Open(t)
	old := lock(t, s, name, "alpha")
	release(t, old)
	release(t, old)
	lease := lock(t, other, name, "beta")
	release(t, old)
	wantLocked(t, s, name, "beta")
	wantHeld(t, lease, "after its former holder released once more")
	release(t, lease)

	var group sync.WaitGroup
	lease = lock(t, s, name, "gamma")
	for range 4 {
		group.Go(func() { release(t, lease) })
	}
	group.Wait()
	release(t, lock(t, s, name, "delta"))
}

// lockRace: many take the lock in turn, and no two at once.
func lockRace(t testing.TB, f Fixture) {
	const racers, turns = 8, 5
	handles := []coordinator.Store{f.Open(t), f.Open(t)}
	var inside, took atomic.Int32
	var group sync.WaitGroup
	for racer := range racers {
		group.Go(func() {
			s, holder := handles[racer%len(handles)], fmt.Sprint("racer-", racer)
			deadline := time.Now().Add(3 * soon)
			for turn := 0; turn < turns && time.Now().Before(deadline); {
				lease, err := s.Lock(t.Context(), name, holder, ttl)
				if err == nil {
					if inside.Add(1) != 1 {
						t.Error("two hold the lock at once")
					}
					time.Sleep(time.Millisecond) // long enough for another to come in
					inside.Add(-1)
					took.Add(1)
					turn++
					err = lease.Release(t.Context())
				}
				if err != nil && !errors.Is(err, coordinator.ErrLocked) {
					t.Errorf("%s: %v", holder, err)
					return
				}
				time.Sleep(time.Duration(1+rand.IntN(4)) * time.Millisecond)
			}
		})
	}
	group.Wait()
	if n := took.Load(); n != racers*turns {
		t.Errorf("the lock was taken %d times, want %d", n, racers*turns)
	}
}

func lockNames(t testing.TB, f Fixture) {
	s, other := f.Open(t), f.Open(t)
	leases := make(map[string]coordinator.Lease)
	for i, name := range names {
		leases[name] = lock(t, s, name, fmt.Sprint("holder-", i))
	}
	for i, name := range names {
		wantLocked(t, other, name, fmt.Sprint("holder-", i))
	}
	release(t, leases[names[0]])
	for i, name := range names[1:] {
		wantLocked(t, other, name, fmt.Sprint("holder-", i+1))
		wantHeld(t, leases[name], "after another name was released")
	}
	release(t, lock(t, other, names[0], "next"))
}

// lockDropped: the store forgot the lock, as in a failover. Its holder learns
// of it before the ttl is over, and does not harm the next one.
func lockDropped(t testing.TB, f Fixture) {
	if f.DropLock == nil {
		t.Skip("Fixture.DropLock is not set")
	}
	s, other := f.Open(t), f.Open(t)
	lease := lock(t, s, name, "alpha")
	f.DropLock(t, name)
	next := lock(t, other, name, "beta")
	select {
	case <-lease.Lost():
	case <-time.After(ttl + soon):
		t.Error("Lost is open although the store dropped the lock more than its ttl ago")
	}
	release(t, lease)
	release(t, lease)
	wantLocked(t, s, name, "beta")
	wantHeld(t, next, "after its predecessor lost the lock and released it")
	release(t, next)
}

func holder(t testing.TB, f Fixture) {
	s, other := f.Open(t), f.Open(t)
	mine, theirs := optional[coordinator.LockInspector](t, s), optional[coordinator.LockInspector](t, other)
	want := func(holder, when string) {
		t.Helper()
		for _, inspector := range []coordinator.LockInspector{mine, theirs} {
			locked, err := inspector.Holder(t.Context(), name)
			switch {
			case err != nil:
				t.Errorf("Holder %s: %v", when, err)
			case holder == "" && locked != nil:
				t.Errorf("Holder %s: %v, want nil", when, locked)
			case holder != "" && (locked == nil || locked.Holder != holder):
				t.Errorf("Holder %s: %v, want %s", when, locked, holder)
			case locked != nil && (locked.Remaining < 0 || locked.Remaining > ttl):
				t.Errorf("Holder %s: Remaining is %s, want from 0 to %s", when, locked.Remaining, ttl)
			}
		}
	}
	want("", "before it was ever locked")
	lease := lock(t, s, name, "alpha")
	want("alpha", "while alpha holds it")
	wantHeld(t, lease, "after others asked who holds it")
	release(t, lease)
	want("", "after it was released")
	lease = lock(t, other, name, "b")
	want("b", "while the next one holds it")
	release(t, lease)
}
