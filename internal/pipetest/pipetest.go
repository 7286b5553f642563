// Package pipetest is a network for the bubbles of testing/synctest: its
// connections need no socket and take no time, so that the clock of a bubble
// goes on when all wait for it.
package pipetest

import (
	"context"
	"net"
	"sync"
)

// Listener accepts the connections that its Dial makes. It is safe for
// concurrent use.
type Listener struct {
	connections chan net.Conn
	closed      chan struct{}
	once        sync.Once
}

// Listen returns a listener. All use of it must be in the same bubble.
func Listen() *Listener {
	return &Listener{connections: make(chan net.Conn), closed: make(chan struct{})}
}

// Dial connects to the listener, whatever the network and the address; it fits
// net/http.Transport.DialContext.
func (l *Listener) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case l.connections <- connection{far}:
		return connection{near}, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept waits for the next connection.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.connections:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept and Dial, and leaves the connections as they are.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr is that of this machine.
func (l *Listener) Addr() net.Addr { return loopback }

// connection says that it is one of this machine.
type connection struct{ net.Conn }

var loopback = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 54321}

func (connection) LocalAddr() net.Addr  { return loopback }
func (connection) RemoteAddr() net.Addr { return loopback }
