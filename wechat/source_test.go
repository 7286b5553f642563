package wechat_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/wechat"
	"github.com/mintonce/mintonce/wechat/wechattest"
)

func TestTraits(t *testing.T) {
	classic := wechat.NewClassicToken(appID, secret, wechat.Config{}).Traits()
	stable := wechat.NewStableToken(appID, secret, wechat.Config{}).Traits()

	for mode, traits := range map[string]*coordinator.Traits{"classic": &classic, "stable": &stable} {
		for _, advice := range []string{"share one coordinator", "AppSecret: reset it", map[string]string{"classic": "use mode stable", "stable": "force_refresh"}[mode]} {
			if !strings.Contains(traits.ForeignAdvice, advice) {
				t.Errorf("the advice on strangers for %s lacks %q: %s", mode, advice, traits.ForeignAdvice)
			}
		}
		traits.ForeignAdvice = ""
	}
	wantClassic := coordinator.Traits{Kind: coordinator.LastMintWins, Credential: classic.Credential, Overlap: 5 * time.Minute,
		DailyMints: 1800, RotationSpacing: 30 * time.Second, DayOffset: 8 * time.Hour}
	if classic != wantClassic {
		t.Errorf("classic traits are %+v, want %+v", classic, wantClassic)
	}
	wantStable := coordinator.Traits{Kind: coordinator.Idempotent, Credential: stable.Credential, Overlap: 5 * time.Minute, RenewsWithin: 5 * time.Minute,
		DailyRotations: 18, RotationSpacing: 30 * time.Second, DayOffset: 8 * time.Hour}
	if stable != wantStable {
		t.Errorf("stable traits are %+v, want %+v", stable, wantStable)
	}
	if _, rotates := any(wechat.NewClassicToken(appID, secret, wechat.Config{})).(coordinator.Rotator); rotates {
		t.Error("the classic source is a Rotator, though every mint there rotates")
	}
}

func TestCredentialTellsAccountsAndSecretsApart(t *testing.T) {
	credential := func(appID, secret string) string {
		return wechat.NewClassicToken(appID, secret, wechat.Config{}).Traits().Credential
	}
	one := credential(appID, secret)
	if !regexp.MustCompile(`^wechat:` + appID + `#[0-9a-f]{16}$`).MatchString(one) {
		t.Errorf("credential is %q, want wechat:%s# and 16 hex digits", one, appID)
	}
	if again := wechat.NewStableToken(appID, secret, wechat.Config{}).Traits().Credential; again != one {
		t.Errorf("the same account has the credentials %q and %q", one, again)
	}
	for _, other := range []string{credential(appID, secret+"x"), credential(appID+"x", secret), credential(appID+"x", secret[1:])} {
		if digest := func(s string) string { _, d, _ := strings.Cut(s, "#"); return d }; digest(other) == digest(one) {
			t.Errorf("credential %q does not differ from %q", other, one)
		}
	}
}

func TestMint(t *testing.T) {
	fake := newFake(t, wechattest.Config{Lifetime: 345 * time.Second})
	cfg := wechat.Config{API: fake.URL + "/"}
	for name, source := range map[string]coordinator.Source{
		"classic": wechat.NewClassicToken(appID, secret, cfg),
		"stable":  wechat.NewStableToken(appID, secret, cfg),
	} {
		before := time.Now()
		token, err := source.Mint(t.Context(), coordinator.Token{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !fake.Accepts(token.Value) {
			t.Errorf("%s: the token is not one that the provider accepts", name)
		}
		if life := token.ExpiresAt().Sub(before); life < 345*time.Second-time.Second || life > 345*time.Second+time.Minute {
			t.Errorf("%s: the token lives for %s, want 345 s", name, life)
		}
	}
	if got := fake.App(appID); got.ClassicMints != 1 || got.StableMints != 1 {
		t.Errorf("minted %d classic and %d stable tokens, want one each", got.ClassicMints, got.StableMints)
	}
}

// The end of a token must not be reckoned from when the answer came: a slow
// answer would make it live too long.
func TestExpiryCountsFromBeforeSending(t *testing.T) {
	fake := newFake(t, wechattest.Config{})
	held := fake.HoldNext(wechattest.Classic)
	source := wechat.NewClassicToken(appID, secret, wechat.Config{API: fake.URL})

	before := time.Now()
	minted := make(chan coordinator.Token, 1)
	go func() {
		token, err := source.Mint(context.Background(), coordinator.Token{})
		if err != nil {
			t.Error(err)
		}
		minted <- token
	}()
	<-held.Arrived
	arrived := time.Now()
	held.Release()
	token := <-minted

	if end := token.ExpiresAt(); end.Before(before.Add(2*time.Hour)) || end.After(arrived.Add(2*time.Hour)) {
		t.Errorf("the token ends at %s: want two hours after the request was sent, between %s and %s", end, before, arrived)
	}
}

func TestStableMintRepeatsTheToken(t *testing.T) {
	fake := newFake(t, wechattest.Config{})
	source := wechat.NewStableToken(appID, secret, wechat.Config{API: fake.URL})
	first := mustMint(t, source)
	if second := mustMint(t, source); second.Value != first.Value {
		t.Error("a second mint in normal mode gave another token")
	}
	if got := fake.App(appID); got.ForcedMints+got.TooEarly != 0 {
		t.Errorf("Mint forced a refresh: %+v", got)
	}
}

func TestRotateForcesAToken(t *testing.T) {
	fake := newFake(t, wechattest.Config{})
	source := wechat.NewStableToken(appID, secret, wechat.Config{API: fake.URL})
	first := mustMint(t, source)
	second, err := source.Rotate(t.Context(), first)
	if err != nil || second.Value == first.Value {
		t.Fatalf("Rotate gave the same token or failed: %v", err)
	}

	// Within 30 seconds, WeChat keeps the token.
	third, err := source.Rotate(t.Context(), second)
	if err != nil || third.Value != second.Value {
		t.Errorf("Rotate that comes too early: %v, want the current token", err)
	}
	if got := fake.App(appID); got.ForcedMints != 1 || got.TooEarly != 1 {
		t.Errorf("forced %d times and %d times too early, want 1 and 1", got.ForcedMints, got.TooEarly)
	}
}

// One request per mint also means one connection per mint: net/http repeats a
// GET on a reused connection that breaks.
// TestNoMintIsRepeatedByNetHTTP: a server may process a request and close the
// connection without an answer. If the connection had been used before,
// net/http takes it for stale and sends a GET again by itself: one call, two
// mints, and the token of the first is dead before anybody has seen it.
func TestNoMintIsRepeatedByNetHTTP(t *testing.T) {
	type used struct{}
	var requests atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := requests.Add(1)
		if r.Context().Value(used{}).(*atomic.Int32).Add(1) > 1 {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprintf(w, `{"access_token":"token-%d","expires_in":7200}`, n)
	}))
	server.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, used{}, new(atomic.Int32))
	}
	server.Start()
	defer server.Close()
	source := wechat.NewClassicToken(appID, secret, wechat.Config{API: server.URL})
	for range 2 {
		mustMint(t, source)
	}
	if n := requests.Load(); n != 2 {
		t.Errorf("2 mints were %d requests", n)
	}
}

func TestMintsDoNotShareConnections(t *testing.T) {
	fake := newFake(t, wechattest.Config{})
	var dialled atomic.Int32
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		dialled.Add(1)
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	source := wechat.NewClassicToken(appID, secret, wechat.Config{API: fake.URL, Dial: dial})
	for range 3 {
		mustMint(t, source)
	}
	if n := dialled.Load(); n != 3 {
		t.Errorf("3 mints used %d connections", n)
	}
}

func TestSourcesPrintWithoutSecret(t *testing.T) {
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
		if shown := fmt.Sprintf(verb, wechat.NewStableToken(appID, secret, wechat.Config{})); shown != "wechat account "+appID {
			t.Errorf("%s prints %s", verb, shown)
		}
	}
	for _, source := range []any{
		wechat.NewClassicToken(appID, secret, wechat.Config{}),
		wechat.NewStableToken(appID, secret, wechat.Config{}),
		struct{ Source coordinator.Source }{wechat.NewStableToken(appID, secret, wechat.Config{})},
	} {
		mustNotShow(t, source, secret)
		text, err := json.Marshal(source)
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "source", source)
		for _, shown := range []string{string(text), log.String()} {
			if strings.Contains(shown, secret) || !strings.Contains(shown, appID) {
				t.Errorf("printed as %s: want the AppID and not the secret", shown)
			}
		}
	}
}

func mustMint(t testing.TB, source coordinator.Source) coordinator.Token {
	t.Helper()
	token, err := source.Mint(t.Context(), coordinator.Token{})
	if err != nil {
		t.Fatal(err)
	}
	return token
}
