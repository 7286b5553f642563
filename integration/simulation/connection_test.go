package simulation_test

import (
	"context"
	"net"
	"sync"
	"time"
)

// lines are the connections of all processes to one server.
type lines struct {
	mu   sync.Mutex
	open map[*connection]struct{}
}

// connection is the process's end of a connection over one of its wires. What
// it sends and gets passes a carrier for each direction.
type connection struct {
	net.Conn
	process *process
	wire    *wire
	far     net.Conn // the carriers' end
	server  net.Conn
	once    sync.Once
}

// dial connects the process over the wire to the end that accept opens at the
// server. The server takes up what it is sent when it has hung for that long.
func (l *lines) dial(ctx context.Context, w *wire, accept func(*connection) (net.Conn, error), hangs func() time.Duration) (net.Conn, error) {
	p := w.process
	if !p.alive() {
		return nil, errDead
	}
	if w.now() == cut {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-p.dead:
			return nil, errDead
		case <-time.After(time.Second):
			return nil, errReset
		}
	}
	near, far := net.Pipe()
	c := &connection{Conn: near, process: p, wire: w, far: far}
	var err error
	if c.server, err = accept(c); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		l.open = make(map[*connection]struct{})
	}
	l.open[c] = struct{}{}
	go c.carry(far, c.server, false, hangs)
	go c.carry(c.server, far, true, func() time.Duration { return 0 })
	return c, nil
}

// died closes the connections of a process, for the kernel does so too.
func (l *lines) died(p *process) {
	l.mu.Lock()
	var own []*connection
	for line := range l.open {
		if line.process == p {
			own = append(own, line)
			delete(l.open, line)
		}
	}
	l.mu.Unlock()
	for _, line := range own {
		line.Close()
	}
}

// reset breaks all connections.
func (l *lines) reset() {
	l.mu.Lock()
	open := l.open
	l.open = nil
	l.mu.Unlock()
	for line := range open {
		line.reset()
	}
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

// reset breaks the connection. The process learns of it when it reads on.
func (c *connection) reset() {
	c.once.Do(func() { c.far.Close(); c.server.Close() })
}

// carry takes what is sent on one side to the other, in order, after as long
// as the wire takes. What was sent before the sender closed still arrives. A
// loss is one for all that follows: the connection then hangs, or breaks.
func (c *connection) carry(from, to net.Conn, answers bool, hangs func() time.Duration) {
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
		delay, now, told := c.wire.fate(answers)
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
