package coordinator_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
)

func local(t testing.TB) *coordinator.Coordinator {
	t.Helper()
	source := newProvider()
	source.latency = 0
	c, err := coordinator.New("shop", source, storetest.NewMemory(), coordinator.Config{})
	if err != nil {
		t.Fatal(err)
	}
	token(t, c)
	if err := c.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestLocalReadAllocatesNothing(t *testing.T) {
	c := local(t)
	ctx := t.Context()
	if n := testing.AllocsPerRun(1000, func() { c.Token(ctx) }); n != 0 {
		t.Errorf("%v allocations a call", n)
	}
}

// BenchmarkToken is to be read beside BenchmarkFloor: the least that a cached
// token can cost.
func BenchmarkToken(b *testing.B) {
	c := local(b)
	ctx := b.Context()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if tok, err := c.Token(ctx); err != nil || tok.Generation != 1 {
				b.Fatal(tok, err)
			}
		}
	})
}

// BenchmarkFloor is an atomic load and one reading of the monotonic clock.
func BenchmarkFloor(b *testing.B) {
	type cached struct {
		token coordinator.Token
		end   time.Duration
	}
	var current atomic.Pointer[cached]
	current.Store(&cached{token: coordinator.Token{Value: "x", Generation: 1}, end: time.Hour})
	epoch := time.Now()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if c := current.Load(); time.Since(epoch) >= c.end || c.token.Generation != 1 {
				b.Fatal("expired")
			}
		}
	})
}

// BenchmarkGlance is what a dashboard pays for each token, once a second at
// most; BenchmarkStatus beside it asks the store.
func BenchmarkGlance(b *testing.B) {
	c := local(b)
	b.ReportAllocs()
	for b.Loop() {
		if s, err := c.Glance(); err != nil || s.Generation != 1 {
			b.Fatal(s, err)
		}
	}
}

// BenchmarkStatus is over a store in memory: the round trips of a real one come
// on top.
func BenchmarkStatus(b *testing.B) {
	c := local(b)
	b.ReportAllocs()
	for b.Loop() {
		if s, err := c.Status(b.Context()); err != nil || s.Generation != 1 {
			b.Fatal(s, err)
		}
	}
}
