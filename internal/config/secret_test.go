package config_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/mintonce/mintonce/internal/config"
)

const secret = "0123456789abcdef0123456789abcdef"

func TestSecretFile(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "good"), secret+"\r\n", 0o600)
	write(t, filepath.Join(dir, "readable"), secret, 0o644)
	write(t, filepath.Join(dir, "empty"), " \n", 0o600)
	write(t, filepath.Join(dir, "two"), secret+"\n"+secret+"\n", 0o600)
	write(t, filepath.Join(dir, "large"), strings.Repeat("x", 5000), 0o600)

	for file, want := range map[string]struct{ warning, problem string }{
		"good":     {},
		"readable": {warning: "has permissions 0644, so that others may read the secret: chmod 600 it"},
		"empty":    {problem: "tokens.shop.wechat.secret_file is empty"},
		"two":      {problem: "tokens.shop.wechat.secret_file holds no AppSecret: the AppSecret has a blank"},
		"large":    {problem: "is too large for a secret"},
		"none":     {problem: "tokens.shop.wechat.secret_file cannot be read: " + dir + "/none (no such file or directory)"},
		"":         {problem: "(is a directory)"},
	} {
		t.Run(file, func(t *testing.T) {
			c := config.Config{Tokens: map[string]config.Token{"shop": {WeChat: &config.WeChat{AppID: "wx1", SecretFile: dir + "/" + file}}}}
			source, warning, err := c.Source("shop", nil)
			if want.problem != "" {
				if err == nil || !strings.Contains(err.Error(), want.problem) || strings.Contains(err.Error(), secret) {
					t.Fatalf("error %v, want %q", err, want.problem)
				}
				return
			}
			if err != nil || source.Traits().Credential == "" {
				t.Fatalf("%v, %v", source, err)
			}
			if !strings.Contains(warning, want.warning) || (warning == "") != (want.warning == "") {
				t.Errorf("warning %q, want %q", warning, want.warning)
			}
		})
	}
}

func TestSecretVariable(t *testing.T) {
	account := func(id string) config.Token { return config.Token{WeChat: &config.WeChat{AppID: id}} }
	c := config.Config{Tokens: map[string]config.Token{"a": account("wx1")}}
	if _, _, err := c.Source("a", nil); err == nil || !strings.Contains(err.Error(), "tokens.a.wechat has no secret") {
		t.Errorf("without any secret: %v", err)
	}
	t.Setenv(config.SecretVariable, secret)
	if _, _, err := c.Source("a", nil); err != nil {
		t.Errorf("with %s: %v", config.SecretVariable, err)
	}
	c.Tokens["b"] = account("wx2")
	if _, _, err := c.Source("a", nil); err == nil || !strings.Contains(err.Error(), "is for one token only") {
		t.Errorf("with two tokens: %v", err)
	}
}
