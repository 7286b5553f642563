package coordinator

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// maxTokenSize bounds what a Source may return. The longest tokens known are
// JWTs of about 4 KiB.
const maxTokenSize = 32 << 10

// ask calls the Source. Its context ends with the mint's time-out and with the
// trust in the lease; a process that slept through either sends nothing.
func (c *Coordinator) ask(m *mint) (Token, error) {
	ctx, cancel := context.WithDeadline(context.Background(), m.end)
	defer cancel()
	ctx, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	stopped := make(chan struct{})
	defer close(stopped)
	if m.lost != nil {
		select {
		case <-m.lost:
			return Token{}, errLostBeforeSending
		default:
		}
		go func() {
			select {
			case <-m.lost:
				lose(ErrLockLost)
			case <-stopped:
			}
		}()
	}
	m.sent = time.Now()
	// The answer to the announcement told the store's time anew. If that clock
	// was set since it was last heard, others may give the attempt up before it
	// has had its time.
	if !m.sent.Before(m.end) || c.storeTime(m.end).After(m.attempt.Deadline) || m.attempt.overdue(c.storeTime(m.sent)) {
		return Token{}, errLostBeforeSending
	}
	token, err := c.call(ctx, m)
	if err != nil {
		if context.Cause(ctx) == ErrLockLost {
			err = fmt.Errorf("%w: %w", ErrLockLost, err)
		}
		return Token{}, err
	}
	return token, c.checkToken(m, token)
}

// call calls the Source, and turns its panic into an error: the attempt must
// be resolved, and a panic's text may hold anything.
func (c *Coordinator) call(ctx context.Context, m *mint) (token Token, err error) {
	defer func() {
		if p := recover(); p != nil {
			token, err = Token{}, fmt.Errorf("mintonce: the source panicked with a %T", p)
		}
	}()
	if r, ok := c.source.(Rotator); ok && m.attempt.Reason == ReasonRotate {
		return r.Rotate(ctx, m.prev)
	}
	return c.source.Mint(ctx, m.prev)
}

func (c *Coordinator) checkToken(m *mint, t Token) error {
	problem := ""
	switch {
	case t.Value == "":
		problem = "has no value"
	case strings.ContainsFunc(t.Value, func(r rune) bool { return r < ' ' || r > '~' }) || !utf8.ValidString(t.State()):
		problem = "has characters that no token has"
	case strings.HasPrefix(t.Value, SealedPrefix) || strings.HasPrefix(t.State(), SealedPrefix):
		problem = "looks like one that was sealed"
	case len(t.Value) > maxTokenSize || len(t.State()) > maxTokenSize:
		problem = fmt.Sprintf("is larger than %d bytes", maxTokenSize)
	case !t.ExpiresAt().After(m.sent):
		problem = "has expired already"
	case t.ExpiresAt().Sub(m.sent) > 10*365*24*time.Hour:
		problem = "expires in more than ten years"
	default:
		return nil
	}
	return &SourceError{Class: Transient, Message: "the token that the source returned " + problem}
}

// grant puts the token on the store's clock, where it is now: its life counts
// from the moment at which the request was sent.
func (c *Coordinator) grant(m *mint, t Token, now time.Time) Grant {
	issued := now.Add(-time.Since(m.sent)).Truncate(time.Millisecond)
	return Grant{
		Value: t.Value, State: t.State(), MintedBy: c.cfg.Instance, Reason: m.attempt.Reason,
		IssuedAt: issued, ExpiresAt: issued.Add(t.ExpiresAt().Sub(m.sent)).Truncate(time.Millisecond),
	}
}
