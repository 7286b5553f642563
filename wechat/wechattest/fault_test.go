package wechattest_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mintonce/mintonce/wechat/wechattest"
)

var mintPath = classicPath("client_credential", wechattest.AppID, wechattest.Secret)

// get returns the error of a request that is meant to break.
func (c client) get(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL+mintPath, nil)
	if err != nil {
		return err
	}
	request.Close = true
	response, err := c.Client().Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

func TestAnswersOfFaults(t *testing.T) {
	for _, test := range []struct {
		fault  wechattest.Fault
		status int
		body   string
		mints  int
	}{
		{wechattest.Fault{Kind: wechattest.Errcode, Code: -1}, 200, `{"errcode":-1,"errmsg":"system error rid: `, 0},
		{wechattest.Fault{Kind: wechattest.Errcode, Code: 89503, Body: "own text"}, 200, `{"errcode":89503,"errmsg":"own text"}`, 0},
		{wechattest.Fault{Kind: wechattest.Errcode, Code: 61004}, 200, "requestIP: 127.0.0.1", 0},
		{wechattest.Fault{Kind: wechattest.Status}, 500, "", 0},
		{wechattest.Fault{Kind: wechattest.Status, Code: 503, Body: "away"}, 503, "away", 0},
		{wechattest.Fault{Kind: wechattest.HTML}, 200, "<html>", 0},
		{wechattest.Fault{Kind: wechattest.Empty}, 200, "", 0},
		{wechattest.Fault{Kind: wechattest.Raw, Body: "[1]"}, 200, "[1]", 0},
		{wechattest.Fault{Kind: wechattest.ExpiresIn, Body: `"7200"`}, 200, `"expires_in":"7200"}`, 1},

		{wechattest.Fault{Kind: wechattest.Slow, Delay: time.Millisecond}, 200, `"expires_in":7200}`, 1},
	} {
		c := newClient(t, wechattest.Config{})
		c.Inject(test.fault)
		status, _, body := c.raw("GET", mintPath, "")
		if status != test.status || !strings.Contains(body, test.body) || test.body == "" && body != "" {
			t.Errorf("%+v gave %d %q", test.fault, status, body)
		}
		if stats := c.App(wechattest.AppID); stats.ClassicMints != test.mints || stats.Faults != 1 || stats.MintRequests != 1 {
			t.Errorf("%+v: counts are %+v", test.fault, stats)
		}
		if next := c.classic(); next.AccessToken == "" {
			t.Errorf("%+v was not used up", test.fault)
		}
	}
}

func TestExpiresInIsLeftOut(t *testing.T) {
	c := newClient(t, wechattest.Config{})
	c.Inject(wechattest.Fault{Kind: wechattest.ExpiresIn})
	if got := c.classic(); got.AccessToken == "" || got.ExpiresIn != nil {
		t.Errorf("answer is %+v, want a token without expires_in", got)
	}
}

func TestBrokenConnections(t *testing.T) {
	for _, test := range []struct {
		kind  wechattest.Kind
		want  error
		mints int
	}{
		{wechattest.Reset, syscall.ECONNRESET, 0},
		{wechattest.Lost, syscall.ECONNRESET, 1},
		{wechattest.Truncated, io.ErrUnexpectedEOF, 1},
	} {
		c := newClient(t, wechattest.Config{})
		// net/http repeats a GET if a reused connection breaks: two faults, so
		// that a repetition would show up in the counts.
		c.Inject(wechattest.Fault{Kind: test.kind, Times: 2})
		if err := c.get(t.Context()); !errors.Is(err, test.want) {
			t.Errorf("%s gave %v, want %v", test.kind, err, test.want)
		}
		if stats := c.App(wechattest.AppID); stats.ClassicMints != test.mints || stats.Faults != 1 {
			t.Errorf("%s: counts are %+v", test.kind, stats)
		}
	}
}

func TestRedirectFault(t *testing.T) {
	c := newClient(t, wechattest.Config{})
	c.Inject(wechattest.Fault{Kind: wechattest.Redirect, Body: "/elsewhere"})
	c.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if status, _, _ := c.raw("GET", mintPath, ""); status != 302 {
		t.Errorf("status is %d", status)
	}
}

// A request that is held is processed late, whether or not its client waits.
func TestHoldProcessesLate(t *testing.T) {
	minted := make(chan wechattest.Event, 1)
	c := newClient(t, wechattest.Config{Observe: func(e wechattest.Event) {
		if e.Outcome == wechattest.Minted {
			minted <- e
		}
	}})
	held := c.HoldNext(wechattest.Mints)
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() { left <- c.get(ctx) }()
	<-held.Arrived
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if stats := c.App(wechattest.AppID); stats.MintRequests != 1 || stats.ClassicMints != 0 {
		t.Errorf("before the release: %+v", stats)
	}
	held.Release()
	if e := <-minted; e.Fingerprint == "" || e.Endpoint != wechattest.Classic || e.App != wechattest.AppID {
		t.Errorf("the mint after its client left: %+v", e)
	}
}

func TestHangEnds(t *testing.T) {
	for name, end := range map[string]func(c client, cancel func()){
		"Release":        func(c client, _ func()) { c.Release() },
		"Clear":          func(c client, _ func()) { c.Clear() },
		"Close":          func(c client, _ func()) { c.Server.Close() },
		"client leaving": func(_ client, cancel func()) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			hanging := make(chan struct{}, 1)
			c := newClient(t, wechattest.Config{Observe: func(e wechattest.Event) {
				if e.Outcome == wechattest.Faulted {
					hanging <- struct{}{}
				}
			}})
			c.Inject(wechattest.Fault{Kind: wechattest.Hang, Times: -1})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- c.get(ctx) }()
			<-hanging
			end(c, cancel)
			if err := <-done; err == nil {
				t.Error("a request that hangs was answered")
			}
			if n := c.App(wechattest.AppID).ClassicMints; n != 0 {
				t.Errorf("%d mints", n)
			}
		})
	}
}

// Whoever has seen that a request is there can release it, however soon.
func TestReleaseAtOnce(t *testing.T) {
	var c client
	c = newClient(t, wechattest.Config{Observe: func(e wechattest.Event) {
		if e.Outcome == wechattest.Faulted {
			c.Release()
		}
	}})
	c.Inject(wechattest.Fault{Kind: wechattest.Hold})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := c.get(ctx); err != nil {
		t.Errorf("a request that was released gave %v", err)
	}
}

func TestFaultsChooseTheirRequests(t *testing.T) {
	c := newClient(t, wechattest.Config{})
	c.Inject(wechattest.Fault{Kind: wechattest.Errcode, Code: 1, On: wechattest.Stable})
	c.Inject(wechattest.Fault{Kind: wechattest.Errcode, Code: 2, On: wechattest.Call, Times: 2})
	c.Inject(wechattest.Fault{Kind: wechattest.Errcode, Code: 3, App: "wxother"})
	c.Inject(wechattest.Fault{Kind: wechattest.Errcode, Code: 4, On: wechattest.Everything, Times: -1})
	got := []int{c.classic().ErrCode, c.stable(false).ErrCode, c.stable(false).ErrCode, c.code(""), c.code(""), c.code("")}
	if want := []int{4, 1, 4, 2, 2, 4}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("codes are %v, want %v", got, want)
	}
	c.Clear()
	c.FailNext(2, 45009)
	got = []int{c.classic().ErrCode, c.code(""), c.stable(false).ErrCode, c.classic().ErrCode}
	if want := []int{45009, 41001, 45009, 0}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("codes are %v, want %v", got, want)
	}
}

func TestControlOverHTTP(t *testing.T) {
	c := newClient(t, wechattest.Config{})
	c.do("POST", "/sandbox/fault", `{"kind":"errcode","code":-1,"times":2,"on":"mint","app":"`+wechattest.AppID+`"}`)
	c.do("POST", "/sandbox/fault", `{"kind":"slow","delay":"1ms"}`)
	if got := []int{c.classic().ErrCode, c.stable(false).ErrCode}; got[0] != -1 || got[1] != -1 {
		t.Errorf("codes are %v", got)
	}
	token := c.classic().AccessToken
	c.do("POST", "/sandbox/mint", `{"app":"`+wechattest.AppID+`","endpoint":"classic"}`)
	c.wantCodes("after a mint elsewhere", map[string]int{token: 0})
	c.do("POST", "/sandbox/revoke", `{"app":"`+wechattest.AppID+`"}`)
	c.wantCodes("after revoke", map[string]int{token: 40001})
	c.do("POST", "/sandbox/fault", `{"kind":"html","times":-1}`)
	c.do("POST", "/sandbox/clear", "")
	c.classic()
	c.do("POST", "/sandbox/release", "")

	_, _, text := c.raw("GET", "/sandbox/stats", "")
	var stats wechattest.Stats
	if err := json.Unmarshal([]byte(text), &stats); err != nil {
		t.Fatal(err)
	}
	got := stats.Apps[wechattest.AppID]
	if got.ClassicMints != 2 || got.MintRequests != 4 || got.Faults != 3 || got.CallsRejected[40001] != 1 || len(got.ClassicToken) != 16 {
		t.Errorf("counts are %+v", got)
	}
	_, _, log := c.raw("GET", "/sandbox/log", "")
	var events []wechattest.Event
	if err := json.Unmarshal([]byte(log), &events); err != nil || len(events) != len(c.Log()) {
		t.Errorf("%d events over HTTP, %d in all (%v)", len(events), len(c.Log()), err)
	}
	for _, secret := range []string{token, wechattest.Secret} {
		if strings.Contains(text+log, secret) {
			t.Error("stats or log show a token or a secret")
		}
	}
}

func TestControlTellsOfItself(t *testing.T) {
	c := newClient(t, wechattest.Config{})
	if status, _, text := c.raw("GET", "/sandbox/nothing", ""); status != 404 || !strings.Contains(text, "POST /sandbox/mint ") || !strings.Contains(text, "GET  /sandbox/stats ") {
		t.Errorf("%d %s", status, text)
	}
	for _, endpoint := range []string{"token", "stable_token"} { // as the paths are called
		if status, _, text := c.raw("POST", "/sandbox/mint", `{"app":"`+wechattest.AppID+`","endpoint":"`+endpoint+`"}`); status != 200 {
			t.Errorf("%s: %d %s", endpoint, status, text)
		}
	}
}

func TestControlRefusesNonsense(t *testing.T) {
	c := newClient(t, wechattest.Config{})
	for _, order := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/sandbox/fault", `{"kind":"nonsense"}`, 400},
		{"POST", "/sandbox/fault", `{}`, 400},
		{"POST", "/sandbox/fault", `not JSON`, 400},
		{"POST", "/sandbox/fault", `{"kind":"html","tmies":3}`, 400},
		{"POST", "/sandbox/fault", `{"kind":"html","times":-2}`, 400},
		{"POST", "/sandbox/fault", `{"kind":"html","on":"nothing"}`, 400},
		{"POST", "/sandbox/fault", `{"kind":"html","app":"wxnobody"}`, 400},
		{"POST", "/sandbox/fault", `{"kind":"slow","delay":"soon"}`, 400},
		{"POST", "/sandbox/fault", `{"kind":"slow","delay":"-1s"}`, 400},
		{"POST", "/sandbox/fault", `{"kind":"status","code":99}`, 400},
		{"POST", "/sandbox/mint", `{"app":"` + wechattest.AppID + `"}`, 400},
		{"POST", "/sandbox/mint", `{"endpoint":"classic"}`, 400},
		{"POST", "/sandbox/revoke", `{"app":"wxnobody"}`, 400},
		{"GET", "/sandbox/fault", "", 404},
		{"GET", "/sandbox/nothing", "", 404},
	} {
		if status, _, text := c.raw(order.method, order.path, order.body); status != order.status {
			t.Errorf("%s %s %s: %d %s, want %d", order.method, order.path, order.body, status, text, order.status)
		}
	}
	if c.classic().AccessToken == "" {
		t.Error("one of them had an effect")
	}
}

// Run with -race.
func TestConcurrentUse(t *testing.T) {
	c := newClient(t, wechattest.Config{})
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 10 {
				c.Inject(wechattest.Fault{Kind: wechattest.Slow, On: wechattest.Everything})
				token := c.classic().AccessToken
				c.stable(i == 0)
				c.code(token)
				c.Stats()
				c.Log()
				c.Release()
			}
		})
	}
	all.Wait()
	if got := c.App(wechattest.AppID); got.ClassicMints != 80 || got.MintRequests != 160 {
		t.Errorf("counts are %+v", got)
	}
}
