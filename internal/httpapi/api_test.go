package httpapi_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/config"
	"github.com/mintonce/mintonce/internal/httpapi"
)

const (
	secretToken = "token-value-that-nobody-logs"
	shopKey     = "shop-key"
	operatorKey = "operator-key"
	blindKey    = "blind-key"
)

// fake is a credential that answers as it is told.
type fake struct {
	token   coordinator.Token
	err     error // of Token
	verdict coordinator.Verdict
	failure error // of Reject and Rotate
	known   coordinator.Status
	away    error     // of Glance
	ends    time.Time // before the token does; zero for then

	reported []string
	codes    []int
	rotated  int
}

func (f *fake) Token(context.Context) (coordinator.Token, error) { return f.token, f.err }

func (f *fake) Peek() (coordinator.Token, error) { return f.token, f.err }

func (f *fake) KeepUntil(t coordinator.Token) time.Time {
	if !f.ends.IsZero() {
		return f.ends
	}
	return t.ExpiresAt()
}

func (f *fake) Glance() (coordinator.Status, error) { return f.known, f.away }

func (f *fake) Reject(_ context.Context, value string, cause error) (coordinator.Verdict, error) {
	f.reported = append(f.reported, value)
	var rejected *coordinator.RejectedError
	if errors.As(cause, &rejected) {
		f.codes = append(f.codes, rejected.Code)
	}
	return f.verdict, f.failure
}

func (f *fake) Rotate(context.Context) (coordinator.Token, error) {
	f.rotated++
	return f.token, f.failure
}

func (f *fake) Status(context.Context) (coordinator.Status, error) {
	return coordinator.Status{Name: cmp.Or(f.known.Name, "shop"), State: "live", Generation: f.token.Generation}, f.err
}

func live() *fake {
	token := coordinator.NewToken(secretToken, time.Now().Add(time.Hour+500*time.Millisecond))
	token.Generation = 7
	return &fake{token: token, verdict: coordinator.Acted}
}

func digest(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

var clients = []config.Client{
	{Name: "php", KeySHA256: digest(shopKey), Tokens: []string{"shop"}, Rights: config.DefaultRights},
	{Name: "oncall", KeySHA256: digest(operatorKey), Tokens: []string{"shop", "other"}, Rights: []config.Right{config.MayOperate}},
	{Name: "blind", KeySHA256: digest(blindKey), Tokens: []string{"other"}, Rights: []config.Right{config.MayRead}},
}

// request is one to the API, as a process of this machine sends it unless
// other says otherwise.
type request struct {
	method, path, body string
	key                string
	other              func(*http.Request)
}

func (q request) send(t *testing.T, handler http.Handler) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(q.method, "http://127.0.0.1:8420"+q.path, strings.NewReader(q.body))
	r.RemoteAddr = "127.0.0.1:54321"
	if q.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if q.key != "" {
		r.Header.Set("Authorization", "Bearer "+q.key)
	}
	if q.other != nil {
		q.other(r)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

func decode(t *testing.T, w *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	var answer map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatalf("the answer is not JSON: %v: %s", err, w.Body)
	}
	return answer
}

func TestToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handler := httpapi.New(httpapi.Config{Credentials: map[string]httpapi.Credential{"shop": live()}})
		w := request{method: "GET", path: "/v1/tokens/shop"}.send(t, handler)
		got := decode(t, w)
		if w.Code != http.StatusOK || got["name"] != "shop" || got["access_token"] != secretToken || got["expires_in"] != 3600.0 || got["generation"] != 7.0 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if at, err := time.Parse(time.RFC3339, fmt.Sprint(got["expires_at"])); err != nil || time.Until(at) < 59*time.Minute || time.Until(at) > 61*time.Minute {
			t.Errorf("expires_at is %v, %v", got["expires_at"], err)
		}
		for header, want := range map[string]string{"Cache-Control": "no-store", "Content-Type": "application/json", "X-Content-Type-Options": "nosniff", "Cross-Origin-Resource-Policy": "same-origin"} {
			if got := w.Header().Get(header); got != want {
				t.Errorf("%s is %q, want %q", header, got, want)
			}
		}
	})
}

func TestExpiresInIsNeverMoreThanIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct {
			left time.Duration
			want float64
		}{{1900 * time.Millisecond, 1}, {900 * time.Millisecond, 0}, {-time.Second, 0}} {
			f := live()
			f.token = coordinator.NewToken(secretToken, time.Now().Add(test.left))
			handler := httpapi.New(httpapi.Config{Credentials: map[string]httpapi.Credential{"shop": f}})
			got := decode(t, request{method: "GET", path: "/v1/tokens/shop"}.send(t, handler))
			if got["expires_in"] != test.want {
				t.Errorf("with %s left, expires_in is %v, want %v", test.left, got["expires_in"], test.want)
			}
		}
	})
}

// TestExpiresInEndsWithTheSuccessorsOverlap: an application that keeps the token
// for as long as it is told must not keep one that its successor has ended.
func TestExpiresInEndsWithTheSuccessorsOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := live()
		f.ends = time.Now().Add(30*time.Minute + 500*time.Millisecond)
		handler := httpapi.New(httpapi.Config{Credentials: map[string]httpapi.Credential{"shop": f}})
		got := decode(t, request{method: "GET", path: "/v1/tokens/shop"}.send(t, handler))
		if got["expires_in"] != 1800.0 || got["expires_at"] != f.ends.UTC().Truncate(time.Second).Format(time.RFC3339) {
			t.Errorf("%v, want 1800 s, until %s", got, f.ends)
		}
	})
}

func TestReport(t *testing.T) {
	rejection := func(code int) bool { return code == 40001 }
	tests := []struct {
		name, body string
		verdict    coordinator.Verdict
		acted      bool
		reports    int
		want       string
	}{
		{"acted", `{"access_token":"old","errcode":40001}`, coordinator.Acted, true, 1, "acted"},
		{"late", `{"access_token":"old","errcode":40001}`, coordinator.Late, false, 1, "late"},
		{"too young", `{"access_token":"old"}`, coordinator.TooYoung, false, 1, "too young"},
		{"not a rejection", `{"access_token":"old","errcode":45009}`, coordinator.Acted, false, 0, "not a rejection"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := live()
			f.verdict = test.verdict
			handler := httpapi.New(httpapi.Config{Credentials: map[string]httpapi.Credential{"shop": f}, Rejection: rejection})
			w := request{method: "POST", path: "/v1/tokens/shop/report", body: test.body}.send(t, handler)
			got := decode(t, w)
			if w.Code != http.StatusOK || got["acted"] != test.acted || got["verdict"] != test.want || got["access_token"] != secretToken || got["generation"] != 7.0 {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			if len(f.reported) != test.reports || test.reports == 1 && f.reported[0] != "old" {
				t.Errorf("reported %v", f.reported)
			}
		})
	}
}

func TestReportPassesTheCodeOn(t *testing.T) {
	f := live()
	handler := httpapi.New(httpapi.Config{Credentials: map[string]httpapi.Credential{"shop": f}})
	request{method: "POST", path: "/v1/tokens/shop/report", body: `{"access_token":"old","errcode":42001}`}.send(t, handler)
	if len(f.codes) != 1 || f.codes[0] != 42001 {
		t.Errorf("codes %v", f.codes)
	}
}

func TestRotateAnswersWithoutTheToken(t *testing.T) {
	f := live()
	handler := httpapi.New(httpapi.Config{Credentials: map[string]httpapi.Credential{"shop": f}})
	w := request{method: "POST", path: "/v1/tokens/shop/rotate"}.send(t, handler)
	if got := decode(t, w); w.Code != http.StatusOK || f.rotated != 1 || got["generation"] != 7.0 || strings.Contains(w.Body.String(), secretToken) {
		t.Errorf("%d %s, rotated %d times", w.Code, w.Body, f.rotated)
	}
}

func TestStatusAndHealth(t *testing.T) {
	away := live()
	away.err = coordinator.ErrStoreUnavailable
	handler := httpapi.New(httpapi.Config{Credentials: map[string]httpapi.Credential{"shop": live(), "other": away}})

	w := request{method: "GET", path: "/v1/status"}.send(t, handler)
	var overview struct{ Tokens []map[string]any }
	if err := json.Unmarshal(w.Body.Bytes(), &overview); err != nil || len(overview.Tokens) != 2 {
		t.Fatalf("%v: %s", err, w.Body)
	}
	if other, shop := overview.Tokens[0], overview.Tokens[1]; other["name"] != "other" || other["error"] != "store is unavailable" || shop["state"] != "live" {
		t.Errorf("%s", w.Body)
	}

	if w := (request{method: "GET", path: "/healthz"}).send(t, handler); w.Code != http.StatusOK {
		t.Errorf("healthz: %d %s", w.Code, w.Body)
	}
	w = request{method: "GET", path: "/readyz"}.send(t, handler)
	if want := `{"ready":false,"usable":1,"tokens":2,"why":{"other":"store is unavailable"}}` + "\n"; w.Code != http.StatusServiceUnavailable || w.Body.String() != want {
		t.Errorf("readyz: %d %s", w.Code, w.Body)
	}
	away.err = nil
	if w := (request{method: "GET", path: "/readyz"}).send(t, handler); w.Code != http.StatusOK || decode(t, w)["ready"] != true {
		t.Errorf("readyz: %d %s", w.Code, w.Body)
	}
}

func TestAccessLogHoldsNoToken(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	handler := httpapi.New(httpapi.Config{Credentials: map[string]httpapi.Credential{"shop": live()}, Clients: clients, Log: log})
	for _, q := range []request{
		{method: "GET", path: "/v1/tokens/shop?code=" + secretToken, key: shopKey},
		{method: "GET", path: "/v1/tokens/" + secretToken, key: shopKey},
		{method: "GET", path: "/" + secretToken},
		{method: "POST", path: "/v1/tokens/shop/report", body: `{"access_token":"` + secretToken + `"}`, key: shopKey},
	} {
		q.send(t, handler)
	}
	if text := out.String(); !strings.Contains(text, " token=shop client=php\n") || strings.Contains(text, secretToken) || strings.Contains(text, shopKey) ||
		strings.Count(text, "\n") != 4 || !strings.Contains(text, "path=/v1/tokens/{name} status=200 from=127.0.0.1:54321") {
		t.Errorf("the log is\n%s", text)
	}
}

// slow is a credential that has no token until its caller gives up.
type slow struct{ fake }

func (s *slow) Token(ctx context.Context) (coordinator.Token, error) {
	<-ctx.Done()
	return coordinator.Token{}, fmt.Errorf("%w: %w", coordinator.ErrNoToken, ctx.Err())
}

func (s *slow) Peek() (coordinator.Token, error) { return coordinator.Token{}, coordinator.ErrNoToken }

func TestRequestsDoNotWaitForever(t *testing.T) {
	handler := httpapi.New(httpapi.Config{Credentials: map[string]httpapi.Credential{"shop": &slow{}}, Wait: time.Millisecond})
	for _, q := range []request{{method: "GET", path: "/v1/tokens/shop"}, {method: "POST", path: "/v1/tokens/shop/report", body: `{"access_token":"old"}`}} {
		if w := q.send(t, handler); w.Code != http.StatusServiceUnavailable {
			t.Errorf("%s: %d %s", q.path, w.Code, w.Body)
		}
	}
}

func TestServerIsBounded(t *testing.T) {
	s := httpapi.NewServer(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
	if s.ReadHeaderTimeout <= 0 || s.ReadTimeout <= 0 || s.WriteTimeout <= 30*time.Second || s.IdleTimeout <= 0 || s.MaxHeaderBytes <= 0 || s.MaxHeaderBytes > 64<<10 {
		t.Errorf("a bound is missing, or shorter than requests may wait: %+v", s)
	}
}
