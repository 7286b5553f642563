package httpapi_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mintonce/mintonce/internal/config"
	"github.com/mintonce/mintonce/internal/httpapi"
)

// TestMetricsAreForThoseWhoMayReadAll: they name every token.
func TestMetricsAreForThoseWhoMayReadAll(t *testing.T) {
	all := []string{"*"}
	clients := []config.Client{
		{Name: "prometheus", KeySHA256: digest("1"), Tokens: all, Rights: []config.Right{config.MayRead}},
		{Name: "php", KeySHA256: digest("2"), Tokens: []string{"shop"}, Rights: config.DefaultRights},
		{Name: "operator", KeySHA256: digest("3"), Tokens: all, Rights: []config.Right{config.MayOperate}},
	}
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "mintonce_up 1") })
	tests := []struct {
		key     string
		clients []config.Client
		status  int
		body    string
	}{
		{"", nil, 200, "mintonce_up 1"},
		{"1", clients, 200, "mintonce_up 1"},
		{"2", clients, 403, "the client php needs the right read"},
		{"3", clients, 403, "the client operator needs the right read"},
		{"", clients, 401, ""},
	}
	for _, test := range tests {
		api := httpapi.New(httpapi.Config{Clients: test.clients, Metrics: metrics})
		r := httptest.NewRequest("GET", "http://127.0.0.1/metrics", nil)
		r.RemoteAddr = "127.0.0.1:4000"
		if test.key != "" {
			r.Header.Set("Authorization", "Bearer "+test.key)
		}
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		if w.Code != test.status || !strings.Contains(w.Body.String(), test.body) {
			t.Errorf("with key %q of %d clients: %d %s, want %d %s", test.key, len(test.clients), w.Code, w.Body, test.status, test.body)
		}
	}
}

// TestRequestsAreObservedByPattern: what a client puts into a path or a query
// must not become a series.
func TestRequestsAreObservedByPattern(t *testing.T) {
	var seen []string
	api := httpapi.New(httpapi.Config{
		Credentials: map[string]httpapi.Credential{"shop": live()},
		Observe: func(pattern string, status int, took time.Duration) {
			seen = append(seen, fmt.Sprint(pattern, " ", status))
			if took < 0 || took > time.Minute {
				t.Errorf("%s took %s", pattern, took)
			}
		},
	})
	for _, r := range []struct{ host, target string }{
		{"127.0.0.1", "/v1/tokens/shop"}, {"127.0.0.1", "/v1/tokens/secret?a=secret"}, {"127.0.0.1", "/secret"}, {"evil.example", "/v1/tokens/shop"},
	} {
		request := httptest.NewRequest("GET", "http://"+r.host+r.target, nil)
		request.RemoteAddr = "127.0.0.1:4000"
		api.ServeHTTP(httptest.NewRecorder(), request)
	}
	want := []string{"/v1/tokens/{name} 200", "/v1/tokens/{name} 404", "/ 404", "refused 421"}
	if !slices.Equal(seen, want) {
		t.Errorf("observed %q, want %q", seen, want)
	}
}
