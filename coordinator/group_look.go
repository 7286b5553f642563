package coordinator

import (
	"context"
	"errors"
	"slices"
	"time"
)

const (
	// bulk is how many records are loaded in one round trip.
	bulk = 256
	// lookers is how many such loads are under way at once: one is parsed while
	// the next travels.
	lookers = 4
)

// look loads the records of a batch and settles those that need no more than
// that. The others get a flight each.
func (g *Group) look(ctx context.Context, batch []*member) {
	batch = slices.DeleteFunc(batch, func(m *member) bool {
		due := m.dueByItsOwnAccount()
		if due {
			g.fly(m)
		}
		return due
	})
	if len(batch) == 0 {
		return
	}
	settled := func(int, *member) bool { return false }
	if loader, ok := As[BulkLoader](g.store); ok {
		loaded, clock, err := g.load(loader, batch)
		settled = func(i int, m *member) bool { return m.accept(loaded[i], clock) }
		if err != nil {
			settled = func(_ int, m *member) bool { return m.postpone() }
			rest(ctx, retryPause()) // a store that refuses quickly must not be asked as quickly again
		}
	}
	for i, m := range batch {
		if settled(i, m) {
			g.rest(m)
			continue
		}
		m.lookAnew()
		g.fly(m)
	}
}

// fly gives m a flight, as soon as there is a slot for it, and then its next
// turn.
func (g *Group) fly(m *member) {
	g.concurrent <- struct{}{}
	go func() {
		defer func() { <-g.concurrent }()
		if f := m.Coordinator.fly(); f != nil {
			select {
			case <-f.done:
			case <-f.stuck: // it waits, for as long as its callers do
			}
		}
		g.rest(m)
	}()
}

// load loads the records of a batch in one round trip.
func (g *Group) load(loader BulkLoader, batch []*member) ([]Loaded, storeClock, error) {
	names := make([]string, len(batch))
	for i, m := range batch {
		names[i] = m.name
	}
	// A bulk takes longer than a single call, and no lease depends on it.
	ctx, cancel := context.WithTimeout(context.Background(), 5*g.config.StoreTimeout)
	defer cancel()
	sent := time.Now()
	loaded, err := loader.LoadAll(ctx, names)
	clock := heard(time.Time{}, sent) // each record comes with its own now
	if err == nil && len(loaded) != len(batch) {
		err = errors.New("mintonce: LoadAll returned another number of records than was asked for")
	}
	return loaded, clock, err
}

// rest waits for d, or until ctx ends.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// accept takes a record that was loaded in bulk, if nothing else is to be done
// about it, and reports whether it did.
func (c *Coordinator) accept(l Loaded, clock storeClock) bool {
	if l.Err != nil || !l.Record.Exists() || l.Record.opened(c.name) != nil || sane(l.Now) != nil {
		return false
	}
	ours := c.traits.Credential
	if ours != "" && l.Record.Credential != "" && l.Record.Credential != ours {
		return false
	}
	clock.now = l.Now
	c.readCopy()
	c.mu.Lock()
	idle := slices.ContainsFunc(c.idle, func(id string) bool { return l.Record.attempt(id) >= 0 })
	fine := !c.ahead && !idle && c.flight == nil && Relate(c.memory.record(), l.Record) == Level &&
		c.asKnown(l.Record, l.Now).Plan(l.Now, c.traits, false).Action == Rest
	if fine {
		c.quiet = time.Time{}
	}
	c.mu.Unlock()
	if !fine {
		return false
	}
	c.keep(l.Record, clock)
	return true
}

// postpone notes that a look failed, and reports whether nothing else is to be
// done for now. A flight may: read the copy, or mint without the store where
// that does no harm.
func (c *Coordinator) postpone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.missed = true
	if c.planAt(time.Now(), nil).Action != Rest {
		return false
	}
	c.quiet = time.Now().Add(retryPause())
	return true
}
