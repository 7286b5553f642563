package limit

import (
	"net/netip"
	"sync"
	"time"
)

const (
	// window is for how long wrong keys are counted together.
	window = time.Minute
	// allowed is how many of one address are answered like the first in a
	// window: a service that was restarted with an old key needs a few.
	allowed = 20
	// remembered bounds the addresses of a window. All others share one count.
	remembered = 4096
)

// Guesses counts wrong keys by the address that they come from. Its methods are
// safe for concurrent use, and its zero value is ready.
//
// It never stands in the way of a right key. The keys have 256 random bits, so
// that guessing is hopeless at any rate, and one address is many callers:
// behind a proxy or a NAT, on loopback, on a Unix socket. If wrong keys locked
// their address out, one forgotten script could lock out everybody. What the
// count is for is to slow such a script down and to tell of it once, and not
// ten thousand times.
type Guesses struct {
	mu    sync.Mutex // guards all below
	ends  time.Time  // of the window
	count map[netip.Prefix]int
}

// Verdict is what Guesses says of a wrong key.
type Verdict struct {
	Wait  time.Duration // how long its sender should wait; 0 while it has sent few
	First bool          // it is the first of its address that has to wait, in this window
}

// Note counts a wrong key from a remote address, as http.Request.RemoteAddr has
// it. A network of IPv6 is one address: a machine has 2⁶⁴ of them.
func (g *Guesses) Note(remote string) Verdict {
	from := network(remote)
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if !now.Before(g.ends) {
		g.ends = now.Add(window)
		g.count = make(map[netip.Prefix]int)
	}
	if _, known := g.count[from]; !known && len(g.count) >= remembered {
		from = everyone
	}
	g.count[from]++
	if n := g.count[from]; n > allowed {
		return Verdict{Wait: g.ends.Sub(now), First: n == allowed+1}
	}
	return Verdict{}
}

// everyone stands for the addresses that are not remembered.
var everyone = netip.PrefixFrom(netip.IPv6Unspecified(), 0)

// network is what counts as one address. The peers of a Unix socket have none,
// and share the zero Prefix.
func network(remote string) netip.Prefix {
	peer, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	addr, bits := peer.Addr().Unmap().WithZone(""), 32
	if addr.Is6() {
		bits = 64
	}
	prefix, _ := addr.Prefix(bits) // fails for more bits than there are
	return prefix
}
