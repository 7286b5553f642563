package coordinator_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
)

func TestClocks(t *testing.T) {
	for _, skew := range []time.Duration{-time.Hour, time.Hour} {
		t.Run(fmt.Sprint(skew), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				f.memory.Skew(skew) // seen from the store, it is this process that is wrong
				a, _ := f.member("a")
				b, faults := f.member("b")
				token(t, a)
				end := time.Now().Add(f.provider.life - f.provider.latency)
				tok := token(t, b)
				if !tok.ExpiresAt().Equal(end) {
					t.Errorf("expires in %s, want %s", time.Until(tok.ExpiresAt()), time.Until(end))
				}
				away(faults)
				time.Sleep(time.Until(end) - time.Millisecond)
				if got, err := b.Token(t.Context()); err != nil || got.Value != tok.Value {
					t.Errorf("just before its end: %v, %v", got, err)
				}
				time.Sleep(time.Millisecond)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if got, err := b.Token(ctx); err == nil {
					t.Errorf("at its end: %v", got)
				}
				f.drain(a, b)
			})
		})
	}
}

// The clock of a store that jumps back must not lengthen the life of a token
// that this process knows.
func TestStoreClockJumpsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		c, _ := f.member("a")
		tok := token(t, c)
		f.memory.Skew(-time.Hour)
		stop := f.runs(c)
		time.Sleep(f.provider.life - f.provider.latency)
		stop()
		if got, err := c.Token(t.Context()); err == nil && got.Value == tok.Value {
			t.Errorf("served %v after its end", got)
		}
	})
}

// Nor must it where another process has put the token back meanwhile, with its
// end on another clock again (found by simulation, TestRotating seed 710429).
func TestStoreClockJumpsBackTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		a, _ := f.member("a")
		b, _ := f.member("b")
		tok := token(t, a)
		token(t, b)
		look := func(c *coordinator.Coordinator) {
			if _, err := c.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		f.memory.Skew(-time.Minute)
		f.memory.Flush()
		look(a)
		f.memory.Skew(-time.Hour)
		look(b)
		time.Sleep(time.Until(tok.ExpiresAt()))
		if got, err := b.Token(t.Context()); err == nil && got.Value == tok.Value {
			t.Errorf("served %v after its end", got)
		}
	})
}

// The clock of a store that is set back must not keep those from minting who
// have lived through the token's end.
func TestStoreClockSetBackIsNoOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		c, _ := f.member("a")
		token(t, c)
		time.Sleep(time.Hour)
		f.memory.Skew(-time.Hour)
		stop := f.runs(c)
		defer stop()
		for range 90 {
			time.Sleep(time.Minute)
			if tok := token(t, c); !f.provider.accepts(tok.Value) {
				t.Fatalf("served %v, which the provider refuses", tok)
			}
		}
		if f.provider.minted() < 2 {
			t.Error("it was not refreshed")
		}
	})
}

// Where the store's clock was set back, a token that a stranger has killed must
// not be too young to be reported until the clock has caught up.
func TestReportAfterTheClockWasSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		c, _ := f.member("a")
		tok := token(t, c)
		time.Sleep(5 * time.Minute)
		f.memory.Skew(-time.Hour)
		if verdict, err := c.Reject(t.Context(), tok.Value, nil); verdict != coordinator.Acted || err != nil {
			t.Errorf("Reject: %q, %v; want %q", verdict, err, coordinator.Acted)
		}
		f.wantMints(2)
	})
}

// A token that could not be saved at once is put on the clock that the store
// has when it is back: it may be another machine's, or have been set.
func TestUnsavedTokenWhenTheClockWasSet(t *testing.T) {
	for _, by := range []time.Duration{-20 * time.Minute, -5 * time.Second, 0, 5 * time.Second, 20 * time.Minute} {
		t.Run(fmt.Sprint(by), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				c, faults := f.member("a")
				go c.Token(context.Background())
				<-f.provider.arrived
				away(faults)
				time.Sleep(5 * time.Second)
				end := time.Now().Add(time.Until(token(t, c).ExpiresAt()))
				f.memory.Skew(by)
				faults.Heal()
				time.Sleep(5 * time.Second)
				r := f.record()
				if off := r.Grant.ExpiresAt.Sub(end.Add(by)); off > 0 || off < -3*time.Second {
					t.Errorf("the store tells an end that is off by %s", off)
				}
				if r.RefreshAt.Before(r.Grant.IssuedAt) || !r.RefreshAt.Before(r.Grant.ExpiresAt) {
					t.Errorf("issued %s, refreshed %s, expires %s", r.Grant.IssuedAt, r.RefreshAt, r.Grant.ExpiresAt)
				}
				f.drain(c)
				f.converged()
				f.wantMints(1)
			})
		})
	}
}

// Nor is the end of a token that a process minted before it ever heard the store,
// by the time of its copy (found by simulation, seed 630867).
func TestTokenMintedUnheardWhenTheClockWasSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.provider.traits.Kind, f.provider.traits.RenewsWithin = coordinator.Idempotent, 5*time.Minute
		disk, _ := f.copied()
		time.Sleep(f.provider.life - time.Minute) // it is due
		f.memory.Skew(-20 * time.Minute)
		after, faults := f.member("after", withFallback(disk))
		away(faults)
		tok, err := after.Refresh(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		end := tok.ExpiresAt()
		faults.Heal()
		time.Sleep(time.Minute)
		token(t, after)
		f.drain(after)
		if off := f.record().Grant.ExpiresAt.Sub(end.Add(-20 * time.Minute)); off.Abs() > 3*time.Second {
			t.Errorf("the store tells an end that is off by %s", off)
		}
		f.wantMints(2)
	})
}

// A token that the store has lost is put back on the clock that it has then.
func TestLostTokenWhenTheClockWasSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		c, _ := f.member("a")
		tok := token(t, c)
		f.memory.Flush()
		f.memory.Skew(-time.Hour)
		if _, err := c.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, want := f.record().Grant.ExpiresAt, tok.ExpiresAt().Add(-time.Hour); got.Sub(want).Abs() > 3*time.Second {
			t.Errorf("put back with the end %s, want %s", got, want)
		}
	})
}

// TestClockSetBeforeAMint: a process announces its mint by the time at which it
// last heard the store. However far the clock was set since, the mint costs no
// other (found by simulation, seeds 201640 and 204288).
func TestClockSetBeforeAMint(t *testing.T) {
	for by := -time.Minute; by <= time.Minute; by += 500 * time.Millisecond {
		synctest.Test(t, func(t *testing.T) {
			f := newFleet(t)
			c, _ := f.member("a")
			token(t, c)
			stop := f.runs(c)
			time.Sleep(time.Minute)
			f.memory.Skew(by)
			time.Sleep(f.provider.life - 2*time.Minute)
			stop()
			if n := f.events.count(coordinator.EventOverlapped) + f.events.count(coordinator.EventExpired); n > 0 || f.provider.minted() != 2 {
				t.Errorf("clock set by %s: %d mints, want 2; %d times in doubt", by, f.provider.minted(), n)
			}
			f.converged()
		})
	}
}

// An attempt whose time is over is not given up by the very write that says
// what came of it, as long as nobody else has noticed.
func TestCommitPastTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		a, _ := f.member("a")
		b, _ := f.member("b")
		tok := token(t, a)
		token(t, b)
		<-f.provider.arrived
		go a.Rotate(t.Context())
		<-f.provider.arrived
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if verdict, err := b.Reject(ctx, tok.Value, nil); verdict != coordinator.TooYoung || err != nil {
			t.Fatalf("Reject: %q, %v", verdict, err) // it writes, so that the commit meets a conflict
		}
		f.memory.Skew(time.Minute)
		f.drain(a, b)
		if r := f.record(); r.Grant.Generation != 2 || r.DoubtAt != 0 {
			t.Errorf("after its commit: %v", r)
		}
		f.wantMints(2)
		f.converged()
	})
}

// timeless is a store that answers with nothing, as a client may whose
// connection was refused.
type timeless struct {
	coordinator.Store
	refused *atomic.Bool
}

func (s timeless) Load(ctx context.Context, name string) (coordinator.Record, time.Time, error) {
	if s.refused.Load() {
		return coordinator.Record{}, time.Time{}, nil
	}
	return s.Store.Load(ctx, name)
}

// An answer without a time is none: no record must be made of it.
func TestStoreWithoutATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.provider.traits.Kind = coordinator.Idempotent
		var refused atomic.Bool
		refused.Store(true)
		c, err := coordinator.New("shop", f.provider, timeless{f.memory, &refused}, coordinator.Config{Observer: f.events.add})
		if err != nil {
			t.Fatal(err)
		}
		token(t, c) // an idempotent source needs no store
		if status, err := c.Status(t.Context()); err == nil {
			t.Errorf("%+v without an error", status)
		}
		refused.Store(false)
		if _, err := c.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if r := f.record(); r.Grant.IssuedAt.Year() < 2000 || r.Revision() < time.Now().Add(-time.Minute).UnixMilli() {
			t.Errorf("%v, issued %s", r, r.Grant.IssuedAt)
		}
		f.drain(c)
	})
}

// What a process holds on to, because its write got no answer, is told by the
// clock on which it was written, not by the one that it had heard before (found
// by simulation, seed 201611).
func TestUnansweredWriteAfterTheClockWasSet(t *testing.T) {
	for _, by := range []time.Duration{-30 * time.Minute, 30 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			f := newFleet(t)
			f.provider.traits.Kind = coordinator.Idempotent
			a, faults := f.member("a")
			b, _ := f.member("b")
			tok := token(t, a)
			token(t, b)
			end := time.Now().Add(time.Until(tok.ExpiresAt()))
			time.Sleep(5 * time.Minute)
			away(faults)
			a.Report(t.Context(), tok.Value, nil) // asks the provider without the store, which vouches for the token
			f.memory.Skew(by)
			b.Report(t.Context(), tok.Value, nil) // so does b, with the store
			faults.Heal()
			faults.DropReply(storetest.Swap, storetest.Always, nil)
			time.Sleep(time.Minute)
			a.Refresh(t.Context()) // joins the two histories, and hears nothing of it
			faults.Heal()
			away(faults)
			if got := token(t, a); got.Value != tok.Value || got.ExpiresAt().Sub(end).Abs() > 3*time.Second {
				t.Errorf("clock set by %s: %v ends %s too late", by, got, got.ExpiresAt().Sub(end))
			}
			faults.Heal()
			f.drain(a, b)
		})
	}
}

// TestUnsavedTokenWhenTheClockWasSet, for a rotating source: its token is not
// served before it is saved, but its end is on the old clock just the same.
func TestUnsavedRotatingTokenWhenTheClockWasSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.provider.traits.Kind = coordinator.Rotating
		c, faults := f.member("a")
		go c.Token(context.Background())
		<-f.provider.arrived
		end := time.Now().Add(f.provider.life)
		away(faults)
		time.Sleep(5 * time.Second)
		f.memory.Skew(-20 * time.Minute)
		faults.Heal()
		tok := token(t, c)
		if late := tok.ExpiresAt().Sub(end); late > time.Second {
			t.Errorf("%v is served for %s after its end", tok, late)
		}
		f.drain(c)
	})
}
