package coordinator_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
)

func TestColdStartMintsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		var wg sync.WaitGroup
		start := time.Now()
		for i := range 200 {
			c, _ := f.member(fmt.Sprint("replica-", i))
			wg.Go(func() {
				if got := token(t, c).Value; got != "secret-token-1" {
					t.Errorf("token %q", got)
				}
				if took := time.Since(start); took > f.provider.latency+time.Second {
					t.Errorf("took %s", took)
				}
			})
		}
		wg.Wait()
		f.wantMints(1)
		f.converged()
	})
}

func TestRefreshAheadOfTimeNobodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.provider.latency = 5 * time.Second
		c, _ := f.member("refresher")
		reader, _ := f.member("reader")
		first := token(t, c)
		token(t, reader)
		stop := f.runs(c)
		defer stop()
		for range 8 * 60 { // 8 hours
			time.Sleep(time.Minute)
			for _, c := range []*coordinator.Coordinator{c, reader} {
				asked := time.Now()
				tok := token(t, c)
				if waited := time.Since(asked); waited > 0 {
					t.Fatalf("a call waited for %s with a usable token", waited)
				}
				if !f.provider.accepts(tok.Value) {
					t.Fatalf("served %v, which the provider refuses", tok)
				}
			}
		}
		if last := token(t, c); last.Generation < first.Generation+4 || last.Generation > first.Generation+6 {
			t.Errorf("generation %d after 8 hours of 2-hour tokens", last.Generation)
		}
		f.wantMints(int(token(t, c).Generation))
	})
}

func TestWithoutRunTokenAloneRefreshes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		a, _ := f.member("a")
		b, _ := f.member("b")
		for range 12 * 60 * 4 {
			for _, c := range []*coordinator.Coordinator{a, b} {
				if tok := token(t, c); !f.provider.accepts(tok.Value) {
					t.Fatalf("served %v, which the provider refuses", tok)
				}
			}
			time.Sleep(15 * time.Second)
		}
		if got := f.provider.minted(); got < 6 || got > 8 {
			t.Errorf("%d mints in 12 hours", got)
		}
		f.drain(a, b)
	})
}

func (f *fleet) drain(cs ...*coordinator.Coordinator) {
	f.t.Helper()
	for _, c := range cs {
		if err := c.Drain(context.Background()); err != nil {
			f.t.Error(err)
		}
	}
}

// A holder that is paused after the provider processed its mint, past its
// lease, is overtaken; its late commit is not dropped in silence.
func TestPausedHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		hold := make(chan struct{})
		f.provider.hold, f.provider.holdFirst = hold, true
		cfg := func(c *coordinator.Config) { c.MintTimeout = time.Minute }
		paused, _ := f.member("paused", cfg)
		other, _ := f.member("other", cfg)
		go paused.Token(context.Background())
		<-f.provider.arrived
		synctest.Wait()
		f.memory.StopRenewing("shop")

		start := time.Now()
		token(t, other)
		if took, most := time.Since(start), 3*time.Second+f.provider.latency+2*time.Second; took > most {
			t.Errorf("the other process waited for %s, want at most %s", took, most)
		}
		close(hold)
		stop := f.runs(other)
		time.Sleep(2 * time.Minute)
		stop()
		f.drain(paused)
		f.converged()
		if got := f.provider.minted(); got > 3 {
			t.Errorf("%d mints, want at most 3", got)
		}
	})
}

// A holder that dies between sending and committing leaves an attempt that
// becomes doubt; with a usable token, no call fails meanwhile.
func TestDeadHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		c, _ := f.member("survivor")
		token(t, c)
		// The dead process: its attempt is in the record, its mint was processed.
		r := f.record()
		child := r.Child(coordinator.NewStamp(r, time.Now()))
		dead := child.Begin(coordinator.Attempt{ID: "dead", By: "dead", Deadline: time.Now().Add(10 * time.Second).Round(0).UTC()}, time.Now(), f.provider.traits)
		if _, err := f.memory.Swap(context.Background(), "shop", r.Stamp(), dead); err != nil {
			t.Fatal(err)
		}
		f.provider.process()

		stop := f.runs(c)
		defer stop()
		for range 60 {
			if tok := token(t, c); !f.provider.accepts(tok.Value) {
				t.Fatalf("served %v, which the provider refuses", tok)
			}
			time.Sleep(time.Second)
		}
		f.converged()
		f.wantMints(3)
	})
}

func TestFlushAndRollBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		a, _ := f.member("a")
		b, _ := f.member("b")
		old := f.memory.Contents()
		want := token(t, a)
		defer f.runs(a)()
		defer f.runs(b)()
		synctest.Wait()
		for range 3 {
			f.memory.Flush()
			time.Sleep(10 * time.Second)
			if r := f.record(); r.Grant.Value != want.Value || r.Grant.Generation != want.Generation {
				t.Fatalf("10 s after a flush, the record has %v", r.Grant)
			}
		}
		f.memory.Restore(old)
		time.Sleep(10 * time.Second)
		if r := f.record(); r.Grant.Value != want.Value {
			t.Fatalf("10 s after a roll-back, the record has %v", r.Grant)
		}
		f.wantMints(1)
		if f.events.count(coordinator.EventRestored) != 4 {
			t.Errorf("%d restored events, want 4", f.events.count(coordinator.EventRestored))
		}
	})
}

func TestReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		var members []*coordinator.Coordinator
		for i := range 24 {
			c, _ := f.member(fmt.Sprint("replica-", i))
			token(t, c)
			members = append(members, c)
		}
		dead := token(t, members[0])
		time.Sleep(time.Minute)
		report := func(times int) {
			var wg sync.WaitGroup
			for _, c := range members {
				for range times {
					wg.Go(func() {
						if err := c.Report(t.Context(), dead.Value, &coordinator.RejectedError{Code: 40001}); err != nil {
							t.Errorf("Report: %v", err)
						}
						if got := token(t, c); got.Value == dead.Value {
							t.Errorf("after the report, Token still returns %v", got)
						}
					})
				}
			}
			wg.Wait()
		}
		report(1)
		f.wantMints(2)
		if n := f.events.count(coordinator.EventReported); n != 1 {
			t.Errorf("%d reports acted, want 1", n)
		}
		time.Sleep(time.Minute)
		report(50) // late now
		f.wantMints(2)
		f.converged()
		f.drain(members...)
	})
}

func TestYoungAndUnknownReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		c, _ := f.member("a")
		tok := token(t, c)
		for _, tc := range []struct {
			value string
			wait  time.Duration
			want  coordinator.Verdict
		}{
			{tok.Value, 0, coordinator.TooYoung},
			{tok.Value, 0, coordinator.TooYoung},
			{"never heard of", time.Minute, coordinator.Unknown},
			{"", 0, coordinator.Unknown},
			{tok.Value, 0, coordinator.Acted},
			{tok.Value, 0, coordinator.Late},
		} {
			time.Sleep(tc.wait)
			if got, err := c.Reject(t.Context(), tc.value, nil); got != tc.want || err != nil {
				t.Errorf("report of %q: %q, %v; want %q", tc.value, got, err, tc.want)
			}
			if tc.want == coordinator.TooYoung && f.record().EarlyReports != 1 {
				t.Errorf("%d early reports counted, want 1", f.record().EarlyReports)
			}
		}
		f.wantMints(2)
	})
}

// A young token that is rejected while a mint is unresolved may have been killed
// by that mint: its outcome is waited for, so that the caller's one retry has a
// token that works. An attempt without an answer does not hold it up for long.
func TestYoungReportDuringAMint(t *testing.T) {
	for _, tc := range []struct {
		name       string
		lost       bool // whoever mints gets no answer
		runs       bool // the reporter's Coordinator
		patience   time.Duration
		want       coordinator.Verdict // or Late, if it is replaced already
		least      time.Duration       // that it takes
		most       time.Duration
		generation int64
	}{
		{"answered", false, false, time.Minute, coordinator.Late, 3 * time.Second, 5 * time.Second, 2},
		{"answered, and told", false, true, time.Minute, coordinator.Late, 3 * time.Second, 3*time.Second + 200*time.Millisecond, 2},
		{"without an answer", true, false, time.Minute, coordinator.Acted, 9 * time.Second, 16 * time.Second, 2},
		{"no patience", false, false, time.Second, coordinator.TooYoung, time.Second, time.Second, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				a, faults := f.member("a")
				b, _ := f.member("b")
				tok := token(t, a)
				token(t, b)
				<-f.provider.arrived
				if tc.runs {
					defer f.runs(b)()
				}
				hold := make(chan struct{})
				f.provider.hold, f.provider.holdFirst = hold, true
				go a.Rotate(t.Context())
				<-f.provider.arrived
				if tc.lost {
					away(faults) // for good: a dies
				} else {
					time.AfterFunc(3*time.Second, func() { close(hold) })
				}
				ctx, cancel := context.WithTimeout(t.Context(), tc.patience)
				defer cancel()
				began := time.Now()
				verdict, err := b.Reject(ctx, tok.Value, nil)
				if took := time.Since(began); verdict != tc.want && verdict != coordinator.Late || err != nil || took < tc.least || took > tc.most {
					t.Errorf("%q, %v after %s; want %q after %s to %s", verdict, err, took, tc.want, tc.least, tc.most)
				}
				if got := token(t, b); got.Generation != tc.generation {
					t.Errorf("then: %v, want generation %d", got, tc.generation)
				}
				faults.Heal()
				f.drain(a, b)
			})
		})
	}
}

func TestCallerLeavesMintGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		c, _ := f.member("a")
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, err := c.Token(ctx)
		if !errors.Is(err, coordinator.ErrNoToken) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Token: %v, want ErrNoToken and DeadlineExceeded", err)
		}
		if took := time.Since(start); took != 100*time.Millisecond {
			t.Errorf("the caller waited for %s", took)
		}
		f.drain(c)
		if f.record().Grant.Generation != 1 {
			t.Error("the mint was not committed")
		}
		f.wantMints(1)
	})
}

func TestRunEndsAfterCommit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		c, _ := f.member("a")
		stop := f.runs(c)
		<-f.provider.arrived
		stop()
		if r := f.record(); r.Grant.Generation != 1 || len(r.Attempts) != 0 {
			t.Errorf("after Run: %v, %d attempts", r.Grant, len(r.Attempts))
		}
		if holder, _ := f.memory.Holder(t.Context(), "shop"); holder != nil {
			t.Errorf("the lock is still held by %s", holder.Holder)
		}
	})
}

func TestNeverMint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		reader, err := coordinator.New("shop", nil, f.memory, coordinator.Config{NeverMint: true})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := reader.Token(ctx); !errors.Is(err, coordinator.ErrNeverMint) {
			t.Errorf("without a refresher: %v, want ErrNeverMint in the chain", err)
		}
		f.wantMints(0)
		refresher, _ := f.member("refresher")
		defer f.runs(refresher)()
		if got := token(t, reader); got.Generation != 1 {
			t.Errorf("got %v", got)
		}
		time.Sleep(time.Minute)
		if err := reader.Report(t.Context(), "secret-token-1", nil); err != nil {
			t.Errorf("report by a reader: %v", err)
		}
		if got := token(t, reader); got.Generation != 2 {
			t.Errorf("after the report: %v", got)
		}
		if _, err := reader.Rotate(t.Context()); !errors.Is(err, coordinator.ErrNeverMint) {
			t.Errorf("Rotate: %v, want ErrNeverMint", err)
		}
	})
}

func TestForeignRecords(t *testing.T) {
	for _, tc := range []struct {
		name   string
		fields map[string]string
		want   error
	}{
		{"newer", map[string]string{"format": "2", "value": "something new"}, coordinator.ErrNewerRecord},
		{"damaged", map[string]string{"format": "1", "revision": "x"}, coordinator.ErrBadRecord},
		{"not a record", map[string]string{"name": "somebody else's"}, coordinator.ErrBadRecord},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				f.memory.WriteRaw("shop", tc.fields)
				c, _ := f.member("a")
				start := time.Now()
				if _, err := c.Token(t.Context()); !errors.Is(err, tc.want) || time.Since(start) > 0 {
					t.Errorf("Token: %v after %s, want %v at once", err, time.Since(start), tc.want)
				}
				f.wantMints(0)
				if _, _, err := f.memory.Load(t.Context(), "shop"); !errors.Is(err, tc.want) {
					t.Errorf("the record was overwritten: %v", err)
				}
			})
		})
	}
}

func TestCredentialMismatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		ours, _ := f.member("ours")
		token(t, ours)
		theirs := newProvider()
		theirs.traits.Credential = "test:2"
		theirs.mints = 10 // its tokens have other values
		c, err := coordinator.New("shop", theirs, f.memory, coordinator.Config{Instance: "theirs"})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Token(t.Context())
		if !errors.Is(err, coordinator.ErrCredentialMismatch) || !strings.Contains(err.Error(), "test:1") {
			t.Fatalf("Token: %v, want a mismatch that names both", err)
		}
		if theirs.minted() != 10 {
			t.Error("the other credential minted")
		}
		// An operator who has changed the secret says so by rotating.
		if tok, err := c.Rotate(t.Context()); err != nil || tok.Generation != 2 {
			t.Fatalf("Rotate: %v, %v", tok, err)
		}
		if f.record().Credential != "test:2" {
			t.Errorf("the record belongs to %s", f.record().Credential)
		}
	})
}

func TestBadConfig(t *testing.T) {
	memory, source := storetest.NewMemory(), newProvider()
	for _, tc := range []struct {
		name   string
		source coordinator.Source
		store  coordinator.Store
		cfg    coordinator.Config
		want   string
	}{
		{"", source, memory, coordinator.Config{}, "name"},
		{"a/b", source, memory, coordinator.Config{}, "name"},
		{"..", source, memory, coordinator.Config{}, "name"},
		{strings.Repeat("a", 65), source, memory, coordinator.Config{}, "name"},
		{"shop", nil, memory, coordinator.Config{}, "Source"},
		{"shop", source, nil, coordinator.Config{}, "Store"},
		{"shop", source, memory, coordinator.Config{StoreTimeout: 3 * time.Second}, "StoreTimeout"},
		{"shop", source, memory, coordinator.Config{Lease: time.Millisecond}, "Lease"},
		{"shop", source, memory, coordinator.Config{BackoffMin: time.Hour, BackoffMax: time.Second}, "BackoffMax"},
		{"shop", source, memory, coordinator.Config{Instance: "two words"}, "Instance"},
	} {
		if _, err := coordinator.New(tc.name, tc.source, tc.store, tc.cfg); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("New(%q, %+v): %v, want an error that names %s", tc.name, tc.cfg, err, tc.want)
		}
	}
}
