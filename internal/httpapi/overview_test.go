package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/config"
	"github.com/mintonce/mintonce/internal/httpapi"
)

// known is a credential of which this process knows a token with this much left.
func known(left time.Duration, change func(*coordinator.Status)) *fake {
	now := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	f := live()
	f.known = coordinator.Status{Generation: 7, Now: now, IssuedAt: now.Add(-time.Hour), RefreshAt: now.Add(left / 2), ExpiresAt: now.Add(left)}
	if change != nil {
		change(&f.known)
	}
	return f
}

func failing(s *coordinator.Status) { s.Failure = &coordinator.FailureStatus{Count: 1} }

// ward is some tokens, of which two are in trouble.
func ward() map[string]httpapi.Credential {
	all := map[string]httpapi.Credential{}
	for name, f := range map[string]*fake{
		"shop": known(time.Hour, nil), "Market": known(30*time.Minute, failing), "other": known(2*time.Hour, nil), "empty": {},
	} {
		f.known.Name = name
		all[name] = f
	}
	return all
}

// roll is a Roster.
type roll struct {
	coordinator.Roster
	alive []coordinator.Instance
	err   error
}

func (r roll) Instances(context.Context) ([]coordinator.Instance, error) { return r.alive, r.err }

func TestMe(t *testing.T) {
	tests := []struct {
		clients []config.Client
		key     string
		status  int
		want    string
	}{
		{nil, "", 200, `{"rights":["read","report","operate"],"tokens":["*"],"instance":"me"}`},
		{clients, "", 401, "urn:mintonce:problem:unauthorized"},
		{clients, "wrong", 401, "urn:mintonce:problem:unauthorized"},
		{clients, shopKey, 200, `{"client":"php","rights":["read","report"],"tokens":["shop"],"instance":"me"}`},
		{clients, operatorKey, 200, `{"client":"oncall","rights":["operate"],"tokens":["shop","other"],"instance":"me"}`},
	}
	for _, test := range tests {
		handler := httpapi.New(httpapi.Config{Credentials: ward(), Clients: test.clients, Instance: "me"})
		w := request{method: "GET", path: "/v1/me", key: test.key}.send(t, handler)
		if w.Code != test.status || !strings.Contains(w.Body.String(), test.want) {
			t.Errorf("%q: %d %s", test.key, w.Code, w.Body)
		}
	}
}

func TestOverview(t *testing.T) {
	since := time.Date(2026, 3, 14, 9, 0, 0, 0, time.UTC)
	roster := roll{alive: []coordinator.Instance{{Name: "me", ID: "1", Mints: true, Tokens: 4, Since: since, Seen: since}}}
	tests := []struct {
		name    string
		clients []config.Client
		key     string
		roster  coordinator.Roster
		want    string
	}{
		{"all", nil, "", roster, `{"tokens":4,"usable":3,"warning":1,"critical":1,"end":{"name":"Market","at":"2026-03-14T12:30:00Z","in_ms":1800000},` +
			`"refresh":{"name":"Market","at":"2026-03-14T12:15:00Z","in_ms":900000},"instance":"me",` +
			`"instances":[{"instance":"me","id":"1","mints":true,"since":"2026-03-14T09:00:00Z","seen":"2026-03-14T09:00:00Z","tokens":4}]}`},
		{"own", clients, shopKey, roster, `{"tokens":1,"usable":1,"warning":0,"critical":0,"end":{"name":"shop","at":"2026-03-14T13:00:00Z","in_ms":3600000},` +
			`"refresh":{"name":"shop","at":"2026-03-14T12:30:00Z","in_ms":1800000},"instance":"me",` +
			`"instances":[{"instance":"me","id":"1","mints":true,"since":"2026-03-14T09:00:00Z","seen":"2026-03-14T09:00:00Z"}]}`},
		{"no roster", clients, shopKey, nil, `{"tokens":1,"usable":1,"warning":0,"critical":0,"end":{"name":"shop","at":"2026-03-14T13:00:00Z","in_ms":3600000},` +
			`"refresh":{"name":"shop","at":"2026-03-14T12:30:00Z","in_ms":1800000},"instance":"me","instances":[]}`},
		{"store away", clients, blindKey, roll{err: errors.New("redisstore: gone")}, `{"tokens":1,"usable":1,"warning":0,"critical":0,"end":{"name":"other","at":"2026-03-14T14:00:00Z","in_ms":7200000},` +
			`"refresh":{"name":"other","at":"2026-03-14T13:00:00Z","in_ms":3600000},"instance":"me","instances":[],"instances_error":"gone"}`},
	}
	for _, test := range tests {
		handler := httpapi.New(httpapi.Config{Credentials: ward(), Clients: test.clients, Instance: "me", Roster: test.roster})
		w := request{method: "GET", path: "/v1/overview", key: test.key}.send(t, handler)
		if w.Code != http.StatusOK || w.Body.String() != test.want+"\n" {
			t.Errorf("%s: %d\n%swant\n%s", test.name, w.Code, w.Body, test.want)
		}
	}
	handler := httpapi.New(httpapi.Config{Credentials: ward(), Clients: clients})
	for key, want := range map[string]int{"": 401, "wrong": 401, operatorKey: 403} {
		if w := (request{method: "GET", path: "/v1/overview", key: key}).send(t, handler); w.Code != want {
			t.Errorf("%q: %d %s", key, w.Code, w.Body)
		}
	}
}

// Looking costs the same for one who looks as for many.
func TestOverviewIsShared(t *testing.T) {
	shop := &counted{fake: known(time.Hour, nil)}
	handler := httpapi.New(httpapi.Config{Credentials: map[string]httpapi.Credential{"shop": shop}})
	began := time.Now()
	for range 100 {
		request{method: "GET", path: "/v1/overview"}.send(t, handler)
	}
	if most := 1 + int(time.Since(began)/time.Second); shop.glances < 1 || shop.glances > most {
		t.Errorf("%d glances, want at most %d", shop.glances, most)
	}
}

type counted struct {
	*fake
	glances int
}

func (c *counted) Glance() (coordinator.Status, error) { c.glances++; return c.fake.Glance() }

func TestStatusOfSome(t *testing.T) {
	tests := []struct{ query, key, want string }{
		{"", "", "Market empty other shop"},
		{"?name=shop&name=empty&name=nobody", "", "empty shop"},
		{"?q=A", "", "Market"},
		{"?q=nobody", "", ""},
		{"?trouble", "", "Market empty"},
		{"?trouble&q=emp", "", "empty"},
		{"?trouble&limit=1", "", "Market +2 >Market"},
		{"?trouble&limit=1&after=Market", "", "empty +2"},
		{"?name=shop&name=other", shopKey, "shop"},
		{"?trouble", shopKey, ""},
	}
	for _, test := range tests {
		cfg := httpapi.Config{Credentials: ward()}
		if test.key != "" {
			cfg.Clients = clients
		}
		w := request{method: "GET", path: "/v1/status" + test.query, key: test.key}.send(t, httpapi.New(cfg))
		var answer page
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%s: %d %v", test.query, w.Code, err)
		}
		got := ""
		for _, token := range answer.Tokens {
			got += token.Name + " "
		}
		if answer.Total > 0 {
			got += fmt.Sprintf("+%d ", answer.Total)
		}
		if answer.Next != "" {
			got += ">" + answer.Next
		}
		if got = strings.TrimSpace(got); got != test.want {
			t.Errorf("%s: %s, want %s", test.query, got, test.want)
		}
	}
}

// While the store is away, the status is what this process knows, and says so.
func TestStatusWithoutStore(t *testing.T) {
	f := known(time.Hour, func(s *coordinator.Status) { s.Name = "shop" })
	f.err = coordinator.ErrStoreUnavailable
	handler := httpapi.New(httpapi.Config{Credentials: map[string]httpapi.Credential{"shop": f}})
	w := request{method: "GET", path: "/v1/status"}.send(t, handler)
	if text := w.Body.String(); !strings.Contains(text, `"generation":7`) || !strings.Contains(text, `"trouble":{"level":"warning","why":["store"]},"error":"store is unavailable"`) {
		t.Errorf("%s", text)
	}
}
