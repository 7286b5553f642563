package redisstore

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// BoundReplies returns a dialer whose connections end with an error when the
// server sends, or announces, more than any reply to a [Store] can be, or does
// not speak the protocol of Redis. The clients of [Open] have it. go-redis
// makes room for whatever length a reply claims to have: without, twenty bytes
// from something that is no Redis can end the process for lack of memory.
//
// For a client of your own, before it is made, with options that have a
// DialTimeout:
//
//	options.Dialer = redisstore.BoundReplies(redis.NewDialer(options))
//
// A string may have 1 MiB, a reply 64 MiB and 131,072 elements on 16 levels: a
// client that also reads larger values for other purposes cannot be bounded so.
// It costs no copy and no system call.
func BoundReplies(dial func(ctx context.Context, network, addr string) (net.Conn, error)) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		bounded := &boundedConn{Conn: conn, addr: addr}
		if socket, ok := conn.(syscall.Conn); ok {
			return &boundedSocket{bounded, socket}, nil
		}
		return bounded, nil
	}
}

// dialAs dials as go-redis does by itself. It looks at o with each connection:
// its owner may change it until the client is made.
func dialAs(o *redis.UniversalOptions) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		const byDefault = 5 * time.Second // of go-redis
		dial := redis.NewDialer(&redis.Options{DialTimeout: cmp.Or(o.DialTimeout, byDefault), TLSConfig: o.TLSConfig})
		return dial(ctx, network, addr)
	}
}

// boundedConn is a connection to Redis whose replies are bounded.
type boundedConn struct {
	net.Conn
	addr    string
	replies framing                      // for Read, which one goroutine at a time calls
	fault   atomic.Pointer[foreignError] // what was found; nothing is read or written after that
}

// Read implements net.Conn. What came before a fault is delivered. The
// connection is closed at once: go-redis may have all that it waits for, and
// would keep it for another command.
func (c *boundedConn) Read(p []byte) (int, error) {
	if fault := c.fault.Load(); fault != nil {
		return 0, fault
	}
	n, err := c.Conn.Read(p)
	well, wrong := c.replies.follow(p[:n])
	if wrong != "" {
		fault := &foreignError{c.addr, wrong}
		c.fault.Store(fault)
		c.Conn.Close()
		err = fault
	}
	return well, err
}

// Write implements net.Conn.
func (c *boundedConn) Write(p []byte) (int, error) {
	if fault := c.fault.Load(); fault != nil {
		return 0, fault
	}
	return c.Conn.Write(p)
}

// NetConn returns the connection below, as that of a tls.Conn does. go-redis
// finds the socket by it.
func (c *boundedConn) NetConn() net.Conn { return c.Conn }

// boundedSocket is one directly on a socket, at which go-redis looks before it
// uses an idle connection again. One with TLS between must not offer that: what
// waits in its socket need not be a reply.
type boundedSocket struct {
	*boundedConn
	syscall.Conn
}

// foreignError says that what answers is no Redis, or one that is out of order.
// It holds nothing of what was answered, which may be a secret.
type foreignError struct{ addr, problem string }

func (e *foreignError) Error() string { return "redisstore: " + e.what() + ": " + foreignRemedy }

func (e *foreignError) what() string {
	return fmt.Sprintf("what answers at %s is no Redis, or a broken one (%s)", e.addr, e.problem)
}

const foreignRemedy = "check the address, what listens there, and what is between"
