package coordinator_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
)

var errDown = errors.New("connection refused")

const always = 1 << 30

// away makes every call of a member's store fail.
func away(faults *storetest.Faults) {
	for _, op := range []storetest.Op{storetest.Load, storetest.Swap, storetest.Lock} {
		faults.Fail(op, always, errDown)
	}
}

func TestStoreAwayServesUntilTrueExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		c, faults := f.member("a")
		tok := token(t, c)
		end := time.Now().Add(f.provider.life - f.provider.latency)
		away(faults)
		stop := f.runs(c)
		defer stop()
		time.Sleep(time.Until(end) - time.Millisecond)
		if got := token(t, c); got.Value != tok.Value {
			t.Errorf("got %v", got)
		}
		time.Sleep(time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if got, err := c.Token(ctx); !errors.Is(err, coordinator.ErrStoreUnavailable) || !errors.Is(err, errDown) {
			t.Errorf("after its end: %v, %v; want ErrStoreUnavailable with its cause", got, err)
		}
		f.wantMints(1) // no unlocked mint at a provider where the last one wins
		faults.Heal()
		if got := token(t, c); got.Generation != 2 {
			t.Errorf("with the store back: %v", got)
		}
		if f.events.count(coordinator.EventStoreAway) != 1 || f.events.count(coordinator.EventStoreBack) != 1 {
			t.Error("want one event as the store goes, and one as it comes back")
		}
	})
}

func TestUnsavedMintIsServedAndSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		c, faults := f.member("a")
		b, _ := f.member("b")
		go c.Token(context.Background())
		<-f.provider.arrived
		away(faults)
		time.Sleep(time.Second)
		if got := token(t, c); got.Generation != 1 {
			t.Errorf("got %v", got)
		}
		if got := f.record(); got.Grant.Value != "" {
			t.Fatalf("the store has %v already", got)
		}
		time.Sleep(4 * time.Second) // before the attempt is given up
		faults.Heal()
		stop := f.runs(c)
		time.Sleep(5 * time.Second)
		stop()
		if got := token(t, b); got.Generation != 1 {
			t.Errorf("the other process got %v", got)
		}
		f.converged()
		f.wantMints(1)
	})
}

// A lost reply says nothing: the write may have happened. Neither an orphan
// attempt nor a second mint may come of it.
func TestLostReplies(t *testing.T) {
	for _, tc := range []struct {
		name  string
		op    storetest.Op
		skip  int // calls that get their reply
		mints int
	}{
		{"of the first load", storetest.Load, 0, 1},
		{"of the lock", storetest.Lock, 0, 1},
		{"of begin", storetest.Swap, 0, 1},
		{"of commit", storetest.Swap, 1, 1},
		{"of the release", storetest.Release, 0, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				c, faults := f.member("a")
				if tc.skip > 0 {
					faults.Before(tc.op, tc.skip, func() { faults.DropReply(tc.op, 1, errDown) })
				} else {
					faults.DropReply(tc.op, 1, errDown)
				}
				if got := token(t, c); got.Generation != 1 {
					t.Errorf("got %v", got)
				}
				stop := f.runs(c)
				time.Sleep(time.Minute)
				stop()
				f.wantMints(tc.mints)
				f.converged()
			})
		})
	}
}

func TestHungStoreDoesNotHoldCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		c, faults := f.member("a")
		faults.Hang(storetest.Load, always)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		start := time.Now()
		_, err := c.Token(ctx)
		if !errors.Is(err, coordinator.ErrNoToken) || time.Since(start) != 2*time.Second {
			t.Errorf("Token: %v after %s", err, time.Since(start))
		}
		faults.Heal()
		token(t, c)
		f.drain(c)
	})
}

func TestIdempotentSourceNeedsNoStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.provider.traits.Kind, f.provider.traits.RenewsWithin = coordinator.Idempotent, 5*time.Minute
		c, faults := f.member("a")
		away(faults)
		if got := token(t, c); got.Value != "secret-token-1" {
			t.Errorf("got %v", got)
		}
		time.Sleep(time.Hour)
		faults.Heal()
		stop := f.runs(c)
		defer stop()
		time.Sleep(5 * time.Second)
		f.wantMints(1)
		f.converged()
	})
}

// When one look after a hint fails, what the hint was for must still be found
// out: there may be no other.
func TestHintWhoseLookFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		a, _ := f.member("a")
		b, faults := f.member("b")
		token(t, a)
		defer f.runs(b)()
		synctest.Wait()
		faults.Fail(storetest.Load, 2, errDown) // a rotation is two writes, so two hints
		if _, err := a.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if got := token(t, b); got.Generation != 2 {
			t.Errorf("5 s after a rotation, it serves %v", got)
		}
	})
}

// An idempotent source may be asked without the lock, but not be forced: that
// ends the token of everybody else.
func TestNoRotationWithoutTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &forcing{provider: newProvider()}
		source.traits.Kind, source.traits.RenewsWithin = coordinator.Idempotent, 5*time.Minute
		store, faults := storetest.NewFaulty(storetest.NewMemory())
		c, err := coordinator.New("shop", source, store, coordinator.Config{})
		if err != nil {
			t.Fatal(err)
		}
		token(t, c)
		faults.Fail(storetest.Lock, always, errDown)
		if tok, err := c.Rotate(t.Context()); !errors.Is(err, coordinator.ErrStoreUnavailable) || source.forced != 0 {
			t.Errorf("Rotate without locks: %v, %v, forced %d times", tok, err, source.forced)
		}
		faults.Heal()
		if _, err := c.Rotate(t.Context()); err != nil || source.forced != 1 {
			t.Errorf("Rotate: %v, forced %d times", err, source.forced)
		}
	})
}

// Two histories of an idempotent source that hold the same token need no call
// to tell which is right.
func TestForkOfAnIdempotentSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.provider.traits.Kind, f.provider.traits.RenewsWithin = coordinator.Idempotent, 5*time.Minute
		a, faults := f.member("a")
		b, _ := f.member("b")
		token(t, b)
		away(faults)
		token(t, a) // minted without the store: a history of its own
		faults.Heal()
		stop := f.runs(a)
		defer stop()
		time.Sleep(time.Minute)
		f.converged()
		if n := f.events.count(coordinator.EventConfirmed); n > 1 {
			t.Errorf("the provider was asked %d times more", n)
		}
	})
}

// TestStoreThatOnlyReads: a store that is out of memory, or has become a
// replica, still tells what it holds. A process that starts then finds an
// attempt to be given up, cannot write that, and serves the token all the same
// (found by simulation).
func TestStoreThatOnlyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		a, _ := f.member("a")
		tok := token(t, a)
		f.provider.fail(errors.New("no answer"))
		if _, err := a.Rotate(t.Context()); err == nil {
			t.Fatal("want a rotation without an answer")
		}
		time.Sleep(time.Minute)
		if got := f.record(); len(got.Attempts) != 1 {
			t.Fatalf("want an attempt that is overdue: %v", got)
		}
		b, faults := f.member("b")
		faults.Fail(storetest.Swap, storetest.Always, errDown)
		faults.Fail(storetest.Lock, storetest.Always, errDown)
		defer f.runs(b)()
		if got := token(t, b); got.Value != tok.Value {
			t.Errorf("got %v", got)
		}
		synctest.Wait() // the token is there before the write has failed
		away := f.events.count(coordinator.EventStoreAway)
		time.Sleep(time.Minute)
		if now := f.events.count(coordinator.EventStoreAway); away != 1 || now != 1 {
			t.Errorf("said that the store is away %d times, a minute later %d times, want once", away, now)
		}
		faults.Heal()
		time.Sleep(5 * time.Second)
		if got := f.events.count(coordinator.EventStoreBack); got != 1 {
			t.Errorf("said that the store is back %d times, want once", got)
		}
		if got := token(t, b); got.Generation != 2 {
			t.Errorf("with the store back: %v", got)
		}
	})
}

// TestReportOutlastsTheStore: the current token is rejected while the store is
// away, as when a failover has lost the lock and two mints overlapped. The call
// waits, and is served with the successor that somebody else has minted
// meanwhile (found by chaos on a real Redis).
func TestReportOutlastsTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		a, faults := f.member("a")
		b, _ := f.member("b")
		defer f.runs(a)()
		dead := token(t, a)
		time.Sleep(time.Minute)
		faults.Fail(storetest.Load, storetest.Always, errDown)
		faults.Fail(storetest.Swap, storetest.Always, errDown)
		if _, err := b.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		reported := make(chan error, 1)
		go func() { reported <- a.Report(t.Context(), dead.Value, &coordinator.RejectedError{Code: 40001}) }()
		time.Sleep(3 * time.Second)
		select {
		case err := <-reported:
			t.Errorf("the report did not wait for the store: %v", err)
		default:
		}
		faults.Heal()
		if err := <-reported; err != nil {
			t.Error(err)
		}
		if got := token(t, a); got.Generation != 2 {
			t.Errorf("after the report: %v", got)
		}
		f.wantMints(2)

		// It waits no longer than its caller, nor than MaxWait, and not at all
		// for what is none of its tokens.
		faults.Fail(storetest.Load, storetest.Always, errDown)
		faults.Fail(storetest.Swap, storetest.Always, errDown)
		time.Sleep(time.Minute)
		for _, test := range []struct {
			value          string
			patience, want time.Duration
		}{{token(t, a).Value, 5 * time.Second, 5 * time.Second}, {token(t, a).Value, time.Hour, 30 * time.Second}, {"never heard of", time.Hour, 0}} {
			ctx, cancel := context.WithTimeout(t.Context(), test.patience)
			began := time.Now()
			err := a.Report(ctx, test.value, nil)
			cancel()
			if took := time.Since(began); !errors.Is(err, coordinator.ErrStoreUnavailable) || took < test.want || took > test.want+2*time.Second {
				t.Errorf("with %s to wait: %v after %s, want %s", test.patience, err, took, test.want)
			}
		}
		faults.Heal()
	})
}

// TestHintDuringAFlightOfACaller: a look that was answered before the change
// that the hint is about does not use the hint up (found by simulation).
func TestHintDuringAFlightOfACaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		a, _ := f.member("a")
		b, faults := f.member("b")
		token(t, a)
		<-f.provider.arrived
		defer f.runs(b)()
		go a.Rotate(t.Context())
		<-f.provider.arrived
		synctest.Wait()                                       // b has heard that it began
		faults.Delay(storetest.Load, 1, 500*time.Millisecond) // until after the commit
		go b.Refresh(t.Context())
		time.Sleep(5 * time.Second)
		if got := token(t, b); got.Generation != 2 {
			t.Errorf("5 s after a rotation, it serves %v", got)
		}
	})
}

// TestForkWhereNothingCanBeWritten: what others have minted is served, though
// the two histories cannot be joined yet (found by simulation).
func TestForkWhereNothingCanBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		a, _ := f.member("a")
		b, faults := f.member("b")
		first := token(t, a)
		token(t, b)
		before := f.memory.Contents()
		if _, err := b.Rotate(t.Context()); err != nil { // a has not heard of it
			t.Fatal(err)
		}
		f.memory.Restore(before) // and is never to hear of it
		time.Sleep(time.Minute)
		second, err := a.Rotate(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		faults.Fail(storetest.Swap, storetest.Always, errDown)
		faults.Fail(storetest.Lock, storetest.Always, errDown)
		defer f.runs(b)()
		time.Sleep(time.Second)
		if got := token(t, b); got.Value != second.Value || got.Value == first.Value {
			t.Errorf("got %v, want the token that the store holds, %v", got, second)
		}
	})
}

// TestLongOutageOfBoth: failures that could not be written do not push out of
// the lineage what tells that the store has missed nothing (found by
// simulation).
func TestLongOutageOfBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.provider.traits.Kind, f.provider.traits.RenewsWithin = coordinator.Idempotent, 5*time.Minute
		c, faults := f.member("a")
		tok := token(t, c)
		away(faults)
		for range 100 {
			f.provider.fail(errDown)
		}
		defer f.runs(c)()
		time.Sleep(time.Until(tok.ExpiresAt()) + 2*time.Hour)
		faults.Heal()
		if got := token(t, c); got.Generation != 2 {
			t.Errorf("got %v", got)
		}
		time.Sleep(time.Minute)
		if got := f.events.count(coordinator.EventForked); got != 0 {
			t.Errorf("%d forks, though nobody else has written", got)
		}
	})
}

// TestRollBackDuringAMint: the store loses the announcement of a mint under
// way. Its commit puts that back first, so it is no late one: no doubt, and no
// other mint.
func TestRollBackDuringAMint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		a, _ := f.member("a")
		token(t, a)
		<-f.provider.arrived
		before := f.memory.Contents()
		go a.Rotate(t.Context())
		<-f.provider.arrived
		f.memory.Restore(before)
		f.drain(a)
		if got := f.record(); got.Grant.Generation != 2 || got.DoubtAt != 0 || len(got.Attempts) > 0 {
			t.Errorf("after its commit: %v", got)
		}
		f.wantMints(2)
		f.converged()
	})
}

// TestReportToAStoreThatOnlyReads: it is tried again now and then, not as fast
// as the store can refuse (found by profiling the simulation).
func TestReportToAStoreThatOnlyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		a, faults := f.member("a")
		defer f.runs(a)()
		tok := token(t, a)
		time.Sleep(time.Minute)
		faults.Fail(storetest.Swap, storetest.Always, errDown)
		faults.Delay(storetest.Load, storetest.Always, time.Millisecond)
		before := faults.Calls(storetest.Swap)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := a.Report(ctx, tok.Value, nil); !errors.Is(err, coordinator.ErrStoreUnavailable) {
			t.Errorf("Report: %v", err)
		}
		if n := faults.Calls(storetest.Swap) - before; n < 5 || n > 50 {
			t.Errorf("%d tries in 10 s", n)
		}
	})
}

// What a process has read while it tried to write is remembered for the next
// try, even if the store has lost it by then: otherwise two histories come of it
// (found by simulation, seed 203433).
func TestReadBetweenTwoTriesIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		a, faults := f.member("a")
		b, _ := f.member("b")
		token(t, a)
		<-f.provider.arrived
		go a.Rotate(context.Background())
		<-f.provider.arrived
		if _, err := b.Refresh(t.Context()); err != nil { // it knows of the attempt
			t.Fatal(err)
		}
		f.memory.Flush()
		if _, err := b.Refresh(t.Context()); err != nil { // and puts it back
			t.Fatal(err)
		}
		tries := 0
		faults.Before(storetest.Swap, 2, func() {
			if tries++; tries == 2 {
				f.memory.Flush()
			}
		})
		f.drain(a)
		if _, err := b.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.drain(b)
		if n := f.events.count(coordinator.EventForked); n > 0 || tries != 2 {
			t.Errorf("%d forks after %d tries, want none after 2", n, tries)
		}
		f.wantMints(2)
		f.converged()
	})
}
