package simulation_test

import (
	"context"
	"maps"
	"net"
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

// redisServer is the backend with all that ships: redisstore, go-redis and
// redislock, over miniredis. Its wires are connections.
type redisServer struct {
	world  *world
	server *miniredis.Miniredis

	mu      sync.Mutex
	clients map[*process]redis.UniversalClient
	lines   map[*connection]struct{}
	copies  []map[string]string // the record after each of the last writes
	hangs   time.Time
}

func newRedis(w *world) *redisServer {
	s := &redisServer{world: w, server: miniredis.NewMiniRedis(), clients: make(map[*process]redis.UniversalClient), lines: make(map[*connection]struct{})}
	s.server.ClockTTL(true)
	return s
}

func (s *redisServer) connect(p *process) coordinator.Store {
	o, err := redisstore.ParseURL("redis://127.0.0.1")
	if err != nil {
		panic(err)
	}
	o.Dialer = func(ctx context.Context, _, _ string) (net.Conn, error) { return s.dial(ctx, p) }
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
	lines := s.lines
	s.lines = make(map[*connection]struct{})
	s.mu.Unlock()
	for _, key := range []string{recordKey, lockKey, changesKey} {
		s.server.Del(key)
	}
	for field, value := range earlier {
		s.server.HSet(recordKey, field, value)
	}
	for line := range lines {
		line.reset()
	}
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

// died closes the connections, for the kernel does so too. The lease's renewal
// ends by itself.
func (s *redisServer) died(p *process) {
	s.mu.Lock()
	client := s.clients[p]
	delete(s.clients, p)
	var own []*connection
	for line := range s.lines {
		if line.process == p {
			own = append(own, line)
			delete(s.lines, line)
		}
	}
	s.mu.Unlock()
	for _, line := range own {
		line.Close()
	}
	if client != nil {
		go client.Close()
	}
}

func (s *redisServer) close() { s.server.Close() }

// connection is the process's end of a connection. What it sends and gets
// passes a carrier for each direction.
type connection struct {
	net.Conn
	process *process
	far     net.Conn // the carriers' end
	server  net.Conn
	once    sync.Once
}

func (s *redisServer) dial(ctx context.Context, p *process) (net.Conn, error) {
	if !p.alive() {
		return nil, errDead
	}
	if p.toStore.now() == cut {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-p.dead:
			return nil, errDead
		case <-time.After(time.Second):
			return nil, errReset
		}
	}
	server, err := s.server.Dial()
	if err != nil {
		return nil, err
	}
	near, far := net.Pipe()
	c := &connection{Conn: near, process: p, far: far, server: server}
	s.mu.Lock()
	s.lines[c] = struct{}{}
	s.mu.Unlock()
	go c.carry(far, server, s.hangsFor)
	go c.carry(server, far, func() time.Duration { return 0 })
	return c, nil
}

// Read and Write stand still while the process does.
func (c *connection) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.process.wait()
	return n, err
}

func (c *connection) Write(b []byte) (int, error) {
	c.process.wait()
	return c.Conn.Write(b)
}

// reset breaks the connection at both ends.
func (c *connection) reset() {
	c.Conn.Close()
	c.once.Do(func() { c.far.Close(); c.server.Close() })
}

// carry takes what is sent on one side to the other, in order, after as long
// as the wire takes. What was sent before the sender closed still arrives. A
// loss is one for all that follows: the connection then hangs, or breaks.
func (c *connection) carry(from, to net.Conn, hangs func() time.Duration) {
	type parcel struct {
		due  time.Time
		data []byte
	}
	parcels := make(chan parcel, 1000)
	go func() {
		defer to.Close()
		for p := range parcels {
			time.Sleep(time.Until(p.due))
			if _, err := to.Write(p.data); err != nil {
				break
			}
		}
		for range parcels {
		}
	}()
	defer close(parcels)
	buffer := make([]byte, 64<<10)
	lost := false
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		delay, now, told := c.process.toStore.fate()
		lost = lost || now
		switch {
		case lost && told:
			c.reset()
			return
		case !lost:
			delay = max(delay, hangs()+delay)
			parcels <- parcel{time.Now().Add(delay), append([]byte(nil), buffer[:n]...)}
		}
	}
}
