package coordinator_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
)

// platform is a provider of many accounts, as a platform for merchants has
// them.
type platform struct {
	mu        sync.Mutex
	accounts  map[string]*provider
	minting   int
	mostAtOne int
}

func (p *platform) open(name string) (coordinator.Source, error) {
	if strings.HasPrefix(name, "bad") {
		return nil, errors.New("no such account")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.accounts[name] == nil {
		p.accounts[name] = newProvider()
	}
	return &counted{p.accounts[name], p}, nil
}

func (p *platform) minted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, account := range p.accounts {
		n += account.minted()
	}
	return n
}

// counted counts the mints of a platform that are under way at once.
type counted struct {
	*provider
	platform *platform
}

func (c *counted) Mint(ctx context.Context, prev coordinator.Token) (coordinator.Token, error) {
	c.count(+1)
	defer c.count(-1)
	return c.provider.Mint(ctx, prev)
}

func (c *counted) count(by int) {
	c.platform.mu.Lock()
	defer c.platform.mu.Unlock()
	c.platform.minting += by
	c.platform.mostAtOne = max(c.platform.mostAtOne, c.platform.minting)
}

func group(t testing.TB, p *platform, store coordinator.Store, cfg coordinator.GroupConfig) *coordinator.Group {
	t.Helper()
	g, err := coordinator.NewGroup(store, p.open, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// run lets g.Run go on until the test calls the result.
func run(t testing.TB, g *coordinator.Group) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func names(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("merchant-%05d", i)
	}
	return names
}

func TestGroupMassStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const credentials, concurrent = 1000, 20
		p, memory := &platform{accounts: map[string]*provider{}}, storetest.NewMemory()
		g := group(t, p, memory, coordinator.GroupConfig{Concurrent: concurrent})
		before := runtime.NumGoroutine()
		defer run(t, g)()
		if err := g.Keep(names(credentials)...); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if p.minted() != credentials || p.mostAtOne > concurrent {
			t.Errorf("%d mints, %d at once; want %d, at most %d at once", p.minted(), p.mostAtOne, credentials, concurrent)
		}
		// Memory has a goroutine for each watch; the group must have none.
		if more := runtime.NumGoroutine() - before - credentials; more > 20 {
			t.Errorf("%d goroutines more than before, at rest", more)
		}

		// A second process finds them all, and mints none.
		store, faults := storetest.NewFaulty(memory)
		other := group(t, p, bulkOf(store, memory), coordinator.GroupConfig{})
		defer run(t, other)()
		if err := other.Keep(names(credentials)...); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		for _, name := range names(credentials) {
			if tok, err := other.Token(t.Context(), name); err != nil || tok.Generation != 1 {
				t.Fatalf("%s: %v, %v", name, tok, err)
			}
		}
		if p.minted() != credentials || faults.Calls(storetest.Load) > credentials/10 {
			t.Errorf("%d mints and %d single loads after the second start", p.minted(), faults.Calls(storetest.Load))
		}
	})
}

// bulkOf gives a wrapped store the bulk loads of the one that it wraps.
func bulkOf(store coordinator.Store, bulk coordinator.BulkLoader) coordinator.Store {
	type watcher = coordinator.Watcher
	return struct {
		coordinator.Store
		watcher
		coordinator.BulkLoader
	}{store, store.(coordinator.Watcher), bulk}
}

func TestGroupRefreshesAndSharesTheWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const credentials = 50
		p, memory := &platform{accounts: map[string]*provider{}}, storetest.NewMemory()
		a := group(t, p, memory, coordinator.GroupConfig{Config: coordinator.Config{Instance: "a"}})
		b := group(t, p, memory, coordinator.GroupConfig{Config: coordinator.Config{Instance: "b"}})
		stopA, stopB := run(t, a), run(t, b)
		defer stopB()
		for _, g := range []*coordinator.Group{a, b} {
			if err := g.Keep(names(credentials)...); err != nil {
				t.Fatal(err)
			}
		}
		check := func(groups ...*coordinator.Group) {
			t.Helper()
			for _, g := range groups {
				for _, name := range names(credentials) {
					tok, err := g.Token(t.Context(), name)
					if err != nil || !p.accounts[name].accepts(tok.Value) {
						t.Fatalf("%s: %v, %v", name, tok, err)
					}
				}
			}
		}
		time.Sleep(time.Minute)
		for range 24 {
			check(a, b)
			time.Sleep(15 * time.Minute)
		}
		stopA()
		for range 24 {
			check(b)
			time.Sleep(15 * time.Minute)
		}
		if got, least, most := p.minted(), 6*credentials, 9*credentials; got < least || got > most {
			t.Errorf("%d mints in 12 hours, want %d to %d", got, least, most)
		}
	})
}

func TestGroupLearnsOfOthersAndRestores(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const credentials = 300
		p, memory := &platform{accounts: map[string]*provider{}}, storetest.NewMemory()
		g := group(t, p, memory, coordinator.GroupConfig{})
		defer run(t, g)()
		if err := g.Keep(names(credentials)...); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)

		other := group(t, p, memory, coordinator.GroupConfig{})
		c, err := other.Get("merchant-00007")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if tok, err := g.Token(t.Context(), "merchant-00007"); err != nil || tok.Generation != 2 {
			t.Errorf("a second after somebody rotated it: %v, %v", tok, err)
		}
		memory.Flush()
		time.Sleep(10 * time.Second)
		for _, name := range names(credentials) {
			if r, _, err := memory.Load(t.Context(), name); err != nil || r.Grant.Value == "" {
				t.Fatalf("10 s after a flush, %s: %v, %v", name, r, err)
			}
		}
		if p.minted() != credentials+1 {
			t.Errorf("%d mints, want %d", p.minted(), credentials+1)
		}
	})
}

func TestGroupWithoutStoreAsksSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &platform{accounts: map[string]*provider{}}
		store, faults := storetest.NewFaulty(storetest.NewMemory())
		away(faults)
		g := group(t, p, store, coordinator.GroupConfig{})
		stop := run(t, g)
		if err := g.Keep(names(100)...); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if calls := faults.Calls(storetest.Load); calls > 100*130 {
			t.Errorf("%d loads in a minute without the store", calls)
		}
		faults.Heal()
		time.Sleep(10 * time.Second)
		stop()
		if p.minted() != 100 {
			t.Errorf("%d mints, want 100", p.minted())
		}
	})
}

// A hint whose bulk load fails must not be lost.
func TestGroupHintWhoseLookFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, memory := &platform{accounts: map[string]*provider{}}, storetest.NewMemory()
		flaky := &flakyBulk{Memory: memory}
		g := group(t, p, flaky, coordinator.GroupConfig{})
		defer run(t, g)()
		if err := g.Keep(names(10)...); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		flaky.fail.Store(true)
		other := group(t, p, memory, coordinator.GroupConfig{})
		c, err := other.Get("merchant-00007")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		flaky.fail.Store(false)
		time.Sleep(5 * time.Second)
		if tok, err := g.Token(t.Context(), "merchant-00007"); err != nil || tok.Generation != 2 {
			t.Errorf("after a rotation that was hinted at in vain: %v, %v", tok, err)
		}
		calls := flaky.calls.Load()
		time.Sleep(time.Minute)
		if more := flaky.calls.Load() - calls; more > 0 {
			t.Errorf("%d loads in a minute at rest", more)
		}
	})
}

// flakyBulk is a Memory whose bulk loads may fail.
type flakyBulk struct {
	*storetest.Memory
	fail  atomic.Bool
	calls atomic.Int64
}

func (f *flakyBulk) LoadAll(ctx context.Context, names []string) ([]coordinator.Loaded, error) {
	f.calls.Add(1)
	if f.fail.Load() {
		return nil, errDown
	}
	return f.Memory.LoadAll(ctx, names)
}

func TestGroupMembership(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, memory := &platform{accounts: map[string]*provider{}}, storetest.NewMemory()
		g := group(t, p, memory, coordinator.GroupConfig{IdleAfter: time.Hour})
		defer run(t, g)()
		err := g.Keep("one", "bad-account", "not/a/name", "two")
		if err == nil || !strings.Contains(err.Error(), "bad-account") || !errors.Is(err, coordinator.ErrBadName) {
			t.Errorf("Keep: %v, want the two names that failed", err)
		}
		if _, err := g.Token(t.Context(), "visitor"); err != nil {
			t.Error(err)
		}
		same, _ := g.Get("one")
		if again, _ := g.Get("one"); again != same {
			t.Error("two coordinators of one name")
		}
		if got := strings.Join(g.Names(), " "); got != "one two visitor" {
			t.Errorf("members: %s", got)
		}
		for range 5 { // asked for now and then, so it stays
			time.Sleep(50 * time.Minute)
			if _, err := g.Token(t.Context(), "visitor"); err != nil {
				t.Error(err)
			}
		}
		if got := strings.Join(g.Names(), " "); got != "one two visitor" {
			t.Errorf("members after use: %s", got)
		}
		time.Sleep(3 * time.Hour)
		if got := strings.Join(g.Names(), " "); got != "one two" {
			t.Errorf("members after three idle hours: %s", got)
		}
		g.Drop("two", "never heard of")
		before := p.accounts["two"].minted()
		time.Sleep(6 * time.Hour)
		if got := p.accounts["two"].minted(); got != before {
			t.Errorf("dropped, and minted %d times more", got-before)
		}
		if _, _, err := memory.Load(t.Context(), "two"); err != nil || p.accounts["one"].minted() < 6 {
			t.Errorf("the other one was minted %d times, %v", p.accounts["one"].minted(), err)
		}
	})
}

func TestGroupBadConfig(t *testing.T) {
	p, memory := &platform{}, storetest.NewMemory()
	for want, cfg := range map[string]coordinator.GroupConfig{
		"Concurrent": {Concurrent: -1},
		"IdleAfter":  {IdleAfter: time.Millisecond},
		"Lease":      {Config: coordinator.Config{Lease: time.Millisecond}},
	} {
		if _, err := coordinator.NewGroup(memory, p.open, cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want an error that names %s", cfg, err, want)
		}
	}
	if _, err := coordinator.NewGroup(nil, p.open, coordinator.GroupConfig{}); err == nil {
		t.Error("a group without a store")
	}
	if _, err := coordinator.NewGroup(memory, nil, coordinator.GroupConfig{}); err == nil {
		t.Error("a group without sources")
	}
}

// TestGroupKeepTellsOfEachName: with an error for each, and not with one that
// holds all before it.
func TestGroupKeepTellsOfEachName(t *testing.T) {
	p := &platform{accounts: map[string]*provider{}}
	g := group(t, p, storetest.NewMemory(), coordinator.GroupConfig{})
	bad := make([]string, 100)
	for i := range bad {
		bad[i] = "bad-" + names(100)[i]
	}
	err := g.Keep(bad...)
	all, ok := err.(interface{ Unwrap() []error })
	if !ok || len(all.Unwrap()) != 100 {
		t.Errorf("%T, want 100 errors joined", err)
	}
}
