package wechattest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mintonce/mintonce/wechat/wechattest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		os.Exit(code)
	}))
}

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock {
	return &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// answer has all fields that any answer of the fake has.
type answer struct {
	AccessToken string          `json:"access_token"`
	ExpiresIn   json.RawMessage `json:"expires_in"`
	ErrCode     int             `json:"errcode"`
	ErrMsg      string          `json:"errmsg"`
	IPList      []string        `json:"ip_list"`
	Ticket      string          `json:"ticket"`
	Query       string          `json:"query"`
	Body        string          `json:"body"`
}

// client talks to the fake as any program does.
type client struct {
	t *testing.T
	*wechattest.Server
	clock *clock
}

func newClient(t *testing.T, cfg wechattest.Config) client {
	t.Helper()
	c := newClock()
	cfg.Now = c.Now
	server := wechattest.NewServer(cfg)
	t.Cleanup(server.Close)
	return client{t, server, c}
}

func (c client) do(method, path, body string) answer {
	c.t.Helper()
	status, _, text := c.raw(method, path, body)
	var a answer
	if err := json.Unmarshal([]byte(text), &a); err != nil || status != 200 {
		c.t.Fatalf("%s: status %d, %q: %v", path, status, text, err)
	}
	return a
}

func (c client) raw(method, path, body string) (status int, contentType, text string) {
	c.t.Helper()
	request, err := http.NewRequestWithContext(c.t.Context(), method, c.URL+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	response, err := c.Client().Do(request)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	all, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return response.StatusCode, response.Header.Get("Content-Type"), string(all)
}

func classicPath(grant, app, secret string) string {
	return "/cgi-bin/token?" + url.Values{"grant_type": {grant}, "appid": {app}, "secret": {secret}}.Encode()
}

func (c client) classic() answer {
	c.t.Helper()
	return c.do("GET", classicPath("client_credential", wechattest.AppID, wechattest.Secret), "")
}

func (c client) stable(force bool) answer {
	c.t.Helper()
	return c.do("POST", "/cgi-bin/stable_token", fmt.Sprintf(`{"grant_type":"client_credential","appid":%q,"secret":%q,"force_refresh":%t}`, wechattest.AppID, wechattest.Secret, force))
}

// code is what a call with the token is answered with.
func (c client) code(token string) int {
	c.t.Helper()
	return c.do("GET", "/cgi-bin/getcallbackip?access_token="+url.QueryEscape(token), "").ErrCode
}

func (c client) wantCodes(when string, want map[string]int) {
	c.t.Helper()
	for token, code := range want {
		if got := c.code(token); got != code {
			c.t.Errorf("%s: a token gets %d, want %d", when, got, code)
		}
		if got := c.Accepts(token); got != (code == 0) {
			c.t.Errorf("%s: Accepts says %t for a token that gets %d", when, got, code)
		}
	}
}
