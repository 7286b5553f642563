package linearizability_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/anishathalye/porcupine"
	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
	"github.com/mintonce/mintonce/filestore"
	"github.com/mintonce/mintonce/internal/faultproxy"
	"github.com/mintonce/mintonce/internal/redistest"
	"github.com/mintonce/mintonce/redisstore"
)

// disturbed wraps a store so that some of its answers get lost, or are late.
func disturbed(store coordinator.Store) (coordinator.Store, func(*rand.Rand)) {
	faulty, faults := storetest.NewFaulty(store)
	return faulty, func(dice *rand.Rand) {
		switch dice.IntN(20) {
		case 0:
			faults.DropReply(storetest.Swap, 1, nil)
		case 1:
			faults.Delay(storetest.Any, 1, time.Duration(dice.IntN(2000))*time.Microsecond)
		case 2:
			faults.Fail(storetest.Swap, 1, nil)
		}
	}
}

// check records histories over a store, each of a record of its own.
func check(t *testing.T, open func() (coordinator.Store, func(*rand.Rand))) {
	t.Helper()
	sum, lost := 0, 0
	for round := range rounds(t) {
		h := record(t, fmt.Sprint("shop-", round), open)
		if result := h.verdict(t); result != porcupine.Ok {
			t.Fatalf("round %d: the history of %d calls is %s", round, len(h.all), result)
		}
		sum, lost = sum+len(h.all), lost+h.lost
	}
	if lost == 0 {
		t.Error("no answer got lost: the faults do not work")
	}
	t.Logf("%d histories, %d calls, %d swaps without an answer: linearizable", rounds(t), sum, lost)
}

func TestMemory(t *testing.T) {
	memory := storetest.NewMemory()
	check(t, func() (coordinator.Store, func(*rand.Rand)) { return disturbed(memory) })
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	check(t, func() (coordinator.Store, func(*rand.Rand)) {
		store, err := filestore.New(dir, filestore.Config{})
		if err != nil {
			t.Fatal(err)
		}
		return disturbed(store)
	})
}

func TestMiniredis(t *testing.T) {
	server := miniredis.RunT(t)
	check(t, func() (coordinator.Store, func(*rand.Rand)) { return disturbed(onRedis(t, server.Addr())) })
}

// TestRedis loses the answers of a real server on the wire, where the client
// may send again on its own.
func TestRedis(t *testing.T) {
	server := redistest.Start(t)
	check(t, func() (coordinator.Store, func(*rand.Rand)) {
		proxy := faultproxy.New(t, server.Addr())
		store := onRedis(t, proxy.Addr())
		return store, func(dice *rand.Rand) {
			switch dice.IntN(20) {
			case 0:
				proxy.LoseReply("evalsha")
			case 1:
				proxy.Cut()
			}
		}
	})
}

func onRedis(t *testing.T, addr string) coordinator.Store {
	t.Helper()
	client, err := redisstore.Open("redis://" + addr + "/0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return redisstore.New(client, redisstore.Config{})
}

// TestBrokenStoresAreFound: a check that finds nothing wrong must be able to.
func TestBrokenStoresAreFound(t *testing.T) {
	tests := map[string]func(coordinator.Store) coordinator.Store{
		"a swap that does not compare": func(s coordinator.Store) coordinator.Store { return &blind{s} },
		"a load that is behind":        func(s coordinator.Store) coordinator.Store { return &stale{s} },
		"a conflict after the write":   func(s coordinator.Store) coordinator.Store { return &twice{s} },
	}
	for name, broken := range tests {
		t.Run(name, func(t *testing.T) {
			for range 20 {
				memory := broken(storetest.NewMemory())
				h := record(t, "shop", func() (coordinator.Store, func(*rand.Rand)) { return memory, func(*rand.Rand) {} })
				if result, _ := porcupine.CheckOperationsVerbose(register, h.all, time.Minute); result == porcupine.Illegal {
					return
				}
			}
			t.Error("not found in 20 histories")
		})
	}
}

// blind writes whatever is stored.
type blind struct{ coordinator.Store }

func (s *blind) Swap(ctx context.Context, name string, _ coordinator.Stamp, next coordinator.Record, events ...coordinator.Event) (time.Time, error) {
	stored, _, err := s.Load(ctx, name)
	if err != nil {
		return time.Time{}, err
	}
	return s.Store.Swap(ctx, name, stored.Stamp(), next, events...)
}

// stale answers every other load with the write before the last, like a replica
// of Redis that lags.
type stale struct{ coordinator.Store }

func (s *stale) Load(ctx context.Context, name string) (coordinator.Record, time.Time, error) {
	r, now, err := s.Store.Load(ctx, name)
	if rand.IntN(2) == 0 && len(r.Lineage) > 1 {
		r.Lineage = r.Lineage[:len(r.Lineage)-1]
		r.Grant.Value = "token-" + r.Stamp().String()
	}
	return r, now, err
}

// twice sends a swap again whose answer it has, and gets a conflict where
// somebody has written in between.
type twice struct{ coordinator.Store }

func (s *twice) Swap(ctx context.Context, name string, old coordinator.Stamp, next coordinator.Record, events ...coordinator.Event) (time.Time, error) {
	if _, err := s.Store.Swap(ctx, name, old, next, events...); err != nil {
		return time.Time{}, err
	}
	time.Sleep(time.Duration(rand.IntN(100)) * time.Microsecond)
	return s.Store.Swap(ctx, name, old, next, events...)
}
