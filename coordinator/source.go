package coordinator

import (
	"context"
	"time"
)

// Source mints tokens at a provider. A Source is used by one goroutine at a
// time per Coordinator, but may be shared between coordinators, and must then
// be safe for concurrent use.
type Source interface {
	// Mint asks the provider for a token. prev is the current token, with its
	// State, and its end on the clock of this process; it has no Value when
	// there is none.
	//
	// The result is a NewToken whose end is reckoned from the moment the request
	// was sent, WithState where the source needs one.
	//
	// Mint must send at most one request, must not retry, and must return soon
	// after ctx ends. A failure should be a [SourceError]: only its Refused
	// flag tells that no token was minted. After any other error, the
	// coordinator assumes that one may have been.
	Mint(ctx context.Context, prev Token) (Token, error)

	// Traits tells how the provider behaves. It must always return the same.
	Traits() Traits
}

// Rotator is a Source with a separate, rationed way to force a new token. It
// is used by [Coordinator.Rotate] only; without it, Rotate calls Mint.
type Rotator interface {
	// Rotate is like Mint, but obliges the provider to issue a new token.
	Rotate(ctx context.Context, prev Token) (Token, error)
}

// Checker is a Source that can tell a configuration that cannot work. New asks
// it, so that a mistake shows at the start and not at the first mint.
type Checker interface {
	// Check sends nothing. Its error names the field and the remedy.
	Check() error
}

// Kind says what a mint does to the token before it.
type Kind int

const (
	// LastMintWins: each mint issues a new token and ends the one before it
	// after an overlap. WeChat's /cgi-bin/token is of this kind. It is the
	// zero value because it is the most dangerous to assume away.
	LastMintWins Kind = iota
	// Idempotent: a mint while a token is valid returns that very token, or
	// one more that lives beside it. Nothing is lost by minting twice.
	Idempotent
	// Rotating: each mint spends a refresh token and issues the next. The
	// result must be stored durably before anyone uses it.
	Rotating
)

// String names the kind.
func (k Kind) String() string {
	switch k {
	case Idempotent:
		return "idempotent"
	case Rotating:
		return "rotating"
	default:
		return "last mint wins"
	}
}

// Traits describes a provider. The zero value is a provider where the last
// mint wins, without overlap and without limits.
type Traits struct {
	// Kind says what a mint does to the token before it.
	Kind Kind
	// Credential identifies the account and its secret without revealing the
	// secret, for example "wechat:wx12ab#5d41402abc4b2a76". It is stored with
	// the record; processes with another credential refuse to use that record.
	// Empty switches the check off.
	Credential string
	// Overlap is how long the token before stays valid after a mint. For a
	// Rotating source it is how long a spent refresh token may be retried.
	Overlap time.Duration
	// RenewsWithin, if positive, says that the provider issues a new token
	// only in this last part of the life of the one before: from then on it is
	// asked.
	RenewsWithin time.Duration
	// DailyMints is how many mints a day the coordinator allows itself, below
	// the provider's own quota. 0 means no limit.
	DailyMints int
	// DailyRotations limits Rotate in the same way. 0 means no limit beside
	// DailyMints.
	DailyRotations int
	// RotationSpacing is the shortest time between two rotations.
	RotationSpacing time.Duration
	// ForeignAdvice is what an operator can do about somebody else who mints
	// with the credential, in words for a status and a log. Empty means a
	// general advice.
	ForeignAdvice string
	// DayOffset is the provider's time zone, east of UTC: the daily counts
	// start anew at its midnight.
	DayOffset time.Duration
}
