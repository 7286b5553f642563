package coordinator_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
)

// callers ask for tokens of a name all the time, until ctx ends.
func callers(ctx context.Context, g *coordinator.Group, name string) {
	for range 2 {
		go func() {
			for ctx.Err() == nil {
				g.Token(ctx, name)
				select {
				case <-ctx.Done():
				case <-time.After(time.Second / 4):
				}
			}
		}()
		time.Sleep(7 * time.Second)
	}
}

// Credentials whose provider is down, and whose callers wait, must not keep Run
// from refreshing the others.
func TestGroupRefreshesWhileCallersWaitForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, memory := &platform{accounts: map[string]*provider{}}, storetest.NewMemory()
		for _, name := range []string{"down-1", "down-2"} {
			p.accounts[name] = newProvider()
			for range 10000 {
				p.accounts[name].fail(&coordinator.SourceError{Class: coordinator.Transient, Message: "system error", Refused: true})
			}
		}
		g := group(t, p, memory, coordinator.GroupConfig{Concurrent: 2})
		ctx, cancel := context.WithCancel(context.Background())
		stop := run(t, g)
		if err := g.Keep("good"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := g.Keep("down-1", "down-2"); err != nil {
			t.Fatal(err)
		}
		callers(ctx, g, "down-1")
		callers(ctx, g, "down-2")
		time.Sleep(3 * time.Hour)
		good, err := g.Get("good")
		if err != nil {
			t.Fatal(err)
		}
		if tok, err := good.Peek(); err != nil || tok.Generation < 2 {
			t.Errorf("after three hours, the one whose provider works has %v, %v", tok, err)
		}
		cancel()
		stop()
	})
}

// Callers that wait must not hold up the end of Run.
func TestGroupRunEndsThoughCallersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, memory := &platform{accounts: map[string]*provider{}}, storetest.NewMemory()
		p.accounts["down"] = newProvider()
		for range 10000 {
			p.accounts["down"].fail(&coordinator.SourceError{Class: coordinator.Transient, Message: "system error", Refused: true})
		}
		g := group(t, p, memory, coordinator.GroupConfig{})
		stop := run(t, g)
		if err := g.Keep("down"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		callers(ctx, g, "down")
		time.AfterFunc(10*time.Minute, cancel)
		start := time.Now()
		stop()
		if d := time.Since(start); d > 30*time.Second {
			t.Errorf("Run ended %s after its context", d)
		}
		cancel()
		time.Sleep(time.Minute)
	})
}

// What Run had in hand when it ended has a turn when Run is called again.
func TestGroupRunAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, memory := &platform{accounts: map[string]*provider{}}, storetest.NewMemory()
		hung := &hungBulk{Memory: memory}
		hung.hang.Store(true)
		g := group(t, p, hung, coordinator.GroupConfig{})
		stop := run(t, g)
		for _, name := range names(6) {
			if err := g.Keep(name); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond) // one batch each
		}
		stop()
		hung.hang.Store(false)
		defer run(t, g)()
		time.Sleep(24 * time.Hour)
		for _, name := range names(6) {
			c, err := g.Get(name)
			if err != nil {
				t.Fatal(err)
			}
			if tok, err := c.Peek(); err != nil {
				t.Errorf("%s was never looked at: %v, %v", name, tok, err)
			}
		}
	})
}

type hungBulk struct {
	*storetest.Memory
	hang  atomic.Bool
	calls atomic.Int64
}

func (h *hungBulk) LoadAll(ctx context.Context, names []string) ([]coordinator.Loaded, error) {
	h.calls.Add(1)
	if h.hang.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	time.Sleep(10 * time.Millisecond)
	return h.Memory.LoadAll(ctx, names)
}

// TestStoreClockSetBackIsNoOutage, for a Group.
func TestGroupWhenTheStoreClockIsSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, memory := &platform{accounts: map[string]*provider{}}, storetest.NewMemory()
		bulk := &hungBulk{Memory: memory}
		g := group(t, p, bulk, coordinator.GroupConfig{})
		defer run(t, g)()
		if err := g.Keep("shop"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		memory.Skew(-time.Hour)
		before := bulk.calls.Load()
		c, err := g.Get("shop")
		if err != nil {
			t.Fatal(err)
		}
		for minute := range 90 {
			time.Sleep(time.Minute)
			_, err := c.Peek()
			if err != nil {
				time.Sleep(10 * time.Second) // it may be about to be minted
				_, err = c.Peek()
			}
			if err != nil {
				t.Fatalf("minute %d: %v; %d bulk loads", minute+1, err, bulk.calls.Load()-before)
			}
		}
	})
}

// A token that could not be saved is not forgotten because nobody asks for it.
func TestGroupKeepsAnUnsavedTokenThatIsIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, memory := &platform{accounts: map[string]*provider{}}, storetest.NewMemory()
		store, faults := storetest.NewFaulty(memory)
		g := group(t, p, store, coordinator.GroupConfig{IdleAfter: time.Minute})
		defer run(t, g)()
		first := make(chan coordinator.Token, 1)
		go func() { tok, _ := g.Token(context.Background(), "shop"); first <- tok }()
		time.Sleep(100 * time.Millisecond)
		away(faults)
		tok := <-first
		time.Sleep(10 * time.Minute)
		faults.Heal()
		again, err := g.Token(t.Context(), "shop")
		if err != nil || again.Value != tok.Value {
			t.Errorf("had %v, now %v, %v: %d mints", tok, again, err, p.minted())
		}
	})
}

// eager is a Watcher that gives its first hint before Watch returns. Nothing in
// its contract forbids that.
type eager struct{ coordinator.Store }

func (eager) Watch(_ string, notify func()) (stop func()) { notify(); return func() {} }

func TestGroupOnAnEagerWatcher(t *testing.T) {
	p := &platform{accounts: map[string]*provider{}}
	g := group(t, p, eager{storetest.NewMemory()}, coordinator.GroupConfig{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go g.Run(ctx)
	time.Sleep(50 * time.Millisecond)
	kept := make(chan error, 1)
	go func() { kept <- g.Keep("shop") }()
	select {
	case err := <-kept:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("Keep does not return")
	}
}

// A hint that comes when the token is over by this process's own account, and
// not by the store's clock, must not make Run spin.
func TestGroupDoesNotSpinWhenTheStoreClockWasSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, memory := &platform{accounts: map[string]*provider{}}, storetest.NewMemory()
		bulk := &hungBulk{Memory: memory}
		g := group(t, p, bulk, coordinator.GroupConfig{})
		defer run(t, g)()
		if err := g.Keep("shop"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		memory.Skew(-time.Hour)
		time.Sleep(61 * time.Minute)
		memory.Restore(memory.Contents()) // all are told to look again
		before := bulk.calls.Load()
		time.Sleep(10 * time.Second)
		if n := bulk.calls.Load() - before; n > 20 {
			t.Errorf("%d bulk loads within 10 s", n)
		}
	})
}

// A mint that was begun for a caller, after it had to wait, is committed when
// Run returns.
func TestGroupRunEndsAfterAMintThatHadToWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, memory := &platform{accounts: map[string]*provider{}}, storetest.NewMemory()
		shop := newProvider()
		shop.latency = 5 * time.Second
		p.accounts["shop"] = shop
		lease, err := memory.Lock(t.Context(), "shop", "somebody else", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		g := group(t, p, memory, coordinator.GroupConfig{})
		stop := run(t, g)
		go g.Token(context.Background(), "shop")
		time.Sleep(3 * time.Second)
		if err := lease.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-shop.arrived
		stop()
		if r, _, err := memory.Load(t.Context(), "shop"); err != nil || r.Grant.Generation != 1 || len(r.Attempts) > 0 {
			t.Errorf("when Run has returned: %v, %v", r, err)
		}
	})
}

// Run may be active several times, and all of them may end at once.
func TestGroupSeveralRunsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, memory := &platform{accounts: map[string]*provider{}}, storetest.NewMemory()
		for _, name := range []string{"one", "two"} {
			p.accounts[name] = newProvider()
		}
		p.accounts["one"].latency = 3 * time.Second
		p.accounts["two"].latency = 5 * time.Second
		g := group(t, p, memory, coordinator.GroupConfig{Concurrent: 2})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 2)
		for range 2 {
			go func() { done <- g.Run(ctx) }()
		}
		if err := g.Keep("one", "two"); err != nil {
			t.Fatal(err)
		}
		<-p.accounts["one"].arrived
		<-p.accounts["two"].arrived
		cancel()
		for range 2 {
			select {
			case err := <-done:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(time.Minute):
				t.Fatal("Run does not return")
			}
		}
	})
}

// A mint that could not be announced once must not make the group look at the
// credential by itself for ever after.
func TestGroupLooksInBulkAfterAFailedMint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, memory := &platform{accounts: map[string]*provider{}}, storetest.NewMemory()
		store, faults := storetest.NewFaulty(memory)
		g := group(t, p, bulkOf(store, memory), coordinator.GroupConfig{})
		defer run(t, g)()
		if err := g.Keep(names(50)...); err != nil {
			t.Fatal(err)
		}
		faults.Fail(storetest.Swap, 50, errDown)
		time.Sleep(time.Minute)
		if p.minted() != 50 {
			t.Fatalf("%d mints", p.minted())
		}
		before := faults.Calls(storetest.Load)
		memory.Restore(memory.Contents()) // all are told to look again
		time.Sleep(time.Minute)
		if n := faults.Calls(storetest.Load) - before; n > 5 {
			t.Errorf("%d single loads", n)
		}
	})
}

// A rejected token whose replacement fails, for a caller who goes away, is
// replaced by Run as soon as the back-off allows, and not at its planned refresh.
func TestGroupHealsWithoutCallers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, memory := &platform{accounts: map[string]*provider{}}, &announcing{Memory: storetest.NewMemory()}
		shop := newProvider()
		p.accounts["shop"] = shop
		g := group(t, p, late{memory}, coordinator.GroupConfig{})
		defer run(t, g)()
		if err := g.Keep("shop"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		c, err := g.Get("shop")
		if err != nil {
			t.Fatal(err)
		}
		tok := token(t, c)
		for range 3 {
			shop.fail(&coordinator.SourceError{Class: coordinator.Transient, Message: "down", Refused: true})
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second/10)
		defer cancel()
		if err := c.Report(ctx, tok.Value, &coordinator.RejectedError{Code: 40001}); err == nil {
			t.Error("the provider is down, and Report says that all is well")
		}
		time.Sleep(5 * time.Minute)
		if now, err := c.Peek(); err != nil || now.Generation != 2 {
			t.Errorf("five minutes after a rejection: %v, %v", now, err)
		}
	})
}

// late tells of each write a moment after the writer has its answer.
type late struct{ *announcing }

func (l late) WatchAll(notify func(coordinator.Change)) (stop func()) {
	return l.announcing.WatchAll(func(news coordinator.Change) {
		time.AfterFunc(10*time.Millisecond, func() { notify(news) })
	})
}
