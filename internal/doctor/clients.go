package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mintonce/mintonce/internal/config"
	"github.com/mintonce/mintonce/internal/plain"
)

// Clients checks who may do what over the HTTP API. The config has passed its
// own check: what is judged here works, and may not be what was meant.
func (r *Report) Clients(c *config.Config) {
	if len(c.Clients) == 0 {
		return
	}
	names := c.Names()
	operated, used := false, make(map[string]bool)
	for i := range c.Clients {
		client := &c.Clients[i]
		operated = operated || client.Has(config.MayOperate)
		r.patterns(client, names)
		r.weakness(client)
		for _, name := range names {
			if client.Has(config.MayRead) && client.MayUse(name) {
				used[name] = true
			}
		}
	}
	if !operated {
		r.warn("clients", "give somebody the right operate, or rotate with mintonce rotate", "no client may rotate a token over the HTTP API")
	}
	if unused := slices.DeleteFunc(names, func(name string) bool { return used[name] }); len(unused) > 0 {
		r.warn("clients", "add them to the tokens of a client, if they are wanted over HTTP", "no client may read %s", some(unused))
	}
	r.ok("clients", "%s", plain.Count(len(c.Clients), "client"))
}

// patterns finds those that fit no token.
func (r *Report) patterns(client *config.Client, names []string) {
	for _, pattern := range client.Tokens {
		only := config.Client{Tokens: []string{pattern}}
		if !slices.ContainsFunc(names, only.MayUse) {
			r.warn("clients", "correct it, or leave it out", "the pattern %s of %s fits no token", pattern, client.Name)
		}
	}
}

// weakness finds keys that anybody would try first. Of others, the hash tells
// nothing.
func (r *Report) weakness(client *config.Client) {
	guesses := []string{"", "admin", "changeme", "client", "key", "mintonce", "password", "secret", "test", "token", "123456"}
	guesses = append(guesses, client.Name, client.Name+"-key", client.Name+"-secret")
	for _, guess := range guesses {
		for _, ending := range []string{"", "\n"} {
			if client.KeySHA256 == config.HashKey(guess+ending) {
				r.Add(Finding{Fail, "clients", "the key of " + client.Name + " can be guessed", fmt.Sprintf("make another with mintonce client %s", client.Name)})
				return
			}
		}
	}
}

// some names the first of very many.
func some(names []string) string {
	const enough = 5
	if len(names) <= enough {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:enough], ", "), len(names)-enough)
}
