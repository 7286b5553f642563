package config

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/mintonce/mintonce/internal/listen"
	"github.com/mintonce/mintonce/wechat"
)

// WeChat is an account at WeChat.
type WeChat struct {
	AppID          string
	SecretFile     string // the file that holds the AppSecret
	Mode           string // stable (the default) or classic
	API            string // base URL; default wechat.DefaultAPI
	AllowPlainHTTP bool   // accept http to other hosts than loopback
}

// The modes of a WeChat account.
const (
	ModeStable  = "stable"
	ModeClassic = "classic"
)

// SecretVariable holds the AppSecret where no file does.
const SecretVariable = "MINTONCE_WECHAT_SECRET"

func (w *WeChat) kind() string   { return "wechat" }
func (w *WeChat) keys() []string { return []string{"appid", "secret_file", "mode", "api"} }

func (w *WeChat) secret() *secret { return &secret{&w.SecretFile, SecretVariable, "AppSecret"} }

func (w *WeChat) account() account { return account{w.kind(), w.AppID, w.Mode, w.API} }

func (w *WeChat) config() wechat.Config {
	return wechat.Config{API: w.API, AllowPlainHTTP: w.AllowPlainHTTP}
}

// source makes the source of the account with a secret.
func (w *WeChat) source(secret string) Source {
	if w.Mode == ModeClassic {
		return wechat.NewClassicToken(w.AppID, secret, w.config())
	}
	return wechat.NewStableToken(w.AppID, secret, w.config())
}

// fillIn sets the defaults. Equal texts of very many accounts share their
// memory.
func (w *WeChat) fillIn() {
	switch w.Mode {
	case "", ModeStable:
		w.Mode = ModeStable
	case ModeClassic:
		w.Mode = ModeClassic
	}
	if w.API == "" || w.API == wechat.DefaultAPI {
		w.API = wechat.DefaultAPI
	}
}

var appIDPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func (w *WeChat) check(c *Config, key string) error {
	w.fillIn()
	switch {
	case w.AppID == "":
		return c.wrong(key+".appid", "is missing", "copy the AppID from WeChat's console")
	case !appIDPattern.MatchString(w.AppID):
		return c.wrong(key+".appid", "has characters that no AppID has", "copy it again, without blanks")
	case w.Mode != ModeStable && w.Mode != ModeClassic:
		return c.wrong(key+".mode", "is not a mode", "use stable (/cgi-bin/stable_token) or classic (/cgi-bin/token)")
	}
	return c.checkAPI(key, w.API, w.AllowPlainHTTP, w.source)
}

// checkAPI leaves to the package of the provider what that is strict about, and
// says it in the words of this file. It does not quote the URL, which may hold a
// password.
func (c *Config) checkAPI(key, api string, allowPlainHTTP bool, source func(secret string) Source) error {
	u, err := url.Parse(api)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		return c.wrong(key+".api", "is not a URL", "use the form https://HOST")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return c.wrong(key+".api", "has a user, a query or a fragment", "use the form https://HOST")
	case u.Scheme == "http" && !listen.IsLoopback(u.Hostname()) && !allowPlainHTTP:
		return c.wrong(key+".api", "is plain http, over which the secret could be read", "use https, or set allow_plain_http if it is a sandbox in a private network")
	}
	const standIn = "0123456789abcdef0123456789abcdef"
	if err := source(standIn).Check(); err != nil {
		_, problem, _ := strings.Cut(err.Error(), ": ") // without the package's name
		return c.wrong(key, "is wrong", "%s", problem)
	}
	return nil
}
