package wechat_test

import (
	"strings"
	"testing"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/wechat"
)

func TestConfig(t *testing.T) {
	for _, test := range []struct {
		name, appID, secret string
		cfg                 wechat.Config
		problem             string // empty: fine
	}{
		{"default", appID, secret, wechat.Config{}, ""},
		{"https", appID, secret, wechat.Config{API: "https://api2.weixin.qq.com"}, ""},
		{"https elsewhere", appID, secret, wechat.Config{API: "https://tokens.example:8443/wechat/"}, ""},
		{"loopback", appID, secret, wechat.Config{API: "http://127.8.9.1:80"}, ""},
		{"loopback IPv6", appID, secret, wechat.Config{API: "http://[::1]:8080"}, ""},
		{"localhost", appID, secret, wechat.Config{API: "http://LocalHost:8080"}, ""},
		{"plain http", appID, secret, wechat.Config{API: "http://sandbox:8080"}, "plain http to sandbox"},
		{"looks like loopback", appID, secret, wechat.Config{API: "http://127.0.0.1.example"}, "plain http to"},
		{"any address", appID, secret, wechat.Config{API: "http://0.0.0.0:80"}, "plain http to"},
		{"plain http allowed", appID, secret, wechat.Config{API: "http://sandbox:8080", AllowPlainHTTP: true}, ""},
		{"plain http to WeChat", appID, secret, wechat.Config{API: "http://API.weixin.qq.com:80", AllowPlainHTTP: true}, "https only"},
		{"no scheme", appID, secret, wechat.Config{API: "api.weixin.qq.com"}, "not a URL"},
		{"no host", appID, secret, wechat.Config{API: "https://:443"}, "not a URL"},
		{"other scheme", appID, secret, wechat.Config{API: "ftp://api.weixin.qq.com"}, "neither https nor http"},
		{"garbage", appID, secret, wechat.Config{API: "https://x:" + secret + "@%zz"}, "not a URL"},
		{"password", appID, secret, wechat.Config{API: "https://user:pass@host"}, "has a user"},
		{"query", appID, secret, wechat.Config{API: "https://host/?a=b"}, "a query"},
		{"no AppID", "", secret, wechat.Config{}, "AppID is empty"},
		{"AppID with a blank", "wx01 ", secret, wechat.Config{}, "AppID has characters"},
		{"AppID with a line end", "wx01\n", secret, wechat.Config{}, "AppID has characters"},
		{"no secret", appID, "", wechat.Config{}, "AppSecret is empty"},
		{"secret with a line end", appID, secret + "\n", wechat.Config{}, "line end"},
		{"secret too long", appID, strings.Repeat("x", 257), wechat.Config{}, "256"},
	} {
		t.Run(test.name, func(t *testing.T) {
			source := wechat.NewStableToken(test.appID, test.secret, test.cfg)
			err := source.Check()
			if test.problem == "" {
				if err != nil {
					t.Errorf("Check: %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.problem) {
				t.Fatalf("Check says %v, want something with %q", err, test.problem)
			}
			mustNotShow(t, err, secret)
			_, err = source.Mint(t.Context(), coordinator.Token{})
			failure := sourceError(t, err)
			if failure.Class != coordinator.Configuration || !failure.Refused || failure.After <= 0 || !strings.Contains(failure.Error(), test.problem) {
				t.Errorf("Mint says %v: want a Configuration error with %q", failure, test.problem)
			}
		})
	}
}
