package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/mintonce/mintonce/internal/httpapi"
)

// merchants are n credentials called m0000, m0001 ...
func merchants(n int, credential httpapi.Credential) map[string]httpapi.Credential {
	all := make(map[string]httpapi.Credential)
	for i := range n {
		all[fmt.Sprintf("m%04d", i)] = credential
	}
	return all
}

// page is an answer of GET /v1/status.
type page struct {
	Tokens []struct{ Name string }
	Total  int
	Next   string
}

func TestStatusInPages(t *testing.T) {
	tests := []struct {
		tokens int
		query  string
		shown  int
		total  int
		next   string
	}{
		{199, "", 199, 0, ""},
		{200, "", 200, 0, ""},
		{201, "", 200, 201, "m0199"},
		{201, "?after=m0199", 1, 201, ""},
		{201, "?after=m0200", 0, 201, ""},
		{201, "?after=m01995", 1, 201, ""}, // a name that is gone
		{201, "?limit=1", 1, 201, "m0000"},
		{201, "?limit=1000", 201, 0, ""},
		{5, "?limit=2&after=m0001", 2, 5, "m0003"},
		{5, "?limit=2&after=m0002", 2, 5, ""},
	}
	for _, test := range tests {
		handler := httpapi.New(httpapi.Config{Credentials: merchants(test.tokens, live())})
		w := request{method: "GET", path: "/v1/status" + test.query}.send(t, handler)
		var got page
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%d%s: %d %v", test.tokens, test.query, w.Code, err)
		}
		if len(got.Tokens) != test.shown || got.Total != test.total || got.Next != test.next {
			t.Errorf("%d%s: %d shown, total %d, next %q; want %+v", test.tokens, test.query, len(got.Tokens), got.Total, got.Next, test)
		}
	}
	handler := httpapi.New(httpapi.Config{Credentials: merchants(3, live())})
	for _, limit := range []string{"0", "-1", "1001", "many"} {
		if w := (request{method: "GET", path: "/v1/status?limit=" + limit}).send(t, handler); w.Code != http.StatusBadRequest {
			t.Errorf("limit=%s: %d %s", limit, w.Code, w.Body)
		}
	}
}

// A probe of very many tokens that are all missing ends at once, and explains
// some of them.
func TestReadinessOfVeryMany(t *testing.T) {
	const many = 5000
	handler := httpapi.New(httpapi.Config{Credentials: merchants(many, &slow{}), Wait: time.Hour})
	w := request{method: "GET", path: "/readyz"}.send(t, handler)
	var got struct {
		Tokens, Usable int
		Why            map[string]string
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusServiceUnavailable {
		t.Fatalf("%d %v", w.Code, err)
	}
	if got.Tokens != many || got.Usable != 0 || len(got.Why) != 20 || got.Why["m0000"] == "" {
		t.Errorf("%.300s", w.Body)
	}
}

func TestChanging(t *testing.T) {
	var handler httpapi.Changing
	set := func(name string) {
		handler.Set(httpapi.New(httpapi.Config{Credentials: map[string]httpapi.Credential{name: live()}}))
	}
	want := func(name string, status int) {
		t.Helper()
		if w := (request{method: "GET", path: "/v1/tokens/" + name}).send(t, &handler); w.Code != status {
			t.Errorf("%s: %d, want %d", name, w.Code, status)
		}
	}
	set("one")
	want("one", 200)
	want("two", 404)
	var all sync.WaitGroup
	all.Go(func() { set("two") })
	all.Go(func() { request{method: "GET", path: "/readyz"}.send(t, &handler) })
	all.Wait()
	want("one", 404)
	want("two", 200)
}
