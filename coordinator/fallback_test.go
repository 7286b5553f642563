package coordinator_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
)

func withFallback(store coordinator.Store) func(*coordinator.Config) {
	return func(c *coordinator.Config) { c.Fallback = store }
}

// copied returns the disk of a process that has ended, and the token that it
// minted before: the store and the disk have it.
func (f *fleet) copied() (*storetest.Memory, coordinator.Token) {
	f.t.Helper()
	disk := storetest.NewMemory()
	before, _ := f.member("before", withFallback(disk))
	tok := token(f.t, before)
	f.drain(before)
	return disk, tok
}

func TestFallbackSurvivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.memory.Skew(time.Hour) // the copy must not be judged by this machine's clock
		disk, tok := f.copied()
		end := time.Now().Add(f.provider.life - f.provider.latency)

		after, faults := f.member("after", withFallback(disk))
		away(faults)
		if got := token(t, after); got.Value != tok.Value || got.Generation != tok.Generation {
			t.Errorf("after the restart: %v, want %v", got, tok)
		}
		time.Sleep(time.Until(end) - time.Second)
		if got := token(t, after); got.Value != tok.Value {
			t.Errorf("a second before its end: %v", got)
		}
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if got, err := after.Token(ctx); !errors.Is(err, coordinator.ErrStoreUnavailable) {
			t.Errorf("at its end: %v, %v", got, err)
		}
		f.wantMints(1)
		f.drain(after)
	})
}

func TestFallbackRestoresAFlushedStore(t *testing.T) {
	for failures := range 4 { // of reading the copy
		t.Run(fmt.Sprint(failures, " failures"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				disk, tok := f.copied()
				f.memory.Flush()
				slow, trouble := storetest.NewFaulty(disk)
				trouble.Fail(storetest.Load, failures, errors.New("too many open files"))
				after, _ := f.member("after", withFallback(slow))
				if got := token(t, after); got.Value != tok.Value {
					t.Errorf("after the restart: %v, want %v", got, tok)
				}
				time.Sleep(2 * time.Second) // a look that writes it back
				token(t, after)
				f.drain(after)
				f.wantMints(1)
				f.converged()
			})
		})
	}
}

// The wall clock, by which a copy is judged after a restart, says nothing about
// when the token ends on the store's clock.
func TestFallbackIsPutBackAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		disk, _ := f.copied()
		want := f.record().Grant
		f.memory.Flush()
		f.memory.Skew(30 * time.Minute) // seen from the store, this machine's wall clock was set back
		after, _ := f.member("after", withFallback(disk))
		if _, err := after.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := f.record().Grant; got != want {
			t.Errorf("put back: %v until %s, want %v until %s", got, got.ExpiresAt, want, want.ExpiresAt)
		}
	})
}

func TestStaleFallbackIsIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		disk := storetest.NewMemory()
		old, _ := f.member("old", withFallback(disk))
		token(t, old)
		f.drain(old)
		time.Sleep(24 * time.Hour)
		f.memory.Flush()
		other, _ := f.member("other")
		want := token(t, other)
		restarted, _ := f.member("restarted", withFallback(disk))
		if got := token(t, restarted); got.Value != want.Value {
			t.Errorf("got %v, want %v", got, want)
		}
		f.drain(other, restarted)
		f.wantMints(2)
		f.converged()
	})
}

func TestBrokenFallbackHarmsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		disk, faults := storetest.NewFaulty(storetest.NewMemory())
		away(faults)
		c, _ := f.member("a", withFallback(disk))
		token(t, c)
		f.drain(c)
		f.converged()
		if f.events.count(coordinator.EventCopyFailed) == 0 {
			t.Error("nobody was told")
		}
	})
}

// unwritable is a fallback in a folder whose name ends like our own errors begin.
type unwritable struct{ coordinator.Store }

func (u unwritable) Load(context.Context, string) (coordinator.Record, time.Time, error) {
	return coordinator.Record{}, time.Time{}, fmt.Errorf("mintonce: open /var/lib/mintonce: permission denied: %w", coordinator.ErrBadRecord)
}

func TestDetailKeepsPathsWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		c, _ := f.member("a", withFallback(unwritable{storetest.NewMemory()}))
		token(t, c)
		f.drain(c)
		const want = "open /var/lib/mintonce: permission denied: record is damaged"
		f.events.mu.Lock()
		defer f.events.mu.Unlock()
		i := slices.IndexFunc(f.events.all, func(e coordinator.Event) bool { return e.Kind == coordinator.EventCopyFailed })
		if i < 0 || f.events.all[i].Detail != want {
			t.Errorf("the events are %v, want one that says %q", f.events.all, want)
		}
	})
}

// A rotated refresh token that is lost cannot be had again, so the access
// token is not handed out before it is on a disk.
func TestRotatingTokenIsDurableBeforeUse(t *testing.T) {
	for name, fallback := range map[string]coordinator.Store{"without a fallback": nil, "with a fallback": storetest.NewMemory()} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				f.provider.traits.Kind = coordinator.Rotating
				c, faults := f.member("a", withFallback(fallback))
				go c.Token(context.Background())
				<-f.provider.arrived
				away(faults)
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				_, err := c.Token(ctx)
				if fallback == nil && err == nil {
					t.Error("a token was served that nothing durable holds")
				}
				if fallback != nil && err != nil {
					t.Errorf("the token is on the disk, but: %v", err)
				}
				faults.Heal()
				defer f.runs(c)()
				time.Sleep(5 * time.Second)
				if got := token(t, c); got.Generation != 1 || f.record().Grant.State == "" {
					t.Errorf("got %v, record has the refresh token: %v", got, f.record().Grant.State != "")
				}
				f.wantMints(1)
			})
		})
	}
}

// Another process of the machine may have been faster, with another refresh
// token: then ours is on no disk.
func TestRotatingTokenBesideAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.provider.traits.Kind = coordinator.Rotating
		disk := storetest.NewMemory()
		c, faults := f.member("a", withFallback(disk))
		go c.Token(context.Background())
		<-f.provider.arrived
		away(faults)
		other := stateIn(t, time.Now().Add(5*time.Second), f.provider.traits, "refresh-other")
		if _, err := disk.Swap(t.Context(), "shop", coordinator.Stamp{}, other); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if got, err := c.Token(ctx); err == nil {
			t.Errorf("%v is served, and nothing durable holds its refresh token", got)
		}
		faults.Heal()
		if got := token(t, c); f.record().Grant.Value != got.Value {
			t.Errorf("got %v, the record has %v", got, f.record().Grant)
		}
		f.drain(c)
	})
}

// TestFallbackComesFirst: whatever a process is asked first, it reads its copy
// before the store, which may have lost what the copy has (found by simulation,
// TestRotating seed 2213).
func TestFallbackComesFirst(t *testing.T) {
	for name, ask := range map[string]func(ctx context.Context, c *coordinator.Coordinator) error{
		"rotate": func(ctx context.Context, c *coordinator.Coordinator) error { _, err := c.Rotate(ctx); return err },
		"report": func(ctx context.Context, c *coordinator.Coordinator) error { return c.Report(ctx, "long ago", nil) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				disk := storetest.NewMemory()
				before, _ := f.member("before", withFallback(disk))
				token(t, before)
				older := f.memory.Contents()
				time.Sleep(time.Minute)
				if _, err := before.Rotate(t.Context()); err != nil {
					t.Fatal(err)
				}
				f.drain(before)
				f.memory.Restore(older)

				after, _ := f.member("after", withFallback(disk))
				time.Sleep(time.Minute)
				if err := ask(t.Context(), after); err != nil {
					t.Fatal(err)
				}
				f.drain(after)
				if r := f.record(); r.Grant.Generation < 2 || r.DoubtAt != 0 {
					t.Errorf("the copy had generation 2, and the record is %v", r)
				}
				want := map[string]int{"rotate": 3, "report": 2}[name]
				f.wantMints(want)
				if r := f.record(); r.Grant.Generation != int64(want) {
					t.Errorf("the record is %v after %d mints", r, want)
				}
			})
		})
	}
}
