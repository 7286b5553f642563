package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/httpapi"
)

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

// TestRefusals: every refusal is a problem, changes nothing and holds no token.
func TestRefusals(t *testing.T) {
	report := `{"access_token":"old","errcode":40001}`
	from := func(remote string) func(*http.Request) { return func(r *http.Request) { r.RemoteAddr = remote } }
	host := func(name string) func(*http.Request) { return func(r *http.Request) { r.Host = name } }
	tests := []struct {
		name    string
		request request
		keyed   bool // the server has clients
		status  int
		kind    string
	}{
		{"unknown path", request{method: "GET", path: "/v2"}, false, 404, "not-found"},
		{"post to the dashboard", request{method: "POST", path: "/"}, false, 405, "method"},
		{"no part of the dashboard", request{method: "GET", path: "/dashboard/none.js"}, false, 404, "not-found"},
		{"the dashboard's folder", request{method: "GET", path: "/dashboard/"}, false, 404, "not-found"},
		{"unknown token", request{method: "GET", path: "/v1/tokens/none"}, false, 404, "unknown-token"},
		{"post for a token", request{method: "POST", path: "/v1/tokens/shop"}, false, 405, "method"},
		{"get for a report", request{method: "GET", path: "/v1/tokens/shop/report"}, false, 405, "method"},
		{"get for a rotation", request{method: "GET", path: "/v1/tokens/shop/rotate"}, false, 405, "method"},
		{"delete", request{method: "DELETE", path: "/v1/status"}, false, 405, "method"},

		{"no body", request{method: "POST", path: "/v1/tokens/shop/report", other: header("Content-Type", "application/json")}, false, 400, "bad-body"},
		{"form", request{method: "POST", path: "/v1/tokens/shop/report", body: report, other: header("Content-Type", "text/plain")}, false, 415, "media-type"},
		{"not JSON", request{method: "POST", path: "/v1/tokens/shop/report", body: "old"}, false, 400, "bad-body"},
		{"null", request{method: "POST", path: "/v1/tokens/shop/report", body: "null"}, false, 400, "bad-body"},
		{"no token in it", request{method: "POST", path: "/v1/tokens/shop/report", body: `{"errcode":40001}`}, false, 400, "bad-body"},
		{"unknown key", request{method: "POST", path: "/v1/tokens/shop/report", body: `{"access_token":"old","error":1}`}, false, 400, "bad-body"},
		{"text as code", request{method: "POST", path: "/v1/tokens/shop/report", body: `{"access_token":"old","errcode":"40001"}`}, false, 400, "bad-body"},
		{"two objects", request{method: "POST", path: "/v1/tokens/shop/report", body: report + report}, false, 400, "bad-body"},
		{"large", request{method: "POST", path: "/v1/tokens/shop/report", body: `{"access_token":"` + strings.Repeat("x", 64<<10) + `"}`}, false, 413, "too-large"},

		{"from elsewhere", request{method: "GET", path: "/v1/tokens/shop", other: from("192.0.2.1:1")}, false, 403, "forbidden"},
		{"another name (DNS rebinding)", request{method: "GET", path: "/v1/tokens/shop", other: host("evil.example:8420")}, false, 421, "host"},
		{"another name for the status", request{method: "GET", path: "/v1/status", other: host("evil.example")}, false, 421, "host"},
		{"a page of another site", request{method: "POST", path: "/v1/tokens/shop/rotate", other: header("Sec-Fetch-Site", "cross-site")}, false, 403, "forbidden"},
		{"a page of another port", request{method: "POST", path: "/v1/tokens/shop/rotate", other: header("Origin", "http://127.0.0.1:3000")}, false, 403, "forbidden"},

		{"no key", request{method: "GET", path: "/v1/tokens/shop"}, true, 401, "unauthorized"},
		{"no key for a path that there is not", request{method: "GET", path: "/v1/tokens/none"}, true, 401, "unauthorized"},
		{"no key for the status", request{method: "GET", path: "/v1/status"}, true, 401, "unauthorized"},
		{"wrong key", request{method: "GET", path: "/v1/tokens/shop", key: "guess"}, true, 401, "unauthorized"},
		{"hash for a key", request{method: "GET", path: "/v1/tokens/shop", key: digest(shopKey)}, true, 401, "unauthorized"},
		{"basic", request{method: "GET", path: "/v1/tokens/shop", other: header("Authorization", "Basic "+shopKey)}, true, 401, "unauthorized"},
		{"another's token", request{method: "GET", path: "/v1/tokens/shop", key: blindKey}, true, 403, "forbidden"},
		{"a token that there is not", request{method: "GET", path: "/v1/tokens/none", key: shopKey}, true, 403, "forbidden"},
		{"rotate without the right", request{method: "POST", path: "/v1/tokens/shop/rotate", key: shopKey}, true, 403, "forbidden"},
		{"read without the right", request{method: "GET", path: "/v1/tokens/shop", key: operatorKey}, true, 403, "forbidden"},
		{"status without the right", request{method: "GET", path: "/v1/status", key: operatorKey}, true, 403, "forbidden"},
		{"report without the right", request{method: "POST", path: "/v1/tokens/shop/report", body: report, key: operatorKey}, true, 403, "forbidden"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := live()
			cfg := httpapi.Config{Credentials: map[string]httpapi.Credential{"shop": f, "other": live()}}
			if test.keyed {
				cfg.Clients = clients
			}
			w := test.request.send(t, httpapi.New(cfg))
			wantProblem(t, w, test.status, test.kind)
			if len(f.reported) != 0 || f.rotated != 0 {
				t.Errorf("it acted all the same: %+v", f)
			}
		})
	}
}

func wantProblem(t *testing.T, w *httptest.ResponseRecorder, status int, kind string) {
	t.Helper()
	got := decode(t, w)
	if w.Code != status || got["status"] != float64(status) || got["type"] != "urn:mintonce:problem:"+kind {
		t.Errorf("%d %s, want %d %s", w.Code, w.Body, status, kind)
	}
	if got["title"] == "" || got["detail"] == "" || w.Header().Get("Content-Type") != "application/problem+json" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("not a whole problem: %v %s", w.Header(), w.Body)
	}
	if strings.Contains(w.Body.String(), secretToken) {
		t.Errorf("the problem holds a token: %s", w.Body)
	}
	switch status {
	case http.StatusMethodNotAllowed:
		if w.Header().Get("Allow") == "" {
			t.Error("no Allow header")
		}
	case http.StatusUnauthorized:
		if !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Bearer") {
			t.Error("no WWW-Authenticate header")
		}
	}
}

func TestWhoMay(t *testing.T) {
	f := live()
	keyed := httpapi.New(httpapi.Config{Credentials: map[string]httpapi.Credential{"shop": f, "other": live()}, Clients: clients})
	open := httpapi.New(httpapi.Config{Credentials: map[string]httpapi.Credential{"shop": f}})
	elsewhere := func(r *http.Request) { r.RemoteAddr, r.Host = "192.0.2.1:1", "mintonce.example" }
	for name, test := range map[string]struct {
		handler http.Handler
		request request
	}{
		"a key, from elsewhere":          {keyed, request{method: "GET", path: "/v1/tokens/shop", key: shopKey, other: elsewhere}},
		"an operator's key":              {keyed, request{method: "POST", path: "/v1/tokens/shop/rotate", key: operatorKey}},
		"bearer in small letters":        {keyed, request{method: "GET", path: "/v1/tokens/shop", other: header("Authorization", "bearer "+shopKey)}},
		"a probe without a key":          {keyed, request{method: "GET", path: "/readyz", other: elsewhere}},
		"HEAD":                           {open, request{method: "HEAD", path: "/healthz"}},
		"localhost":                      {open, request{method: "GET", path: "/v1/tokens/shop", other: func(r *http.Request) { r.Host = "localhost:8420" }}},
		"an IPv6 address without a port": {open, request{method: "GET", path: "/v1/tokens/shop", other: func(r *http.Request) { r.RemoteAddr, r.Host = "[::1]:5", "[::1]" }}},
		"a page of the same origin":      {open, request{method: "POST", path: "/v1/tokens/shop/rotate", other: header("Sec-Fetch-Site", "same-origin")}},
	} {
		if w := test.request.send(t, test.handler); w.Code != http.StatusOK {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

func TestClientsSeeTheirOwnOnly(t *testing.T) {
	broken := live()
	broken.err = errors.New("reason-of-shop")
	handler := httpapi.New(httpapi.Config{Credentials: map[string]httpapi.Credential{"shop": broken, "other": live()}, Clients: clients})
	if w := (request{method: "GET", path: "/v1/status", key: blindKey}).send(t, handler); strings.Contains(w.Body.String(), "reason-of-shop") || strings.Count(w.Body.String(), `"name"`) != 1 {
		t.Errorf("status: %s", w.Body)
	}
	for key, tells := range map[string]bool{"": false, "guess": false, blindKey: false, operatorKey: false, shopKey: true} {
		w := request{method: "GET", path: "/readyz", key: key}.send(t, handler)
		if w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "reason-of-shop") != tells {
			t.Errorf("readyz with key %q: %d %s", key, w.Code, w.Body)
		}
	}
}

func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		backoff := &coordinator.BackoffError{Failure: coordinator.Failure{Code: 40125, Message: "the AppSecret is wrong"}, RetryAfter: 90*time.Second - time.Millisecond}
		source := &coordinator.SourceError{Class: coordinator.Transient, Code: -1, Message: "WeChat is busy", After: 5 * time.Second}
		budget := &coordinator.BudgetError{What: "rotations today", Spent: 18, Limit: 18, Until: time.Now(), RetryAfter: 10 * time.Minute}
		tests := []struct {
			err    error
			status int // of a rotation, if it differs
			kind   string
			retry  string
		}{
			{fmt.Errorf("%w: %w", coordinator.ErrNoToken, backoff), 0, "provider", "90"},
			{fmt.Errorf("%w: %w", coordinator.ErrNoToken, source), 0, "provider", "5"},
			{fmt.Errorf("%w: %w", coordinator.ErrNoToken, budget), http.StatusTooManyRequests, "budget", "600"},
			{&coordinator.ForeignMinterError{Count: 3, RetryAfter: 4 * time.Minute}, 0, "foreign-minter", "240"},
			{&coordinator.MismatchError{Name: "shop"}, 0, "record", ""},
			{coordinator.ErrNewerRecord, 0, "record", ""},
			{coordinator.ErrStoreUnavailable, 0, "store", "1"},
			{fmt.Errorf("%w: %w", coordinator.ErrNoToken, context.DeadlineExceeded), 0, "no-token", "1"},
		}
		for _, test := range tests {
			f := live()
			f.token, f.err, f.failure = coordinator.Token{}, test.err, test.err
			handler := httpapi.New(httpapi.Config{Credentials: map[string]httpapi.Credential{"shop": f}})
			for _, q := range []request{
				{method: "GET", path: "/v1/tokens/shop"},
				{method: "POST", path: "/v1/tokens/shop/report", body: `{"access_token":"old"}`},
				{method: "POST", path: "/v1/tokens/shop/rotate"},
			} {
				status, kind := http.StatusServiceUnavailable, test.kind
				if strings.HasSuffix(q.path, "rotate") {
					if test.status != 0 {
						status = test.status
					}
					if kind == "no-token" {
						kind = "rotation"
					}
				}
				w := q.send(t, handler)
				wantProblem(t, w, status, kind)
				if got := w.Header().Get("Retry-After"); got != test.retry {
					t.Errorf("%s, %v: Retry-After %q, want %q", q.path, test.err, got, test.retry)
				}
			}
		}
	})
}

// FuzzReport: whatever is sent, the API answers in JSON and the fake gets what
// was meant.
func FuzzReport(f *testing.F) {
	for _, seed := range []string{`{"access_token":"old","errcode":40001}`, `{"access_token":"old"} `, `{}`, `[]`, `null`, `{"access_token":1}`, "{\"access_token\":\"\xff\"}", `{"access_token":"a"}{`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		credential := live()
		handler := httpapi.New(httpapi.Config{Credentials: map[string]httpapi.Credential{"shop": credential}})
		w := request{method: "POST", path: "/v1/tokens/shop/report", body: body, other: header("Content-Type", "application/json")}.send(t, handler)
		decode(t, w)
		if acted := len(credential.reported) == 1 && credential.reported[0] != ""; acted != (w.Code == http.StatusOK) {
			t.Errorf("%d for %q, reported %q", w.Code, body, credential.reported)
		}
	})
}
