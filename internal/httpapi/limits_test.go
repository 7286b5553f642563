package httpapi_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/internal/config"
	"github.com/mintonce/mintonce/internal/httpapi"
)

// limited is an API with two clients, of which php may send 20 requests a
// second.
func limited(limits *httpapi.Limits, log *slog.Logger) http.Handler {
	return httpapi.New(httpapi.Config{
		Credentials: map[string]httpapi.Credential{"shop": live()}, Limits: limits, Log: log,
		Clients: []config.Client{
			{Name: "php", KeySHA256: digest(shopKey), Tokens: []string{"shop"}, Rights: config.DefaultRights, Rate: 20},
			{Name: "node", KeySHA256: digest(blindKey), Tokens: []string{"shop"}, Rights: config.DefaultRights},
		},
	})
}

func TestRateOfAClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var limits httpapi.Limits
		handler := limited(&limits, nil)
		php := request{method: "GET", path: "/v1/tokens/shop", key: shopKey}
		for i := range 20 {
			if w := php.send(t, handler); w.Code != http.StatusOK {
				t.Fatalf("request %d: %d %s", i+1, w.Code, w.Body)
			}
		}
		w := php.send(t, handler)
		wantProblem(t, w, http.StatusTooManyRequests, "rate")
		if got := w.Header().Get("Retry-After"); got != "1" {
			t.Errorf("Retry-After is %q", got)
		}
		if w := (request{method: "GET", path: "/v1/tokens/shop", key: blindKey}).send(t, handler); w.Code != http.StatusOK {
			t.Errorf("another client: %d %s", w.Code, w.Body)
		}
		if w := (request{method: "GET", path: "/readyz", key: shopKey}).send(t, handler); w.Code != http.StatusOK {
			t.Errorf("a probe: %d %s", w.Code, w.Body)
		}
		handler = limited(&limits, nil) // the config was read again
		wantProblem(t, php.send(t, handler), http.StatusTooManyRequests, "rate")
		time.Sleep(50 * time.Millisecond)
		if w := php.send(t, handler); w.Code != http.StatusOK {
			t.Errorf("after a twentieth of a second: %d %s", w.Code, w.Body)
		}
	})
}

// TestTenThousandWrongKeys: they are told of once, cost no memory, and never
// stand in the way of a right key from the same address.
func TestTenThousandWrongKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		handler := limited(nil, slog.New(slog.NewTextHandler(&out, nil)))
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		counts := make(map[int]int)
		for i := range 10_000 {
			w := request{method: "GET", path: "/v1/tokens/shop", key: fmt.Sprintf("guess-%d", i)}.send(t, handler)
			kind := "wrong-keys"
			if counts[w.Code]++; w.Code == http.StatusUnauthorized {
				kind = "unauthorized"
			}
			wantProblem(t, w, w.Code, kind)
			if kind == "wrong-keys" && w.Header().Get("Retry-After") == "" {
				t.Fatal("no Retry-After")
			}
			if i%1000 == 999 {
				if w := (request{method: "GET", path: "/v1/tokens/shop", key: shopKey}).send(t, handler); w.Code != http.StatusOK {
					t.Fatalf("the right key: %d %s", w.Code, w.Body)
				}
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 1<<20 {
			t.Errorf("they left %d KiB", grown>>10)
		}
		if counts[401] != 20 || counts[429] != 9980 {
			t.Errorf("answers: %v, want 20 of 401 and then 429", counts)
		}
		if text := out.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "level=WARN msg=\"many wrong keys") || strings.Contains(text, "guess") {
			t.Errorf("the log is\n%.500s", text)
		}
		time.Sleep(time.Minute)
		wantProblem(t, request{method: "GET", path: "/v1/tokens/shop", key: "guess"}.send(t, handler), http.StatusUnauthorized, "unauthorized")
	})
}

// TestMisplacedKeys: a key in a URL is refused, the right one too, with the
// place where it belongs. The answer says nothing of whether it is right.
func TestMisplacedKeys(t *testing.T) {
	f := live()
	handler := httpapi.New(httpapi.Config{Credentials: map[string]httpapi.Credential{"shop": f}, Clients: clients})
	generated := config.NewKey()
	for _, query := range []string{"key=" + shopKey, "access_token=guess", "API_KEY=x", "secret=" + operatorKey, "token=x&limit=1", "anything=" + generated} {
		for _, q := range []request{
			{method: "GET", path: "/v1/tokens/shop?" + query},
			{method: "GET", path: "/v1/tokens/shop?" + query, key: shopKey},
			{method: "GET", path: "/v1/status?" + query, key: shopKey},
			{method: "POST", path: "/v1/tokens/shop/rotate?" + query, key: operatorKey},
			{method: "POST", path: "/v1/tokens/shop/report?" + query, key: shopKey, body: `{"access_token":"old"}`},
		} {
			w := q.send(t, handler)
			wantProblem(t, w, http.StatusBadRequest, "misplaced-key")
			if text := w.Body.String(); !strings.Contains(text, "Authorization: Bearer") || strings.Contains(text, generated) || strings.Contains(text, shopKey) {
				t.Errorf("%s: %s", q.path, text)
			}
		}
	}
	if f.rotated != 0 || len(f.reported) != 0 {
		t.Error("it acted all the same")
	}
}

// BenchmarkKeyed is a request of one of very many clients.
func BenchmarkKeyed(b *testing.B) {
	many := make([]config.Client, 10_000)
	for i := range many {
		many[i] = config.Client{Name: fmt.Sprint("c", i), KeySHA256: digest(fmt.Sprint(i)), Tokens: []string{"shop"}, Rights: config.DefaultRights, Rate: 1e6}
	}
	handler := httpapi.New(httpapi.Config{Credentials: map[string]httpapi.Credential{"shop": live()}, Clients: many})
	for name, key := range map[string]string{"right": "9999", "wrong": "guess"} {
		b.Run(name, func(b *testing.B) {
			r, _ := http.NewRequest("GET", "http://127.0.0.1/v1/tokens/shop", nil)
			r.Header.Set("Authorization", "Bearer "+key)
			r.RemoteAddr = "127.0.0.1:1"
			b.ReportAllocs()
			for b.Loop() {
				handler.ServeHTTP(discard{}, r)
			}
		})
	}
}

type discard struct{}

func (discard) Header() http.Header         { return make(http.Header) }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}
