package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/mintonce/mintonce/internal/config"
)

// design is the example of the project's contract.
const design = `store: redis://127.0.0.1:6379/0
fallback: file:/var/lib/mintonce      # last-known-good copy, used while Redis is away
listen: 127.0.0.1:8420
tokens:
  shop:
    wechat: {appid: wx1234567890abcdef, secret_file: /run/secrets/shop, mode: stable}
clients:
  - {name: php-shop, key_sha256: "...", tokens: [shop]}
`

// digest has the form of a key's SHA-256.
const digest = "2b4ac6c95f2ad8d4e9e4e4f5a2d7ecd2bd71dc7a6ae8a4ab6e5a2f2d6f2d6f0a"

func TestParse(t *testing.T) {
	c, err := config.Parse("mintonce.yml", []byte(design))
	if err != nil {
		t.Fatal(err)
	}
	if c.Store != "redis://127.0.0.1:6379/0" || c.Fallback != "file:/var/lib/mintonce" || c.Listen != "127.0.0.1:8420" {
		t.Errorf("read %+v", c)
	}
	wechat := config.WeChat{AppID: "wx1234567890abcdef", SecretFile: "/run/secrets/shop", Mode: "stable"}
	if got := c.Tokens["shop"].WeChat; got == nil || *got != wechat {
		t.Errorf("tokens.shop.wechat is %+v, want %+v", got, wechat)
	}
	client := config.Client{Name: "php-shop", KeySHA256: "...", Tokens: []string{"shop"}}
	if !reflect.DeepEqual(c.Clients, []config.Client{client}) {
		t.Errorf("clients are %+v, want %+v", c.Clients, client)
	}
	if err := c.Check(); err == nil || !strings.HasPrefix(err.Error(), "mintonce.yml:8: clients[1].key_sha256 is not 64 hex digits: ") {
		t.Errorf("the key that is no key: %v", err)
	}
}

func TestParseOfNothing(t *testing.T) {
	for _, text := range []string{"", " \n", "tokens:\nclients:\nstore:\n", "{}"} {
		c, err := config.Parse("c.yml", []byte(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if err := c.Check(); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestMistakes(t *testing.T) {
	token := "tokens: {shop: {wechat: {appid: wx1, "
	tests := []struct{ name, text, want string }{
		{"unknown key", "stroe: x\n", "c.yml:1: stroe is not a key that mintonce knows: did you mean store?"},
		{"unknown key of a mapping", "tokns:\n  shop: {}\n", "c.yml:1: tokns is not a key that mintonce knows: did you mean tokens?"},
		{"unknown nested key", "tokens:\n  shop:\n    wechat:\n      appid: wx1\n      secretfile: x\n", "c.yml:5: tokens.shop.wechat.secretfile is not a key that mintonce knows: did you mean secret_file?"},
		{"unknown key like two", "tokens: {a: {wechat: {apid: wx1}}}\n", "tokens.a.wechat.apid is not a key that mintonce knows: did you mean appid?"},
		{"unknown key like two, of which one is there", "tokens: {a: {wechat: {appid: wx1, apid: x}}}\n", "tokens.a.wechat.apid is not a key that mintonce knows: did you mean api?"},
		{"unknown key like none", "colour: x\n", "c.yml:1: colour is not a key that mintonce knows: the keys are clients, fallback, "},
		{"secret", token + "secret: hunter2}}}\n", "a secret does not belong into this file"},
		{"unknown provider", "tokens: {shop: {alipay: {}}}\n", "c.yml:1: tokens.shop.alipay is not a key that mintonce knows: the keys are ticket, wechat, wecom"},
		{"merge key", "a: &a {store: x}\n", "c.yml:1: a is not a key"},
		{"control character in a key", "\"a\\nb\": 1\n", `c.yml:1: "a\nb" is not a key`},
		{"twice", "store: file:/a\nstore: file:/b\n", "c.yml:2: store stands here a second time"},
		{"token twice", "tokens:\n  a:\n  a:\n", "c.yml:3: tokens.a stands here a second time"},
		{"not YAML", "store: a: b\n", "c.yml:1: is not YAML (mapping values are not allowed in this context)"},
		{"tab", "tokens:\n\tshop:\n", "c.yml:2: is not YAML"},
		{"not text", "a\xffb: 1\n", "c.yml is not YAML"},
		{"two documents", "store: file:/a\n---\nstore: file:/b\n", "c.yml is not YAML (expected single document, found multiple)"},
		{"list", "- store\n", "c.yml:1: the file must be a mapping"},
		{"comments", "# nothing\n", "c.yml holds comments only"},
		{"text for a mapping", "tokens: shop\n", "c.yml:1: tokens must be a mapping"},
		{"text for a list", "clients: all\n", "c.yml:1: clients must be a list"},
		{"list for a text", "store: [a]\n", "c.yml:1: store must be one text"},
		{"text for a truth", token + "allow_plain_http: maybe}}}\n", "allow_plain_http must be true or false"},

		{"bad store", "store: 127.0.0.1\n", "c.yml:1: store is not the name of a store: the forms are redis://"},
		{"bad password", "store: redis://:hunter2#@h\n", "c.yml:1: store the end has a ? or #"},
		{"fallback is a path", "fallback: /tmp/x\n", "c.yml:1: fallback is a path: write it as file:/tmp/x"},
		{"fallback not a file", "fallback: redis://h\n", "c.yml:1: fallback is not a folder"},
		{"fallback is store", "store: file:/a\nfallback: file:/a\n", "c.yml:2: fallback is the same as store"},
		{"bad prefix", "prefix: a b\n", "c.yml:1: prefix must be 1 to 64 characters"},
		{"bad instance", "instance: a b\n", "c.yml:1: instance must be at most 64"},
		{"bad level", "log_level: loud\n", "c.yml:1: log_level is not a level: use debug, info, warn or error"},
		{"bad format", "log_format: xml\n", "c.yml:1: log_format is not a format: use text or json"},
		{"bad name", "tokens: {\"a b\": {wechat: {appid: wx1}}}\n", "tokens.a b is not a good name"},
		{"no source", "tokens: {shop: }\n", "tokens.shop says nothing of where the token comes from"},
		{"no appid", "tokens: {shop: {wechat: }}\n", "tokens.shop.wechat.appid is missing"},
		{"bad appid", "tokens: {shop: {wechat: {appid: \"wx 1\"}}}\n", "c.yml:1: tokens.shop.wechat.appid has characters that no AppID has"},
		{"bad mode", token + "mode: steady}}}\n", "c.yml:1: tokens.shop.wechat.mode is not a mode: use stable"},
		{"bad api", token + "api: weixin}}}\n", "tokens.shop.wechat.api is not a URL"},
		{"api with a user", token + "api: \"https://u:hunter2@h\"}}}\n", "tokens.shop.wechat.api has a user"},
		{"plain http", token + "api: \"http://sandbox:8421\"}}}\n", "tokens.shop.wechat.api is plain http"},
		{"plain http to WeChat", token + "api: \"http://api.weixin.qq.com\", allow_plain_http: true}}}\n", "WeChat's own hosts are used over https only"},
		{"one account twice", "tokens: {a: {wechat: {appid: wx1}}, b: {wechat: {appid: wx1, mode: stable}}}\n", "tokens.b is the same account in the same mode as tokens.a"},
		{"two sources", token + "}, ticket: {of: shop}}}\n", "c.yml:1: tokens.shop says two things of where the token comes from: keep one of wechat and ticket"},
		{"ticket of nothing", "tokens:\n  jsapi:\n    ticket:\n      type: jsapi\n", "c.yml:3: tokens.jsapi.ticket.of is missing: name the token"},
		{"ticket without any token", "tokens: {jsapi: {ticket: {of: b}}}\n", "tokens.jsapi.ticket.of names b, and this config has no token of WeChat: add b with wechat: {appid: ...}"},
		{"ticket of an unknown token", token + "}}, jsapi: {ticket: {of: shpo}}}\n", "tokens.jsapi.ticket.of names shpo, which is not a token of this config: did you mean shop?"},
		{"ticket of a token unlike all", token + "}}, jsapi: {ticket: {of: elsewhere}}}\n", "which is not a token of this config: the tokens of WeChat are shop"},
		{"ticket of a ticket", token + "}}, a: {ticket: {of: shop}}, b: {ticket: {of: a}}}\n", "tokens.b.ticket.of names a, which is no access token of WeChat: name one with wechat below it"},
		{"ticket of a type", "tokens:\n  shop: {wechat: {appid: wx1}}\n  a:\n    ticket:\n      of: shop\n      type: card\n", "c.yml:6: tokens.a.ticket.type is not a type of ticket: use jsapi or wx_card"},
		{"one ticket twice", token + "}}, a: {ticket: {of: shop}}, b: {ticket: {of: shop, type: jsapi}}}\n", "tokens.b is the same ticket as tokens.a: keep one of them"},
		{"no corpid", "tokens:\n  office:\n    wecom:\n      agent: 1000002\n", "c.yml:3: tokens.office.wecom.corpid is missing: copy the CorpID"},
		{"no agent", "tokens: {office: {wecom: {corpid: ww1}}}\n", "tokens.office.wecom.agent is missing: copy the AgentID"},
		{"bad corpid", "tokens: {office: {wecom: {corpid: \"ww 1\", agent: 1}}}\n", "tokens.office.wecom.corpid has characters that no CorpID has"},
		{"bad agent", "tokens:\n  office:\n    wecom:\n      corpid: ww1\n      agent: a/b\n", "c.yml:5: tokens.office.wecom.agent has other characters"},
		{"plain http to WeCom", "tokens: {office: {wecom: {corpid: ww1, agent: 1, api: \"http://qyapi.weixin.qq.com\", allow_plain_http: true}}}\n", "WeCom's own hosts are used over https only"},
		{"unknown key of WeCom", "tokens: {office: {wecom: {corp_id: ww1}}}\n", "tokens.office.wecom.corp_id is not a key that mintonce knows: did you mean corpid?"},
		{"one app twice", "tokens: {a: {wecom: {corpid: ww1, agent: 1}}, b: {wecom: {corpid: ww1, agent: 1}}}\n", "tokens.b is the same app of the same corp as tokens.a"},
		{"ticket of WeCom", "tokens: {office: {wecom: {corpid: ww1, agent: 1}}, a: {ticket: {of: office}}}\n", "tokens.a.ticket.of names office, which is no access token of WeChat"},
		{"listen without port", "listen: 127.0.0.1\n", "c.yml:1: listen is not of the form HOST:PORT"},
		{"listen with a bad port", "listen: 127.0.0.1:http9\n", "c.yml:1: listen has a bad port"},
		{"open to all", "listen: 0.0.0.0:8420\n", "c.yml:1: listen can be reached by others than this machine, and no clients are set: list clients with their keys in the config file, or listen on 127.0.0.1:8420"},
		{"open to all by default", "listen: \":8420\"\n", "listen can be reached by others"},
		{"open on a name", "listen: mint.example.test:8420\n", "listen can be reached by others"},

		{"client without name", "clients: [{}]\n", "clients[1].name is not a good name"},
		{"client without tokens", "clients: [{name: a, key_sha256: " + digest + "}]\n", "clients[1].tokens is empty"},
		{"client of an unknown token", token + "}}}\nclients: [{name: a, key_sha256: " + digest + ", tokens: [shpo]}]\n", "clients[1].tokens has shpo, which is not a token of this config: did you mean shop?"},
		{"client with an unknown right", token + "}}}\nclients: [{name: a, key_sha256: " + digest + ", tokens: [shop], rights: [rotate]}]\n", "clients[1].rights has rotate, which is not a right"},
		{"two clients of one name", token + "}}}\nclients: [{name: a, key_sha256: " + digest + ", tokens: [shop]}, {name: a, key_sha256: " + strings.Repeat("0", 64) + ", tokens: [shop]}]\n", "clients[2].name is that of another client"},
		{"two clients with one key", token + "}}}\nclients: [{name: a, key_sha256: " + digest + ", tokens: [shop]}, {name: b, key_sha256: " + strings.ToUpper(digest) + ", tokens: [shop]}]\n", "clients[2].key_sha256 is that of a, too"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := config.Parse("c.yml", []byte(test.text))
			if err == nil {
				err = c.Check()
			}
			var mistake *config.Error
			if !errors.As(err, &mistake) || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v\nwant %s", err, test.want)
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "\n") {
				t.Errorf("the error quotes a secret, or has several lines: %q", err)
			}
		})
	}
}

func TestGoodConfigs(t *testing.T) {
	for _, text := range []string{
		"tokens: {shop: {wechat: {appid: wx1, api: \"http://127.0.0.1:8421\"}}}",
		"tokens: {shop: {wechat: {appid: wx1, api: \"http://sandbox:8421\", allow_plain_http: true}}}",
		"tokens: {a: {wechat: {appid: wx1}}, b: {wechat: {appid: wx1, mode: classic}}}", // WeChat keeps the modes apart
		"tokens: {a: &t {wechat: {appid: wx1}}}\nclients: [{name: a, key_sha256: " + digest + ", tokens: [a], rights: [operate]}]\nlisten: \":0\"",
		"tokens: {shop: {wechat: {appid: wx1}}, a: {ticket: {of: shop}}, b: {ticket: {of: shop, type: wx_card}}}",
		"tokens: {a.wechat: {wechat: {appid: wx1}}, a.ticket.of: {ticket: {of: a.wechat}}}",
		"tokens: {a: {wecom: {corpid: ww1, agent: 1000002}}, b: {wecom: {corpid: ww1, agent: contacts, api: 'http://127.0.0.1:8421'}}}",
		"listen: \"[::1]:8420\"",
		"listen: localhost:8420",
	} {
		c, err := config.Parse("c.yml", []byte(text))
		if err == nil {
			err = c.Check()
		}
		if err != nil {
			t.Errorf("%s\n%v", text, err)
		}
	}
}

func TestDefaults(t *testing.T) {
	c, err := config.Parse("c.yml", []byte("tokens: {a: {wechat: {appid: wx1}}}\nclients: [{name: x, key_sha256: "+strings.ToUpper(digest)+", tokens: [a]}]"))
	if err == nil {
		err = c.Check()
	}
	if err != nil {
		t.Fatal(err)
	}
	if w := c.Tokens["a"].WeChat; w.Mode != config.ModeStable || w.API != "https://api.weixin.qq.com" {
		t.Errorf("wechat is %+v", w)
	}
	if client := c.Clients[0]; !client.Has(config.MayRead) || !client.Has(config.MayReport) || client.Has(config.MayOperate) {
		t.Errorf("rights are %v", client.Rights)
	}
	if traits := c.Traits("a"); traits.DailyRotations == 0 || traits.Credential != "" {
		t.Errorf("traits without a secret are %+v", traits)
	}
}

func TestReadTakesPathsFromTheFolderOfTheFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "mintonce.yml")
	write(t, file, "store: file:state\nfallback: file:/var/copy\ntokens: {a: {wechat: {appid: wx1, secret_file: a.secret}}}\n", 0o600)
	c, err := config.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	if c.Store != "file:"+dir+"/state" || c.Fallback != "file:/var/copy" || c.Tokens["a"].WeChat.SecretFile != dir+"/a.secret" {
		t.Errorf("read %+v, %+v", c, c.Tokens["a"].WeChat)
	}
}

func TestReadOfNoFile(t *testing.T) {
	dir := t.TempDir()
	for file, want := range map[string]string{
		filepath.Join(dir, "none.yml"): "none.yml cannot be read (no such file or directory): check the path",
		dir:                            "cannot be read (is a directory)",
	} {
		if _, err := config.Read(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", file, err, want)
		}
	}
}

func write(t *testing.T, file, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
}

// FuzzParse: whatever a file holds, reading it ends, with an error of one line
// at most.
func FuzzParse(f *testing.F) {
	f.Add([]byte(design))
	for _, seed := range []string{"a: &a [*a]", "tokens: &t {a: *t}", "? [a]\n: b", "clients: [{name: 1, tokens: [2, ~]}]", "\"\\x00\": 1", "store: !!binary aGk=", "<<: {store: x}", "%YAML 1.2\n---\nstore: x"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := config.Parse("c.yml", data)
		if err == nil {
			err = c.Check()
		}
		if err == nil {
			return
		}
		if text := err.Error(); strings.ContainsAny(text, "\r\n\x00\x1b") {
			t.Errorf("error %q", text)
		}
	})
}
