package coordinator

import "time"

// KeepUntil is until when somebody may go on using token who will not be told
// of its successor, such as a program that caches it for as long as it is told.
// At a provider where each mint ends the token before it, that is not the
// token's own end: the next mint is planned for earlier, and the overlap is all
// that is left from then on; none at all for a Rotating source, whose overlap is
// that of refresh tokens. It asks nobody. Mints that nobody planned, by
// strangers, operators or reports, may end the token before.
func (c *Coordinator) KeepUntil(token Token) time.Time {
	end := token.ExpiresAt()
	if c.source == nil || c.traits.Kind == Idempotent {
		return end // its successor does not end it, or nobody knows
	}
	mint := time.Now()
	c.mu.Lock()
	if r := c.memory.record(); r.Grant.Generation == token.Generation && r.DoubtAt == 0 {
		if planned := c.clock.until(r.RefreshAt); planned.After(mint) {
			mint = planned
		}
	}
	c.mu.Unlock()
	if c.traits.Kind != Rotating {
		mint = mint.Add(c.traits.Overlap)
	}
	return earlier(end, mint)
}

// Accepted returns the fingerprints of the tokens that the provider accepts, as
// far as this process remembers: that of the current token and, until its
// overlap ends, that of the one before. Either is empty if there is none. It
// asks nobody. It is for those who are shown a token and have to know whose it
// is.
func (c *Coordinator) Accepted() (current, previous string) {
	if token, ok := c.usable(); ok {
		current = token.Fingerprint()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.memory.record().Previous; c.clock.at(time.Now()).Before(p.Until) {
		previous = p.Fingerprint
	}
	return current, previous
}
