package wechat_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/wechat"
	"github.com/mintonce/mintonce/wechat/wechattest"
)

type expectation struct {
	code  int
	class coordinator.Class
	after time.Duration
	says  string
}

// codes is what each answer of a token endpoint has to lead to.
var codes = []expectation{
	{-1, coordinator.Transient, 0, "busy"},
	{40001, coordinator.Configuration, 5 * time.Minute, "AppSecret"},
	{40002, coordinator.Configuration, 5 * time.Minute, "grant_type"},
	{40013, coordinator.Configuration, 5 * time.Minute, "AppID"},
	{40125, coordinator.Configuration, 5 * time.Minute, "AppSecret"},
	{40164, coordinator.Operator, 3 * time.Minute, "add 127.0.0.1 to the account's IP whitelist"},
	{40243, coordinator.Operator, 10 * time.Minute, "unfreeze"},
	{41002, coordinator.Configuration, 5 * time.Minute, "AppID"},
	{41004, coordinator.Configuration, 5 * time.Minute, "AppSecret"},
	{43002, coordinator.Configuration, 5 * time.Minute, "POST"},
	{45009, coordinator.Quota, 10 * time.Minute, "used up"},
	{45011, coordinator.Quota, time.Minute, "minute"},
	{48001, coordinator.Operator, 10 * time.Minute, "permission"},
	{50002, coordinator.Operator, 10 * time.Minute, "limited"},
	{50004, coordinator.Operator, 10 * time.Minute, "forbidden"},
	{50007, coordinator.Operator, 10 * time.Minute, "frozen"},
	{61004, coordinator.Operator, 3 * time.Minute, "add 127.0.0.1 to the account's IP whitelist"},
	{61024, coordinator.Configuration, 5 * time.Minute, "third-party platform"},
	{89501, coordinator.Operator, 3 * time.Minute, "administrator"},
	{89503, coordinator.Operator, 3 * time.Minute, "administrator"},
	{89506, coordinator.Operator, 24 * time.Hour, "24 hours"},
	{89507, coordinator.Operator, time.Hour, "an hour"},
	{12345, coordinator.Transient, 0, "does not know: error"},
}

func TestEveryCode(t *testing.T) {
	fake := newFake(t, wechattest.Config{})
	source := wechat.NewStableToken(appID, secret, wechat.Config{API: fake.URL})
	for _, want := range codes {
		fake.FailNext(1, want.code)
		_, err := source.Mint(t.Context(), coordinator.Token{})
		failure := sourceError(t, err)
		if failure.Code != want.code || failure.Class != want.class || failure.After != want.after || !failure.Refused {
			t.Errorf("%d gave %+v, want class %s after %s, refused", want.code, *failure, want.class, want.after)
		}
		if !strings.Contains(failure.Error(), want.says) || failure.Advice == "" || !strings.Contains(failure.Message, ", rid ") {
			t.Errorf("%d says %q: want %q, a rid and advice", want.code, failure, want.says)
		}
	}
	for _, code := range wechat.Codes() {
		if !slices.ContainsFunc(codes, func(c expectation) bool { return c.code == code }) {
			t.Errorf("code %d is not in the table of this test", code)
		}
	}
}

func TestIsRejected(t *testing.T) {
	for _, code := range []int{40001, 40014, 42001} {
		if !wechat.IsRejected(code) {
			t.Errorf("%d does not count as a rejected token", code)
		}
	}
	for _, code := range []int{-1, 0, 41001, 45009, 45011, 48001, 48004, 50001, 50002, 61004, 61007, 40164, 40003, 40013, 42002, 42007, 40002, 40015} {
		if wechat.IsRejected(code) {
			t.Errorf("%d counts as a rejected token", code)
		}
	}
}

func TestWhitelistMessage(t *testing.T) {
	for errmsg, address := range map[string]string{
		"invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist rid: 6141b79a-0b2ba8d8-6b8ca0ff": "203.0.113.7",
		"invalid ip ipv6 2001:db8::7, not in whitelist rid: 6141b79a":                                      "2001:db8::7",
		"access clientip is not registered requestIP: 203.0.113.7. rid: 6141b79a":                          "203.0.113.7",
		"invalid ip ::ffff:203.0.113.7":                                                                    "203.0.113.7",
		"invalid ip 203.0.113.700":                                                                         "",
		"invalid ip 0.0.0.0 :: deadbeef":                                                                   "",
		"invalid ip 203.0.113.7.evil.example":                                                              "",
		"":                                                                                                 "",
		"invalid ip \x1b[2J203.0.113.7\x1b[0m !":                                                           "203.0.113.7",
	} {
		_, _, failure := wechat.ParseReply(200, marshal(t, map[string]any{"errcode": 40164, "errmsg": errmsg}), secret)
		want := "this machine's address is not on the IP whitelist"
		if address != "" {
			want = "the address " + address + " is not on the IP whitelist"
			if !strings.HasPrefix(failure.Advice, "add "+address+" to the ") {
				t.Errorf("%q: advice is %q", errmsg, failure.Advice)
			}
		}
		if message, _, _ := strings.Cut(failure.Message, ", rid"); message != want {
			t.Errorf("%q: message is %q, want %q", errmsg, message, want)
		}
	}
}

// An errmsg of an unknown code goes to logs and terminals.
func TestQuotedMessages(t *testing.T) {
	const known = "WeChat refused, for a reason that mintonce does not know"
	for errmsg, want := range map[string]string{
		"too  many\tthings rid: 6141b79a-0b2ba8d8-6b8ca0ff": known + ": too many things, rid 6141b79a-0b2ba8d8-6b8ca0ff",
		"see https://x.example/?secret=1 now":               known + ": see [link] now",
		"bad " + secret + "!":                               known + ": bad [secret]!",
		"rid: " + secret:                                    known + ": rid: [secret]",
		"\x1b[31mred\x00\r\nlevel=fatal":                    known + ": [31mred level=fatal",
		"系统繁忙":                                              known + ": 系统繁忙",
		"":                                                  known,
		strings.Repeat("系", 500):                            known + ": " + strings.Repeat("系", 53) + "...",
	} {
		_, _, failure := wechat.ParseReply(200, marshal(t, map[string]any{"errcode": 77777, "errmsg": errmsg}), secret)
		if failure.Message != want {
			t.Errorf("%q is quoted as %q, want %q", errmsg, failure.Message, want)
		}
	}
	if _, _, failure := wechat.ParseReply(200, []byte(`{"errcode":77777,"errmsg":{"a":1}}`), secret); failure.Message != known {
		t.Errorf("an errmsg that is no text is quoted as %q", failure.Message)
	}
}
