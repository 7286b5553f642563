package httpapi_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/config"
	"github.com/mintonce/mintonce/internal/httpapi"
	"github.com/mintonce/mintonce/internal/pipetest"
	"github.com/mintonce/mintonce/internal/wechatapi"
)

// dropIn is an API whose token shop is the one of appid wx1.
func dropIn(clients []config.Client, limits *httpapi.Limits, log *slog.Logger) http.Handler {
	return httpapi.New(httpapi.Config{
		Credentials: map[string]httpapi.Credential{"shop": live(), "other": live()}, Clients: clients, Limits: limits, Log: log,
		WeChat: wechatapi.Config{Accounts: map[string][]wechatapi.Account{"wx1": {{Name: "shop"}}, "wx2": {{Name: "other"}}}},
	})
}

// sdk is what an SDK asks for.
func sdk(appID, key string) request {
	return request{method: "GET", path: "/cgi-bin/token?grant_type=client_credential&appid=" + appID + "&secret=" + key}
}

// wantWeChat checks that the answer has WeChat's form, and the errcode, 0 for a
// token.
func wantWeChat(t *testing.T, w *httptest.ResponseRecorder, errcode int) {
	t.Helper()
	got := decode(t, w)
	code, _ := got["errcode"].(float64)
	good := w.Code == http.StatusOK && int(code) == errcode && w.Header().Get("Content-Type") == "application/json; encoding=utf-8" && w.Header().Get("Location") == ""
	if errcode == 0 {
		good = good && got["access_token"] == secretToken && got["expires_in"].(float64) > 3500 && len(got) == 2
	} else {
		good = good && strings.Contains(fmt.Sprint(got["errmsg"]), " rid: ") && len(got) == 2
	}
	if !good || errcode != 0 && strings.Contains(w.Body.String(), secretToken) {
		t.Errorf("%d %v %s, want errcode %d", w.Code, w.Header(), w.Body, errcode)
	}
}

func TestDropIn(t *testing.T) {
	open, keyed := dropIn(nil, nil, nil), dropIn(clients, nil, nil)
	from := func(remote, host string) func(*http.Request) {
		return func(r *http.Request) { r.RemoteAddr, r.Host = remote, host }
	}
	with := func(q request, other func(*http.Request)) request { q.other = other; return q }
	tests := []struct {
		name    string
		handler http.Handler
		q       request
		errcode int
	}{
		{"on this machine without clients, the secret is ignored", open, sdk("wx1", "whatever"), 0},
		{"on this machine without clients, and none at all", open, request{method: "GET", path: "/cgi-bin/token?grant_type=client_credential&appid=wx1"}, 0},
		{"with a key", keyed, sdk("wx1", shopKey), 0},
		{"with a key, from elsewhere", keyed, with(sdk("wx1", shopKey), from("192.0.2.1:1", "mintonce.example")), 0},
		{"in a body", keyed, request{method: "POST", path: "/cgi-bin/stable_token", body: `{"grant_type":"client_credential","appid":"wx1","secret":"` + shopKey + `"}`}, 0},

		{"another's token", keyed, sdk("wx2", shopKey), 40013},
		{"without the right to read", keyed, sdk("wx1", operatorKey), 40013},
		{"no key", keyed, sdk("wx1", ""), 41004},
		{"the key in a header", keyed, request{method: "GET", path: "/cgi-bin/token?grant_type=client_credential&appid=wx1", key: shopKey}, 41004},
		{"wrong key", keyed, sdk("wx1", "guess"), 40125},
		{"hash for a key", keyed, sdk("wx1", digest(shopKey)), 40125},
		{"oversized body", keyed, request{method: "POST", path: "/cgi-bin/stable_token", body: strings.Repeat("x", 100<<10)}, 47001},

		{"from elsewhere without clients", open, with(sdk("wx1", ""), from("192.0.2.1:1", "127.0.0.1")), 48001},
		{"another name (DNS rebinding)", open, with(sdk("wx1", ""), from("127.0.0.1:1", "evil.example")), 48001},
		{"a page of another site", open, request{method: "POST", path: "/cgi-bin/stable_token", body: "{}", other: header("Sec-Fetch-Site", "cross-site")}, 48001},

		{"two slashes", keyed, request{method: "GET", path: "//cgi-bin/token?secret=" + shopKey}, 40066},
		{"slashes within", keyed, request{method: "GET", path: "/cgi-bin///token?secret=" + shopKey}, 40066},
		{"dots out", keyed, request{method: "GET", path: "/cgi-bin/../v1/status", key: shopKey}, 40066},
		{"dots in", keyed, request{method: "GET", path: "/x/../cgi-bin/token?secret=" + shopKey}, 40066},
		{"encoded dots", keyed, request{method: "GET", path: "/cgi-bin/%2e%2e/v1/tokens/shop", key: shopKey}, 40066},
		{"encoded slash", keyed, request{method: "GET", path: "/cgi-bin%2f%2ftoken?secret=" + shopKey}, 40066},
		{"backslash", keyed, request{method: "GET", path: `/cgi-bin%5ctoken?secret=` + shopKey}, 40066},
		{"without the rest", keyed, request{method: "GET", path: "/cgi-bin"}, 40066},
		{"another call", keyed, request{method: "GET", path: "/cgi-bin/user/get?access_token=" + secretToken}, 40066},
		{"a strange method", keyed, request{method: "TRACE", path: "/cgi-bin/token"}, 43001},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { wantWeChat(t, test.q.send(t, test.handler), test.errcode) })
	}
}

// TestDropInLogHoldsNoKey: the key stands in the query there, and no log shows
// it, at any level.
func TestDropInLogHoldsNoKey(t *testing.T) {
	var out bytes.Buffer
	handler := dropIn(clients, nil, slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
	const wrong = "wrong-key-that-nobody-logs"
	for range 30 { // the wrong keys are told of, too
		for _, q := range []request{sdk("wx1", shopKey), sdk("wx2", shopKey), sdk("wx1", wrong), sdk(wrong, wrong),
			{method: "GET", path: "//cgi-bin/token?secret=" + shopKey},
			{method: "GET", path: "/cgi-bin/" + shopKey + "?access_token=" + secretToken},
			{method: "POST", path: "/cgi-bin/stable_token?secret=" + shopKey, body: `{"secret":"` + shopKey + `"}`},
			{method: "GET", path: "/cgi-bin/ticket/getticket?type=jsapi&access_token=" + secretToken}} {
			q.send(t, handler)
		}
	}
	text := out.String()
	for _, secret := range []string{shopKey, wrong, secretToken, "secret="} {
		if strings.Contains(text, secret) {
			t.Errorf("the log has %q:\n%.2000s", secret, text)
		}
	}
	for _, want := range []string{
		"path=/cgi-bin/token status=200 from=127.0.0.1:54321", " token=shop client=php\n", "path=/cgi-bin/ status=200",
		"path=/cgi-bin/ticket/getticket status=200", "msg=refused path=/cgi-bin/token errcode=40125 rid=", "many wrong keys",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the log lacks %q:\n%.2000s", want, text)
		}
	}
}

// TestDropInTenThousandWrongKeys: all are answered alike, cost no memory, and
// never stand in the way of a right key from the same address.
func TestDropInTenThousandWrongKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		handler := dropIn(clients, nil, slog.New(slog.NewTextHandler(&out, nil)))
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		texts := make(map[string]bool)
		for i := range 10_000 {
			w := sdk([]string{"wx1", "wx2", "wx3"}[i%3], fmt.Sprint("guess-", i)).send(t, handler)
			wantWeChat(t, w, 40125)
			text, _, _ := strings.Cut(fmt.Sprint(decode(t, w)["errmsg"]), " rid: ")
			texts[text] = true
			if i%1000 == 999 {
				wantWeChat(t, sdk("wx1", shopKey).send(t, handler), 0)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 1<<20 {
			t.Errorf("they left %d KiB", grown>>10)
		}
		if len(texts) != 1 {
			t.Errorf("they were answered in %d ways: %v", len(texts), texts)
		}
		if text := out.String(); strings.Count(text, "\n") != 1 || strings.Contains(text, "guess") {
			t.Errorf("the log is\n%.500s", text)
		}
	})
}

// TestDropInRate: a client that exceeds its rate is told so as WeChat does.
func TestDropInRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := []config.Client{{Name: "php", KeySHA256: digest(shopKey), Tokens: []string{"shop"}, Rights: config.DefaultRights, Rate: 20}}
		handler := dropIn(slow, nil, nil)
		for range 20 {
			wantWeChat(t, sdk("wx1", shopKey).send(t, handler), 0)
		}
		w := sdk("wx1", shopKey).send(t, handler)
		if wantWeChat(t, w, 45011); w.Header().Get("Retry-After") != "1" {
			t.Errorf("Retry-After is %q", w.Header().Get("Retry-After"))
		}
	})
}

// TestDropInSlowClient: one that sends its body a byte now and then is left
// when the time for reading is over, and nobody else waits for it.
func TestDropInSlowClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := httpapi.NewServer(dropIn(clients, nil, nil), slog.New(slog.DiscardHandler))
		listener := pipetest.Listen()
		go server.Serve(listener)
		defer server.Close()
		conn, err := listener.Dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST /cgi-bin/stable_token HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{")
		somebody := &http.Client{Transport: &http.Transport{DialContext: listener.Dial}}
		response, err := somebody.Get("http://127.0.0.1" + sdk("wx1", shopKey).path)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if !strings.Contains(string(body), secretToken) {
			t.Errorf("somebody else gets %s", body)
		}
		response, err = http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatalf("the slow one: %v", err)
		}
		defer response.Body.Close()
		var answer struct{ ErrCode int }
		if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.ErrCode != 47001 {
			t.Errorf("the slow one gets %+v, %v", answer, err)
		}
		if n, err := io.Copy(io.Discard, conn); n != 0 || err != nil {
			t.Errorf("its connection is not closed: %d, %v", n, err)
		}
	})
}

// BenchmarkDropIn is a request of an SDK, beside one for the same token at /v1.
func BenchmarkDropIn(b *testing.B) {
	handler := dropIn(nil, nil, nil)
	for name, path := range map[string]string{"cgi-bin": "/cgi-bin/token?grant_type=client_credential&secret=any&appid=wx1", "v1": "/v1/tokens/shop"} {
		b.Run(name, func(b *testing.B) {
			r, _ := http.NewRequest("GET", "http://127.0.0.1"+path, nil)
			r.RemoteAddr = "127.0.0.1:1"
			b.ReportAllocs()
			for b.Loop() {
				handler.ServeHTTP(discard{}, r)
			}
		})
	}
}

// TestRejectedTokenIsNotHandedOut: what a probe for an SDK has found out holds
// for those who read the token at /v1, too.
func TestRejectedTokenIsNotHandedOut(t *testing.T) {
	shop := live()
	shop.failure = &coordinator.ForeignMinterError{Count: 3, By: "client php", RetryAfter: 90 * time.Second, Advice: "use mode stable"}
	handler := httpapi.New(httpapi.Config{
		Credentials: map[string]httpapi.Credential{"shop": shop},
		WeChat: wechatapi.Config{
			Accounts: map[string][]wechatapi.Account{"wx1": {{Name: "shop"}}},
			Probe:    func(context.Context, string, string) error { return &coordinator.RejectedError{Code: 42001} },
		},
	})
	read := request{method: "GET", path: "/v1/tokens/shop"}
	wantWeChat(t, sdk("wx1", "").send(t, handler), 0)
	if w := read.send(t, handler); w.Code != http.StatusOK {
		t.Errorf("before it was tried: %d %s", w.Code, w.Body)
	}
	wantWeChat(t, sdk("wx1", "").send(t, handler), -1)
	w := read.send(t, handler)
	if got := decode(t, w); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "90" || got["type"] != "urn:mintonce:problem:foreign-minter" ||
		!strings.Contains(fmt.Sprint(got["detail"]), "WeChat rejects the current token (errcode 42001)") || strings.Contains(w.Body.String(), secretToken) {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}
