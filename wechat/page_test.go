package wechat_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mintonce/mintonce/wechat"
)

// published is the ticket of WeChat's own example, and its signature.
// https://developers.weixin.qq.com/doc/offiaccount/OA_Web_Apps/JS-SDK.html#62
const (
	published          = "sM4AOVdWfPE4DxkXGEs8VMCPGGVi4C3VM0P37wVUCFvkVAy_90u5h9nbSlYy3-Sl-HhTdfl2fzFy1AOcHKP7qg"
	publishedSignature = "0f9de62fce790f9a083d5c99e95740ceb90c27ed"
)

// The ticket comes from its coordinator; the page gives the result to wx.config.
func ExamplePageSignature() {
	fmt.Println(wechat.PageSignature(published, "Wm3WZYTPz0wzccnW", 1414587457, "http://mp.weixin.qq.com?params=value"))
	// Output: 0f9de62fce790f9a083d5c99e95740ceb90c27ed
}

func ExampleSignPage() {
	ticket := published // usually: token, err := jsapi.Token(ctx), and its Value
	config, err := wechat.SignPage("wx0123456789abcdef", ticket, "https://shop.example/cart?id=7#top")
	if err != nil {
		fmt.Println(err)
		return
	}
	signed := wechat.PageSignature(ticket, config.NonceStr, config.Timestamp, "https://shop.example/cart?id=7")
	fmt.Println(config.Signature == signed)
	// Output: true
}

func TestPageSignatureLeavesTheFragmentOut(t *testing.T) {
	for url, same := range map[string]bool{
		"http://mp.weixin.qq.com?params=value#":        true,
		"http://mp.weixin.qq.com?params=value#/a?b=c#": true,
		"http://mp.weixin.qq.com/?params=value":        false,
		"http://mp.weixin.qq.com?params=valu%65":       false,
	} {
		got := wechat.PageSignature(published, "Wm3WZYTPz0wzccnW", 1414587457, url)
		if (got == publishedSignature) != same {
			t.Errorf("%s is signed as %s", url, got)
		}
	}
}

func TestSignPage(t *testing.T) {
	before := time.Now().Unix()
	one, err := wechat.SignPage(appID, published, "https://shop.example/")
	if err != nil {
		t.Fatal(err)
	}
	two, _ := wechat.SignPage(appID, published, "https://shop.example/")
	if one.NonceStr == two.NonceStr || len(one.NonceStr) < 16 || one.Timestamp < before || one.Timestamp > time.Now().Unix() {
		t.Errorf("signed as %+v and %+v", one, two)
	}
	text, err := json.Marshal(one)
	var names map[string]any
	if err != nil || json.Unmarshal(text, &names) != nil || len(names) != 4 {
		t.Fatalf("%s, %v", text, err)
	}
	for _, name := range []string{"appId", "timestamp", "nonceStr", "signature"} { // as wx.config spells them
		if names[name] == nil {
			t.Errorf("%s has no %s", text, name)
		}
	}
	if strings.Contains(string(text), published) {
		t.Error("the page gets the ticket")
	}
	for _, bad := range []struct{ appID, ticket, url, says string }{
		{"", published, "https://shop.example/", "AppID is empty"},
		{appID, "", "https://shop.example/", "ticket is empty"},
		{appID, published, "", "location.href"},
		{appID, published, "/cart", "location.href"},
		{appID, published, "https%3A%2F%2Fshop.example%2F", "location.href"},
		{appID, published, "javascript:alert(1)", "location.href"},
		{appID, published, "https://", "location.href"},
	} {
		if _, err := wechat.SignPage(bad.appID, bad.ticket, bad.url); err == nil || !strings.Contains(err.Error(), bad.says) {
			t.Errorf("%q gives %v, want %q", bad.url, err, bad.says)
		}
	}
}
