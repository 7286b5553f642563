package integration_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/wechat/wechattest"
)

// Number 7: under 10,000 calls of Token a second, the token is refreshed ahead
// of time, several times, and no call waits for the provider. Each mint is held
// until many calls of every caller were answered during it; no call may span a whole
// mint.
func TestNoCallWaitsForARefresh(t *testing.T) {
	t.Parallel() // mostly waiting, for the token to become due
	// A token is due in the last quarter of its life, at the latest an eighth
	// before the end: at least 2.5 s for the machine to look around.
	w := newWorld(t, wechattest.Config{Lifetime: 20 * time.Second})
	c := w.embedded("replica")
	if _, err := c.Token(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var work sync.WaitGroup
	defer work.Wait()
	defer stop()
	work.Go(func() { c.Run(ctx) })
	calls := &callers{c: c}
	for i := range calls.done {
		work.Go(func() { calls.run(ctx, i) })
	}

	for range 2 {
		w.holdOneMint(calls, func() {})
	}
	// And once more on an operator's order, from another process.
	operator := w.embedded("operator")
	w.holdOneMint(calls, func() {
		work.Go(func() {
			if _, err := operator.Rotate(context.WithoutCancel(ctx)); err != nil {
				t.Errorf("rotate: %v", err)
			}
		})
	})
	stop()
	work.Wait()
	calls.check(t)
	if minted, requests := w.provider.mints(); minted < 4 || minted != requests {
		t.Errorf("%d mints for %d requests, want at least 4, and as many", minted, requests)
	}
	// A caller that waits for a held mint would keep it until its time is out.
	history, err := w.client().XRange(t.Context(), historyKey, "-", "+").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range history {
		if event := entry.Values["event"]; event != string(coordinator.EventMinted) && event != string(coordinator.EventRotating) {
			t.Errorf("a refresh went wrong: %v", entry.Values)
		}
	}
}

// holdOneMint holds a mint until every caller had many answers during it.
func (w *world) holdOneMint(calls *callers, cause func()) {
	w.t.Helper()
	mint := w.provider.HoldNext(wechattest.Mints)
	cause()
	signalled(w.t, "the refresh begins", mint.Arrived)
	calls.during(w.t, 250)
	mint.Release()
	minted, _ := w.provider.mints()
	eventually(w.t, "the mint is done", func() error {
		if now, _ := w.provider.mints(); now == minted {
			return errNotYet
		}
		return nil
	})
}

// callers call Token at a steady rate, and keep what is remarkable.
type callers struct {
	c    *coordinator.Coordinator
	done [4]atomic.Int64

	mu       sync.Mutex
	holds    []span // while a mint was held
	slow     []span // the calls that took longest
	failures []error
}

type span struct{ from, to time.Time }

// run makes 2,500 calls a second.
func (s *callers) run(ctx context.Context, caller int) {
	ticker := time.NewTicker(4 * time.Millisecond)
	defer ticker.Stop()
	for ctx.Err() == nil {
		for range 10 {
			began := time.Now()
			_, err := s.c.Token(ctx)
			s.note(span{began, time.Now()}, err, ctx)
			s.done[caller].Add(1)
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

func (s *callers) note(call span, err error, ctx context.Context) {
	if err == nil && call.to.Sub(call.from) < time.Millisecond {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slow = append(s.slow, call)
	if err != nil && ctx.Err() == nil {
		s.failures = append(s.failures, err)
	}
}

// during waits until every caller has had some answers, and remembers the time
// in which that was.
func (s *callers) during(t testing.TB, some int64) {
	t.Helper()
	from := time.Now()
	var before [len(s.done)]int64
	for i := range s.done {
		before[i] = s.done[i].Load()
	}
	for i := range s.done {
		eventually(t, "calls are answered while the mint is held", func() error {
			if s.done[i].Load() < before[i]+some {
				return errNotYet
			}
			return nil
		})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holds = append(s.holds, span{from, time.Now()})
}

// check fails the test for calls that failed, and for those that began before
// a mint was held and ended after it.
func (s *callers) check(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	all := int64(0)
	for i := range s.done {
		all += s.done[i].Load()
	}
	if len(s.failures) > 0 {
		t.Errorf("%d of %d calls failed, such as: %v", len(s.failures), all, s.failures[0])
	}
	longest := time.Duration(0)
	for _, call := range s.slow {
		longest = max(longest, call.to.Sub(call.from))
		for _, hold := range s.holds {
			if !call.from.After(hold.from) && !call.to.Before(hold.to) {
				t.Errorf("a call took %s and waited for a mint", call.to.Sub(call.from))
			}
		}
	}
	t.Logf("%d calls; %d took longer than a millisecond, the longest %s", all, len(s.slow), longest)
}
