package integration_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mintonce/mintonce/wechat/wechattest"
)

// Number 10: every command, talking as much as it can, in good times and bad.
// The audit at the end of this test, as of every other, reads all of it.
func TestSecretsStaySecret(t *testing.T) {
	for mode, format := range map[string]string{"classic": "text", "stable": "json"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel() // mostly waiting, for commands to give up
			w := newWorld(t, wechattest.Config{})
			w.mode = mode
			secretFile := filepath.Join(t.TempDir(), "secret")
			write(t, secretFile, secret+"\n")
			more := []string{"--log-format", format, "--wechat-secret-file", secretFile}

			token := w.token("talker", more...)
			w.must("talker", append([]string{"refresh", "shop"}, more...)...)
			w.must("talker", append([]string{"rotate", "shop"}, more...)...)
			w.report(token, more...)
			w.report("no-token-of-anybody", more...)
			w.must("talker", "status", "shop", "--json")
			w.must("talker", "status", "shop")
			w.run("talker", append([]string{"doctor"}, more...)...)
			w.talkOverHTTP(token, more...)
			w.provokeFailures(token, more)
		})
	}
}

// provokeFailures makes the provider say the secret and a token aloud, in every
// way that a mint may fail, each on an empty store of its own.
func (w *world) provokeFailures(token string, more []string) {
	w.t.Helper()
	for i, fault := range []wechattest.Fault{
		{Kind: wechattest.Errcode, Code: 40125, Body: "invalid appsecret " + secret + " rid: 1-2-3"},
		{Kind: wechattest.Errcode, Code: 99999, Body: "what is " + secret + "?"},
		{Kind: wechattest.Status, Code: 502, Body: "cannot GET /cgi-bin/token?secret=" + secret},
		{Kind: wechattest.Raw, Body: fmt.Sprintf(`{"access_token":%q,"expires_in":"soon"}`, token)},
		{Kind: wechattest.Raw, Body: secret},
		{Kind: wechattest.Redirect, Body: w.provider.URL + "/cgi-bin/token?secret=x&from=" + token},
		{Kind: wechattest.Reset},
		{Kind: wechattest.Truncated},
	} {
		fault.Times = -1 // for as long as the command tries
		before := w.provider.App(appID).Faults
		w.provider.Inject(fault)
		prefix := []string{"--prefix", fmt.Sprintf("fault%d", i)}
		p := w.startToken("talker", slices.Concat(more, prefix, []string{"--timeout", "2s"})...)
		p.mayFail = true
		p.wait()
		w.provider.Clear()
		if w.provider.App(appID).Faults == before {
			w.t.Errorf("the provider was not asked during fault %d\n%s", i, p.told())
		}
		w.must("talker", append([]string{"status", "shop"}, prefix...)...)
	}
	p := w.startToken("talker", append(more, "--wechat-api", "http://"+freePort(w.t), "--prefix", "nobody", "--timeout", "500ms")...)
	p.mayFail = true
	p.wait()
}

// report runs "mintonce report" for a token.
func (w *world) report(token string, args ...string) {
	w.t.Helper()
	args = append([]string{"report", "shop", "--token-stdin", "--code", "40001"}, args...)
	p := w.launch("reporter", strings.NewReader(token), commandPath(w.t), w.withAccount("reporter", args)...)
	p.mayFail = true
	p.wait()
}

// talkOverHTTP asks a "mintonce serve" for everything, and for what it does not
// have.
func (w *world) talkOverHTTP(token string, args ...string) {
	w.t.Helper()
	p := w.start("server", append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
	url := "http://" + p.prints(&p.stderr, regexp.MustCompile(`listen"?[=:]"?(127[0-9.:]+)`))
	for _, path := range []string{
		"/healthz", "/readyz", "/v1/status", "/v1/tokens/other", "/v1/tokens/" + token, "/?access_token=" + token,
		"/cgi-bin/token?grant_type=client_credential&appid=x&secret=" + strings.ReplaceAll(secret, "&", "%26"),
	} {
		w.get(url + path)
	}
	if status, _ := fetch(url + "/v1/tokens/shop"); status != 200 {
		w.t.Errorf("the token is answered with status %d", status)
	}
	p.stop()
}
