// Package config holds what the command mintonce is told: by its config file,
// by variables and by flags. Every mistake is one *[Error], which names the
// key, where it stands, the problem and the remedy, and never a secret.
package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Config is the configuration of the command. Its zero value is empty: Read and
// the command fill it, and Check judges it.
type Config struct {
	Store     string // where the records are; see package storeurl
	Fallback  string // a file store for the last-known-good copy; may be empty
	Prefix    string // separates fleets that share one store
	Instance  string // this process's name in records
	Listen    string // HOST:PORT or unix:PATH of the HTTP API; empty for none
	LogLevel  string // debug, info, warn or error
	LogFormat string // text or json
	Tokens    map[string]Token
	Clients   []Client

	ListenMode string // of a Unix socket, in octal; default 0600
	TLS        TLS
	Seal       Seal

	// TokensFrom names more files with tokens: a folder or a glob. Read has
	// put what they hold into Tokens.
	TokensFrom string
	// Refused says what is wrong with each of those files that Read could not
	// use. The tokens of such a file are those that it had before, if any.
	Refused []error

	file    string            // that Read has read; empty if there is none
	origins map[string]string // where the value of a key stands
}

// Token is a credential to keep fresh.
type Token struct {
	// Where it comes from: one of them.
	WeChat *WeChat
	WeCom  *WeCom
	Ticket *Ticket

	place place
}

// place is where a token stands, for errors. There may be very many tokens, so
// it is small.
type place struct {
	file string // empty for flags and variables
	line int32
	keys [4]int32 // the lines of the keys of its origin
}

// at names a key of the token by where it stands. field is the last part of the
// key, if it is one of the origin.
func (t Token) at(key, field string) string {
	line := t.place.line
	if o := t.origin(); o != nil {
		if i := slices.Index(o.keys(), field); i >= 0 && t.place.keys[i] > 0 {
			line = t.place.keys[i]
		}
	}
	return fmt.Sprintf("%s:%d: %s", t.place.file, line, key)
}

// Client is a user of the HTTP API.
type Client struct {
	Name      string
	KeySHA256 string   // in hex, of the key that the client sends; may be empty with CertName
	CertName  string   // a name in the client's certificate, which then stands for a key
	Tokens    []string // those that it may use: names, or patterns such as merchant-*
	Rights    []Right  // default: DefaultRights
	Rate      float64  // requests a second that it may send; default DefaultRate
	SDKMargin float64  // seconds that its SDK subtracts from expires_in at the WeChat paths

	exact    []string // of Tokens, sorted
	patterns []string // of Tokens
}

// TLS names the files of the HTTP API's certificate. They are read again when
// they change.
type TLS struct {
	CertFile, KeyFile string // empty for plain HTTP
	ClientCAFile      string // who may sign certificates of clients; empty: they need none
}

// Right is what a client may do.
type Right string

// The rights of a client.
const (
	MayRead    Right = "read"    // get a token and its status
	MayReport  Right = "report"  // say that a token was rejected
	MayOperate Right = "operate" // rotate a token
)

// DefaultRights are those of a client without a list of its own.
var DefaultRights = []Right{MayRead, MayReport}

// DefaultRate is how many requests a second a client may send that has no rate
// of its own: more than any application needs, and less than would keep the
// others from being served.
const DefaultRate = 1000

// The bounds of a rate.
const lowestRate, highestRate = 0.1, 1_000_000

// highestMargin bounds SDKMargin. The largest that is known of an SDK is 1500.
const highestMargin = 3600

var allRights = []Right{MayRead, MayReport, MayOperate}

// AllRights returns every right there is.
func AllRights() []Right { return slices.Clone(allRights) }

// Names returns the names of the tokens, sorted.
func (c *Config) Names() []string { return slices.Sorted(maps.Keys(c.Tokens)) }

// Set notes where the value of a key comes from, for errors: a flag, a
// variable, or a place in a file.
func (c *Config) Set(key, origin string) {
	if c.origins == nil {
		c.origins = make(map[string]string)
	}
	c.origins[key] = origin
}

// at names a key by where its value stands.
func (c *Config) at(key string) string {
	if origin := c.origins[key]; origin != "" {
		return origin
	}
	name, isToken := strings.CutPrefix(key, "tokens.")
	if !isToken {
		return key
	}
	name, field := c.split(name)
	if t := c.Tokens[name]; t.place.file != "" {
		return t.at(key, field)
	}
	return key
}

// split splits shop.wechat.appid into shop and appid. A name may have dots, too.
func (c *Config) split(path string) (name, field string) {
	if _, whole := c.Tokens[path]; whole {
		return path, ""
	}
	for _, kind := range kinds {
		i := strings.LastIndex(path, "."+kind)
		if i < 0 {
			continue
		}
		if _, known := c.Tokens[path[:i]]; known {
			return path[:i], strings.TrimPrefix(path[i+1+len(kind):], ".")
		}
	}
	return path, ""
}

// InTokenFile reports whether the token called name stands in one of the files
// of TokensFrom.
func (c *Config) InTokenFile(name string) bool {
	file := c.Tokens[name].place.file
	return file != "" && file != c.file
}

// Error is a mistake in the configuration.
type Error struct {
	Key     string // what is wrong, with its place if that is known
	Problem string
	Remedy  string // may be empty
}

func (e *Error) Error() string {
	text := e.Key + " " + e.Problem
	if e.Remedy != "" {
		text += ": " + e.Remedy
	}
	return text
}

// wrong returns an Error about a key of the configuration.
func (c *Config) wrong(key, problem, remedy string, args ...any) error {
	return &Error{Key: c.at(key), Problem: problem, Remedy: fmt.Sprintf(remedy, args...)}
}
