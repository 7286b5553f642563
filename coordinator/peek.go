package coordinator

import "fmt"

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
