package integration_test

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintonce/mintonce/wechat/wechattest"
)

const (
	appID = "wx0123456789abcdef"
	// secret has characters that change in a URL and in JSON, so that the
	// audit finds it in those forms too.
	secret = "s3cret/of+the&app=0123456789<abcdef>"
)

// provider is the fake WeChat, served by the test's own process. It keeps the
// tokens that it has given out, for the audit.
type provider struct {
	*wechattest.Fake
	URL string

	mu     sync.Mutex
	issued map[string]bool
}

func newProvider(t testing.TB, cfg wechattest.Config) *provider {
	if len(cfg.Apps) == 0 {
		cfg.Apps = []wechattest.App{{ID: appID, Secret: secret}}
	}
	p := &provider{Fake: wechattest.New(cfg), issued: make(map[string]bool)}
	server := httptest.NewServer(p)
	p.URL = server.URL
	t.Cleanup(func() {
		p.Fake.Close()
		server.Close()
	})
	return p
}

// slow gives every mint the latency that the requirement speaks of.
func (p *provider) slow(latency time.Duration) {
	p.Inject(wechattest.Fault{Kind: wechattest.Slow, Times: -1, Delay: latency})
}

// mints counts the new tokens of the app, and the requests for them that
// arrived.
func (p *provider) mints() (minted, requests int) {
	s := p.App(appID)
	return s.ClassicMints + s.StableMints, s.MintRequests
}

// newest is the fingerprint of the token that was minted last.
func (p *provider) newest() string { return p.App(appID).ClassicToken }

// rejected counts the API calls whose token was not accepted.
func (p *provider) rejected() int {
	n := 0
	for _, count := range p.App(appID).CallsRejected {
		n += count
	}
	for _, count := range p.Stats().UnknownCalls {
		n += count
	}
	return n
}

// wantMints fails the test unless exactly n tokens were minted, and none was
// asked for in vain.
func (p *provider) wantMints(t testing.TB, n int) {
	t.Helper()
	if minted, requests := p.mints(); minted != n || requests != n {
		t.Errorf("the provider minted %d tokens for %d requests, want %d:\n%s", minted, requests, n, p.told())
	}
}

// told is the provider's log of mints, for messages.
func (p *provider) told() string {
	var text strings.Builder
	for _, e := range p.Log() {
		if e.Endpoint != wechattest.Call {
			fmt.Fprintf(&text, "  %s %s %s code %d %s\n", e.At.Format("15:04:05.000"), e.Endpoint, e.Outcome, e.Code, e.Fingerprint)
		}
	}
	return text.String()
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "token") {
		p.Fake.ServeHTTP(w, r)
		return
	}
	answer := &recorder{ResponseWriter: w}
	defer func() { p.keep(answer.body.Bytes()) }() // also when the answer is broken off
	p.Fake.ServeHTTP(answer, r)
}

var issuedToken = regexp.MustCompile(`"access_token":"([^"]+)"`)

func (p *provider) keep(answer []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	const enough = 200 // for the audit, which looks for each of them everywhere
	if found := issuedToken.FindSubmatch(answer); found != nil && len(p.issued) < enough {
		p.issued[string(found[1])] = true
	}
}

// tokens are all that were given out.
func (p *provider) tokens() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.issued))
}

// recorder passes an answer on and keeps it.
type recorder struct {
	http.ResponseWriter
	body bytes.Buffer
}

func (r *recorder) Write(p []byte) (int, error) {
	r.body.Write(p)
	return r.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// Hijack is for faults that break a connection.
func (r *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(r.ResponseWriter).Hijack()
}
