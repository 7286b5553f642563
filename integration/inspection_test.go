package integration_test

import (
	"encoding/json"
	"net"
	"strings"
	"testing"

	"github.com/mintonce/mintonce/wechat/wechattest"
)

// Number 11: redis-cli and "mintonce status" answer an operator's questions:
// who minted, when, why, what is next, who holds the lock.
func TestInspection(t *testing.T) {
	w := newWorld(t, wechattest.Config{})
	w.token("first")
	mint := w.provider.HoldNext(wechattest.Mints)
	operator := w.start("operator", "rotate", "shop")
	signalled(t, "the rotation is under way", mint.Arrived)

	hash := w.redisCLI("HGETALL", recordKey)
	wantTexts(t, "HGETALL", hash, "minted_by\nfirst\n", "reason\nno token\n", "generation\n1\n", "state\nminting\n",
		"issued_at\n", "expires_at\n", "refresh_at\n", "attempts\n", `"by":"operator","reason":"rotate"`, "mints_today\n2\n")
	wantTexts(t, "GET of the lock", w.redisCLI("GET", lockKey), "operator/")
	wantTexts(t, "XRANGE", w.redisCLI("XRANGE", historyKey, "-", "+"),
		"event\nminted\n", "by\nfirst\n", "reason\nno token\n", "event\nrotation asked\n", "by\noperator\n")

	wantTexts(t, "status", w.must("onlooker", "status", "shop").stdout.String(), "first", "no token", "operator", "rotate", "generation", "minting")
	var status struct {
		Tokens []struct {
			Name       string `json:"name"`
			State      string `json:"state"`
			Generation int    `json:"generation"`
			MintedBy   string `json:"minted_by"`
			Reason     string `json:"reason"`
			IssuedAt   string `json:"issued_at"`
			Next       string `json:"next"`
			LockHolder string `json:"lock_holder"`
			Budget     struct {
				Mints int `json:"mints"`
			} `json:"budget"`
			History []struct {
				Event string `json:"event"`
				By    string `json:"by"`
			} `json:"history"`
		} `json:"tokens"`
	}
	text := w.must("onlooker", "status", "shop", "--json").stdout.String()
	if err := json.Unmarshal([]byte(text), &status); err != nil || len(status.Tokens) != 1 {
		t.Fatalf("status --json: %v\n%s", err, text)
	}
	s := status.Tokens[0]
	if s.Name != "shop" || s.State != "minting" || s.Generation != 1 || s.MintedBy != "first" || s.Reason != "no token" ||
		s.IssuedAt == "" || s.Next == "" || s.LockHolder != "operator" || s.Budget.Mints != 2 || len(s.History) != 2 {
		t.Errorf("status --json says %+v", s)
	}

	mint.Release()
	if code := operator.wait(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, operator.told())
	}
	wantTexts(t, "HGETALL", w.redisCLI("HGETALL", recordKey), "minted_by\noperator\n", "reason\nrotate\n", "generation\n2\n", "state\nlive\n",
		"previous_generation\n1\n")
	wantTexts(t, "status", w.must("onlooker", "status", "shop").stdout.String(), "operator", "rotate", "live", "refresh in")
	if held := w.redisCLI("EXISTS", lockKey); strings.TrimSpace(held) != "0" {
		t.Error("the lock is still held")
	}
}

// redisCLI runs the real redis-cli.
func (w *world) redisCLI(args ...string) string {
	w.t.Helper()
	host, port, _ := net.SplitHostPort(w.redis.Addr())
	p := w.launch("redis-cli", nil, "redis-cli", append([]string{"-h", host, "-p", port}, args...)...)
	p.tokensOnStdout = args[0] == "HGETALL" // which shows the field value
	if code := p.wait(); code != 0 {
		w.t.Fatalf("exit code %d\n%s", code, p.told())
	}
	return p.stdout.String()
}

func wantTexts(t testing.TB, what, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) && !strings.Contains(oneLine(text), want) {
			t.Errorf("%s has no %q:\n%s", what, want, text)
		}
	}
}

// oneLine undoes the wrapping of a text for a terminal.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
