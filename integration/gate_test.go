package integration_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// The points of a mint at which a replica with a gate asks for leave to go on.
const (
	// beforeSending: all checks are behind it, and nothing has left it.
	beforeSending = "before sending"
	// afterAnswer: the answer has arrived, and nobody has looked at it.
	afterAnswer = "after the answer"
)

// gate lets a test stop a replica at an exact point of its mint: the replica
// asks, and does not go on before it is answered.
type gate struct {
	listener net.Listener
	asking   sync.WaitGroup

	mu     sync.Mutex
	closed map[string]*halt // by point
	last   string           // the replica that has passed last
}

// halt holds the next replica that comes to a point.
type halt struct {
	arrived chan string // receives its name
	open    chan struct{}
}

// release lets the replica go on. If it is stopped or dead, the answer waits
// for it.
func (h *halt) release() { close(h.open) }

func newGate(t testing.TB) *gate {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{listener: listener, closed: make(map[string]*halt)}
	g.asking.Go(g.serve)
	t.Cleanup(func() {
		listener.Close()
		g.openAll()
		g.asking.Wait()
	})
	return g
}

func (g *gate) addr() string { return g.listener.Addr().String() }

// close holds the next replica that comes to a point.
func (g *gate) close(point string) *halt {
	h := &halt{arrived: make(chan string, 1), open: make(chan struct{})}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed[point] = h
	return h
}

// openAll lets go of whoever may still come.
func (g *gate) openAll() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = make(map[string]*halt)
}

// minter is the replica whose mint was the last to pass.
func (g *gate) minter() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.last
}

func (g *gate) serve() {
	for {
		conn, err := g.listener.Accept()
		if err != nil {
			return
		}
		g.asking.Go(func() {
			defer conn.Close()
			line, err := bufio.NewReader(conn).ReadString('\n')
			if err == nil {
				name, point, _ := strings.Cut(strings.TrimSpace(line), ": ")
				g.pass(name, point)
			}
		})
	}
}

func (g *gate) pass(name, point string) {
	g.mu.Lock()
	g.last = name
	h := g.closed[point]
	delete(g.closed, point)
	g.mu.Unlock()
	if h != nil {
		h.arrived <- name
		<-h.open
	}
}

// dialThroughGate is for the replica: its connections to the provider ask the
// gate.
func dialThroughGate(gate, name string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &gated{Conn: conn, gate: gate, name: name}, nil
	}
}

// gated is a connection for one request.
type gated struct {
	net.Conn
	gate, name        string
	sending, answered sync.Once
	writing           sync.Mutex
}

func (c *gated) ask(point string) {
	conn, err := net.Dial("tcp", c.gate)
	if err != nil {
		return // the test has ended
	}
	defer conn.Close()
	fmt.Fprintf(conn, "%s: %s\n", c.name, point)
	io.Copy(io.Discard, conn)
}

// Write asks before the first byte. What comes after that is like the inside
// of a system call: whoever wakes up in it sends, whatever has become of the
// lease meanwhile.
func (c *gated) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.sending.Do(func() { c.ask(beforeSending) })
	return c.Conn.Write(p)
}

// Close lets a system call finish.
func (c *gated) Close() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.Conn.Close()
}

// Read asks after the first bytes.
func (c *gated) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.answered.Do(func() { c.ask(afterAnswer) })
	}
	return n, err
}
