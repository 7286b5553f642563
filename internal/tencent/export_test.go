package tencent

import (
	"net/http"
	"net/url"
)

func Proxy(r *http.Request) (*url.URL, error) { return proxyForTLS(r) }

func (c *Client) UsesProxy() bool { return c.wire.transport.Proxy != nil }

// SameWire reports whether two clients send over one transport.
func SameWire(a, b *Client) bool { return a.wire == b.wire }

// SharedWires is how many wires are there for sharing.
func SharedWires() int {
	wires.Lock()
	defer wires.Unlock()
	return len(wires.shared)
}
