package config_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/config"
	"github.com/mintonce/mintonce/wechat"
)

// none are the tokens of nobody.
type none struct{}

func (none) Token(context.Context) (coordinator.Token, error) {
	return coordinator.Token{}, coordinator.ErrNoToken
}

func (none) Report(context.Context, string, error) error { return nil }

func TestTicketSource(t *testing.T) {
	parse := func(text string) *config.Config {
		t.Helper()
		c, err := config.Parse("c.yml", []byte(text))
		if err == nil {
			err = c.Check()
		}
		if err != nil {
			t.Fatal(err)
		}
		return &c
	}
	identity := func(c *config.Config) string {
		t.Helper()
		asked := ""
		source, warning, err := c.Source("jsapi", func(name string) wechat.TokenSource { asked = name; return none{} })
		if err != nil || warning != "" || asked == "" || source.Check() != nil {
			t.Fatalf("%v, warning %q, with the tokens of %q", err, warning, asked)
		}
		return c.Identity("jsapi", source)
	}
	// No secret is needed, and none is read.
	c := parse("tokens: {shop: {wechat: {appid: wx1, secret_file: /none}}, jsapi: {ticket: {of: shop}}}")
	one := identity(c)
	if got := c.Traits("jsapi"); got.Kind != coordinator.Idempotent || got.Credential != "wechat:wx1/jsapi" {
		t.Errorf("traits are %+v", got)
	}
	if c.API("jsapi") != wechat.DefaultAPI || c.Tokens["jsapi"].SecretFile() != "" || c.Tokens["shop"].SecretFile() != "/none" {
		t.Errorf("API %q, secrets %q and %q", c.API("jsapi"), c.Tokens["jsapi"].SecretFile(), c.Tokens["shop"].SecretFile())
	}
	for text, same := range map[string]bool{
		"tokens: {shop: {wechat: {appid: wx1, secret_file: /other, mode: classic}}, jsapi: {ticket: {of: shop, type: jsapi}}}": true, // the ticket is the same
		"tokens: {shop: {wechat: {appid: wx2}}, jsapi: {ticket: {of: shop}}}":                                                  false,
		"tokens: {shop: {wechat: {appid: wx1}}, jsapi: {ticket: {of: shop, type: wx_card}}}":                                   false,
		"tokens: {shop: {wechat: {appid: wx1, api: 'https://sh.api.weixin.qq.com'}}, jsapi: {ticket: {of: shop}}}":             false,
		"tokens: {other: {wechat: {appid: wx1}}, jsapi: {ticket: {of: other}}}":                                                false,
	} {
		if got := identity(parse(text)); (got == one) != same {
			t.Errorf("%s: the identity is the same: %t, want %t", text, got == one, same)
		}
	}
}

// A ticket in a token file may be got with a token of another file. If that
// goes, the ticket is a problem of its own.
func TestTicketInATokenFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "tokens.d"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "m.yml"), glob+"tokens: {main: {wechat: {appid: wx0}}, main-jsapi: {ticket: {of: a}}}\n", 0o600)
	write(t, filepath.Join(dir, "tokens.d/a.yml"), token("a", "wx1")+"a-card: {ticket: {of: main, type: wx_card}}\n", 0o600)
	write(t, filepath.Join(dir, "tokens.d/b.yml"), "b-jsapi: {ticket: {of: b}}\nb-card: {ticket: {of: a-card}}\n", 0o600)
	c, err := config.Read(filepath.Join(dir, "m.yml"))
	if err == nil {
		err = c.Check()
	}
	if err != nil || len(c.Refused) > 0 {
		t.Fatal(err, c.Refused)
	}
	for name, want := range map[string]string{
		"main-jsapi": "", "a-card": "",
		"b-jsapi": "tokens.d/b.yml:1: tokens.b-jsapi.ticket.of names b, which is not a token of this config: did you mean a?",
		"b-card":  "tokens.d/b.yml:2: tokens.b-card.ticket.of names a-card, which is no access token of WeChat",
	} {
		_, _, err := c.Source(name, nil)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	// The same ticket twice, though in two files.
	write(t, filepath.Join(dir, "tokens.d/c.yml"), "c-card: {ticket: {of: main, type: wx_card}}\n", 0o600)
	if c, err = config.Read(filepath.Join(dir, "m.yml")); err != nil || len(c.Refused) != 1 || !strings.Contains(c.Refused[0].Error(), "is the same ticket as tokens.a-card in ") {
		t.Errorf("%v, refused %v", err, c.Refused)
	}
}
