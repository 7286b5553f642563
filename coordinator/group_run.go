package coordinator

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Run keeps the credentials of the group that Keep named fresh until ctx ends,
// as Coordinator.Run does for one. It returns nil, after all mints under way
// were committed. It does not wait for callers of Token that wait.
func (g *Group) Run(ctx context.Context) error {
	g.setRunning(+1)
	defer g.setRunning(-1)
	stop := g.hub.follow(g.hinted)
	defer stop()
	defer takePart(g.store, &g.config.Config, g.kept)()

	batches := make(chan []*member)
	var workers sync.WaitGroup
	for range lookers {
		workers.Go(func() {
			for batch := range batches {
				g.look(ctx, batch)
			}
		})
	}
	if g.config.IdleAfter > 0 {
		workers.Go(func() { g.sweep(ctx) })
	}
	g.schedule(ctx, batches)
	close(batches)
	workers.Wait()
	g.drain()
	g.finish(context.WithoutCancel(ctx))
	return nil
}

// schedule hands out members whose turn has come, until ctx ends.
func (g *Group) schedule(ctx context.Context, batches chan<- []*member) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	together := apart(time.Now())
	for {
		g.mu.Lock()
		batch, next, ok := g.turns.due(time.Since(g.epoch), bulk)
		g.mu.Unlock()
		if len(batch) > 0 {
			select {
			case batches <- batch:
				continue
			case <-ctx.Done():
				g.putBack(batch)
				return
			}
		}
		wait := nap
		if ok {
			wait = min(wait, next-time.Since(g.epoch))
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
			if sleptSince(together) > 0 {
				together = apart(time.Now())
				g.hinted(Change{}) // all turns are late
			}
		case <-g.poke:
		case <-ctx.Done():
			return
		}
	}
}

// putBack gives a batch that nobody has taken its turn again.
func (g *Group) putBack(batch []*member) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, m := range batch {
		g.turn(m, 0)
	}
	g.wake() // another Run may be active
}

// hinted gives a member, or all of them, the next turn.
func (g *Group) hinted(news Change) {
	g.mu.Lock()
	if news.Name != "" {
		g.advance(g.members[news.Name], news.Write)
	} else {
		for _, m := range g.members {
			g.advance(m, Stamp{})
		}
	}
	g.mu.Unlock()
	g.wake()
}

// advance gives m the next turn, unless it knows of that write. If it has its
// turn now, as when the write is its own, that is for rest to see. The caller
// holds mu.
func (g *Group) advance(m *member, write Stamp) {
	switch {
	case m == nil || !m.kept:
	case m.index == notQueued:
		m.hints++
		m.hint = write
	case !m.knows(write):
		g.turns.set(m, 0)
	}
}

// knows reports whether this process's record descends from a write, so that a
// hint about it is no news.
func (c *Coordinator) knows(write Stamp) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.memory.record().Lineage, write)
}

// rest puts m's next turn where it has to look again.
func (g *Group) rest(m *member) {
	m.mu.Lock()
	next := m.nextLook(time.Now()).Sub(g.epoch)
	if m.flight != nil { // it goes on, and waits for no more than its callers do
		next = max(next, time.Since(g.epoch)+retryPause())
	}
	m.mu.Unlock()
	g.mu.Lock()
	if m.hints > 1 || m.hints == 1 && !m.knows(m.hint) {
		next = 0
	}
	m.hints = 0
	g.turn(m, next)
	g.mu.Unlock()
	g.wake()
}

// landed sees to it that a member whose flight has ended has its next turn in
// time: the flight may have been one for a caller, who need not come back.
func (g *Group) landed(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := g.members[name]
	if m == nil || m.index == notQueued { // not kept, or it has its turn now
		return
	}
	m.mu.Lock()
	next := m.nextLook(time.Now()).Sub(g.epoch)
	m.mu.Unlock()
	if next < m.at {
		g.turn(m, next)
		g.wake()
	}
}

// kept returns how many credentials Run keeps fresh.
func (g *Group) kept() int {
	g.mu.RLock()
	defer g.mu.RUnlock()
	n := 0
	for _, m := range g.members {
		if m.kept {
			n++
		}
	}
	return n
}

// setRunning tells the members whether the group keeps them fresh.
func (g *Group) setRunning(by int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running += by
	for _, m := range g.members {
		if m.kept {
			g.serve(m, g.running > 0)
		}
	}
}

// drain waits until no flight of the group is under way. Two at once would each
// wait for the slots that the other has taken.
func (g *Group) drain() {
	g.draining <- struct{}{}
	defer func() { <-g.draining }()
	for range cap(g.concurrent) {
		g.concurrent <- struct{}{}
	}
	for range cap(g.concurrent) {
		<-g.concurrent
	}
}

// finish waits for the mints that are under way. A flight that waits does so
// for its callers, and Run does not wait for those.
func (g *Group) finish(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*g.config.MintTimeout+g.config.Lease)
	defer cancel()
	g.mu.RLock()
	var mints []*flight
	for _, m := range g.members {
		if f := m.minting(); f != nil {
			mints = append(mints, f)
		}
	}
	g.mu.RUnlock()
	for _, f := range mints {
		select {
		case <-f.done:
		case <-ctx.Done():
		}
	}
}

// minting is the flight that has a mint under way, or nil.
func (c *Coordinator) minting() *flight {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.underWay == "" {
		return nil
	}
	return c.flight
}

// busy reports whether c has something that would be lost with it.
func (c *Coordinator) busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ahead || c.flight != nil
}

// sweep drops members that nobody keeps or reads.
func (g *Group) sweep(ctx context.Context) {
	ticker := time.NewTicker(g.config.IdleAfter)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		g.mu.Lock()
		for name, m := range g.members {
			if !m.kept && m.unread.Swap(true) && !m.busy() {
				g.drop(name)
			}
		}
		g.mu.Unlock()
	}
}
