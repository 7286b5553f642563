package coordinator

import "context"

// rotation is an operator's wish for a new token that has not begun yet.
type rotation struct {
	from  int64
	actor string // who wants it; see WithActor
}

// also takes over who uttered another wish that has not begun: one mint
// fulfils both.
func (r *rotation) also(other *rotation) {
	switch {
	case other == nil || other.actor == "" || other.actor == r.actor:
	case r.actor == "":
		r.actor = other.actor
	default:
		r.actor = cleanActor(other.actor + ", " + r.actor)
	}
}

// wants reports whether the wish is still open: a token that was committed
// since it was uttered fulfils it.
func (r *rotation) wants(record Record) bool {
	return r != nil && record.Grant.Generation <= r.from
}

// ordered reports whether a rotation is asked for. It may replace a record that
// belongs to another credential: that is how a changed secret is introduced.
func (c *Coordinator) ordered() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rotation != nil
}

// rotationError ends a rotation that failed. It is not retried: the token that
// is there may be good.
type rotationError struct{ err error }

func (e *rotationError) Error() string { return e.err.Error() }
func (e *rotationError) Unwrap() error { return e.err }

// Rotate mints a new token though the current one may be good, because an
// operator wants it; WithActor says who. It is limited by the budget (an error
// that matches ErrBudget), does not wait for the back-off, and takes over a
// record that was made with another secret.
//
// The token that it returns is a new one unless the provider declined to issue
// one: compare the generation.
func (c *Coordinator) Rotate(ctx context.Context) (Token, error) {
	if c.cfg.NeverMint {
		return Token{}, ErrNeverMint
	}
	if err := c.look(ctx, true); err != nil {
		return Token{}, err
	}
	c.mu.Lock()
	from := c.memory.record().Grant.Generation
	c.mu.Unlock()
	err := c.settle(ctx, &rotation{from: from, actor: actorOf(ctx)}, func() bool {
		token, ok := c.usable()
		return ok && token.Generation > from
	})
	if err != nil {
		return Token{}, err
	}
	token, ok := c.usable()
	if !ok {
		return Token{}, ErrNoToken
	}
	return token, nil
}
