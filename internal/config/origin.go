package config

import (
	"fmt"
	"strings"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/wechat"
)

// origin is where a token comes from: WeChat, WeCom or Ticket.
type origin interface {
	// kind is its key in the file.
	kind() string
	// keys are those below it whose lines are noted, in the order in which
	// place has them.
	keys() []string
	// check fills in defaults and finds the first mistake that shows without
	// the other tokens. key is the path to this origin.
	check(c *Config, key string) error
	// secret is what is known of the secret; nil if there is none.
	secret() *secret
	// account is what no two tokens may share, or end each other's.
	account() account
}

// secret is where the secret of a token is.
type secret struct {
	file     *string
	variable string // holds the secret of the one token that has no file
	what     string // "AppSecret"
}

// account tells apart what each needs a record of its own.
type account struct{ kind, id, mode, api string }

// origins returns what is said of where the token comes from.
func (t Token) origins() []origin {
	var all []origin
	if t.WeChat != nil {
		all = append(all, t.WeChat)
	}
	if t.WeCom != nil {
		all = append(all, t.WeCom)
	}
	if t.Ticket != nil {
		all = append(all, t.Ticket)
	}
	return all
}

// origin returns the one that a token that was checked has, and nil for one
// that is not configured.
func (t Token) origin() origin {
	switch {
	case t.WeChat != nil:
		return t.WeChat
	case t.WeCom != nil:
		return t.WeCom
	case t.Ticket != nil:
		return t.Ticket
	}
	return nil
}

// kinds are the keys that say where a token comes from.
var kinds = []string{(*WeChat)(nil).kind(), (*WeCom)(nil).kind(), (*Ticket)(nil).kind()}

// same reports whether two tokens are configured alike.
func (t Token) same(other Token) bool {
	return equal(t.WeChat, other.WeChat) && equal(t.WeCom, other.WeCom) && equal(t.Ticket, other.Ticket)
}

func equal[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }

// SecretFile is the file that holds the secret of the token; empty if none does.
func (t Token) SecretFile() string {
	if o := t.origin(); o != nil && o.secret() != nil {
		return *o.secret().file
	}
	return ""
}

// checkOrigin finds the first mistake in what one token says.
func (c *Config) checkOrigin(key string, t Token) error {
	all := t.origins()
	if len(all) == 0 {
		return c.wrong(key, "says nothing of where the token comes from", "add wechat: {appid: ..., secret_file: ...}, or wecom or ticket")
	}
	if len(all) > 1 {
		return c.wrong(key, "says two things of where the token comes from", "keep one of %s and %s", all[0].kind(), all[1].kind())
	}
	return all[0].check(c, key+"."+all[0].kind())
}

// Source is what the packages of the providers offer.
type Source interface {
	coordinator.Source
	Check() error
}

// Tokens gives the source of a ticket the tokens of the one that it is got
// with, by its name.
type Tokens func(name string) wechat.TokenSource

// Source reads the secret of the token called name and returns its source. The
// warning, if any, is about who else may read the secret. Where tokens is nil,
// the source of a ticket can tell its traits only.
func (c *Config) Source(name string, tokens Tokens) (source Source, warning string, err error) {
	t, key := c.Tokens[name], "tokens."+name
	if t.Ticket != nil {
		source, err := c.ticket(name, tokens)
		return source, "", err
	}
	s := t.origin().secret()
	key += "." + t.origin().kind()
	value, warning, err := c.secret(key, *s)
	if err != nil {
		return nil, "", err
	}
	source = t.source(value)
	if err := source.Check(); err != nil {
		_, problem, _ := strings.Cut(err.Error(), ": ") // without the package's name
		return nil, "", c.wrong(key+".secret_file", "holds no "+s.what, "%s", problem)
	}
	return source, warning, nil
}

// source makes the source of a token that has a secret.
func (t Token) source(secret string) Source {
	if t.WeCom != nil {
		return t.WeCom.source(secret)
	}
	return t.WeChat.source(secret)
}

// Traits are those of the token called name. They name no credential if its
// secret cannot be read, and are zero for a token that is not configured.
func (c *Config) Traits(name string) coordinator.Traits {
	t := c.Tokens[name]
	if t.origin() == nil {
		return coordinator.Traits{}
	}
	if source, _, err := c.Source(name, nil); err == nil {
		return source.Traits()
	}
	if t.Ticket != nil {
		return coordinator.Traits{}
	}
	traits := t.source("").Traits()
	traits.Credential = ""
	return traits
}

// Identity tells apart what the name of a token may stand for at different
// times, given its source.
func (c *Config) Identity(name string, source Source) string {
	t := c.Tokens[name]
	account, plain, of := t.origin().account(), false, ""
	switch {
	case t.WeChat != nil:
		plain = t.WeChat.AllowPlainHTTP
	case t.WeCom != nil:
		plain = t.WeCom.AllowPlainHTTP
	case t.Ticket != nil: // it does not depend on the mode of its token
		of = t.Ticket.Of
		w := c.Tokens[of].WeChat
		account.api, plain = w.API, w.AllowPlainHTTP
	}
	return fmt.Sprintf("%s\x00%s\x00%s\x00%s\x00%t\x00%s", source.Traits().Credential, account.kind, account.mode, account.api, plain, of)
}

// API is the base URL at which the token called name is got.
func (c *Config) API(name string) string {
	t := c.Tokens[name]
	if t.Ticket != nil {
		t = c.Tokens[t.Ticket.Of]
	}
	switch {
	case t.WeChat != nil:
		return t.WeChat.API
	case t.WeCom != nil:
		return t.WeCom.API
	}
	return ""
}
