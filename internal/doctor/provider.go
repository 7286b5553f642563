package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/plain"
)

// harmless is a call that WeChat answers without a token with 41001, "access
// token missing". It mints nothing and counts for no quota of tokens.
// https://developers.weixin.qq.com/doc/service/api/base/api_getcallbackip
const harmless = "/cgi-bin/getcallbackip"

// Provider tries to reach the API at base, without any credential.
func (r *Report) Provider(ctx context.Context, base string) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+harmless, nil)
	if err != nil {
		r.fail("provider", errors.New("its URL cannot be used: check the api"))
		return
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true
	if request.URL.Scheme == "http" {
		transport.Proxy = nil // as a mint does
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	sent := time.Now()
	response, err := client.Do(request)
	if err != nil {
		r.Add(Finding{Fail, "provider", fmt.Sprintf("%s cannot be reached (%s)", base, plain.Text(cause(err))), "check the network, DNS and a proxy (HTTPS_PROXY) from this machine"})
		return
	}
	defer response.Body.Close()
	_, _ = io.CopyN(io.Discard, response.Body, 64<<10)
	if response.StatusCode != http.StatusOK {
		r.warn("provider", "look for a proxy or a gateway in between", "%s answers with HTTP %d", base, response.StatusCode)
		return
	}
	r.ok("provider", "%s answers within %s", base, time.Since(sent).Round(time.Millisecond))
}

// liveTimeout is that of a mint.
const liveTimeout = 10 * time.Second

// Live asks the provider for a token as a mint does, where that returns the one
// that is there and ends none. It finds out whether the secret is right, and
// whether this machine's address is on the whitelist.
func (r *Report) Live(ctx context.Context, name string, source coordinator.Source) {
	about := "live " + name
	if source.Traits().Kind != coordinator.Idempotent {
		r.ok(about, "is not tried: the provider would end the token that is in use")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, liveTimeout)
	defer cancel()
	if _, err := source.Mint(ctx, coordinator.Token{}); err != nil {
		r.fail(about, err)
		return
	}
	r.ok(about, "the provider accepts the secret, and this machine's address")
}

// cause leaves out the URL.
func cause(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err
	}
	return err
}
