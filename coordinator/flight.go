package coordinator

import (
	"context"
	"errors"
	"time"
)

// flight is the work that this process does for a credential: one at a time,
// detached from the callers that started it. Callers without a usable token
// wait for it; with the last of them gone, it no longer waits for others, but
// a mint under way is always finished.
type flight struct {
	done    chan struct{}      // closed when the flight has ended
	stuck   chan struct{}      // closed when it first waits for others
	round   *round             // of those who joined before the look under way
	next    *round             // of those who joined since
	err     error              // why it did not settle; read after done
	waiters int                // guarded by Coordinator.mu, like the rest
	again   bool               // somebody joined, or there are news: look once more before ending
	futile  bool               // the look before met what time does not heal
	left    context.Context    // ends when the last waiter leaves
	leave   context.CancelFunc // ends left

	watching bool // used by the flight's own goroutine only
}

// round is one look of a flight, for those who wait for it.
type round struct {
	done chan struct{}
	err  error // read after done
}

func newRound() *round { return &round{done: make(chan struct{})} }

func (r *round) end(err error) {
	r.err = err
	close(r.done)
}

// fly starts a flight in the background, unless one is under way or it is too
// soon for another, and returns the one under way.
func (c *Coordinator) fly() *flight {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flight == nil && !time.Now().Before(c.quiet) {
		c.start()
	}
	return c.flight
}

// lookAnew has news looked at: a flight under way may have looked before they
// came, and somebody else may have started it.
func (c *Coordinator) lookAnew() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.quiet, c.told = time.Time{}, true
	if c.flight != nil {
		c.flight.again = true
	}
}

// start begins a flight. The caller holds mu.
func (c *Coordinator) start() {
	f := &flight{done: make(chan struct{}), stuck: make(chan struct{}), round: newRound(), next: newRound()}
	f.left, f.leave = context.WithCancel(context.Background())
	c.flight = f
	go c.run(f)
}

// settle joins the flight, or starts one, and waits until it ends, until
// enough says so of a newly published token, or until ctx or MaxWait ends. It
// returns why the record is not settled. order, if not nil, is given to the
// flight before it can end.
func (c *Coordinator) settle(ctx context.Context, order *rotation, enough func() bool) error {
	timeout := time.NewTimer(c.cfg.MaxWait)
	defer timeout.Stop()
	return c.settleBefore(ctx, timeout.C, order, enough)
}

// settleBefore is settle, with what is left of MaxWait.
func (c *Coordinator) settleBefore(ctx context.Context, timeout <-chan time.Time, order *rotation, enough func() bool) error {
	f, look := c.join(order)
	defer func() { c.part(f) }()
	for {
		published := c.publication()
		if enough() {
			return nil
		}
		select {
		case <-look.done:
			var rotation *rotationError
			if order != nil || !errors.As(look.err, &rotation) {
				return look.err
			}
			// It is of an order that was under way, and says nothing of an ordinary mint.
			c.part(f)
			f, look = c.join(nil)
		case <-published:
		case <-ctx.Done():
			return c.inTheWay(ctx.Err())
		case <-timeout:
			return c.inTheWay(context.DeadlineExceeded)
		}
	}
}

func (c *Coordinator) join(order *rotation) (*flight, *round) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if order != nil {
		order.also(c.rotation)
		c.rotation = order
	}
	begun := c.flight != nil
	if !begun {
		c.start()
	}
	f := c.flight
	look := f.round
	if begun {
		f.again, look = true, f.next
	}
	if f.waiters == 0 && f.left.Err() != nil {
		f.left, f.leave = context.WithCancel(context.Background())
	}
	f.waiters++
	return f, look
}

func (c *Coordinator) part(f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.waiters--; f.waiters == 0 {
		f.leave()
	}
}

// run is the goroutine of a flight.
func (c *Coordinator) run(f *flight) {
	for {
		err := c.work(f)
		c.mu.Lock()
		var rotation *rotationError
		if f.again && !errors.As(err, &rotation) {
			f.again = false
			if lasting(err) { // those who come during the next look need not wait for it
				f.futile, c.obstacle, c.quiet = true, err, time.Now().Add(retryPause())
			}
			f.round.end(err)
			f.round, f.next = f.next, newRound()
			c.mu.Unlock()
			continue
		}
		f.err, c.obstacle, c.flight, c.rotation = err, err, nil, nil
		if errors.As(err, &rotation) {
			c.obstacle = nil // of the order, and not of those who ask for a token
		}
		c.rest(err, f.again)
		f.round.end(err)
		f.next.end(err)
		c.mu.Unlock()
		f.leave()
		close(f.done)
		if f.watching {
			c.unwatch()
		}
		if c.cfg.landed != nil {
			c.cfg.landed(c.name)
		}
		return
	}
}

// rest sees to it that calls of Token do not start one flight after another
// while there is nothing to gain, and that a look which is still owed is not
// forgotten. The caller holds mu.
func (c *Coordinator) rest(err error, again bool) {
	now := time.Now()
	c.quiet = time.Time{}
	c.missed = again || errors.Is(err, ErrStoreUnavailable)
	if plan := c.planAt(now, nil); err != nil || c.ahead || plan.Action == Mint {
		c.quiet = now.Add(retryPause())
	}
	c.publish()
}
