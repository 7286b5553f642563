package wechat

import (
	"net/http"
	"net/url"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// Invariants that hostile input must not break are tested without a network.

func ParseReply(status int, body []byte, secret string) (token string, lifetime time.Duration, failure *coordinator.SourceError) {
	r, failure := parseReply(status, body, secret)
	return r.token, r.lifetime, failure
}

func Proxy(r *http.Request) (*url.URL, error) { return proxyForTLS(r) }

func UsesProxy(s ClassicToken) bool { return s.wire.transport.Proxy != nil }

// SameWire reports whether two sources send over one transport.
func SameWire(a, b StableToken) bool { return a.wire == b.wire }

// SharedWires is how many wires are there for sharing.
func SharedWires() int {
	wires.Lock()
	defer wires.Unlock()
	return len(wires.shared)
}

func Codes() []int {
	var codes []int
	for code := range meanings {
		codes = append(codes, code)
	}
	return codes
}

const (
	ReplyLimit  = replyLimit
	PeekLimit   = peekLimit
	ReplayLimit = replayLimit
)
