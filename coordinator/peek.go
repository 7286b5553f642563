package coordinator

import (
	"errors"
	"fmt"
	"time"
)

// Peek returns the token that this process holds and may serve now. It asks
// nobody, starts nothing and never waits, so that it may be called for very
// many credentials. Without a token, the error matches ErrNoToken and says what
// was last met in the way.
func (c *Coordinator) Peek() (Token, error) {
	if token, ok := c.usable(); ok {
		return token, nil
	}
	c.mu.Lock()
	obstacle := c.obstacle
	c.mu.Unlock()
	if obstacle == nil {
		return Token{}, ErrNoToken
	}
	return Token{}, fmt.Errorf("%w: %w", ErrNoToken, obstacle)
}

// Glance is Status as far as this process knows it. It asks nobody, starts
// nothing and never waits, so that it may be called for very many credentials.
// While Run is active it is as good as Status within moments, but has neither
// lock holder nor history, and nothing of mints that other processes have begun
// and not ended.
//
// The error says why this process does not know better: the store does not
// answer, or the record must not be used. What it knew before comes with it.
func (c *Coordinator) Glance() (Status, error) {
	c.mu.Lock()
	record, clock, obstacle, away := c.memory.record(), c.clock, c.obstacle, c.away || c.missed
	c.mu.Unlock()
	s := record.status(c.name, clock.at(time.Now()), c.traits)
	for _, verdict := range []error{ErrCredentialMismatch, ErrNewerRecord, ErrBadRecord, ErrSealed} {
		if errors.Is(obstacle, verdict) {
			return s, obstacle
		}
	}
	if away {
		return s, ErrStoreUnavailable
	}
	return s, nil
}
