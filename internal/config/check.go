package config

import (
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/storeurl"
	"github.com/mintonce/mintonce/wechat"
)

// anchor takes relative paths of the file from its folder.
func (c *Config) anchor(dir string) error {
	for key, text := range map[string]*string{"store": &c.Store, "fallback": &c.Fallback} {
		if !strings.HasPrefix(*text, "file:") {
			continue
		}
		u, err := storeurl.Parse(*text)
		if err != nil {
			return c.wrong(key, err.Error(), "")
		}
		*text = u.Below(dir).String()
	}
	if c.TokensFrom != "" && !filepath.IsAbs(c.TokensFrom) {
		c.TokensFrom = filepath.Join(dir, c.TokensFrom)
	}
	anchorSecrets(dir, c.Tokens)
	return nil
}

func anchorSecrets(dir string, tokens map[string]Token) {
	for _, t := range tokens {
		if w := t.WeChat; w != nil && w.SecretFile != "" && !filepath.IsAbs(w.SecretFile) {
			w.SecretFile = filepath.Join(dir, w.SecretFile)
		}
	}
}

// Check finds the first mistake and fills in the defaults of the tokens. It
// reads no secret: that is for WeChat.Source.
func (c *Config) Check() error {
	for _, check := range []func() error{c.checkStores, c.checkNames, c.checkTokens, c.checkShared, c.checkClients, c.checkListen} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) checkStores() error {
	if c.Store != "" {
		if _, err := storeurl.Parse(c.Store); err != nil {
			return c.wrong("store", err.Error(), "")
		}
	}
	if c.Fallback != "" {
		u, err := storeurl.Parse(c.Fallback)
		if err != nil {
			return c.wrong("fallback", err.Error(), "")
		}
		if !u.IsFile() {
			return c.wrong("fallback", "is not a folder", "write file:/DIR, on a disk of this machine")
		}
		if u.String() == c.Store {
			return c.wrong("fallback", "is the same as store", "leave it out: a file store needs no copy")
		}
	}
	if err := storeurl.CheckPrefix(c.Prefix); err != nil {
		return c.wrong("prefix", err.Error(), "")
	}
	return nil
}

var instancePattern = regexp.MustCompile(`^[!-~]{0,64}$`)

func (c *Config) checkNames() error {
	if !instancePattern.MatchString(c.Instance) {
		return c.wrong("instance", "must be at most 64 printable ASCII characters without blanks", "leave it out for HOST-PID")
	}
	if !slices.Contains([]string{"", "debug", "info", "warn", "error"}, c.LogLevel) {
		return c.wrong("log_level", "is not a level", "use debug, info, warn or error")
	}
	if !slices.Contains([]string{"", "text", "json"}, c.LogFormat) {
		return c.wrong("log_format", "is not a format", "use text or json")
	}
	return nil
}

func (c *Config) checkTokens() error {
	for _, name := range c.Names() {
		key := "tokens." + printable(name)
		if coordinator.CheckName(name) != nil {
			return c.wrong(key, "is not a good name", "use 1 to 64 characters of A-Z a-z 0-9 . _ -")
		}
		w := c.Tokens[name].WeChat
		if w == nil {
			return c.wrong(key, "says nothing of where the token comes from", "add wechat: {appid: ..., secret_file: ...}")
		}
		if err := c.checkWeChat(key+".wechat", w); err != nil {
			return err
		}
	}
	return nil
}

var appIDPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

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

func (c *Config) checkWeChat(key string, w *WeChat) error {
	w.fillIn()
	switch {
	case w.AppID == "":
		return c.wrong(key+".appid", "is missing", "copy the AppID from WeChat's console")
	case !appIDPattern.MatchString(w.AppID):
		return c.wrong(key+".appid", "has characters that no AppID has", "copy it again, without blanks")
	case w.Mode != ModeStable && w.Mode != ModeClassic:
		return c.wrong(key+".mode", "is not a mode", "use stable (/cgi-bin/stable_token) or classic (/cgi-bin/token)")
	}
	return c.checkAPI(key, w)
}

// checkAPI leaves to package wechat what it is strict about, and says it in
// the words of this file. It does not quote the URL, which may hold a password.
func (c *Config) checkAPI(key string, w *WeChat) error {
	u, err := url.Parse(w.API)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		return c.wrong(key+".api", "is not a URL", "use the form https://HOST")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return c.wrong(key+".api", "has a user, a query or a fragment", "use the form https://HOST")
	case u.Scheme == "http" && !loopback(u.Hostname()) && !w.AllowPlainHTTP:
		return c.wrong(key+".api", "is plain http, over which the AppSecret could be read", "use https, or set allow_plain_http if it is a sandbox in a private network")
	}
	const standIn = "0123456789abcdef0123456789abcdef"
	if err := w.source(standIn).Check(); err != nil {
		return c.wrong(key, "is wrong", "%s", strings.TrimPrefix(err.Error(), "wechat: "))
	}
	return nil
}

// checkShared finds two tokens of one account: they would end each other's,
// because each has a record of its own.
func (c *Config) checkShared() error {
	first := make(map[account]string)
	for _, name := range c.Names() {
		a := c.Tokens[name].WeChat.account()
		if other, ok := first[a]; ok {
			return c.sameAccount(name, "tokens."+other)
		}
		first[a] = name
	}
	return nil
}

// account is what no two tokens may share.
type account struct{ appID, mode, api string }

func (w *WeChat) account() account { return account{w.AppID, w.Mode, w.API} }

func (c *Config) sameAccount(name, other string) error {
	return c.wrong("tokens."+name, "is the same account in the same mode as "+other,
		"keep one of them: an account needs one record, or its tokens end each other")
}

func (c *Config) checkListen() error {
	if c.Listen == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil || port == "" {
		return c.wrong("listen", "is not of the form HOST:PORT", "use 127.0.0.1:8420, or :8420 for every address")
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return c.wrong("listen", "has a bad port", "use a number from 0 to 65535")
	}
	if !loopback(host) && len(c.Clients) == 0 {
		return c.wrong("listen", "can be reached by others than this machine, and no clients are set",
			"list clients with their keys in the config file, or listen on 127.0.0.1:%s", port)
	}
	return nil
}

// OnLoopback reports whether Listen can be reached from this machine only.
func (c *Config) OnLoopback() bool {
	host, _, err := net.SplitHostPort(c.Listen)
	return err == nil && loopback(host)
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
