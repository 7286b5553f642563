package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mintonce/mintonce/wechat/wechattest"
)

// longestHold bounds how long a mint is held if nobody kills its client.
const longestHold = 5 * time.Second

// provider is the fake WeChat, in the classic mode in which the last mint
// wins, behind a network that takes its time. It can hold one mint for a
// killing. Each replica has a base URL of its own, which tells who calls.
type provider struct {
	fake    *wechattest.Fake
	server  *http.Server
	address string
	latency time.Duration
	armed   chan struct{} // has a value while the next mint is to be held
	held    chan int      // the replica whose mint is held
}

func startProvider(t timing) (*provider, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("the fake WeChat cannot listen: %w", err)
	}
	p := &provider{
		fake:    wechattest.New(wechattest.Config{Lifetime: t.life, Overlap: t.overlap}),
		address: listener.Addr().String(),
		latency: t.latency,
		armed:   make(chan struct{}, 1),
		held:    make(chan int, 1),
	}
	p.server = &http.Server{Handler: p, ReadHeaderTimeout: callTimeout}
	go p.server.Serve(listener) // ends with close
	return p, nil
}

func (p *provider) close() {
	p.fake.Close()
	p.server.Close()
}

// url is the base URL for one replica.
func (p *provider) url(replica int) string {
	return fmt.Sprintf("http://%s/replica/%d", p.address, replica)
}

// ServeHTTP passes the request on to the fake; mints on a slow way.
func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rest, found := strings.CutPrefix(r.URL.Path, "/replica/")
	number, path, _ := strings.Cut(rest, "/")
	replica, err := strconv.Atoi(number)
	if !found || err != nil {
		http.NotFound(w, r)
		return
	}
	r.URL.Path = "/" + path
	if r.URL.Path != "/cgi-bin/token" {
		p.fake.ServeHTTP(w, r)
		return
	}
	// The answer is small enough to stay in its buffer until this returns.
	pause(context.Background(), p.latency/2) // a request on its way arrives, whatever becomes of its sender
	p.fake.ServeHTTP(w, r)
	select {
	case <-p.armed:
		p.held <- replica
		pause(r.Context(), longestHold) // ends when the client is killed
	default:
		pause(r.Context(), p.latency/2)
	}
}

// holdNextMint makes the provider keep the answer of the next mint: it has
// minted, and nobody learns of it. The channel tells whose mint that is.
func (p *provider) holdNextMint() <-chan int {
	select {
	case p.armed <- struct{}{}:
	default:
	}
	return p.held
}

// holdNoMint takes back a holdNextMint that nothing came of.
func (p *provider) holdNoMint() {
	select {
	case <-p.armed:
	default:
	}
}

// mintElsewhere mints as another program would that has the same AppSecret.
func (p *provider) mintElsewhere() { p.fake.MintElsewhere(wechattest.AppID, wechattest.Classic) }

// counts returns how many tokens were minted by the replicas, and how many
// calls were answered that the token is not accepted.
func (p *provider) counts() (mints, rejected int) {
	stats := p.fake.Stats()
	for _, n := range stats.Apps[wechattest.AppID].CallsRejected {
		rejected += n
	}
	for _, n := range stats.UnknownCalls {
		rejected += n
	}
	return stats.Apps[wechattest.AppID].ClassicMints, rejected
}

// pause waits for d or for the end of ctx, and reports whether d has passed.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
