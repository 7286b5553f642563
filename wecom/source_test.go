package wecom_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/wechat/wechattest"
	"github.com/mintonce/mintonce/wecom"
)

func TestTraits(t *testing.T) {
	got := wecom.NewAppToken(app.CorpID, app.Agent, app.Secret, wecom.Config{}).Traits()
	want := coordinator.Traits{Kind: coordinator.Idempotent, Credential: got.Credential, RenewsWithin: 30 * time.Minute, DayOffset: 8 * time.Hour}
	if got != want {
		t.Errorf("traits are %+v, want %+v", got, want)
	}
	if !regexp.MustCompile(`^wecom:` + app.CorpID + `/1000007#[0-9a-f]{16}$`).MatchString(got.Credential) {
		t.Errorf("credential is %q", got.Credential)
	}
	for _, other := range [][3]string{{app.CorpID, app.Agent, secret + "x"}, {app.CorpID, "1000008", secret}, {app.CorpID + "x", app.Agent, secret}} {
		if wecom.NewAppToken(other[0], other[1], other[2], wecom.Config{}).Traits().Credential == got.Credential {
			t.Errorf("%s/%s has the same credential", other[0], other[1])
		}
	}
}

func TestMint(t *testing.T) {
	other := wechattest.CorpApp{CorpID: app.CorpID, Agent: "1000008", Secret: "of-the-other-app"}
	fake := newFake(t, wechattest.Config{CorpApps: []wechattest.CorpApp{other}})
	source := sourceOf(fake)
	before := time.Now()
	token := mint(t, source)
	if !fake.Accepts(token.Value) {
		t.Error("the token is not accepted")
	}
	if life := token.ExpiresAt().Sub(before); life < time.Hour || life > time.Hour+time.Minute {
		t.Errorf("a token of unknown age lives for %s, want half of two hours", life)
	}
	again, err := source.Mint(t.Context(), coordinator.NewToken(token.Value, before.Add(25*time.Minute)))
	if err != nil || again.Value != token.Value {
		t.Fatalf("%v, %v: want the same token", again, err)
	}
	if life := again.ExpiresAt().Sub(before); life != 25*time.Minute {
		t.Errorf("being given out again, the token lives for %s, want the 25 minutes that it had", life)
	}
	successor, err := source.Mint(t.Context(), coordinator.NewToken("another", before.Add(time.Minute)))
	if life := successor.ExpiresAt().Sub(before); err != nil || life < 2*time.Hour {
		t.Errorf("the successor of a token that is alive lives for %s (%v), want two hours", life, err)
	}
	if got := mint(t, wecom.NewAppToken(other.CorpID, other.Agent, other.Secret, wecom.Config{API: fake.URL})); got.Value == token.Value {
		t.Error("two apps of a corp have one token")
	}
	if got := fake.App(app.ID()); got.WeComMints != 1 || got.WeComRepeats != 2 || got.MintRequests != 3 {
		t.Errorf("the provider saw %+v", got)
	}
}

func TestEveryCode(t *testing.T) {
	fake := newFake(t, wechattest.Config{})
	source := sourceOf(fake)
	for _, want := range []struct {
		code  int
		class coordinator.Class
		after time.Duration
		says  string
	}{
		{-1, coordinator.Transient, 0, "busy"},
		{40001, coordinator.Configuration, 5 * time.Minute, "secret is wrong"},
		{40013, coordinator.Configuration, 5 * time.Minute, "CorpID"},
		{40091, coordinator.Configuration, 5 * time.Minute, "secret is wrong"},
		{41002, coordinator.Configuration, 5 * time.Minute, "CorpID"},
		{41004, coordinator.Configuration, 5 * time.Minute, "did not reach"},
		{45009, coordinator.Quota, time.Minute, "too many calls"},
		{45033, coordinator.Quota, 10 * time.Second, "at the same time"},
		{48002, coordinator.Operator, 10 * time.Minute, "permission"},
		{50003, coordinator.Operator, 10 * time.Minute, "disabled"},
		{60020, coordinator.Operator, 3 * time.Minute, "add 127.0.0.1 to the account's list of trusted addresses in WeCom's console"},
		{301002, coordinator.Operator, 10 * time.Minute, "permission"},
		{12345, coordinator.Transient, 0, "does not know: error"},
	} {
		fake.FailNext(1, want.code)
		_, err := source.Mint(t.Context(), coordinator.Token{})
		failure := sourceError(t, err)
		if failure.Code != want.code || failure.Class != want.class || failure.After != want.after || !failure.Refused {
			t.Errorf("%d gave %+v, want class %s after %s, refused", want.code, *failure, want.class, want.after)
		}
		if !strings.Contains(failure.Error(), want.says) || failure.Advice == "" || !regexp.MustCompile(`, hint \d{20,}`).MatchString(failure.Message) {
			t.Errorf("%d says %q: want %q, a hint and advice", want.code, failure, want.says)
		}
	}
}

// What the fake refuses by itself, as WeCom does.
func TestRefusals(t *testing.T) {
	fake := newFake(t, wechattest.Config{})
	for want, source := range map[int]*wecom.AppToken{
		40013: wecom.NewAppToken("wwnobody", app.Agent, secret, wecom.Config{API: fake.URL}),
		40001: wecom.NewAppToken(app.CorpID, app.Agent, "wrong-"+secret, wecom.Config{API: fake.URL}),
	} {
		_, err := source.Mint(t.Context(), coordinator.Token{})
		if failure := sourceError(t, err); failure.Code != want || failure.Class != coordinator.Configuration {
			t.Errorf("failure is %+v, want code %d", *failure, want)
		}
	}
	fake.AllowOnly(app.ID(), "203.0.113.7")
	_, err := sourceOf(fake).Mint(t.Context(), coordinator.Token{})
	if failure := sourceError(t, err); failure.Code != 60020 || !strings.Contains(failure.Message, "127.0.0.1") {
		t.Errorf("failure is %+v, want 60020 with the address", *failure)
	}
}

// The secret is in the query of a GET: it must not show, whatever comes back.
func TestAmbiguousFailures(t *testing.T) {
	fake := newFake(t, wechattest.Config{})
	source := sourceOf(fake)
	for _, fault := range []wechattest.Fault{
		{Kind: wechattest.Status, Code: 502}, {Kind: wechattest.HTML}, {Kind: wechattest.Empty}, {Kind: wechattest.Reset},
		{Kind: wechattest.Lost}, {Kind: wechattest.Truncated}, {Kind: wechattest.ExpiresIn, Body: "-1"},
		{Kind: wechattest.Redirect, Body: "/cgi-bin/gettoken?corpsecret=" + secret},
		{Kind: wechattest.Raw, Body: secret}, {Kind: wechattest.Raw, Body: `{"errcode":0,"errmsg":"` + secret + `"}`},
		{Kind: wechattest.Raw, Body: strings.Repeat(" ", 65<<10) + `{"errcode":0,"access_token":"t","expires_in":7200}`},
	} {
		fault.On = wechattest.WeCom
		fake.Inject(fault)
		_, err := source.Mint(t.Context(), coordinator.Token{})
		if failure := sourceError(t, err); failure.Refused || failure.Class != coordinator.Transient {
			t.Errorf("%s: failure is %+v, want an unresolved transient one", fault.Kind, *failure)
		}
	}
	if got := fake.App(app.ID()); got.MintRequests != 11 {
		t.Errorf("%d requests for 11 mints", got.MintRequests)
	}
	held := fake.HoldNext(wechattest.WeCom)
	defer held.Release()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-held.Arrived
		cancel()
	}()
	_, err := source.Mint(ctx, coordinator.Token{})
	if failure := sourceError(t, err); failure.Refused || !errors.Is(err, context.Canceled) {
		t.Errorf("broken off after sending: %+v", *failure)
	}
}

func TestMintsDoNotShareConnections(t *testing.T) {
	fake := newFake(t, wechattest.Config{})
	var dialled atomic.Int32
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		dialled.Add(1)
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	source := wecom.NewAppToken(app.CorpID, app.Agent, app.Secret, wecom.Config{API: fake.URL, Dial: dial})
	for range 3 {
		mint(t, source)
	}
	if n := dialled.Load(); n != 3 {
		t.Errorf("3 mints used %d connections", n)
	}
}

func TestCheck(t *testing.T) {
	for _, test := range []struct {
		corp, agent, secret, api, says string
	}{
		{app.CorpID, app.Agent, secret, "", ""},
		{app.CorpID, "contacts", secret, "http://127.0.0.1:8421", ""},
		{"", app.Agent, secret, "", "CorpID is empty"},
		{"ww 1", app.Agent, secret, "", "CorpID has characters"},
		{app.CorpID, "", secret, "", "AgentID is empty"},
		{app.CorpID, "app/1", secret, "", "AgentID has other characters"},
		{app.CorpID, app.Agent, "", "", "secret is empty"},
		{app.CorpID, app.Agent, secret + "\n", "", "line end"},
		{app.CorpID, app.Agent, strings.Repeat("x", 257), "", "256"},
		{app.CorpID, app.Agent, secret, "http://qyapi.weixin.qq.com", "WeCom's own hosts are used over https only"},
		{app.CorpID, app.Agent, secret, "http://sandbox:8421", "plain http to sandbox"},
		{app.CorpID, app.Agent, secret, "https://user:pass@host", "has a user"},
	} {
		source := wecom.NewAppToken(test.corp, test.agent, test.secret, wecom.Config{API: test.api})
		err := source.Check()
		if test.says == "" {
			if err != nil {
				t.Error(err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("Check says %v, want %q", err, test.says)
			continue
		}
		mustNotShow(t, err.Error(), secret)
		_, err = source.Mint(t.Context(), coordinator.Token{})
		var failure *coordinator.SourceError
		if !errors.As(err, &failure) || failure.Class != coordinator.Configuration || !failure.Refused || strings.Contains(failure.Error(), secret) {
			t.Errorf("Mint says %+v", failure)
		}
	}
}

func TestPrintsWithoutSecret(t *testing.T) {
	source := sourceOf(newFake(t, wechattest.Config{}))
	text, err := json.Marshal(source)
	if err != nil || string(text) != `"wecom app `+app.CorpID+`/1000007"` {
		t.Errorf("marshals as %s, %v", text, err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if shown := fmt.Sprintf(verb, source); shown != "wecom app "+app.CorpID+"/1000007" {
			t.Errorf("%s prints %s", verb, shown)
		}
	}
}

func TestIsRejected(t *testing.T) {
	for code, want := range map[int]bool{40014: true, 42001: true, 40001: false, 41001: false, -1: false, 0: false, 45009: false, 60020: false, 42009: false} {
		if wecom.IsRejected(code) != want {
			t.Errorf("%d counts as a rejected token: %t", code, !want)
		}
	}
}
