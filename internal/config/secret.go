package config

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/wechat"
)

// SecretVariable holds the AppSecret where no file does.
const SecretVariable = "MINTONCE_WECHAT_SECRET"

// Source is what package wechat offers.
type Source interface {
	coordinator.Source
	Check() error
}

// source makes the source of the account with a secret.
func (w *WeChat) source(secret string) Source {
	cfg := wechat.Config{API: w.API, AllowPlainHTTP: w.AllowPlainHTTP}
	if w.Mode == ModeClassic {
		return wechat.NewClassicToken(w.AppID, secret, cfg)
	}
	return wechat.NewStableToken(w.AppID, secret, cfg)
}

// Traits are those of the account. Without its secret, they name no credential.
func (w *WeChat) Traits() coordinator.Traits {
	traits := w.source("").Traits()
	traits.Credential = ""
	return traits
}

// Source reads the secret of the token called name and returns its source. The
// warning, if any, is about who else may read the secret.
func (c *Config) Source(name string) (source Source, warning string, err error) {
	key := "tokens." + name + ".wechat"
	w := c.Tokens[name].WeChat
	secret, warning, err := c.secret(key, w)
	if err != nil {
		return nil, "", err
	}
	source = w.source(secret)
	if err := source.Check(); err != nil {
		return nil, "", c.wrong(key+".secret_file", "holds no AppSecret", "%s", strings.TrimPrefix(err.Error(), "wechat: "))
	}
	return source, warning, nil
}

func (c *Config) secret(key string, w *WeChat) (secret, warning string, err error) {
	if w.SecretFile != "" {
		return c.readSecret(key+".secret_file", w.SecretFile)
	}
	secret = os.Getenv(SecretVariable)
	switch {
	case secret == "":
		return "", "", c.wrong(key, "has no secret", "name a file that holds the AppSecret with secret_file or --wechat-secret-file, or set "+SecretVariable)
	case c.withoutFile() > 1:
		return "", "", c.wrong(key, "has no secret_file", SecretVariable+" is for one token only, and several have none: name a file for each")
	}
	return strings.TrimSpace(secret), "", nil
}

// withoutFile counts the tokens whose secret would come from the variable.
func (c *Config) withoutFile() int {
	n := 0
	for _, t := range c.Tokens {
		if t.WeChat != nil && t.WeChat.SecretFile == "" {
			n++
		}
	}
	return n
}

// maxSecret bounds a secret file. An AppSecret has 32 characters.
const maxSecret = 4 << 10

func (c *Config) readSecret(key, file string) (secret, warning string, err error) {
	unreadable := func(err error) error {
		return c.wrong(key, "cannot be read: "+file+" ("+reason(err)+")", "let it hold the AppSecret, readable by user %d alone", os.Getuid())
	}
	f, err := os.Open(file)
	if err != nil {
		return "", "", unreadable(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", "", unreadable(err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", "", unreadable(err)
	}
	secret = strings.TrimSpace(string(data))
	switch {
	case len(data) > maxSecret:
		return "", "", c.wrong(key, "is too large for a secret: "+file, "let it hold the AppSecret alone")
	case secret == "":
		return "", "", c.wrong(key, "is empty: "+file, "write the AppSecret into it")
	}
	if mode := info.Mode().Perm(); info.Mode().IsRegular() && mode&0o077 != 0 {
		warning = fmt.Sprintf("%s: %s has permissions %04o, so that others may read the secret: chmod 600 it", c.at(key), file, mode)
	}
	return secret, warning, nil
}
