package coordinator_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
)

// A mint that was never sent took no time, and is no silence of the provider.
func TestLeaseLostBeforeSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		said := make(chan string, 10)
		c, err := coordinator.New("shop", f.provider, lostLocks{f.memory, new(atomic.Int64)}, coordinator.Config{Observer: func(e coordinator.Event) {
			if e.Took > time.Minute {
				t.Errorf("event %q took %s", e.Kind, e.Took)
			}
			if e.Kind == coordinator.EventFailed {
				said <- e.Detail
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		c.Token(ctx)
		f.drain(c)
		if detail := <-said; !strings.Contains(detail, "nothing was sent") {
			t.Errorf("the history says %q", detail)
		}
	})
}

type lostLocks struct {
	*storetest.Memory
	taken *atomic.Int64
}

func (s lostLocks) Lock(ctx context.Context, name, holder string, ttl time.Duration) (coordinator.Lease, error) {
	l, err := s.Memory.Lock(ctx, name, holder, ttl)
	if err != nil || s.taken.Add(1) > 1 { // a process that is paused once, after it took the lock
		return l, err
	}
	lost := make(chan struct{})
	close(lost)
	return lostLease{l, lost}, nil
}

type lostLease struct {
	coordinator.Lease
	lost chan struct{}
}

func (l lostLease) Lost() <-chan struct{} { return l.lost }
