// Package faultproxy puts a bad network before a TCP server, for tests. A
// Proxy passes bytes on until it is told to lose a reply, to be slow, to stall,
// to refuse connections, or to lead to another server.
package faultproxy

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy listens on a free port of the loopback address. It is safe for
// concurrent use.
type Proxy struct {
	listener net.Listener
	group    sync.WaitGroup

	mu      sync.Mutex // guards the fields below
	target  string
	delay   time.Duration
	conns   map[*link]struct{}
	refuse  bool
	resumed chan struct{} // closed unless the proxy stalls
	lose    []byte        // of which request the reply is to be lost; nil for none
	lost    chan struct{}
	accepts int
}

// link is one connection through the proxy.
type link struct{ client, server net.Conn }

func (l *link) close() {
	l.client.Close()
	l.server.Close()
}

// New starts a proxy before target, a HOST:PORT, until the test ends.
func New(t testing.TB, target string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: listener, target: target, conns: make(map[*link]struct{}), resumed: make(chan struct{})}
	close(p.resumed)
	p.group.Go(p.serve)
	t.Cleanup(p.close)
	return p
}

// Addr is the HOST:PORT that clients connect to.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Accepted is how many connections clients have made.
func (p *Proxy) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepts
}

// LoseReply makes the proxy lose one reply: that of the next request which
// contains text, ignoring case. The server receives the request and answers;
// then the client's connection is closed. The channel is closed when that has
// happened.
func (p *Proxy) LoseReply(text string) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lose = bytes.ToLower([]byte(text))
	p.lost = make(chan struct{})
	return p.lost
}

// KeepReplies takes back a LoseReply that has not come true.
func (p *Proxy) KeepReplies() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lose = nil
}

// Retarget makes the proxy lead to another server, and closes the connections
// to the one before, as a failover behind a virtual address does.
func (p *Proxy) Retarget(target string) {
	p.mu.Lock()
	p.target = target
	p.mu.Unlock()
	p.Cut()
}

// Slow holds every piece back for a while, in each direction. 0 ends it.
func (p *Proxy) Slow(delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay = delay
}

// Refuse closes new connections at once, and those that exist, until Accept.
func (p *Proxy) Refuse() {
	p.mu.Lock()
	p.refuse = true
	p.mu.Unlock()
	p.Cut()
}

// Accept ends Refuse.
func (p *Proxy) Accept() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = false
}

// Cut closes the connections that exist.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.conns {
		l.close()
	}
}

// Stall holds back all bytes, in both directions, until Resume.
func (p *Proxy) Stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.resumed = make(chan struct{})
}

// Resume ends Stall.
func (p *Proxy) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.resumed:
	default:
		close(p.resumed)
	}
}

func (p *Proxy) close() {
	p.listener.Close()
	p.Resume()
	p.Refuse()
	p.group.Wait()
}

func (p *Proxy) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		target := p.target
		p.mu.Unlock()
		server, err := net.Dial("tcp", target)
		if err != nil {
			client.Close()
			continue
		}
		l := &link{client, server}
		p.mu.Lock()
		p.accepts++
		if p.refuse || p.target != target {
			l.close()
		} else {
			p.conns[l] = struct{}{}
			p.group.Go(func() { p.carry(l) })
		}
		p.mu.Unlock()
	}
}

// carry passes bytes on in both directions until either side ends.
func (p *Proxy) carry(l *link) {
	doomed := make(chan chan struct{}, 1) // holds the signal for a reply to be lost
	var requests sync.WaitGroup
	requests.Go(func() {
		p.pump(l.client, l.server, func(request []byte) bool {
			if lost := p.match(request); lost != nil {
				doomed <- lost
			}
			return true
		})
		l.close()
	})
	p.pump(l.server, l.client, func([]byte) bool {
		select {
		case lost := <-doomed:
			l.close()
			close(lost)
			return false
		default:
			return true
		}
	})
	l.close()
	requests.Wait()
	p.mu.Lock()
	delete(p.conns, l)
	p.mu.Unlock()
}

// pump copies until an error, or until pass says no.
func (p *Proxy) pump(from io.Reader, to io.Writer, pass func([]byte) bool) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		p.mu.Lock()
		resumed, delay := p.resumed, p.delay
		p.mu.Unlock()
		<-resumed
		time.Sleep(delay)
		if n > 0 && !pass(buffer[:n]) {
			return
		}
		if _, failed := to.Write(buffer[:n]); failed != nil || err != nil {
			return
		}
	}
}

// match returns the channel to close if the reply to this request is to be
// lost. A request is taken to arrive in one piece, as small ones do.
func (p *Proxy) match(request []byte) chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lose == nil || !bytes.Contains(bytes.ToLower(request), p.lose) {
		return nil
	}
	p.lose = nil
	return p.lost
}
