package config

import (
	"context"
	"strings"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/wechat"
)

// Ticket is a jsapi or wx_card ticket of an account at WeChat.
type Ticket struct {
	Of   string // the name of the token with which it is got
	Type string // jsapi (the default) or wx_card
}

func (t *Ticket) kind() string    { return "ticket" }
func (t *Ticket) keys() []string  { return []string{"of", "type"} }
func (t *Ticket) secret() *secret { return nil }

// account: two tickets of one type are one, whatever their token; that of a
// name is known here without the other files.
func (t *Ticket) account() account { return account{kind: t.kind(), id: t.Of, mode: t.Type} }

func (t *Ticket) check(c *Config, key string) error {
	switch t.Type {
	case "", string(wechat.JSAPI):
		t.Type = string(wechat.JSAPI)
	case string(wechat.WXCard):
	default:
		return c.wrong(key+".type", "is not a type of ticket", "use %s or %s", wechat.JSAPI, wechat.WXCard)
	}
	if t.Of == "" {
		return c.wrong(key+".of", "is missing", "name the token with which the ticket is got: one with wechat below it")
	}
	return nil
}

// checkTickets finds a ticket of a token that there is not. In a token file,
// where it must not spoil the others, only Source does.
func (c *Config) checkTickets() error {
	for _, name := range c.Names() {
		if c.Tokens[name].Ticket == nil || c.InTokenFile(name) {
			continue
		}
		if err := c.checkOf(name); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) checkOf(name string) error {
	of := c.Tokens[name].Ticket.Of
	t, known := c.Tokens[of]
	key := "tokens." + name + ".ticket.of"
	switch {
	case !known:
		candidates := make(map[string]Token)
		for name, t := range c.Tokens {
			if t.WeChat != nil {
				candidates[name] = t
			}
		}
		if len(candidates) == 0 {
			return c.wrong(key, "names "+printable(of)+", and this config has no token of WeChat", "add %s with wechat: {appid: ...}", printable(of))
		}
		remedy := strings.Replace(suggest(of, candidates), "the keys are", "the tokens of WeChat are", 1)
		return c.wrong(key, "names "+printable(of)+", which is not a token of this config", "%s", remedy)
	case t.WeChat == nil:
		return c.wrong(key, "names "+of+", which is no access token of WeChat", "name one with wechat below it")
	}
	return nil
}

// ticket returns the source of a ticket.
func (c *Config) ticket(name string, tokens Tokens) (Source, error) {
	if err := c.checkOf(name); err != nil {
		return nil, err
	}
	t := c.Tokens[name].Ticket
	var of wechat.TokenSource = noTokens{}
	if tokens != nil {
		of = tokens(t.Of)
	}
	w := c.Tokens[t.Of].WeChat
	source := wechat.NewTicket(w.AppID, of, wechat.TicketType(t.Type), w.config())
	if err := source.Check(); err != nil { // what could be wrong with the account was checked there
		return nil, c.wrong("tokens."+name+".ticket", "cannot be got", "%s", strings.TrimPrefix(err.Error(), "wechat: "))
	}
	return source, nil
}

// noTokens is for sources that only tell their traits.
type noTokens struct{}

func (noTokens) Token(context.Context) (coordinator.Token, error) {
	return coordinator.Token{}, coordinator.ErrNoToken
}

func (noTokens) Report(context.Context, string, error) error { return nil }
