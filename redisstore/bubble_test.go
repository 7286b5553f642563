package redisstore_test

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
	"github.com/mintonce/mintonce/redisstore"
	"github.com/redis/go-redis/v9"
)

// In a bubble of testing/synctest, time stands still until everybody waits: so
// its passing can be told exactly, and without waiting.

// startBubble returns a server without a socket.
func startBubble(t testing.TB) *miniredis.Miniredis {
	server := miniredis.NewMiniRedis()
	server.ClockTTL(true)
	t.Cleanup(server.Close)
	return server
}

// enter returns a store on the server of a bubble.
func enter(t testing.TB, server *miniredis.Miniredis) *redisstore.Store {
	t.Helper()
	o, err := redisstore.ParseURL("redis://127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	o.Dialer = func(context.Context, string, string) (net.Conn, error) { return server.Dial() }
	client := redis.NewUniversalClient(o)
	t.Cleanup(func() { client.Close() })
	return redisstore.New(client, redisstore.Config{})
}

func bubble(t *testing.T) (*miniredis.Miniredis, *redisstore.Store) {
	server := startBubble(t)
	return server, enter(t, server)
}

func TestConformanceMiniredis(t *testing.T) {
	storetest.RunWithin(t, synctest.Test, func(t testing.TB) storetest.Fixture {
		server := startBubble(t)
		return storetest.Fixture{
			Open: func(t testing.TB) coordinator.Store { return enter(t, server) },
			WriteRaw: func(_ testing.TB, name string, fields map[string]string) {
				key := "mintonce:{" + name + "}"
				server.Del(key)
				for field, value := range fields {
					server.HSet(key, field, value)
				}
			},
			DropLock: func(_ testing.TB, name string) { server.Del("mintonce:{" + name + "}:lock") },
		}
	})
}

// TestLeaseTiming: renewed every quarter of the ttl, trusted for nine tenths
// of it, and lost at once when it turns out that somebody took it.
func TestLeaseTiming(t *testing.T) {
	const ttl = 40 * time.Second
	tests := []struct {
		name string
		harm func(*miniredis.Miniredis)
		lost time.Duration // after the lock was taken
	}{
		{"taken", func(m *miniredis.Miniredis) { m.Del("mintonce:{shop}:lock") }, ttl / 4},
		{"no answer", func(m *miniredis.Miniredis) { m.SetError("ERR broken") }, ttl - ttl/10},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server, s := bubble(t)
				began := time.Now()
				lease, err := s.Lock(t.Context(), "shop", "me", ttl)
				if err != nil {
					t.Fatal(err)
				}
				test.harm(server)
				<-lease.Lost()
				if took := time.Since(began); took != test.lost {
					t.Errorf("lost after %s, want %s", took, test.lost)
				}
				server.SetError("")
				if err := lease.Release(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestLeaseIsKept: a lease lives for as long as its holder wants.
func TestLeaseIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, s := bubble(t)
		lease, err := s.Lock(t.Context(), "shop", "me", 4*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		select {
		case <-lease.Lost():
			t.Error("lost")
		default:
		}
		// Renewed a moment ago, at most a quarter of its ttl.
		if left := server.TTL("mintonce:{shop}:lock"); left < 3*time.Second || left > 4*time.Second {
			t.Errorf("the lock has %s left", left)
		}
		if err := lease.Release(t.Context()); err != nil {
			t.Error(err)
		}
		if server.Exists("mintonce:{shop}:lock") {
			t.Error("the lock is still there")
		}
		time.Sleep(time.Hour)
		select {
		case <-lease.Lost():
			t.Error("a lease that was released counts as lost")
		default:
		}
	})
}

// TestFlushIsNoticedInTime: within one round of two seconds, and the pause
// before a new connection.
func TestFlushIsNoticedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, s := bubble(t)
		hints := make(chan time.Time, 10)
		stop := s.Watch("shop", func() { hints <- time.Now() })
		defer stop()
		<-hints
		time.Sleep(time.Minute + time.Millisecond)
		if len(hints) > 0 {
			t.Error("a hint at rest")
		}
		flushed := time.Now()
		server.FlushAll()
		if took := (<-hints).Sub(flushed); took > 3*time.Second {
			t.Errorf("noticed after %s", took)
		}
	})
}

// TestStopIsPrompt: the stop of the last watch breaks off a blocked read.
func TestStopIsPrompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := bubble(t)
		for range 3 {
			hints := make(chan struct{}, 10)
			stop := s.Watch("shop", func() { hints <- struct{}{} })
			<-hints
			synctest.Wait() // until the read blocks
			began := time.Now()
			stop()
			stop()
			if took := time.Since(began); took != 0 {
				t.Errorf("stop took %s", took)
			}
		}
	})
}

// TestWatchAtRest: a hint goes to the watches of its name and to no other. At
// rest there are none, and the number of commands is the documented one.
func TestWatchAtRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, s := bubble(t)
		shop, market := make(chan struct{}, 10), make(chan struct{}, 10)
		defer s.Watch("shop", func() { shop <- struct{}{} })()
		defer s.Watch("market", func() { market <- struct{}{} })()
		<-shop
		<-market
		write(t, s, "shop", coordinator.Record{})
		<-shop
		time.Sleep(time.Second)
		before := server.CommandCount()
		time.Sleep(time.Hour)
		if perMinute := float64(server.CommandCount()-before) / 60; perMinute < 89 || perMinute > 90 {
			t.Errorf("%.1f commands a minute, want 90", perMinute)
		}
		if len(shop)+len(market) > 0 {
			t.Errorf("%d and %d hints at rest", len(shop), len(market))
		}
	})
}

// TestCommandsAreConstant: at rest, 1,000 names cost Redis what one does, and no
// more connections.
func TestCommandsAreConstant(t *testing.T) {
	type cost struct{ commands, connections int }
	costs := make(map[int]cost)
	for _, names := range []int{1, 1000} {
		synctest.Test(t, func(t *testing.T) {
			server, s := bubble(t)
			for i := range names {
				defer s.Watch(fmt.Sprint("name-", i), func() {})()
			}
			time.Sleep(time.Second)
			before := server.CommandCount()
			time.Sleep(time.Hour)
			costs[names] = cost{server.CommandCount() - before, server.CurrentConnectionCount()}
		})
	}
	if costs[1] != costs[1000] || costs[1].commands == 0 || costs[1].connections != 2 { // the pool's, and the follower's
		t.Errorf("by the number of names: %+v", costs)
	}
}

// TestStopDuringHints: a stop that comes while hints are being given waits for
// its own, and prevents it if its turn has not come.
func TestStopDuringHints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, s := bubble(t)
		var stops [2]func()
		var calls [2]atomic.Int32
		var armed atomic.Bool
		entered, proceed := make(chan int), make(chan struct{})
		for i := range stops {
			stops[i] = s.Watch("shop", func() {
				calls[i].Add(1)
				if armed.CompareAndSwap(true, false) {
					entered <- i
					<-proceed
				}
			})
		}
		synctest.Wait() // until both have had their first hint
		armed.Store(true)
		write(t, s, "shop", coordinator.Record{})
		first := <-entered
		other := 1 - first
		before := calls[other].Load()
		stops[other]()
		stopped := make(chan struct{})
		go func() { stops[first](); close(stopped) }()
		synctest.Wait()
		select {
		case <-stopped:
			t.Error("stop did not wait for the hint that was being given")
		default:
		}
		close(proceed)
		<-stopped
		if n := calls[other].Load() - before; n != 0 {
			t.Errorf("%d hints after stop had returned", n)
		}
	})
}
