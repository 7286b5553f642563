package wechattest_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/wechat/wechattest"
)

func TestClassicMintEndsTheTokenBefore(t *testing.T) {
	c := newClient(t, wechattest.Config{})
	one := c.classic()
	if string(one.ExpiresIn) != "7200" || len(one.AccessToken) < 100 || one.ErrCode != 0 {
		t.Fatalf("answer is %+v", one)
	}
	c.clock.advance(time.Minute)
	two := c.classic()
	c.clock.advance(5*time.Minute - time.Nanosecond)
	c.wantCodes("before the overlap ends", map[string]int{one.AccessToken: 0, two.AccessToken: 0})
	c.clock.advance(time.Nanosecond)
	c.wantCodes("when the overlap ends", map[string]int{one.AccessToken: 40001, two.AccessToken: 0})
	three := c.classic()
	four := c.classic()
	c.wantCodes("after two mints at once", map[string]int{two.AccessToken: 40001, three.AccessToken: 0, four.AccessToken: 0})
	c.clock.advance(2*time.Hour - time.Nanosecond)
	c.wantCodes("before the end", map[string]int{three.AccessToken: 40001, four.AccessToken: 0})
	c.clock.advance(time.Nanosecond)
	c.wantCodes("at the end", map[string]int{four.AccessToken: 42001, "never was a token": 40014, "": 41001})
}

func TestStableRepeatsAndRenews(t *testing.T) {
	c := newClient(t, wechattest.Config{})
	one := c.stable(false)
	c.clock.advance(time.Hour + 55*time.Minute - 45*time.Second)
	if again := c.stable(false); again.AccessToken != one.AccessToken || string(again.ExpiresIn) != "345" {
		t.Errorf("answer is %+v, want the same token with 345 s left", again)
	}
	c.clock.advance(45*time.Second - time.Nanosecond)
	if again := c.stable(false); again.AccessToken != one.AccessToken || string(again.ExpiresIn) != "300" {
		t.Errorf("answer is %+v, want the same token with 300 s left", again)
	}
	c.clock.advance(time.Nanosecond)
	two := c.stable(false)
	if two.AccessToken == one.AccessToken || string(two.ExpiresIn) != "7200" {
		t.Errorf("answer is %+v, want a new token in the last five minutes", two)
	}
	c.clock.advance(5*time.Minute - time.Nanosecond)
	c.wantCodes("in the overlap", map[string]int{one.AccessToken: 0, two.AccessToken: 0})
	c.clock.advance(time.Nanosecond)
	if code := c.code(one.AccessToken); code == 0 {
		t.Error("the token before lives on after the overlap")
	}
}

func TestStableAndClassicAreApart(t *testing.T) {
	c := newClient(t, wechattest.Config{})
	classic, stable := c.classic(), c.stable(false)
	c.classic()
	c.classic()
	c.wantCodes("after classic mints", map[string]int{classic.AccessToken: 40001, stable.AccessToken: 0})
	if again := c.stable(false); again.AccessToken != stable.AccessToken {
		t.Error("classic mints changed the stable token")
	}
}

// The procedure for a leak: two forced refreshes, 30 seconds apart.
func TestForcedRefresh(t *testing.T) {
	c := newClient(t, wechattest.Config{ForcedPerDay: 3})
	leaked := c.stable(false).AccessToken
	two := c.stable(true).AccessToken
	c.wantCodes("after one forced refresh", map[string]int{leaked: 0, two: 0})
	c.clock.advance(30*time.Second - time.Nanosecond)
	if early := c.stable(true); early.AccessToken != two || string(early.ExpiresIn) != "7170" {
		t.Errorf("a forced refresh that comes too early gave %+v", early)
	}
	c.clock.advance(time.Nanosecond)
	three := c.stable(true).AccessToken
	c.wantCodes("after the second", map[string]int{leaked: 40001, two: 0, three: 0})
	c.clock.advance(time.Minute)
	c.stable(true)
	c.clock.advance(time.Minute)
	if over := c.stable(true); over.ErrCode != 45009 {
		t.Errorf("beyond the day's limit: %+v", over)
	}
	if normal := c.stable(false); normal.ErrCode != 0 {
		t.Errorf("normal mode after that: %+v", normal)
	}
	want := wechattest.AppStats{MintRequests: 7, StableMints: 4, ForcedMints: 3, TooEarly: 1, StableRepeats: 1}
	got := c.App(wechattest.AppID)
	if got.MintRequests != want.MintRequests || got.StableMints != want.StableMints || got.ForcedMints != want.ForcedMints || got.TooEarly != want.TooEarly || got.StableRepeats != want.StableRepeats || got.MintsRefused[45009] != 1 {
		t.Errorf("counts are %+v, want %+v and one 45009", got, want)
	}
}

func TestQuotas(t *testing.T) {
	c := newClient(t, wechattest.Config{ClassicPerDay: 2, StablePerDay: 3, StablePerMinute: 2})
	c.clock.advance(4*time.Hour - 2*time.Minute) // 23:58 in Beijing
	c.classic()
	c.classic()
	if over := c.classic(); over.ErrCode != 45009 || !strings.Contains(over.ErrMsg, "could get access_token by getStableAccessToken") {
		t.Errorf("beyond the day's limit: %+v", over)
	}
	c.stable(false)
	c.stable(false)
	if over := c.stable(false); over.ErrCode != 45011 {
		t.Errorf("beyond the minute's limit: %+v", over)
	}
	c.clock.advance(time.Minute)
	c.stable(false)
	if over := c.stable(false); over.ErrCode != 45009 {
		t.Errorf("beyond the day's limit: %+v", over)
	}
	c.clock.advance(time.Minute - time.Nanosecond)
	if over := c.classic(); over.ErrCode != 45009 {
		t.Errorf("before midnight: %+v", over)
	}
	c.clock.advance(time.Nanosecond)
	if next := c.classic(); next.ErrCode != 0 {
		t.Errorf("at midnight: %+v", next)
	}
	if next := c.stable(false); next.ErrCode != 0 {
		t.Errorf("at midnight: %+v", next)
	}
}

func TestRefusals(t *testing.T) {
	c := newClient(t, wechattest.Config{})
	const app, secret = wechattest.AppID, wechattest.Secret
	for _, test := range []struct {
		method, path, body string
		code               int
	}{
		{"GET", classicPath("client_credentials", app, secret), "", 40002},
		{"GET", classicPath("client_credential", "", secret), "", 41002},
		{"GET", classicPath("client_credential", "wxnobody", secret), "", 40013},
		{"GET", classicPath("client_credential", app, ""), "", 41004},
		{"GET", classicPath("client_credential", app, "wrong"), "", 40125},
		{"GET", "/cgi-bin/stable_token?grant_type=client_credential", "", 43002},
		{"POST", "/cgi-bin/stable_token", "grant_type=client_credential", 47001},
		{"POST", "/cgi-bin/stable_token", `{"grant_type":"client_credential","appid":"` + app + `","secret":"wrong"}`, 40125},
	} {
		got := c.do(test.method, test.path, test.body)
		if got.ErrCode != test.code || !regexp.MustCompile(` rid: [0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}$`).MatchString(got.ErrMsg) || got.AccessToken != "" {
			t.Errorf("%s %s: %+v, want %d with a rid", test.method, test.path, got, test.code)
		}
	}
	if got := c.App(app); got.ClassicMints+got.StableMints != 0 || got.MintsRefused[40125] != 2 {
		t.Errorf("counts are %+v", got)
	}
	c.SetSecret(app, "wrong")
	if got := c.do("GET", classicPath("client_credential", app, "wrong"), ""); got.ErrCode != 0 {
		t.Errorf("after the change of the secret: %+v", got)
	}
}

func TestWhitelist(t *testing.T) {
	c := newClient(t, wechattest.Config{})
	c.AllowOnly(wechattest.AppID, "203.0.113.7")
	got := c.classic()
	if want := "invalid ip 127.0.0.1 ipv6 ::ffff:127.0.0.1, not in whitelist rid: "; got.ErrCode != 40164 || !strings.HasPrefix(got.ErrMsg, want) {
		t.Errorf("answer is %+v, want 40164 and %q", got, want)
	}
	c.AllowOnly(wechattest.AppID, "203.0.113.7", "127.0.0.1")
	if got := c.classic(); got.ErrCode != 0 {
		t.Errorf("answer is %+v", got)
	}
}

func TestAppsAreApart(t *testing.T) {
	c := newClient(t, wechattest.Config{Apps: []wechattest.App{{ID: "wxa", Secret: "a"}, {ID: "wxb", Secret: "b"}}})
	a := c.do("GET", classicPath("client_credential", "wxa", "a"), "").AccessToken
	c.MintElsewhere("wxb", wechattest.Classic)
	c.Revoke("wxb")
	c.wantCodes("after the other app's end", map[string]int{a: 0})
	if got := c.do("GET", classicPath("client_credential", "wxa", "b"), ""); got.ErrCode != 40125 {
		t.Errorf("the other app's secret: %+v", got)
	}
}

func TestMintElsewhereAndRevoke(t *testing.T) {
	c := newClient(t, wechattest.Config{})
	classic, stable := c.classic().AccessToken, c.stable(false).AccessToken
	other := c.MintElsewhere(wechattest.AppID, wechattest.Classic)
	c.wantCodes("after one mint elsewhere", map[string]int{classic: 0, other: 0, stable: 0})
	c.MintElsewhere(wechattest.AppID, wechattest.Classic)
	c.wantCodes("after two", map[string]int{classic: 40001, other: 0, stable: 0})
	forced := c.MintElsewhere(wechattest.AppID, wechattest.Stable)
	if got := c.stable(false).AccessToken; got != forced {
		t.Error("normal mode does not give the token that was forced elsewhere")
	}
	c.Revoke(wechattest.AppID)
	c.wantCodes("after Revoke", map[string]int{other: 40001, stable: 40001, forced: 40001})
	if got := c.stable(false).AccessToken; got == forced || c.code(got) != 0 {
		t.Error("no new stable token after Revoke")
	}
	stats := c.App(wechattest.AppID)
	if stats.ClassicMints != 1 || stats.StableMints != 2 || stats.ForcedMints != 0 {
		t.Errorf("mints elsewhere must not count as ours: %+v", stats)
	}
}

func TestCalls(t *testing.T) {
	c := newClient(t, wechattest.Config{})
	token := c.classic().AccessToken
	if got := c.do("GET", "/cgi-bin/get_api_domain_ip?access_token="+token, ""); len(got.IPList) != 1 {
		t.Errorf("domain IPs: %+v", got)
	}
	if got := c.do("POST", "/cgi-bin/anything?x=1&access_token="+token, "hello"); got.ErrCode != 0 || got.Query != "x=1" || got.Body != "hello" {
		t.Errorf("echo: %+v", got)
	}
	one := c.do("GET", "/cgi-bin/ticket/getticket?type=jsapi&access_token="+token, "")
	c.clock.advance(time.Hour)
	two := c.do("GET", "/cgi-bin/ticket/getticket?type=jsapi&access_token="+token, "")
	if one.Ticket == "" || two.Ticket != one.Ticket || string(two.ExpiresIn) != "7200" {
		t.Errorf("tickets: %+v, %+v", one, two)
	}
	if status, kind, body := c.raw("POST", "/wxa/getwxacodeunlimit?access_token="+token, `{"scene":"a"}`); status != 200 || kind != "image/png" || !strings.HasPrefix(body, "\x89PNG") {
		t.Errorf("image: %d %s %q", status, kind, body)
	}
	if status, kind, body := c.raw("POST", "/wxa/getwxacodeunlimit?access_token=bad", `{"scene":"a"}`); status != 200 || kind != "text/plain" || !strings.Contains(body, `"errcode":40014`) {
		t.Errorf("image with a bad token: %d %s %q", status, kind, body)
	}
	stats := c.Stats()
	if got := stats.Apps[wechattest.AppID]; got.CallsAccepted != 5 || stats.UnknownCalls[40014] != 1 {
		t.Errorf("counts are %+v", stats)
	}
	if got := stats.Apps[wechattest.AppID].ClassicToken; got != coordinator.Fingerprint(token) {
		t.Errorf("the newest token's fingerprint is %s", got)
	}
}
