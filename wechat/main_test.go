package wechat_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/wechat"
	"github.com/mintonce/mintonce/wechat/wechattest"
)

func TestMain(m *testing.M) {
	// net/http reads these once. Loopback addresses are exempt from proxies, so
	// only the tests of proxies notice.
	os.Setenv("HTTP_PROXY", "http://127.0.0.1:9")
	os.Setenv("HTTPS_PROXY", "http://127.0.0.1:9")
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		os.Exit(code)
	}))
}

const (
	appID  = "wx0123456789abcdef"
	secret = "5ec7e75ec7e75ec7e75ec7e75ec7e7+/" // its form in a URL is another one
)

func newFake(t testing.TB, cfg wechattest.Config) *wechattest.Server {
	t.Helper()
	cfg.Apps = []wechattest.App{{ID: appID, Secret: secret}}
	server := wechattest.NewServer(cfg)
	t.Cleanup(server.Close)
	return server
}

// sourceError returns err as the one type of error that sources have, after
// checking that no form of it shows the secret or a URL.
func sourceError(t testing.TB, err error) *coordinator.SourceError {
	t.Helper()
	var failure *coordinator.SourceError
	if !errors.As(err, &failure) {
		t.Fatalf("error is %T (%v), want a *coordinator.SourceError", err, err)
	}
	mustNotShow(t, err, secret, url.QueryEscape(secret), "http://", "https://1", "https://a", "https://l", "pass@", "secret=")
	return failure
}

// mustNotShow prints v, and every error inside it, in all ways.
func mustNotShow(t testing.TB, v any, unwanted ...string) {
	t.Helper()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		shown := fmt.Sprintf(verb, v)
		for _, u := range unwanted {
			if strings.Contains(shown, u) || strings.Contains(shown, fmt.Sprintf("%x", u)) {
				t.Errorf("%s of %T shows %q: %s", verb, v, u, shown)
			}
		}
	}
	switch e := v.(type) {
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			mustNotShow(t, inner, unwanted...)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			mustNotShow(t, inner, unwanted...)
		}
	}
}

var (
	_ coordinator.Source  = wechat.ClassicToken{}
	_ coordinator.Source  = wechat.StableToken{}
	_ coordinator.Rotator = wechat.StableToken{}
	_ wechat.TokenSource  = (*coordinator.Coordinator)(nil)
)
