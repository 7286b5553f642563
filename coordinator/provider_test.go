package coordinator_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
)

// provider is a strict fake: the last mint that it processes wins, the token
// before stays valid for the overlap, any older one dies at once.
type provider struct {
	traits  coordinator.Traits
	life    time.Duration
	latency time.Duration

	mu        sync.Mutex
	mints     int
	tokens    []issued
	failures  []error       // for the next mints, in order
	hold      chan struct{} // if not nil, answers wait until it is closed
	holdFirst bool          // only the next answer waits
	arrived   chan struct{} // gets a value for every request
}

type issued struct {
	value string
	at    time.Time
}

func newProvider() *provider {
	return &provider{
		traits: coordinator.Traits{Overlap: 5 * time.Minute, Credential: "test:1"}, life: 2 * time.Hour, latency: 300 * time.Millisecond,
		arrived: make(chan struct{}, 1000),
	}
}

func (p *provider) Traits() coordinator.Traits { return p.traits }

func (p *provider) Mint(ctx context.Context, prev coordinator.Token) (coordinator.Token, error) {
	sent := time.Now()
	p.arrived <- struct{}{}
	if err := p.refusal(); err != nil {
		return coordinator.Token{}, err
	}
	value, end := p.process()
	hold := p.holding()
	timer := time.NewTimer(p.latency)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return coordinator.Token{}, ctx.Err()
	}
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return coordinator.Token{}, ctx.Err()
		}
	}
	return coordinator.NewToken(value, sent.Add(end.Sub(sent))).WithState("refresh-" + value), nil
}

func (p *provider) refusal() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.failures) == 0 {
		return nil
	}
	err := p.failures[0]
	p.failures = p.failures[1:]
	return err
}

func (p *provider) holding() chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	hold := p.hold
	if p.holdFirst {
		p.hold = nil
	}
	return hold
}

// process is the moment at which the provider issues a token.
func (p *provider) process() (string, time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if n := len(p.tokens); n > 0 && p.traits.Kind == coordinator.Idempotent {
		if last := p.tokens[n-1]; now.Before(last.at.Add(p.life - p.traits.RenewsWithin)) {
			return last.value, last.at.Add(p.life)
		}
	}
	p.mints++
	p.tokens = append(p.tokens, issued{fmt.Sprintf("secret-token-%d", p.mints), now})
	return p.tokens[len(p.tokens)-1].value, now.Add(p.life)
}

func (p *provider) fail(errs ...error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failures = append(p.failures, errs...)
}

func (p *provider) minted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mints
}

// accepts reports whether a call with this token would be served now.
func (p *provider) accepts(value string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, n := time.Now(), len(p.tokens)
	i := n - 1
	for i >= 0 && p.tokens[i].value != value {
		i-- // from the newest: a fight leaves thousands
	}
	switch {
	case i < 0 || now.After(p.tokens[i].at.Add(p.life)):
		return false
	case i == n-1:
		return true
	default:
		return i == n-2 && now.Before(p.tokens[n-1].at.Add(p.traits.Overlap))
	}
}

// fleet is a set of coordinators that share a store and a provider.
type fleet struct {
	t        testing.TB
	provider *provider
	memory   *storetest.Memory
	events   *events
}

func newFleet(t testing.TB) *fleet {
	return &fleet{t: t, provider: newProvider(), memory: storetest.NewMemory(), events: &events{}}
}

// member returns a coordinator of its own process, and the faults of its way
// to the store.
func (f *fleet) member(instance string, adjust ...func(*coordinator.Config)) (*coordinator.Coordinator, *storetest.Faults) {
	f.t.Helper()
	store, faults := storetest.NewFaulty(f.memory)
	cfg := coordinator.Config{Instance: instance, Observer: f.events.add}
	for _, a := range adjust {
		a(&cfg)
	}
	c, err := coordinator.New("shop", f.provider, store, cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	return c, faults
}

// runs lets c.Run go on until the test calls the result, which waits for it.
func (f *fleet) runs(c *coordinator.Coordinator) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Errorf("Run: %v", err)
		}
	})
}

func (f *fleet) record() coordinator.Record {
	f.t.Helper()
	r, _, err := f.memory.Load(context.Background(), "shop")
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

// converged checks that store and provider agree and nothing is open.
func (f *fleet) converged() {
	f.t.Helper()
	r := f.record()
	if !f.provider.accepts(r.Grant.Value) || r.DoubtAt != 0 || len(r.Attempts) != 0 {
		f.t.Errorf("not converged: %v, doubt %q, %d attempts, accepted %v", r.Grant, r.DoubtReason, len(r.Attempts), f.provider.accepts(r.Grant.Value))
	}
}

func (f *fleet) wantMints(want int) {
	f.t.Helper()
	if got := f.provider.minted(); got != want {
		f.t.Errorf("%d mints, want %d", got, want)
	}
}

func token(t testing.TB, c *coordinator.Coordinator) coordinator.Token {
	t.Helper()
	tok, err := c.Token(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

type events struct {
	mu  sync.Mutex
	all []coordinator.Event
}

func (e *events) add(event coordinator.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, event)
}

func (e *events) count(kind coordinator.EventKind) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, event := range e.all {
		if event.Kind == kind {
			n++
		}
	}
	return n
}
