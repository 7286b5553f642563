package coordinator

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"time"
)

// Token is a credential that callers send to the provider.
//
// Printing a Token with package fmt, slog or JSON shows its fingerprint and not
// its value or state. Package fmt cannot be kept from looking into a Token that
// lies in an unexported field of somebody else's type.
//
// It has four words, the most that Go passes in registers: see BenchmarkToken.
type Token struct {
	// Value is the secret that goes into a request.
	Value string
	// Generation counts the tokens of one record. A Source leaves it zero.
	Generation int64

	more *more // nil if there is nothing more
}

// more is what few callers ask for. It is not changed once it is in a Token.
type more struct {
	expiresAt time.Time
	state     string
}

// NewToken returns what a Source has minted: the value, and when the provider
// stops accepting it.
func NewToken(value string, expiresAt time.Time) Token {
	return Token{Value: value, more: &more{expiresAt: expiresAt}}
}

// ExpiresAt is when the provider stops accepting the token. It lies on the
// clock of this process and carries a monotonic reading, so that time.Until of
// it is right even where the wall clock is not.
func (t Token) ExpiresAt() time.Time {
	if t.more == nil {
		return time.Time{}
	}
	return t.more.expiresAt
}

// State is what a Source needs to mint the next token, such as a refresh
// token. It is as secret as Value. Only sources see it: a token that comes from
// a Coordinator has none.
func (t Token) State() string {
	if t.more == nil {
		return ""
	}
	return t.more.state
}

// WithState returns t with the state, for a Source to return.
func (t Token) WithState(state string) Token {
	t.more = &more{expiresAt: t.ExpiresAt(), state: state}
	return t
}

// Fingerprint identifies the token without revealing it. It is the first 64
// bits of its SHA-256 in hex, and empty for a Token without a Value.
func (t Token) Fingerprint() string { return Fingerprint(t.Value) }

// Fingerprint is the fingerprint that a Token with this value has. An empty
// value has an empty fingerprint.
func Fingerprint(value string) string {
	if value == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:8])
}

// String describes the token by fingerprint and generation.
func (t Token) String() string { return redacted("token", t.Value, t.Generation) }

// Format makes every verb of package fmt print String.
func (t Token) Format(f fmt.State, _ rune) { fmt.Fprint(f, t.String()) }

// LogValue makes package log/slog print String.
func (t Token) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText makes encoding/json and its like print String. The one form that
// carries the value is the record that a [Store] keeps.
func (t Token) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

func redacted(what, value string, generation int64) string {
	if value == "" {
		return what + " (none)"
	}
	return fmt.Sprintf("%s %s generation %d", what, Fingerprint(value), generation)
}
