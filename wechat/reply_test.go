package wechat_test

import (
	"encoding/json"
	"io"
	"log"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/wechat"
)

var quiet = log.New(io.Discard, "", 0)

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	body, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestReplies(t *testing.T) {
	long := strings.Repeat("x", 4096)
	for _, test := range []struct {
		body    string
		token   string
		life    time.Duration
		refused bool
	}{
		{`{"access_token":"t","expires_in":7200}`, "t", 7200 * time.Second, false},
		{`{"access_token":"t","expires_in":1}`, "t", time.Second, false},
		{`{"access_token":"t","expires_in":2592000}`, "t", 30 * 24 * time.Hour, false},
		{`{"errcode":0,"errmsg":"ok","access_token":"t","expires_in":7200}`, "t", 7200 * time.Second, false},
		{`{"access_token":"` + long + `","expires_in":7200}`, long, 7200 * time.Second, false},
		{`{"access_token":"` + long + `x","expires_in":7200}`, "", 0, false},
		{`{"access_token":"","expires_in":7200}`, "", 0, false},
		{`{"access_token":null,"expires_in":7200}`, "", 0, false},
		{`{"access_token":7,"expires_in":7200}`, "", 0, false},
		{`{"access_token":"a\nb","expires_in":7200}`, "", 0, false},
		{`{"access_token":"a\u0000b","expires_in":7200}`, "", 0, false},
		{`{"access_token":"a b","expires_in":7200}`, "", 0, false},
		{`{"access_token":"a\u007f","expires_in":7200}`, "", 0, false},
		{`{"access_token":"令牌","expires_in":7200}`, "", 0, false},
		{`{"access_token":"t","expires_in":1e3}`, "", 0, false},
		{`{"access_token":"t","expires_in":true}`, "", 0, false},
		{`{"access_token":"t","expires_in":7200}{}`, "", 0, false},
		{`[{"access_token":"t","expires_in":7200}]`, "", 0, false},
		{`null`, "", 0, false},
		{`{}`, "", 0, false},
		{` `, "", 0, false},
		{`{"errcode":0}`, "", 0, false},
		{`{"errcode":"40013"}`, "", 0, false},
		{`{"errcode":1.5}`, "", 0, false},
		{`{"errcode":99999999999}`, "", 0, false},
		{`{"errcode":null,"access_token":"t","expires_in":7200}`, "", 0, false},
		{`{"errcode":40013,"access_token":"t","expires_in":7200}`, "", 0, false},
		{`{"errcode":40013,"access_token":"","expires_in":0}`, "", 0, true},
		{`{"errcode":40013}`, "", 0, true},
		{`{"errcode":-1,"errmsg":"system error"}`, "", 0, true},
	} {
		token, life, failure := wechat.ParseReply(200, []byte(test.body), secret)
		if token != test.token || life != test.life {
			t.Errorf("%.80s gave a token of %d bytes for %s, want %d and %s", test.body, len(token), life, len(test.token), test.life)
		}
		if (failure == nil) != (test.token != "") || failure != nil && failure.Refused != test.refused {
			t.Errorf("%.80s failed with %+v, want refused %t", test.body, failure, test.refused)
		}
	}
	if _, _, failure := wechat.ParseReply(403, []byte(`{"errcode":40164}`), secret); failure == nil || !failure.Refused {
		t.Error("an errcode with status 403 does not count as a refusal")
	}
}

// FuzzReply looks for replies that are accepted with a token that cannot be
// used, or that bring secrets or control characters into an error.
func FuzzReply(f *testing.F) {
	f.Add(200, []byte(`{"access_token":"t","expires_in":7200}`))
	f.Add(200, []byte(`{"errcode":40164,"errmsg":"invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist rid: 6141b79a-0b2b"}`))
	f.Add(200, []byte(`{"errcode":77777,"errmsg":"bad `+secret+` rid: `+secret+` http://x/?`+secret+`"}`))
	f.Add(500, []byte(`<html>`))
	f.Add(200, []byte(`{"access_token":"t","expires_in":-9223372036854775808}`))
	f.Add(200, []byte("{\"errcode\":1,\"errmsg\":\"\\u001b[2J\xff\"}"))
	f.Add(200, []byte(`{"errcode":1,"errmsg":"http:rid: 6141b79a-0b2ba8d8//x :// 系://x"}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		token, life, failure := wechat.ParseReply(status, body, secret)
		if failure == nil {
			if status != 200 || token == "" || len(token) > 4096 || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
				t.Errorf("accepted the token %q with status %d", token, status)
			}
			if life < time.Second || life > 30*24*time.Hour {
				t.Errorf("accepted a life of %s", life)
			}
			return
		}
		if token != "" || life != 0 {
			t.Error("a failure came with a token")
		}
		if failure.Refused != (failure.Code != 0) || failure.Code == 0 && failure.Class != coordinator.Transient {
			t.Errorf("failure is %+v", *failure)
		}
		text := failure.Error()
		if len(text) > 1000 || strings.Contains(text, secret) || strings.Contains(text, "://") || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("failure says %q", text)
		}
	})
}
