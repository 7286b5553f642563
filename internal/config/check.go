package config

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/listen"
	"github.com/mintonce/mintonce/internal/storeurl"
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
	if address, err := listen.Parse(c.Listen); err == nil {
		c.Listen = address.Below(dir).String()
	}
	for _, file := range []*string{&c.TLS.CertFile, &c.TLS.KeyFile, &c.TLS.ClientCAFile, &c.Seal.KeyFile} {
		if *file != "" && !filepath.IsAbs(*file) {
			*file = filepath.Join(dir, *file)
		}
	}
	anchorSecrets(dir, c.Tokens)
	return nil
}

func anchorSecrets(dir string, tokens map[string]Token) {
	for _, t := range tokens {
		for _, o := range t.origins() {
			if s := o.secret(); s != nil && *s.file != "" && !filepath.IsAbs(*s.file) {
				*s.file = filepath.Join(dir, *s.file)
			}
		}
	}
}

// Check finds the first mistake and fills in the defaults of the tokens. It
// reads no secret: that is for WeChat.Source.
func (c *Config) Check() error {
	for _, check := range []func() error{c.checkStores, c.checkNames, c.checkTokens, c.checkTickets, c.checkShared, c.checkListen, c.checkTLS, c.checkClients} {
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
		if strings.HasPrefix(c.Fallback, "/") || strings.HasPrefix(c.Fallback, ".") {
			return c.wrong("fallback", "is a path", "write it as %s", printable("file:"+c.Fallback))
		}
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
		if err := c.checkOrigin(key, c.Tokens[name]); err != nil {
			return err
		}
	}
	return nil
}

// checkShared finds two tokens of one account: they would end each other's,
// because each has a record of its own.
func (c *Config) checkShared() error {
	first := make(map[account]string)
	for _, name := range c.Names() {
		a := c.Tokens[name].origin().account()
		if other, ok := first[a]; ok {
			return c.sameAccount(name, "tokens."+other)
		}
		first[a] = name
	}
	return nil
}

func (c *Config) sameAccount(name, other string) error {
	if c.Tokens[name].Ticket != nil {
		return c.wrong("tokens."+name, "is the same ticket as "+other, "keep one of them: they need one record, to be asked for seldom")
	}
	if c.Tokens[name].WeCom != nil {
		return c.wrong("tokens."+name, "is the same app of the same corp as "+other, "keep one of them: an app needs one record")
	}
	return c.wrong("tokens."+name, "is the same account in the same mode as "+other,
		"keep one of them: an account needs one record, or its tokens end each other")
}
