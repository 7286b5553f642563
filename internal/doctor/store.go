package doctor

import (
	"context"
	"errors"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/plain"
	"github.com/mintonce/mintonce/internal/storeurl"
	"github.com/mintonce/mintonce/redisstore"
	"github.com/redis/go-redis/v9"
)

const (
	// slow is a round trip that a lease of three seconds can still bear.
	slow = 100 * time.Millisecond
	// skewed is a clock whose error people should know of. Tokens do not
	// depend on it.
	skewed = 2 * time.Second
	// newsTimeout is how long the first hint of a watch may take.
	newsTimeout = 3 * time.Second
)

// Store checks the store. It reports whether the store can be used, so that
// looking any further makes sense.
func (r *Report) Store(ctx context.Context, url storeurl.URL, store storeurl.Opened) bool {
	if store.Redis == nil {
		r.ok("store", "%s", url)
	} else if !r.server(ctx, url, store.Redis) {
		return false
	}
	if !r.writes(ctx, store) {
		return false
	}
	r.news(ctx, store.Store)
	return true
}

// server checks the Redis server.
func (r *Report) server(ctx context.Context, url storeurl.URL, store *redisstore.Store) bool {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	h, err := store.Inspect(ctx)
	if err != nil {
		r.fail("store", err)
		return false
	}
	r.ok("store", "%s answers, Redis %s", url, orUnknown(h.Version))
	r.health(h)
	r.access(h, store)
	return h.Role != "slave"
}

// health judges what Redis tells of itself.
func (r *Report) health(h redisstore.Health) {
	for _, unknown := range h.Unknown {
		r.warn("store", "", "%s", plain.Text(unknown))
	}
	if h.Role == "slave" {
		r.Add(Finding{Fail, "store", "this server is a replica", "use the address of the primary, or redis+sentinel, which follows it"})
	}
	switch h.MaxmemoryPolicy {
	case "noeviction":
		r.ok("eviction", "maxmemory-policy is noeviction")
	case "":
	case "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl":
		r.warn("eviction", "set it to noeviction", "maxmemory-policy is %s: locks may be evicted when memory is full", h.MaxmemoryPolicy)
	default:
		r.warn("eviction", "set it to noeviction", "maxmemory-policy is %s: records may be evicted when memory is full", h.MaxmemoryPolicy)
	}
	if h.AppendOnly {
		r.ok("persistence", "appendonly is on")
	} else if h.Version != "" {
		r.warn("persistence", "set appendonly yes, or use --fallback as well", "appendonly is off: a restart of Redis loses the newest records, which running processes then write back")
	}
	if h.RoundTrip > slow {
		r.warn("latency", "move it nearer", "a round trip takes %s", h.RoundTrip.Round(time.Millisecond))
	} else if h.RoundTrip > 0 {
		r.ok("latency", "a round trip takes %s", h.RoundTrip.Round(10*time.Microsecond))
	}
	if h.ClockSkew.Abs() > skewed {
		r.warn("clock", "run NTP on both machines", "the clock of Redis is %s ahead of this machine's; tokens do not depend on that, logs do", h.ClockSkew)
	} else if h.RoundTrip > 0 {
		r.ok("clock", "the clocks of Redis and this machine differ by %s", h.ClockSkew.Abs())
	}
}

// access judges whom Redis takes this process for.
func (r *Report) access(h redisstore.Health, store *redisstore.Store) {
	switch h.User {
	case "":
	case "default":
		r.warn("access", setUser(store), "the Redis user is default, who may do everything; one of its own needs no more than this, with its password in MINTONCE_STORE_PASSWORD")
	default:
		r.ok("access", "the Redis user is %s", h.User)
	}
}

// setUser is the command to copy.
func setUser(store *redisstore.Store) string {
	return "ACL SETUSER mintonce on >PASSWORD " + store.AccessRules()
}

func orUnknown(version string) string {
	if version == "" {
		return "of unknown version"
	}
	return version
}

// Probe is the name under which is tried whether the store can be used. Its
// record holds no token, and stays.
const Probe = "mintonce.doctor"

// writes tries whether a lock can be taken and a record be written, as every
// mint does.
func (r *Report) writes(ctx context.Context, store storeurl.Opened) bool {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	lease, err := store.Lock(ctx, Probe, "doctor", 2*time.Second)
	if errors.Is(err, coordinator.ErrLocked) { // another doctor
		r.ok("writes", "are tried by another process at this moment")
		return true
	}
	if err == nil {
		err = errors.Join(write(ctx, store.Store), lease.Release(ctx))
	}
	if err != nil {
		r.fail("writes", err)
		if redis.HasErrorPrefix(err, "NOPERM") {
			r.warn("access", setUser(store.Redis), "the rules of the Redis user are too narrow; these suffice")
		}
		return false
	}
	r.ok("writes", "locks can be taken and records be written")
	return true
}

func write(ctx context.Context, store coordinator.Store) error {
	record, now, err := store.Load(ctx, Probe)
	if err != nil {
		return err
	}
	_, err = store.Swap(ctx, Probe, record.Stamp(), record.Child(coordinator.NewStamp(record, now)))
	return err
}

// news tries whether changes by others are noticed.
func (r *Report) news(ctx context.Context, store coordinator.Store) {
	watcher, ok := coordinator.As[coordinator.Watcher](store)
	if !ok {
		return
	}
	heard := make(chan struct{}, 1)
	stop := watcher.Watch(Probe, func() {
		select {
		case heard <- struct{}{}:
		default:
		}
	})
	defer stop()
	timer := time.NewTimer(newsTimeout)
	defer timer.Stop()
	select {
	case <-heard:
		r.ok("news", "changes by other processes are noticed")
	case <-timer.C:
		r.warn("news", "see the rights of the user, and --log-level debug", "the store tells of no changes, so that those by other processes are noticed late")
	case <-ctx.Done():
	}
}
