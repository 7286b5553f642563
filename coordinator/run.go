package coordinator

import (
	"context"
	"time"
)

// Run keeps the token fresh ahead of time until ctx ends: it follows the
// store's hints, refreshes when due, resolves doubt, and writes back what the
// store has lost. It returns nil, after a mint under way was committed and the
// lock released.
//
// Run is optional, and may be active once per Coordinator or several times.
func (c *Coordinator) Run(ctx context.Context) error {
	c.setRunning(+1)
	defer c.setRunning(-1)
	c.watch()
	defer c.unwatch()
	defer takePart(c.cfg.store, &c.cfg.Config, func() int { return 1 })()
	for ctx.Err() == nil {
		news := c.hint()
		f := c.fly()
		if f != nil {
			select {
			case <-f.done:
			case <-ctx.Done():
			}
		}
		c.sleep(ctx, news)
	}
	c.finish(context.WithoutCancel(ctx))
	return nil
}

// finish waits for the work under way, and for the mint if there is one, which
// ends by its own time-outs. A flight that waits for others does so for its
// callers, and those must not hold up the end of this process.
func (c *Coordinator) finish(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*c.cfg.MintTimeout+c.cfg.Lease)
	defer cancel()
	c.mu.Lock()
	f := c.flight
	c.mu.Unlock()
	if f == nil {
		return
	}
	select {
	case <-f.done:
	case <-f.stuck:
	case <-ctx.Done():
	}
	if f := c.minting(); f != nil {
		select {
		case <-f.done:
		case <-ctx.Done():
		}
	}
}

func (c *Coordinator) setRunning(by int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running += by
	c.publish()
}

// sleep waits until there is something to do.
func (c *Coordinator) sleep(ctx context.Context, news <-chan struct{}) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		c.mu.Lock()
		wait := time.Until(c.nextLook(time.Now()))
		c.mu.Unlock()
		timer.Reset(min(wait, nap))
		select {
		case <-news:
			c.lookAnew()
			return
		case <-timer.C:
			if wait <= nap || c.overslept() {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// Drain waits until no work is under way: after it, a process may end without
// leaving a mint unresolved. It starts nothing and stops nothing.
func (c *Coordinator) Drain(ctx context.Context) error {
	for {
		c.mu.Lock()
		f := c.flight
		c.mu.Unlock()
		if f == nil {
			return nil
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Refresh does once what Run does all the time: it looks at the record and, if
// a mint is needed now, mints or waits for the process that does. It returns
// the token that is to be used then; compare generations to see whether it is
// a new one. If the refresh failed, the error says why, and the token is still
// returned while it is usable.
func (c *Coordinator) Refresh(ctx context.Context) (Token, error) {
	err := c.settle(ctx, nil, func() bool { return false })
	token, ok := c.usable()
	if !ok && err == nil {
		err = ErrNoToken
	}
	return token, err
}
