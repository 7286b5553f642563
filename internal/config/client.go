package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/mintonce/mintonce/coordinator"
)

func (c *Config) checkClients() error {
	names, keys, certs := make(map[string]bool), make(map[string]string), make(map[string]string)
	for i := range c.Clients {
		client, key := &c.Clients[i], fmt.Sprintf("clients[%d]", i+1)
		if err := c.checkClient(client, key); err != nil {
			return err
		}
		if names[client.Name] {
			return c.wrong(key+".name", "is that of another client", "give each client a name of its own")
		}
		if other := keys[client.KeySHA256]; client.KeySHA256 != "" && other != "" {
			return c.wrong(key+".key_sha256", "is that of "+other+", too", "give each client a key of its own")
		}
		if other := certs[client.CertName]; client.CertName != "" && other != "" {
			return c.wrong(key+".cert_name", "is that of "+other+", too", "give each client a certificate of its own")
		}
		names[client.Name], keys[client.KeySHA256], certs[client.CertName] = true, client.Name, client.Name
	}
	return nil
}

// CheckClient finds the first mistake in a client that is to be added. Whether
// its tokens exist is checked against a config that has tokens.
func (c *Config) CheckClient(client Client) error {
	if len(c.Tokens) == 0 {
		known := make(map[string]Token)
		for _, name := range client.Tokens {
			known[name] = Token{}
		}
		c = &Config{Tokens: known}
	}
	return c.checkClient(&client, "client")
}

func (c *Config) checkClient(client *Client, key string) error {
	if coordinator.CheckName(client.Name) != nil {
		return c.wrong(key+".name", "is not a good name", "use 1 to 64 characters of A-Z a-z 0-9 . _ -")
	}
	if client.CertName != "" && c.TLS.ClientCAFile == "" {
		return c.wrong(key+".cert_name", "needs certificates of clients to be checked", "set tls.client_ca_file, or leave it out")
	}
	client.KeySHA256 = strings.ToLower(client.KeySHA256)
	if client.KeySHA256 != "" || client.CertName == "" {
		if err := c.checkHash(client, key); err != nil {
			return err
		}
	}
	if len(client.Tokens) == 0 {
		return c.wrong(key+".tokens", "is empty", "list the names of the tokens that the client may use")
	}
	client.sortTokens()
	for _, pattern := range client.patterns {
		if coordinator.CheckName(strings.ReplaceAll(pattern, "*", "x")) != nil {
			return c.wrong(key+".tokens", "has "+printable(pattern)+", which is not a pattern", "use the characters of names and *")
		}
	}
	for _, name := range client.exact {
		if coordinator.CheckName(name) != nil {
			return c.wrong(key+".tokens", "has "+printable(name)+", which is not a name", "use 1 to 64 characters of A-Z a-z 0-9 . _ -")
		}
		if _, ok := c.Tokens[name]; !ok {
			return c.wrong(key+".tokens", "has "+printable(name)+", which is not a token of this config", "%s", suggest(name, c.Tokens))
		}
	}
	if len(client.Rights) == 0 {
		client.Rights = slices.Clone(DefaultRights)
	}
	if client.Rate == 0 {
		client.Rate = DefaultRate
	}
	if !(client.Rate >= lowestRate && client.Rate <= highestRate) {
		return c.wrong(key+".rate", "is out of bounds", "use a number of requests a second from %v to %d", lowestRate, highestRate)
	}
	if !(client.SDKMargin >= 0 && client.SDKMargin <= highestMargin) {
		return c.wrong(key+".sdk_margin", "is out of bounds", "use a number of seconds from 0 to %d: what the SDK subtracts from expires_in, see docs/sdks.md", highestMargin)
	}
	for _, right := range client.Rights {
		if !slices.Contains(allRights, right) {
			return c.wrong(key+".rights", "has "+printable(string(right))+", which is not a right", "use read, report or operate")
		}
	}
	return nil
}

func (c *Config) checkHash(client *Client, key string) error {
	if digest, err := hex.DecodeString(client.KeySHA256); err != nil || len(digest) != sha256.Size {
		return c.wrong(key+".key_sha256", "is not 64 hex digits", "make a key and its entry with: mintonce client %s --tokens ...", client.Name)
	}
	return nil
}

// sortTokens prepares MayUse, which may be asked for very many names.
func (c *Client) sortTokens() {
	c.exact, c.patterns = nil, nil
	for _, name := range c.Tokens {
		if strings.Contains(name, "*") {
			c.patterns = append(c.patterns, name)
		} else {
			c.exact = append(c.exact, name)
		}
	}
	slices.Sort(c.exact)
}

// MayUse reports whether the client may use the token called name. It is quick
// if Check has seen the client.
func (c *Client) MayUse(name string) bool {
	if c.exact == nil && c.patterns == nil {
		sorted := Client{Tokens: c.Tokens}
		sorted.sortTokens()
		c = &sorted
	}
	if _, found := slices.BinarySearch(c.exact, name); found {
		return true
	}
	return slices.ContainsFunc(c.patterns, func(pattern string) bool {
		matched, _ := path.Match(pattern, name)
		return matched
	})
}

// MayUseAll reports whether the client may use every token that there is.
func (c *Client) MayUseAll() bool { return slices.Contains(c.Tokens, "*") }

// Has reports whether the client has a right.
func (c *Client) Has(right Right) bool { return slices.Contains(c.Rights, right) }
