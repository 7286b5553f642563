package integration_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mintonce/mintonce/internal/config"
	"github.com/mintonce/mintonce/wechat/wechattest"
)

// sdkWorld is one in which programs with SDKs of today get their tokens from a
// "mintonce serve", at WeChat's own paths.
type sdkWorld struct {
	*world
	server *refresher
	keys   []string // of clients that may read the tokens of the account
	front  string   // a reverse proxy before mintonce and WeChat
}

// ended: at once when a token is replaced, so that an SDK which goes on with it
// is refused.
var ended = wechattest.Config{Overlap: -1}

// newSDKWorld keeps the account in both modes, and its ticket.
func newSDKWorld(t *testing.T, clients int) *sdkWorld {
	t.Helper()
	w := &sdkWorld{world: newFileWorld(t, ended)}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "secret"), secret)
	var text strings.Builder
	text.WriteString("tokens:\n")
	for name, mode := range map[string]string{"shop": "classic", "shop-stable": "stable"} {
		fmt.Fprintf(&text, "  %s: {wechat: {appid: %s, secret_file: secret, mode: %s, api: %q}}\n", name, appID, mode, w.provider.URL)
	}
	text.WriteString("  shop-jsapi: {ticket: {of: shop, type: jsapi}}\nclients:\n")
	for i := range clients {
		key := config.NewKey()
		w.keys = append(w.keys, key)
		fmt.Fprintf(&text, "  - {name: client-%d, key_sha256: %q, tokens: [shop, shop-stable]}\n", i, config.HashKey(key))
	}
	file := filepath.Join(dir, "mintonce.yml")
	write(t, file, text.String())
	w.server = &refresher{process: w.launch("server", nil, commandPath(t),
		"serve", "--config", file, "--store", w.store, "--instance", "server", "--listen", "127.0.0.1:0", "--log-level", "debug")}
	w.server.url = "http://" + w.server.prints(&w.server.stderr, servingAt)
	eventually(t, "the server is ready", func() error {
		_, err := expectReady(w.server.url)
		return err
	})
	w.front = newFront(t, w.server.url, w.provider.URL)
	return w
}

func expectReady(url string) (string, error) {
	status, body := fetch(url + "/readyz")
	return body, expect("the status of readyz", status, http.StatusOK)
}

// newFront is the reverse proxy of docs/sdks.md, for SDKs that know one host
// for all calls.
func newFront(t *testing.T, mintonce, wechat string) string {
	t.Helper()
	proxy := func(target string) http.Handler {
		u, err := url.Parse(target)
		if err != nil {
			t.Fatal(err)
		}
		return httputil.NewSingleHostReverseProxy(u)
	}
	mux := http.NewServeMux()
	for _, path := range []string{"/cgi-bin/token", "/cgi-bin/stable_token", "/cgi-bin/ticket/getticket"} {
		mux.Handle(path, proxy(mintonce))
	}
	mux.Handle("/", proxy(wechat))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// ripe waits until a report of the current token is acted upon: not before it is
// 30 s old.
func (w *sdkWorld) ripe() {
	w.t.Helper()
	const minimumAge = 30 * time.Second
	time.Sleep(minimumAge + time.Second)
}

// minted wants so many tokens to have been minted at each endpoint by mintonce,
// and none to have been asked for in vain.
func (w *sdkWorld) minted(classic, stable int) {
	w.t.Helper()
	app := w.provider.App(appID)
	if app.ClassicMints != classic || app.StableMints != stable || app.ForcedMints != 0 || app.MintRequests != classic+stable+app.StableRepeats || app.StableRepeats > 1 {
		w.t.Errorf("%d classic mints and %d stable ones, want %d and %d:\n%s", app.ClassicMints, app.StableMints, classic, stable, w.provider.told())
	}
}
