package wechatapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/config"
	"github.com/mintonce/mintonce/internal/wechatapi"
)

const (
	shopID   = "wxshop"
	otherID  = "wxother"
	phpKey   = "php-key"
	nodeKey  = "node-key"
	blindKey = "blind-key"
)

// credential holds a token, and has another as soon as that is reported.
type credential struct {
	mu       sync.Mutex
	name     string
	token    coordinator.Token
	previous string // fingerprint
	keep     time.Time
	err      error
	reports  []string
	codes    []int

	stays   error               // why a report brings no other token
	verdict coordinator.Verdict // of a report, if not acted
}

func newCredential(name string, life time.Duration) *credential {
	c := &credential{name: name}
	c.next(life)
	return c
}

// next is a new token.
func (c *credential) next(life time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	generation := c.token.Generation + 1
	c.previous = c.token.Fingerprint()
	c.token = coordinator.NewToken(fmt.Sprintf("%s-token-%d", c.name, generation), time.Now().Add(life))
	c.token.Generation = generation
	c.keep = c.token.ExpiresAt()
}

func (c *credential) Token(context.Context) (coordinator.Token, error) { return c.Peek() }

func (c *credential) Peek() (coordinator.Token, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.token, c.err
}

func (c *credential) Reject(_ context.Context, value string, cause error) (coordinator.Verdict, error) {
	c.mu.Lock()
	c.reports = append(c.reports, value)
	c.codes = append(c.codes, cause.(*coordinator.RejectedError).Code)
	current := c.token.Value
	stays, verdict := c.stays, c.verdict
	c.mu.Unlock()
	if stays != nil {
		return coordinator.Acted, stays
	}
	if verdict != "" {
		return verdict, nil
	}
	if value == current {
		c.next(2 * time.Hour)
	}
	return coordinator.Acted, nil
}

func (c *credential) KeepUntil(coordinator.Token) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.keep
}

func (c *credential) Accepted() (current, previous string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.token.Fingerprint(), c.previous
}

// world is a handler, its tokens and its clients. Of those, php and node may
// have the tokens of the shop, blind another one only.
type world struct {
	*wechatapi.Handler
	tokens  map[string]*credential
	clients map[string]*config.Client // by key; nil for a server without any
	log     *bytes.Buffer

	mu     sync.Mutex
	probes int
	probe  func(ctx context.Context, token string) error
}

func newWorld(cfg wechatapi.Config) *world {
	w := &world{
		tokens: map[string]*credential{
			"classic": newCredential("classic", 2*time.Hour), "stable": newCredential("stable", 2*time.Hour),
			"other": newCredential("other", 2*time.Hour), "shop-jsapi": newCredential("jsapi", time.Hour),
		},
		clients: map[string]*config.Client{
			phpKey:   {Name: "php", Tokens: []string{"classic", "stable"}, Rights: config.DefaultRights},
			nodeKey:  {Name: "node", Tokens: []string{"stable"}, Rights: config.DefaultRights},
			blindKey: {Name: "blind", Tokens: []string{"*"}, Rights: []config.Right{config.MayOperate}},
		},
		log:   new(bytes.Buffer),
		probe: func(context.Context, string) error { return nil },
	}
	cfg.Accounts = map[string][]wechatapi.Account{
		shopID:  {{Name: "classic", Classic: true}, {Name: "stable"}},
		otherID: {{Name: "other"}},
	}
	cfg.Tickets = map[string]map[string]string{shopID: {"jsapi": "shop-jsapi"}}
	cfg.Credential = func(name string) wechatapi.Credential {
		if c := w.tokens[name]; c != nil {
			return c
		}
		return nil
	}
	cfg.Identify = func(_ *http.Request, key string) (*config.Client, *wechatapi.Denial) {
		switch {
		case w.clients == nil:
			return nil, nil
		case key == "":
			return nil, &wechatapi.Denial{Reason: wechatapi.NoKey}
		case key == "quick":
			return nil, &wechatapi.Denial{Reason: wechatapi.TooQuickly, After: 1500 * time.Millisecond}
		case w.clients[key] == nil:
			return nil, &wechatapi.Denial{Reason: wechatapi.WrongKey}
		}
		return w.clients[key], nil
	}
	cfg.Probe = func(ctx context.Context, _, token string) error {
		w.mu.Lock()
		w.probes++
		probe := w.probe
		w.mu.Unlock()
		return probe(ctx, token)
	}
	cfg.Log = slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w.Handler = wechatapi.New(cfg)
	return w
}

// probed is how many probes there were.
func (w *world) probed() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.probes
}

func (w *world) rejects(code int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.probe = func(context.Context, string) error { return &coordinator.RejectedError{Code: code} }
}

// answer is any answer of WeChat.
type answer struct {
	AccessToken string `json:"access_token"`
	ExpiresIn   int    `json:"expires_in"`
	Ticket      string `json:"ticket"`
	ErrCode     int    `json:"errcode"`
	ErrMsg      string `json:"errmsg"`
}

// accepts makes the provider accept every token.
func (w *world) accepts() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.probe = func(context.Context, string) error { return nil }
}

// send sends a request and checks what all answers have in common.
func (w *world) send(t testing.TB, r *http.Request) answer {
	t.Helper()
	recorder := httptest.NewRecorder()
	w.ServeHTTP(recorder, r)
	return check(t, recorder)
}

var errmsg = regexp.MustCompile(` rid: [0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}$`)

// check reads an answer, and checks that it is one of WeChat's.
func check(t testing.TB, w *httptest.ResponseRecorder) answer {
	t.Helper()
	var a answer
	decoder := json.NewDecoder(w.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&a); err != nil || w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
		t.Fatalf("not in WeChat's form: %d %v %v", w.Code, w.Header(), err)
	}
	switch good := a.AccessToken != "" || a.Ticket != ""; {
	case good && (a.ErrCode != 0 || a.ExpiresIn < 1):
		t.Fatalf("a token, and %+v", a)
	case !good && (a.ErrCode == 0 || !errmsg.MatchString(a.ErrMsg) || a.ExpiresIn != 0):
		t.Fatalf("neither a token nor an error of WeChat's: %+v", a)
	}
	return a
}

func get(path string) *http.Request { return httptest.NewRequest(http.MethodGet, path, nil) }

func classic(appID, key string) *http.Request {
	return get("/cgi-bin/token?grant_type=client_credential&appid=" + appID + "&secret=" + key)
}

func post(body string) *http.Request {
	return httptest.NewRequest(http.MethodPost, "/cgi-bin/stable_token", strings.NewReader(body))
}

func stable(appID, key string, force bool) *http.Request {
	return post(fmt.Sprintf(`{"grant_type":"client_credential","appid":%q,"secret":%q,"force_refresh":%t}`, appID, key, force))
}
