package wecom_test

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
	"github.com/mintonce/mintonce/wechat/wechattest"
	"github.com/mintonce/mintonce/wecom"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		os.Exit(code)
	}))
}

var (
	_ coordinator.Source = (*wecom.AppToken)(nil)
	_ wecom.TokenSource  = (*coordinator.Coordinator)(nil)
)

const secret = "c0rp5ec7e7-c0rp5ec7e7_c0rp5ec7e7+/" // its form in a URL is another one

var app = wechattest.CorpApp{CorpID: "ww0123456789abcdef", Agent: "1000007", Secret: secret}

func newFake(t testing.TB, cfg wechattest.Config) *wechattest.Server {
	t.Helper()
	cfg.CorpApps = append(cfg.CorpApps, app)
	server := wechattest.NewServer(cfg)
	t.Cleanup(server.Close)
	return server
}

func sourceOf(fake *wechattest.Server) *wecom.AppToken {
	return wecom.NewAppToken(app.CorpID, app.Agent, app.Secret, wecom.Config{API: fake.URL})
}

func mint(t testing.TB, source coordinator.Source) coordinator.Token {
	t.Helper()
	token, err := source.Mint(t.Context(), coordinator.Token{})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// sourceError returns err as the one type of error that sources have, after
// checking that no form of it shows the secret or a URL.
func sourceError(t testing.TB, err error) *coordinator.SourceError {
	t.Helper()
	var failure *coordinator.SourceError
	if !errors.As(err, &failure) {
		t.Fatalf("error is %T (%v), want a *coordinator.SourceError", err, err)
	}
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		for _, verb := range []string{"%v", "%+v", "%#v", "%q"} {
			mustNotShow(t, fmt.Sprintf(verb, inner), secret, url.QueryEscape(secret), "://", "corpsecret=")
		}
	}
	return failure
}

func mustNotShow(t testing.TB, shown string, unwanted ...string) {
	t.Helper()
	for _, u := range unwanted {
		if strings.Contains(shown, u) {
			t.Errorf("%q shows %q", shown, u)
		}
	}
}
