package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
	"github.com/mintonce/mintonce/internal/redistest"
	"github.com/mintonce/mintonce/redisstore"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	logging.Disable() // go-redis writes what it cannot reach to stderr
	// This one of go-redis sleeps for a second before it sees that its pool is closed.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

func TestConformanceRedis(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	server := redistest.Start(t)
	t.Run("group", func(t *testing.T) { // ends after its parallel subtests
		db := 0
		storetest.Run(t, func(t testing.TB) storetest.Fixture {
			mu.Lock()
			defer mu.Unlock()
			db++
			return fixtureWith(server.URL(), fmt.Sprint("check", db))
		})
	})
}

func fixtureWith(url, prefix string) storetest.Fixture {
	return storetest.Fixture{
		Open: func(t testing.TB) coordinator.Store { return open(t, url, redisstore.Config{Prefix: prefix}) },
		WriteRaw: func(t testing.TB, name string, fields map[string]string) {
			client := dial(t, url)
			key := prefix + ":{" + name + "}"
			if err := errors.Join(client.Del(t.Context(), key).Err(), client.HSet(t.Context(), key, fields).Err()); err != nil {
				t.Fatal(err)
			}
		},
		DropLock: func(t testing.TB, name string) {
			if err := dial(t, url).Del(t.Context(), prefix+":{"+name+"}:lock").Err(); err != nil {
				t.Fatal(err)
			}
		},
	}
}

func startMini(t testing.TB) *miniredis.Miniredis {
	t.Helper()
	server := miniredis.NewMiniRedis()
	server.ClockTTL(true)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}

// dial returns a client with the package's own options, but for a machine that
// may be busy for longer than Redis may be away: all limits are the longest that
// fit.
func dial(t testing.TB, url string) redis.UniversalClient {
	t.Helper()
	o, err := redisstore.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	patient(o)
	client := redis.NewUniversalClient(o)
	t.Cleanup(func() { client.Close() })
	return client
}

func patient(o *redis.UniversalOptions) {
	const longest = 3 * time.Second
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = longest, longest, longest, longest
}

// late tells an error of a machine that was too busy to answer from all others.
func late(err error) bool { return strings.Contains(err.Error(), "no answer in time") }

func open(t testing.TB, url string, cfg redisstore.Config) *redisstore.Store {
	t.Helper()
	return redisstore.New(dial(t, url), cfg)
}

// write replaces r by a child with a token, and returns that.
func write(t testing.TB, s *redisstore.Store, name string, r coordinator.Record, events ...coordinator.Event) coordinator.Record {
	t.Helper()
	child := child(r)
	if len(events) == 0 {
		events = []coordinator.Event{{Kind: coordinator.EventMinted, Name: name}} // without one, it is no news
	}
	if _, err := s.Swap(t.Context(), name, r.Stamp(), child, events...); err != nil {
		t.Fatalf("Swap(%q): %v", name, err)
	}
	return child
}

const secret = "SECRET-token-value"

func child(r coordinator.Record) coordinator.Record {
	child := r.Child(coordinator.NewStamp(r, time.Now()))
	child.Grant = coordinator.Grant{
		Value: secret, Generation: r.Grant.Generation + 1,
		IssuedAt: time.Now().Truncate(time.Millisecond), ExpiresAt: time.Now().Add(time.Hour).Truncate(time.Millisecond),
	}
	return child
}

// TestKeys holds the store to the layout that operators see.
func TestKeys(t *testing.T) {
	t.Parallel()
	ctx, server := t.Context(), startMini(t)
	s := open(t, "redis://"+server.Addr(), redisstore.Config{Prefix: "p"})
	r := write(t, s, "shop", coordinator.Record{}, coordinator.Event{Kind: coordinator.EventMinted, Name: "shop", By: "host-1"})
	lease, err := s.Lock(ctx, "shop", "host/1", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Release(ctx)
	hinted := make(chan struct{}, 8)
	stop := s.Watch("shop", func() { hinted <- struct{}{} })
	defer stop()
	<-hinted

	want := map[string]string{"p:{shop}": "hash", "p:{shop}:lock": "string", "p:{shop}:history": "stream", "p:changes": "stream", "p:marker": "string"}
	for _, key := range server.Keys() {
		if got := server.Type(key); got != want[key] {
			t.Errorf("key %s is a %s, want %q", key, got, want[key])
		}
		delete(want, key)
		expires := key == "p:{shop}:lock"
		if ttl := server.TTL(key); (ttl > 0) != expires {
			t.Errorf("key %s has the ttl %s", key, ttl)
		}
	}
	if len(want) > 0 {
		t.Errorf("missing keys: %v", want)
	}
	if got := server.HGet("p:{shop}", "revision") + "." + server.HGet("p:{shop}", "write_id"); got != r.Stamp().String() {
		t.Errorf("revision and write_id are %s, want %s", got, r.Stamp())
	}
	if lock, _ := server.Get("p:{shop}:lock"); !strings.HasPrefix(lock, "host/1/") || len(lock) < 30 {
		t.Errorf("the lock's value is %q, want the instance and a long random part", lock)
	}
	for _, key := range []string{"p:{shop}:history", "p:changes"} {
		entries, _ := server.Stream(key)
		if len(entries) != 1 {
			t.Errorf("%s has %d entries, want 1", key, len(entries))
		}
		for _, entry := range entries {
			if text := strings.Join(entry.Values, " "); strings.Contains(text, secret) {
				t.Errorf("%s shows the token: %s", key, text)
			}
		}
	}
	if locked, err := s.Holder(ctx, "shop"); err != nil || locked == nil || locked.Holder != "host/1" || locked.Remaining <= 0 {
		t.Errorf("Holder: %+v, %v", locked, err)
	}
}

// TestStreamsAreCapped: neither history nor changes grow without bound.
func TestStreamsAreCapped(t *testing.T) {
	t.Parallel()
	for _, url := range []string{redistest.Start(t).URL(), "redis+cluster://" + startCluster(t).Addr()} {
		s, client := open(t, url, redisstore.Config{}), dial(t, url)
		event := coordinator.Event{Kind: coordinator.EventMinted}
		var r coordinator.Record
		for range 1300 {
			r = write(t, s, "shop", r, event)
		}
		if err := s.Append(t.Context(), "market", slices.Repeat([]coordinator.Event{event}, 1300)...); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"mintonce:{shop}:history", "mintonce:{market}:history", "mintonce:changes"} {
			if n := client.XLen(t.Context(), key).Val(); n < 1000 || n > 1200 {
				t.Errorf("%s has %d entries, want about 1000", key, n)
			}
		}
	}
}

// TestOutOfMemory: a swap that Redis refuses leaves the old record whole.
func TestOutOfMemory(t *testing.T) {
	t.Parallel()
	ctx, url := t.Context(), redistest.Start(t).URL()
	s, client := open(t, url, redisstore.Config{}), dial(t, url)
	r := write(t, s, "shop", coordinator.Record{})
	if err := client.ConfigSet(ctx, "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	for _, events := range [][]coordinator.Event{nil, {{Kind: coordinator.EventMinted}}} {
		_, err := s.Swap(ctx, "shop", r.Stamp(), child(r), events...)
		if err == nil || !strings.Contains(err.Error(), "maxmemory") {
			t.Errorf("Swap with %d events without memory: error %v, want one that names maxmemory", len(events), err)
		}
	}
	if got, _, err := s.Load(ctx, "shop"); err != nil || got.Stamp() != r.Stamp() {
		t.Errorf("after a refused Swap: record %v, error %v; want %v", got.Stamp(), err, r.Stamp())
	}
}

// TestForeignHistory: a key of the store that holds something else must not
// tear a swap.
func TestForeignHistory(t *testing.T) {
	t.Parallel()
	ctx, url := t.Context(), redistest.Start(t).URL()
	s, client := open(t, url, redisstore.Config{}), dial(t, url)
	r := write(t, s, "shop", coordinator.Record{})
	client.Set(ctx, "mintonce:{shop}:history", "x", 0)
	_, err := s.Swap(ctx, "shop", r.Stamp(), child(r), coordinator.Event{Kind: coordinator.EventMinted})
	if err == nil || !strings.Contains(err.Error(), "another program uses it") {
		t.Errorf("Swap with a foreign history: error %v", err)
	}
	if got, _, err := s.Load(ctx, "shop"); err != nil || got.Stamp() != r.Stamp() {
		t.Errorf("after a refused Swap: record %v, error %v; want %v", got.Stamp(), err, r.Stamp())
	}
}

// TestScriptFlush: scripts are sent again when Redis has forgotten them.
func TestScriptFlush(t *testing.T) {
	t.Parallel()
	url := redistest.Start(t).URL()
	s := open(t, url, redisstore.Config{})
	r := write(t, s, "shop", coordinator.Record{})
	if err := dial(t, url).ScriptFlush(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	write(t, s, "shop", r)
}

func TestBadPrefixAndName(t *testing.T) {
	t.Parallel()
	server := startMini(t)
	for _, prefix := range []string{"a{b}", "a b", strings.Repeat("p", 65), "ä"} {
		s := open(t, "redis://"+server.Addr(), redisstore.Config{Prefix: prefix})
		if _, _, err := s.Load(t.Context(), "shop"); err == nil || !strings.Contains(err.Error(), "Config.Prefix") {
			t.Errorf("prefix %q: error %v, want one about Config.Prefix", prefix, err)
		}
	}
	s := open(t, "redis://"+server.Addr(), redisstore.Config{})
	for _, name := range []string{"", "a}b", "a:b", "..", strings.Repeat("n", 65)} {
		_, _, load := s.Load(t.Context(), name)
		_, swap := s.Swap(t.Context(), name, coordinator.Stamp{}, child(coordinator.Record{}))
		_, lock := s.Lock(t.Context(), name, "me", time.Second)
		_, history := s.History(t.Context(), name, 1)
		for _, err := range []error{load, swap, lock, history, s.Append(t.Context(), name)} {
			if !errors.Is(err, coordinator.ErrBadName) {
				t.Errorf("name %q: error %v, want ErrBadName", name, err)
			}
		}
	}
	if keys := server.Keys(); len(keys) > 0 {
		t.Errorf("bad prefixes and names have written keys: %q", keys)
	}
}

func TestInspect(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--maxmemory-policy", "allkeys-lru")
	s := open(t, server.URL(), redisstore.Config{})
	h, err := s.Inspect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if h.MaxmemoryPolicy != "allkeys-lru" || h.Role != "master" || h.Mode != "standalone" || h.Version == "" || h.AppendOnly || h.Replicas != 0 || len(h.Unknown) > 0 {
		t.Errorf("Inspect: %+v", h)
	}
	if h.RoundTrip <= 0 || h.ClockSkew.Abs() > h.RoundTrip+time.Second {
		t.Errorf("Inspect: round trip %s, clock skew %s", h.RoundTrip, h.ClockSkew)
	}
	err = dial(t, server.URL()).Do(t.Context(), "ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", "-info", "-config").Err()
	if err != nil {
		t.Fatal(err)
	}
	limited := open(t, "redis://app:pw@"+server.Addr(), redisstore.Config{})
	h, err = limited.Inspect(t.Context())
	if err != nil || len(h.Unknown) != 1 || !strings.Contains(h.Unknown[0].Error(), "INFO") || h.RoundTrip <= 0 {
		t.Errorf("Inspect without INFO: %+v, %v", h, err)
	}
	server.Stop()
	if _, err := s.Inspect(context.Background()); err == nil {
		t.Error("Inspect of a server that is gone succeeded")
	}
}

// TestInspectCluster: records are on all masters, so one that evicts is told of
// whichever it is.
func TestInspectCluster(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, "--appendonly", "yes")
	s := open(t, cluster.URL(), redisstore.Config{})
	if h, err := s.Inspect(t.Context()); err != nil || h.MaxmemoryPolicy != "noeviction" || !h.AppendOnly || h.Mode != "cluster" {
		t.Fatalf("Inspect: %+v, %v", h, err)
	}
	for _, master := range cluster.Masters {
		admin := redis.NewClient(&redis.Options{Addr: master.Addr()})
		defer admin.Close()
		set := func(option, value string) {
			t.Helper()
			if err := admin.ConfigSet(t.Context(), option, value).Err(); err != nil {
				t.Fatal(err)
			}
		}
		set("maxmemory-policy", "allkeys-lru")
		set("appendonly", "no")
		if h, err := s.Inspect(t.Context()); err != nil || h.MaxmemoryPolicy != "allkeys-lru" || h.AppendOnly {
			t.Errorf("with %s: %+v, %v", master.Addr(), h, err)
		}
		set("maxmemory-policy", "noeviction")
		set("appendonly", "yes")
	}
}

// TestRefusedConnection: a server that refuses every new connection, for a wrong
// password or a database that it does not have, is no empty one.
func TestRefusedConnection(t *testing.T) {
	t.Parallel()
	locked := startMini(t)
	locked.RequireAuth("right")
	for name, url := range map[string]string{
		"wrong password":          "redis://:wrong@" + locked.Addr(),
		"no password":             "redis://" + locked.Addr(),
		"wrong database":          "redis://" + foreign(t, "-ERR DB index is out of range\r\n", true) + "/99",
		"wrong cluster password":  "redis+cluster://:wrong@" + locked.Addr(),
		"wrong sentinel password": "redis+sentinel://:wrong@" + locked.Addr() + "/main",
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, url, redisstore.Config{})
			ctx, cancel := context.WithTimeout(t.Context(), generous)
			defer cancel()
			next := child(coordinator.Record{})
			for method, call := range map[string]func() (any, error){
				"Load": func() (any, error) { r, now, err := s.Load(ctx, "shop"); return []any{r, now}, err },
				"LoadAll": func() (any, error) {
					all, err := s.LoadAll(ctx, []string{"shop", "other"})
					for _, l := range all {
						err = errors.Join(err, l.Err)
					}
					return all, err
				},
				"Swap":    func() (any, error) { return s.Swap(ctx, "shop", coordinator.Stamp{}, next) },
				"Lock":    func() (any, error) { return s.Lock(ctx, "shop", "me", time.Second) },
				"Holder":  func() (any, error) { return s.Holder(ctx, "shop") },
				"History": func() (any, error) { return s.History(ctx, "shop", 3) },
				"Append": func() (any, error) {
					return nil, s.Append(ctx, "shop", coordinator.Event{Kind: coordinator.EventMinted})
				},
				"Instances": func() (any, error) { return s.Instances(ctx) },
			} {
				if got, err := call(); err == nil {
					t.Errorf("%s: %v and no error", method, got)
				} else if method == "Load" && strings.Contains(name, "wrong password") && !strings.Contains(err.Error(), "password") {
					t.Errorf("%s: %v", method, err)
				}
			}
		})
	}
}

// What no process could read is not written.
func TestUnreadableRecordIsNotWritten(t *testing.T) {
	t.Parallel()
	server := startMini(t)
	s := open(t, "redis://"+server.Addr(), redisstore.Config{})
	r := write(t, s, "shop", coordinator.Record{})
	next := child(r)
	next.Grant.IssuedAt = time.Time{}.Add(time.Hour)
	if _, err := s.Swap(t.Context(), "shop", r.Stamp(), next); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("Swap: %v, want an error", err)
	}
	if got, _, err := s.Load(t.Context(), "shop"); err != nil || got.Stamp() != r.Stamp() {
		t.Errorf("afterwards: %v, %v", got, err)
	}
}
