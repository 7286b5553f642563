package wechatapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/config"
	"github.com/mintonce/mintonce/internal/wechatapi"
)

// TestWireFormat: to the byte what WeChat answers.
func TestWireFormat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(wechatapi.Config{})
		w.clients = nil
		for want, r := range map[string]*http.Request{
			`{"access_token":"classic-token-1","expires_in":N}`:                   classic(shopID, "any"),
			`{"access_token":"stable-token-1","expires_in":N}`:                    stable(shopID, "", false),
			`{"errcode":0,"errmsg":"ok","ticket":"jsapi-token-1","expires_in":N}`: get("/cgi-bin/ticket/getticket?access_token=classic-token-1&type=jsapi"),
		} {
			recorder := httptest.NewRecorder()
			w.ServeHTTP(recorder, r)
			var a answer
			if err := json.Unmarshal(recorder.Body.Bytes(), &a); err != nil {
				t.Fatal(err)
			}
			want = strings.Replace(want, "N", fmt.Sprint(a.ExpiresIn), 1)
			if got := recorder.Body.String(); got != want || recorder.Code != 200 || recorder.Header().Get("Content-Type") != "application/json; encoding=utf-8" {
				t.Errorf("%s %v, want %s", got, recorder.Header(), want)
			}
		}
	})
}

func TestWhichToken(t *testing.T) {
	w := newWorld(wechatapi.Config{})
	tests := []struct {
		name string
		r    *http.Request
		want string
		code int
	}{
		{"classic", classic(shopID, phpKey), "classic-token-1", 0},
		{"stable", stable(shopID, phpKey, false), "stable-token-1", 0},
		{"classic, for who may have stable only", classic(shopID, nodeKey), "stable-token-1", 0},
		{"another's", classic(otherID, phpKey), "", 40013},
		{"none of anybody", classic("wxnone", phpKey), "", 40013},
		{"without the right to read", classic(shopID, blindKey), "", 40013},
		{"wrong key", classic(shopID, "guess"), "", 40125},
		{"wrong key for an appid that there is not", classic("wxnone", "guess"), "", 40125},
		{"wrong key in JSON", stable(shopID, "guess", false), "", 40125},
		{"another form of the appid", classic("WXSHOP", phpKey), "", 40013},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := w.send(t, test.r); got.AccessToken != test.want || got.ErrCode != test.code {
				t.Errorf("%+v", got)
			}
		})
	}
	// What a client may not have looks like what there is not.
	texts := map[string]bool{}
	for _, appID := range []string{otherID, "wxnone", "wx-none-either"} {
		text, _, _ := strings.Cut(w.send(t, classic(appID, phpKey)).ErrMsg, " rid: ")
		texts[text] = true
	}
	if len(texts) != 1 {
		t.Errorf("the answers differ: %v", texts)
	}
}

func TestRefusals(t *testing.T) {
	tests := []struct {
		name string
		r    *http.Request
		code int
		text string
	}{
		{"nothing", get("/cgi-bin/token"), 40002, "invalid grant_type"},
		{"OAuth's grant type", get("/cgi-bin/token?grant_type=client_credentials&appid=wxshop&secret=" + phpKey), 40002, ""},
		{"no appid", get("/cgi-bin/token?grant_type=client_credential&secret=" + phpKey), 41002, "appid missing"},
		{"no key", classic(shopID, ""), 41004, "appsecret missing"},
		{"key in a header", header(classic(shopID, ""), "Authorization", "Bearer "+phpKey), 41004, ""},
		{"key as access_token", get("/cgi-bin/token?grant_type=client_credential&appid=wxshop&access_token=" + phpKey), 41004, ""},
		{"key in the query of a POST", httptest.NewRequest("POST", "/cgi-bin/stable_token?appid=wxshop&secret="+phpKey, strings.NewReader(`{"grant_type":"client_credential","appid":"wxshop"}`)), 41004, ""},
		{"too quick", classic(shopID, "quick"), 45011, "api minute-quota"},
		{"POST for GET", httptest.NewRequest("POST", "/cgi-bin/token?grant_type=client_credential&appid=wxshop&secret="+phpKey, nil), 43001, "require GET method"},
		{"DELETE", httptest.NewRequest("DELETE", "/cgi-bin/token", nil), 43001, ""},
		{"GET for POST", get("/cgi-bin/stable_token?grant_type=client_credential&appid=wxshop&secret=" + phpKey), 43002, "require POST method"},
		{"no body", post(""), 44002, "empty post data"},
		{"blanks", post(" \n"), 44002, ""},
		{"a form", post("grant_type=client_credential&appid=wxshop&secret=" + phpKey), 47001, "data format error"},
		{"half an object", post(`{"grant_type":"client_credential","appid":"wxshop"`), 47001, ""},
		{"a list", post("[]"), 47001, ""},
		{"two objects", post(`{}{}`), 47001, ""},
		{"something after the object", post(`{"grant_type":"client_credential","appid":"wxshop","secret":"php-key"} x`), 47001, ""},
		{"number as appid", post(`{"grant_type":"client_credential","appid":1}`), 47001, ""},
		{"text as force_refresh", post(`{"grant_type":"client_credential","appid":"wxshop","secret":"php-key","force_refresh":"true"}`), 47001, ""},
		{"null", post("null"), 40002, ""},
		{"deep", post(strings.Repeat("[", 16<<10)), 47001, ""},
		{"large", post(`{"grant_type":"client_credential","appid":"` + strings.Repeat("x", 16<<10) + `"}`), 47001, ""},
		{"ticket by POST", httptest.NewRequest("POST", "/cgi-bin/ticket/getticket?access_token=x&type=jsapi", nil), 43001, ""},
		{"another call", get("/cgi-bin/menu/get?access_token=classic-token-1"), 40066, "invalid url"},
		{"nothing below", get("/cgi-bin/"), 40066, ""},
		{"dots", get("/cgi-bin/../v1/status"), 40066, ""},
		{"slashes", get("/cgi-bin//token?grant_type=client_credential&appid=wxshop&secret=" + phpKey), 40066, ""},
		{"a slash more", get("/cgi-bin/token/?grant_type=client_credential&appid=wxshop&secret=" + phpKey), 40066, ""},
		{"other letters", get("/cgi-bin/TOKEN?grant_type=client_credential&appid=wxshop&secret=" + phpKey), 40066, ""},
		{"a bad query", get("/cgi-bin/token?grant_type=client_credential&appid=%zz&secret=" + phpKey), 41002, ""},
		{"a query of semicolons", get("/cgi-bin/token?grant_type=client_credential;appid=wxshop;secret=" + phpKey), 40002, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(wechatapi.Config{})
			got := w.send(t, test.r)
			if got.ErrCode != test.code || !strings.HasPrefix(got.ErrMsg, test.text) {
				t.Errorf("%+v, want %d %s", got, test.code, test.text)
			}
			if strings.Contains(got.ErrMsg, "-key") || strings.Contains(got.ErrMsg, "-token-") || strings.Contains(w.log.String(), "-key") {
				t.Errorf("a key or a token shows: %s, %s", got.ErrMsg, w.log)
			}
			if rid := got.ErrMsg[strings.LastIndex(got.ErrMsg, " ")+1:]; !strings.Contains(w.log.String(), fmt.Sprintf("errcode=%d rid=%s", test.code, rid)) {
				t.Errorf("the log does not have the rid %s: %s", rid, w.log)
			}
		})
	}
}

func header(r *http.Request, name, value string) *http.Request {
	r.Header.Set(name, value)
	return r
}

// TestLenience: what SDKs send and WeChat does not mind.
func TestLenience(t *testing.T) {
	w := newWorld(wechatapi.Config{})
	for name, r := range map[string]*http.Request{
		"a content type of text":      header(stable(shopID, phpKey, false), "Content-Type", "text/plain"),
		"no content type":             stable(shopID, phpKey, false),
		"fields that are not known":   post(`{"grant_type":"client_credential","appid":"wxshop","secret":"php-key","x":[1]}`),
		"white space":                 post("\n {\"grant_type\":\"client_credential\",\"appid\":\"wxshop\",\"secret\":\"php-key\"}\n"),
		"parameters in another order": get("/cgi-bin/token?secret=php-key&x=&appid=wxshop&grant_type=client_credential"),
	} {
		if got := w.send(t, r); got.AccessToken == "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
	recorder := httptest.NewRecorder()
	r := classic(shopID, phpKey)
	r.Method = http.MethodHead
	if w.ServeHTTP(recorder, r); recorder.Code != http.StatusOK {
		t.Errorf("HEAD: %d", recorder.Code)
	}
}

// TestNoToken: an account without a token is busy. What WeChat says to mintonce
// is not what it says to the client.
func TestNoToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, test := range []struct {
			err   error
			code  int
			retry string
		}{
			{coordinator.ErrStoreUnavailable, -1, ""},
			{&coordinator.BackoffError{Failure: coordinator.Failure{Code: 40125, Message: "the AppSecret is wrong"}, RetryAfter: 1500 * time.Millisecond}, -1, "2"},
			{&coordinator.SourceError{Class: coordinator.Configuration, Code: 40013, Message: "the AppID does not exist", After: 5 * time.Minute}, -1, "300"},
			{&coordinator.BudgetError{What: "mints today", Spent: 1800, Limit: 1800, Until: time.Now(), RetryAfter: time.Hour}, 45009, "3600"},
		} {
			w := newWorld(wechatapi.Config{})
			w.tokens["classic"].err = errors.Join(coordinator.ErrNoToken, test.err)
			recorder := httptest.NewRecorder()
			w.ServeHTTP(recorder, classic(shopID, phpKey))
			if got := check(t, recorder); got.ErrCode != test.code || recorder.Header().Get("Retry-After") != test.retry || !strings.Contains(got.ErrMsg, "hint: [mintonce: no usable token now") {
				t.Errorf("%v: %+v, %v", test.err, got, recorder.Header())
			}
		}
	})
}

// TestExpiresIn: never more than the time for which the token can be kept, and
// never less than that by much; the same for the same client.
func TestExpiresIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(wechatapi.Config{})
		seen := make(map[int]bool)
		for i := range 100 {
			key := fmt.Sprint("key-", i)
			w.clients[key] = &config.Client{Name: fmt.Sprint("client-", i), Tokens: []string{"classic"}, Rights: config.DefaultRights}
			got, again := w.send(t, classic(shopID, key)).ExpiresIn, w.send(t, classic(shopID, key)).ExpiresIn
			if got != again || got > 7200 || got < 7200-60 {
				t.Errorf("expires_in is %d, then %d", got, again)
			}
			seen[got] = true
		}
		if len(seen) < 30 {
			t.Errorf("a hundred clients come back in %d different seconds", len(seen))
		}
	})
}

func TestExpiresInNearTheEnd(t *testing.T) {
	tests := []struct {
		left     time.Duration
		margin   float64
		min, max int
	}{
		{2 * time.Hour, 0, 7140, 7200},
		{10 * time.Minute, 0, 570, 600},
		{20 * time.Second, 0, 19, 20},
		{900 * time.Millisecond, 0, 1, 1}, // 0 is for ever to some caches
		{20 * time.Second, 1500, 1519, 1520},
		{2 * time.Hour, 1500, 8640, 8700},
	}
	for _, test := range tests {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(wechatapi.Config{})
			w.clients[phpKey].SDKMargin = test.margin
			w.tokens["classic"].keep = time.Now().Add(test.left)
			if got := w.send(t, classic(shopID, phpKey)).ExpiresIn; got < test.min || got > test.max {
				t.Errorf("with %s left and a margin of %v s, expires_in is %d", test.left, test.margin, got)
			}
		})
	}
}

// FuzzStableToken: whatever body is sent, the answer has WeChat's form, and no
// token goes to anybody without a key.
func FuzzStableToken(f *testing.F) {
	for _, seed := range []string{`{"grant_type":"client_credential","appid":"wxshop","secret":"php-key"}`, `{"force_refresh":true}`, "{}{}", "", "null", "[[[", `{"appid":"\ud800"}`, "{\"secret\":\"\xff\"}"} {
		f.Add(seed)
	}
	w := newWorld(wechatapi.Config{})
	f.Fuzz(func(t *testing.T, body string) {
		got := w.send(t, post(body))
		if got.AccessToken != "" && !strings.Contains(unescaped(body), phpKey) && !strings.Contains(unescaped(body), nodeKey) {
			t.Errorf("%q got a token", body)
		}
	})
}

// unescaped is a body whose texts have no escapes.
func unescaped(body string) string {
	var any map[string]any
	if json.Unmarshal([]byte(body), &any) != nil {
		return body
	}
	return fmt.Sprint(any)
}

// FuzzQuery is the same for the path and the query of a GET.
func FuzzQuery(f *testing.F) {
	f.Add("/cgi-bin/token", "grant_type=client_credential&appid=wxshop&secret=php-key")
	f.Add("/cgi-bin/ticket/getticket", "access_token=classic-token-1&type=jsapi")
	f.Add("/cgi-bin/..", "a=%zz;&&=")
	w := newWorld(wechatapi.Config{})
	f.Fuzz(func(t *testing.T, path, query string) {
		r := get("/")
		r.URL.Path, r.URL.RawQuery = path, query
		if !wechatapi.Covers(r) {
			return
		}
		values := r.URL.Query()
		secret, ticketToken := values.Get("secret"), values.Get("access_token")
		got := w.send(t, r)
		if got.AccessToken != "" && secret != phpKey && secret != nodeKey || got.Ticket != "" && !strings.Contains(ticketToken, "-token-1") {
			t.Errorf("%q?%q got %+v", path, query, got)
		}
	})
}
