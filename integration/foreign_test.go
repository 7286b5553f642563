package integration_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/wechat/wechattest"
)

// Somebody outside mints with the same secret. The first time, that is healed
// and suspected; then the foreign minter is named wherever an operator looks, and
// the next mint waits.
func TestForeignMinter(t *testing.T) {
	w := newWorld(t, wechattest.Config{})
	serve := w.start("refresher", "serve", "--listen", "127.0.0.1:0")
	app := client{w, "http://" + serve.prints(&serve.stderr, servingAt)}
	redis := w.client()
	w.atRest(redis)

	app.call(http.StatusOK, 0)
	w.stranger()
	w.age(40 * time.Second)
	app.call(http.StatusOK, 40001)
	wantField(t, w.atRest(redis), "foreign_count", "1")
	wantTexts(t, "status", w.must("onlooker", "status", "shop").stdout.String(), "suspected: somebody else may mint", "use mode stable")

	w.stranger()
	w.age(3 * time.Minute) // longer than the spacing, which is a minute now
	app.call(http.StatusOK, 40001)
	wantField(t, w.atRest(redis), "foreign_count", "2")

	w.stranger()
	w.age(40 * time.Second)
	problem := app.call(http.StatusServiceUnavailable, 40001)
	wantTexts(t, "the answer to the report", problem, "urn:mintonce:problem:foreign-minter", "next mint in", "use mode stable", "AppSecret: reset it")
	rejected := app.token()

	// Wherever an operator looks.
	const advice = "3 rejections in a row that no mint of ours explains"
	wantTexts(t, "status", w.must("onlooker", "status", "shop").stdout.String(),
		"somebody else seems to mint with this credential", advice, "spaced out", "use mode stable", "let all environments of this account share one coordinator", "foreign minter")
	wantTexts(t, "status --json", w.must("onlooker", "status", "shop", "--json").stdout.String(), `"named": true`, `"count": 3`, `"wait_until": "`, `"advice": "`)
	wantTexts(t, "the log", serve.stderr.String(), "level=ERROR", `msg="foreign minter"`, advice)
	wantTexts(t, "the history", w.redisCLI("XRANGE", historyKey, "-", "+"), "event\nforeign minter\n", advice)
	fields := w.redisCLI("HMGET", recordKey, "foreign_count", "foreign_generation", "state")
	wantTexts(t, "HMGET", fields, "3\n3\ndoubted\n")
	if until := w.redisCLI("HGET", recordKey, "foreign_wait_until"); len(until) < len("2006-01-02T15:04:05Z") {
		t.Errorf("foreign_wait_until is %q", until)
	}
	report := w.launch("php", strings.NewReader(rejected), commandPath(t), w.withAccount("php", []string{"report", "shop", "--token-stdin"})...)
	report.mayFail = true
	if code := report.wait(); code != 1 || !strings.Contains(report.stderr.String(), "next mint in") {
		t.Errorf("report: exit code %d, want 1 and when the next mint is\n%s", code, report.told())
	}
	if minted, _ := w.provider.mints(); minted != 3 {
		t.Errorf("%d mints, want 3", minted)
	}

	// The stranger stops. An operator need not wait for what would come by
	// itself.
	w.must("operator", "rotate", "shop")
	w.atRest(redis)
	eventually(t, "the refresher serves the successor", func() error {
		return expect("the token", coordinator.Fingerprint(app.token()), w.provider.newest())
	})
	w.provider.wantMints(t, 4)
	wantTexts(t, "status", w.must("onlooker", "status", "shop").stdout.String(), "live", "somebody else seems to mint")
}

// stranger mints twice, so that the token before is dead at once.
func (w *world) stranger() {
	for range 2 {
		w.post(w.provider.URL+"/sandbox/mint", fmt.Sprintf(`{"app":%q,"endpoint":"classic"}`, appID), http.StatusOK)
	}
}

// age makes the token in the record older, so that the test need not wait.
func (w *world) age(by time.Duration) {
	w.t.Helper()
	committed, err := strconv.ParseInt(strings.TrimSpace(w.redisCLI("HGET", recordKey, "committed_at")), 10, 64)
	if err != nil {
		w.t.Fatal(err)
	}
	w.redisCLI("HSET", recordKey, "committed_at", fmt.Sprint(committed-by.Milliseconds()))
}

// client is an application in any language that reads its token over HTTP.
type client struct {
	w   *world
	url string
}

func (c client) token() string {
	c.w.t.Helper()
	status, body := fetch(c.url + "/v1/tokens/shop")
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != http.StatusOK {
		c.w.t.Fatalf("status %d, %v", status, err)
	}
	return answer.AccessToken
}

// call makes an API call, which WeChat must answer with errcode. A rejected
// token is reported, which must be answered with reported. It returns the
// answer to the report without the token.
func (c client) call(reported, errcode int) string {
	c.w.t.Helper()
	token := c.token()
	_, body := fetch(c.w.provider.URL + "/cgi-bin/getcallbackip?access_token=" + token)
	var answer struct {
		Errcode int `json:"errcode"`
	}
	if err := errors.Join(json.Unmarshal([]byte(body), &answer), expect("errcode", answer.Errcode, errcode)); err != nil {
		c.w.t.Fatal(err)
	}
	if errcode == 0 {
		return ""
	}
	text, _ := json.Marshal(map[string]any{"access_token": token, "errcode": errcode}) // always marshals
	said := c.w.post(c.url+"/v1/tokens/shop/report", string(text), reported)
	return regexp.MustCompile(`"access_token":"[^"]*"`).ReplaceAllString(said, "")
}

// post sends JSON, and wants an answer with this status.
func (w *world) post(url, body string, want int) string {
	w.t.Helper()
	response, err := http.Post(url, "application/json", bytes.NewBufferString(body))
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != want {
		w.t.Fatalf("status %d, %v, want %d", response.StatusCode, err, want)
	}
	return string(said)
}
