package simulation_test

import (
	"context"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/redisstore"
	"github.com/redis/go-redis/v9"
)

const (
	recordKey  = "mintonce:{" + name + "}"
	lockKey    = recordKey + ":lock"
	changesKey = "mintonce:changes"
)

// redisFaults: a client may send a command again by itself, so the answers to
// lose are those of commands that were carried out.
var redisFaults = append(slices.Clone(faults),
	fault{"answers of the store", 6, func(w *world, d *dice) (time.Duration, int) {
		lasts := d.between(time.Second, time.Minute)
		w.each(d, func(p *process) {
			p.toStore.set(curt, time.Now().Add(lasts))
			p.disturb(time.Now().Add(lasts))
		})
		w.provoke(d)
		return lasts, 6
	}})

// redisServer is the backend with all that ships: redisstore, go-redis and
// redislock, over miniredis. Its wires are connections.
type redisServer struct {
	world  *world
	server *miniredis.Miniredis
	// retries: the clients send a command again whose reply was lost.
	retries bool
	lines   lines

	mu      sync.Mutex
	clients map[*process]redis.UniversalClient
	copies  []map[string]string // the record after each of the last writes
	hangs   time.Time
}

func newRedis(w *world) *redisServer {
	s := &redisServer{world: w, server: miniredis.NewMiniRedis(), clients: make(map[*process]redis.UniversalClient)}
	s.server.ClockTTL(true)
	s.retries = w.dice("impatient client").chance(0.25)
	return s
}

func (s *redisServer) connect(p *process) coordinator.Store {
	o, err := redisstore.ParseURL("redis://127.0.0.1")
	if err != nil {
		panic(err)
	}
	o.Dialer = func(ctx context.Context, _, _ string) (net.Conn, error) { return s.dial(ctx, p) }
	if s.retries {
		o.MaxRetries = 3 // as go-redis does by itself, and redisstore advises against
	}
	client := redis.NewUniversalClient(o)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients[p] = client
	return redisstore.New(client, redisstore.Config{})
}

// fields is the record as it lies in the server.
func (s *redisServer) fields() map[string]string {
	fields := make(map[string]string)
	if keys, err := s.server.HKeys(recordKey); err == nil {
		for _, key := range keys {
			fields[key] = s.server.HGet(recordKey, key)
		}
	}
	return fields
}

func (s *redisServer) record() coordinator.Record {
	r, err := coordinator.ParseRecord(s.fields())
	if err != nil {
		panic(err)
	}
	return r
}

func (s *redisServer) flush() { s.server.FlushAll() }

// failover puts the record back, loses lock and news, and breaks all
// connections.
func (s *redisServer) failover(back int) {
	s.mu.Lock()
	var earlier map[string]string
	if i := len(s.copies) - 1 - back; i >= 0 {
		earlier = s.copies[i]
		s.copies = s.copies[:i+1]
	}
	s.mu.Unlock()
	for _, key := range []string{recordKey, lockKey, changesKey} {
		s.server.Del(key)
	}
	for field, value := range earlier {
		s.server.HSet(recordKey, field, value)
	}
	s.lines.reset()
}

func (s *redisServer) hang(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hangs = time.Now().Add(d)
}

// refuse: miniredis has one error for all commands, so reads fail too.
func (s *redisServer) refuse(d time.Duration) {
	s.server.SetError("OOM command not allowed when used memory > 'maxmemory'.")
	time.AfterFunc(d, func() { s.server.SetError("") })
}

func (s *redisServer) hangsFor() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Until(s.hangs)
}

// swapped keeps what a failover may go back to.
func (s *redisServer) swapped(p *process, next coordinator.Record) {
	fields := s.fields()
	s.mu.Lock()
	if n := len(s.copies); len(fields) > 0 && (n == 0 || !maps.Equal(s.copies[n-1], fields)) {
		const kept = 8
		s.copies = append(s.copies, fields)
		s.copies = s.copies[max(0, len(s.copies)-kept):]
	}
	s.mu.Unlock()
	if descends(s.record(), next.Stamp()) {
		s.world.written(p, next)
	}
}

func (s *redisServer) paused(*process) {}
func (s *redisServer) cut(*process)    {}

// died: the lease's renewal ends by itself.
func (s *redisServer) died(p *process) {
	s.mu.Lock()
	client := s.clients[p]
	delete(s.clients, p)
	s.mu.Unlock()
	s.lines.died(p)
	if client != nil {
		go client.Close()
	}
}

func (s *redisServer) close() { s.server.Close() }

func (s *redisServer) dial(ctx context.Context, p *process) (net.Conn, error) {
	return s.lines.dial(ctx, p.toStore, func(*connection) (net.Conn, error) { return s.server.Dial() }, s.hangsFor)
}
