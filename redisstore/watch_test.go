package redisstore_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/faultproxy"
	"github.com/mintonce/mintonce/internal/redistest"
	"github.com/mintonce/mintonce/redisstore"
	"github.com/redis/go-redis/v9"
)

// watched is a watch and its hints.
type watched struct {
	hints chan struct{}
	stop  func()
}

func watch(t *testing.T, s *redisstore.Store, name string) *watched {
	t.Helper()
	w := &watched{hints: make(chan struct{}, 1)}
	w.stop = s.Watch(name, func() {
		select {
		case w.hints <- struct{}{}:
		default:
		}
	})
	t.Cleanup(w.stop)
	return w
}

// want waits for a hint.
func (w *watched) want(t *testing.T, within time.Duration, when string) {
	t.Helper()
	select {
	case <-w.hints:
	case <-time.After(within):
		t.Fatalf("no hint %s, within %s", when, within)
	}
}

// quiet expects that there is no hint for d.
func (w *watched) quiet(t *testing.T, d time.Duration, when string) {
	t.Helper()
	select {
	case <-w.hints:
		t.Errorf("a hint %s", when)
	case <-time.After(d):
	}
}

// TestLossesAreNoticed: whatever the store loses, everybody is told to look
// again, also those whose record nobody touched.
func TestLossesAreNoticed(t *testing.T) {
	t.Parallel()
	losses := map[string]func(ctx context.Context, client redis.UniversalClient) error{
		"flush": func(ctx context.Context, c redis.UniversalClient) error { return c.FlushAll(ctx).Err() },
		"marker": func(ctx context.Context, c redis.UniversalClient) error {
			return c.Set(ctx, "mintonce:marker", "another", 0).Err()
		},
		"roll-back": func(ctx context.Context, c redis.UniversalClient) error {
			newest, err := c.XRevRangeN(ctx, "mintonce:changes", "+", "-", 1).Result()
			if err != nil || len(newest) == 0 {
				return err
			}
			return c.XDel(ctx, "mintonce:changes", newest[0].ID).Err()
		},
		// New entries hide that older ones are gone: only the marker tells.
		"flush and a write": func(ctx context.Context, c redis.UniversalClient) error {
			_, err := c.TxPipelined(ctx, func(p redis.Pipeliner) error {
				p.FlushAll(ctx)
				return p.XAdd(ctx, &redis.XAddArgs{Stream: "mintonce:changes", Values: []string{"name", "market", "generation", "1"}}).Err()
			})
			return err
		},
	}
	for name, lose := range losses {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := redistest.Start(t).URL()
			var broken atomic.Bool // a connection of s, which is told everybody as well, or the loss came twice
			s := open(t, url, redisstore.Config{Warn: func(err error) {
				if late(err) {
					broken.Store(true)
				}
			}})
			other := open(t, url, redisstore.Config{})
			write(t, s, "market", coordinator.Record{})
			mine, theirs := watch(t, s, "shop"), watch(t, other, "shop")
			mine.want(t, generous, "at first")
			theirs.want(t, generous, "at first")
			client := dial(t, url)
			eventually(t, "Redis loses it", func() error {
				err := lose(t.Context(), client)
				if err != nil {
					broken.Store(true)
				}
				return err
			})
			mine.want(t, generous, "after a loss")
			theirs.want(t, generous, "after a loss")
			if marker, err := client.Get(t.Context(), "mintonce:marker").Result(); marker == "" {
				t.Errorf("there is no marker: %v", err)
			}
			// Nothing is lost a second time, and news go on.
			select {
			case <-mine.hints:
				if !broken.Load() {
					t.Error("a hint after the loss was told")
				}
			case <-time.After(3 * time.Second):
			}
			write(t, other, "shop", coordinator.Record{})
			mine.want(t, generous, "after a write")
		})
	}
}

// TestFollowerReconnects: after an outage, everybody is told; news go on. The
// outage is told once.
func TestFollowerReconnects(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := faultproxy.New(t, server.Addr())
	warnings := make(chan error, 100)
	s := open(t, "redis://"+proxy.Addr(), redisstore.Config{Warn: func(err error) { warnings <- err }})
	near := open(t, server.URL(), redisstore.Config{})
	w := watch(t, s, "shop")
	w.want(t, generous, "at first")
	proxy.Refuse()
	r := write(t, near, "shop", coordinator.Record{})
	w.quiet(t, time.Second, "while cut off")
	proxy.Accept()
	w.want(t, generous, "after the outage")
	write(t, near, "shop", r)
	w.want(t, generous, "after a write")
	if n, first := len(warnings), <-warnings; n != 1 || !strings.Contains(first.Error(), "follow the changes") {
		t.Errorf("%d warnings, the first is %v; want 1", n, first)
	}
	// After a round without errors, which takes a busy machine some time, the next
	// outage is another one.
	eventually(t, "a second outage is told", func() error {
		time.Sleep(3 * time.Second)
		proxy.Cut()
		select {
		case <-warnings:
			return nil
		case <-time.After(3 * time.Second):
			return errors.New("there is no warning")
		}
	})
}

// TestFollowerWithoutPermission: a follower that may not read the stream warns
// once, and does not send everybody to look again and again.
func TestFollowerWithoutPermission(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	if err := dial(t, server.URL()).Do(t.Context(), "ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", "-xread").Err(); err != nil {
		t.Fatal(err)
	}
	warnings := make(chan error, 100)
	s := open(t, "redis://app:pw@"+server.Addr(), redisstore.Config{Warn: func(err error) { warnings <- err }})
	w := watch(t, s, "shop")
	if err := <-warnings; !strings.Contains(err.Error(), "XREAD") {
		t.Errorf("warning: %v", err)
	}
	w.quiet(t, 2*time.Second, "from a follower that cannot read")
	if len(warnings) > 0 {
		t.Errorf("%d more warnings, such as %v", len(warnings), <-warnings)
	}
}

// TestFollowerElsewhere: the follower's connection leads to another server
// than the store's, and both work.
func TestFollowerElsewhere(t *testing.T) {
	t.Parallel()
	here, elsewhere := redistest.Start(t), redistest.Start(t)
	var target atomic.Value
	target.Store(here.Addr())
	o, err := redisstore.ParseURL(here.URL())
	if err != nil {
		t.Fatal(err)
	}
	o.Dialer = func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, target.Load().(string))
	}
	client := redis.NewUniversalClient(o)
	t.Cleanup(func() { client.Close() })
	s := redisstore.New(client, redisstore.Config{})
	r := write(t, s, "shop", coordinator.Record{}) // leaves a connection to here in the pool
	target.Store(elsewhere.Addr())
	w := watch(t, s, "shop")
	w.want(t, generous, "at first")
	target.Store(here.Addr())
	write(t, s, "shop", r)
	w.want(t, generous, "after a write that the follower's server does not have")
}

// TestTrimmedStream: entries may be trimmed before they are read. Whose they
// were, nobody knows.
func TestTrimmedStream(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, server.URL(), redisstore.Config{})
	w := watch(t, s, "shop")
	w.want(t, generous, "at first")
	_, err := dial(t, server.URL()).TxPipelined(t.Context(), func(p redis.Pipeliner) error {
		for i := range 1200 {
			p.XAdd(t.Context(), &redis.XAddArgs{Stream: "mintonce:changes", MaxLen: 1000, Values: []any{"name", "market", "generation", i}})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w.want(t, generous, "after more changes of others than the stream keeps")
}

// TestHangIsNoticed: a connection that stays open and says nothing is given up.
func TestHangIsNoticed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, server.URL(), redisstore.Config{})
	w := watch(t, s, "shop")
	w.want(t, generous, "at first")
	server.Pause()
	w.quiet(t, 4*time.Second, "while Redis hangs") // a blocked read may take 3 s
	server.Resume()
	w.want(t, generous, "when Redis is back")
}

// TestRestartIsNoticed: Redis is gone and comes back empty.
func TestRestartIsNoticed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, server.URL(), redisstore.Config{})
	w := watch(t, s, "shop")
	w.want(t, generous, "at first")
	server.Restart()
	w.want(t, generous, "after a restart")
	write(t, s, "shop", coordinator.Record{})
	w.want(t, generous, "after a write")
}

// TestWatchBeforeRedis: a watch may begin while Redis is away.
func TestWatchBeforeRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Stop()
	s := open(t, server.URL(), redisstore.Config{})
	w := watch(t, s, "shop")
	w.quiet(t, 300*time.Millisecond, "without Redis")
	server.Restart()
	w.want(t, generous, "when Redis is there")
}

// TestBeginningIsNoNews: a swap without events wakes nobody, so that a mint
// costs each watcher one look and not two.
func TestBeginningIsNoNews(t *testing.T) {
	s := open(t, redistest.Start(t).URL(), redisstore.Config{})
	told := make(chan string, 10)
	defer s.WatchAll(func(news coordinator.Change) { told <- news.Name })()
	<-told // watching has begun
	begun := child(coordinator.Record{})
	if _, err := s.Swap(t.Context(), "quiet", coordinator.Stamp{}, begun); err != nil {
		t.Fatal(err)
	}
	write(t, s, "loud", coordinator.Record{})
	if got := <-told; got != "loud" {
		t.Errorf("the first hint is of %q, want that of the swap with an event", got)
	}
}
