package coordinator_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
)

// calls counts what became of the calls that a system makes at the provider.
type calls struct{ made, rejected, failed atomic.Int64 }

// call makes one as wechat.Transport does: a rejected token is reported, and
// the call is sent once more if there is another one by then.
func (n *calls) call(ctx context.Context, p *provider, c *coordinator.Coordinator) error {
	n.made.Add(1)
	tok, err := c.Token(ctx)
	if err != nil || p.accepts(tok.Value) {
		return err
	}
	n.rejected.Add(1)
	err = c.Report(ctx, tok.Value, &coordinator.RejectedError{Code: 40001})
	if again, tokenErr := c.Token(ctx); tokenErr != nil || !p.accepts(again.Value) {
		n.failed.Add(1)
	}
	return err
}

// callers lets each coordinator run, and call every ten seconds, until ctx
// ends.
func (f *fleet) callers(ctx context.Context, n *calls, members ...*coordinator.Coordinator) (stop func()) {
	var all sync.WaitGroup
	for i, c := range members {
		all.Go(func() { c.Run(ctx) })
		all.Go(func() {
			time.Sleep(time.Duration(i) * 3 * time.Second)
			for ctx.Err() == nil {
				if err := n.call(ctx, f.provider, c); err != nil && !errors.Is(err, coordinator.ErrForeignMinter) && ctx.Err() == nil {
					f.t.Errorf("a call or report failed: %v", err)
				}
				select {
				case <-time.After(10 * time.Second):
				case <-ctx.Done():
				}
			}
		})
	}
	return all.Wait
}

// strangers mint with the same credential and know nothing of us.
var strangers = []struct {
	name string
	// fight goes on until ctx ends, and counts its mints.
	fight func(ctx context.Context, t *testing.T, p *provider, mints *atomic.Int64)
	// most is how many of our calls may fail, in a hundred.
	most int64
}{
	{"heals as soon as its token is rejected", func(ctx context.Context, _ *testing.T, p *provider, mints *atomic.Int64) {
		for own := ""; ctx.Err() == nil; wait(ctx, 10*time.Second) {
			if !p.accepts(own) {
				own, _ = p.process()
				mints.Add(1)
			}
		}
	}, 0},
	{"keeps its token for two hours, dead or alive", func(ctx context.Context, _ *testing.T, p *provider, mints *atomic.Int64) {
		for ; ctx.Err() == nil; wait(ctx, 2*time.Hour) {
			p.process()
			mints.Add(1)
		}
	}, 0},
	{"mints every two minutes", func(ctx context.Context, _ *testing.T, p *provider, mints *atomic.Int64) {
		for ; ctx.Err() == nil; wait(ctx, 2*time.Minute) {
			p.process()
			mints.Add(1)
		}
	}, 40},
	{"mints for every call of its own", func(ctx context.Context, _ *testing.T, p *provider, mints *atomic.Int64) {
		for ; ctx.Err() == nil; wait(ctx, 5*time.Second) {
			p.process()
			mints.Add(1)
		}
	}, 100},
	{"is another fleet of ours, on a store of its own", func(ctx context.Context, t *testing.T, p *provider, mints *atomic.Int64) {
		other := &fleet{t: t, provider: p, memory: storetest.NewMemory(), events: &events{}}
		a, _ := other.member("test-1")
		b, _ := other.member("test-2")
		other.callers(ctx, new(calls), a, b)()
		mints.Store(int64(other.events.count(coordinator.EventMinted)))
	}, 0},
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// TestTwoSystemsFightForADay: no stranger makes us mint more than every five
// minutes, once we have found out. Where both sides heal, no call of ours fails.
// The stranger is named, and forgotten when it has stopped.
func TestTwoSystemsFightForADay(t *testing.T) {
	for _, stranger := range strangers {
		t.Run(stranger.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				ctx, stop := context.WithCancel(context.Background())
				var ours calls
				var members []*coordinator.Coordinator
				for i := range 3 {
					c, _ := f.member(fmt.Sprint("web-", i+1))
					members = append(members, c)
				}
				wait := f.callers(ctx, &ours, members...)
				time.Sleep(17 * time.Minute)

				fightCtx, peace := context.WithTimeout(ctx, 24*time.Hour)
				defer peace()
				var theirs atomic.Int64
				stranger.fight(fightCtx, t, f.provider, &theirs)

				mints := f.events.count(coordinator.EventMinted)
				// Without a rejection, 24 h take at most 16 mints of 2-hour
				// tokens. One every five minutes is 288, and it takes four, at
				// once and 1, 2 and 4 minutes apart, until they are that.
				if bound := 16 + 288 + 4; mints > bound {
					t.Errorf("%d mints in a day, want at most %d", mints, bound)
				}
				made, failed := ours.made.Load(), ours.failed.Load()
				t.Logf("%d mints of ours, %d of the stranger's; of %d calls %d were rejected, %d failed", mints, theirs.Load(), made, ours.rejected.Load(), failed)
				if failed*100 > made*stranger.most {
					t.Errorf("%d of %d calls failed, want at most %d %%", failed, made, stranger.most)
				}
				f.wantNamed(members[0])

				time.Sleep(6 * time.Minute)
				before, failed := f.events.count(coordinator.EventMinted), ours.failed.Load()
				time.Sleep(5*time.Hour + 45*time.Minute)
				f.converged()
				if n := f.events.count(coordinator.EventMinted) - before; n > 4 || ours.failed.Load() != failed {
					t.Errorf("in peace: %d mints, %d calls failed", n, ours.failed.Load()-failed)
				}
				time.Sleep(20 * time.Minute)
				if st, err := members[0].Status(ctx); err != nil || st.Foreign != nil {
					t.Errorf("six hours after the fight, the status says %+v, %v", st.Foreign, err)
				}
				stop()
				wait()
			})
		})
	}
}

// wantNamed checks that event, status and record name the foreign minter.
func (f *fleet) wantNamed(c *coordinator.Coordinator) {
	f.t.Helper()
	st, err := c.Status(context.Background())
	if err != nil {
		f.t.Fatal(err)
	}
	if s := st.Foreign; s == nil || !s.Named || s.Count < 2 || s.By == "" || !strings.Contains(s.Advice, "share one record") {
		f.t.Errorf("the status says %+v", s)
	}
	named := 0
	for _, e := range st.History {
		if e.Kind == coordinator.EventForeign {
			named++
		}
	}
	if named == 0 || f.events.count(coordinator.EventForeign) == 0 {
		f.t.Errorf("%d events in the history, and %d seen, name the foreign minter", named, f.events.count(coordinator.EventForeign))
	}
	if fields := f.record().Fields(); fields["foreign_count"] == "" || fields["foreign_at"] == "" {
		f.t.Errorf("the record's fields are %v", fields)
	}
}

// TestTheBudgetHoldsInAFight: a stranger must not make us spend what the day's
// refreshes need.
func TestTheBudgetHoldsInAFight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.provider.traits.DailyMints = 50
		c, _ := f.member("web-1")
		ctx, stop := context.WithTimeout(context.Background(), 24*time.Hour) // bubbles begin at midnight
		defer stop()
		var n calls
		var theirs atomic.Int64
		go strangers[2].fight(ctx, t, f.provider, &theirs)
		go c.Run(ctx)
		for ctx.Err() == nil {
			n.call(ctx, f.provider, c)
			wait(ctx, 10*time.Second)
		}
		if got := f.events.count(coordinator.EventMinted); got != 50 {
			t.Errorf("%d mints, want the budget of 50", got)
		}
		time.Sleep(time.Minute)
	})
}

// TestReportsWhileSpacedOut: callers are told at once when the next mint is,
// from memory, and served what there is.
func TestReportsWhileSpacedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		c, faults := f.member("web-1")
		other, _ := f.member("web-2")
		dead := token(t, c)
		for range 2 {
			time.Sleep(31 * time.Second)
			f.provider.process()
			f.provider.process() // twice: the token before is dead at once
			if err := c.Report(t.Context(), dead.Value, nil); err == nil {
				dead = token(t, c)
			}
		}
		f.wantMints(2 + 4)
		loads := faults.Calls(storetest.Load)
		asked := time.Now()
		for range 1000 {
			err := c.Report(t.Context(), dead.Value, nil)
			var foreign *coordinator.ForeignMinterError
			if !errors.As(err, &foreign) || foreign.Count != 2 || foreign.RetryAfter <= 0 || foreign.RetryAfter > time.Minute {
				t.Fatalf("Report: %v, want a ForeignMinterError", err)
			}
			if got := token(t, c); got.Value != dead.Value {
				t.Fatalf("Token returns %v", got)
			}
		}
		if took, n := time.Since(asked), faults.Calls(storetest.Load)-loads; took > 0 || n > 0 {
			t.Errorf("1,000 reports took %s and %d loads", took, n)
		}
		// The others learn it from the record.
		if tok := token(t, other); tok.Value != dead.Value {
			t.Errorf("the other process serves %v", tok)
		}
		if err := other.Report(t.Context(), dead.Value, nil); !errors.Is(err, coordinator.ErrForeignMinter) {
			t.Errorf("Report by another process: %v", err)
		}
		if tok, err := c.Refresh(t.Context()); !errors.Is(err, coordinator.ErrForeignMinter) || tok.Value != dead.Value {
			t.Errorf("Refresh: %v, %v", tok, err)
		}
		f.wantMints(2 + 4)
		// Nobody has to report it again.
		stop := f.runs(c)
		time.Sleep(time.Minute)
		stop()
		f.wantMints(3 + 4)
		f.converged()
		// An operator need not wait.
		f.provider.process()
		f.provider.process()
		time.Sleep(31 * time.Second)
		if err := c.Report(t.Context(), token(t, c).Value, nil); !errors.Is(err, coordinator.ErrForeignMinter) {
			t.Errorf("Report: %v", err)
		}
		if tok, err := c.Rotate(t.Context()); err != nil || !f.provider.accepts(tok.Value) {
			t.Errorf("Rotate: %v, %v", tok, err)
		}
		f.converged()
		f.drain(c, other)
	})
}

// TestACallerThatIsWrongAsksInVain: an idempotent source that vouches for the
// token is not asked at every rejected call.
func TestACallerThatIsWrongAsksInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.provider.traits.Kind, f.provider.traits.RenewsWithin = coordinator.Idempotent, 5*time.Minute
		c, _ := f.member("web-1")
		tok := token(t, c)
		asked := func() int { return len(f.provider.arrived) }
		began, before := time.Now(), asked()
		verdicts := map[coordinator.Verdict]int{}
		for time.Since(began) < time.Hour {
			verdict, err := c.Reject(t.Context(), tok.Value, nil)
			if err != nil {
				t.Fatal(err)
			}
			verdicts[verdict]++
			time.Sleep(time.Second)
		}
		// At 0.5, then 1, 2 and 4 minutes apart, then every five.
		if n := asked() - before; n > 16 || verdicts[coordinator.Acted] != n || verdicts[coordinator.Vouched] == 0 {
			t.Errorf("the source was asked %d times in an hour; verdicts %v", n, verdicts)
		}
		if got := token(t, c); got.Generation != 1 || f.record().DoubtAt != 0 {
			t.Errorf("the token is %v, doubt %q", got, f.record().DoubtReason)
		}
		st, err := c.Status(t.Context())
		if err != nil || st.Foreign == nil || st.Foreign.Named || st.Foreign.Vouched < 5 || f.events.count(coordinator.EventForeign) > 0 {
			t.Errorf("the status says %+v, %v", st.Foreign, err)
		}
		// Forced from outside meanwhile: found when it is asked next.
		f.provider.mu.Lock()
		f.provider.tokens = nil
		f.provider.mu.Unlock()
		time.Sleep(10 * time.Minute)
		if err := c.Report(t.Context(), tok.Value, nil); err != nil {
			t.Fatal(err)
		}
		if got := token(t, c); got.Generation != 2 || f.record().Foreign.Count != 1 || f.record().Foreign.Vouched != 0 {
			t.Errorf("the token is %v, %+v", got, f.record().Foreign)
		}
	})
}
