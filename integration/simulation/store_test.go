package simulation_test

import (
	"context"
	"slices"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

const name = "shop"

// gate is the store as one process sees it: each call is an await at both ends.
// It also keeps the judge's books.
type gate struct {
	process *process
	store   coordinator.Store
}

func (g gate) Load(ctx context.Context, name string) (coordinator.Record, time.Time, error) {
	g.process.here("load sent")
	r, now, err := g.store.Load(ctx, name)
	g.process.here("load back")
	if err == nil {
		g.process.hear(r)
		g.process.remember(r)
	}
	return r, now.Add(g.process.world.jumped()), err
}

func (g gate) Swap(ctx context.Context, name string, old coordinator.Stamp, next coordinator.Record, events ...coordinator.Event) (time.Time, error) {
	p, w := g.process, g.process.world
	heard := p.hasHeard()
	step, call := p.step(next)
	p.here(step + " sent")
	now, err := g.store.Swap(ctx, name, old, next, events...)
	w.backend.swapped(p, next)
	w.judgeConflict(p, next, err)
	if err == nil {
		w.judgeWrite(p, heard, next)
	}
	p.here(step + " back")
	if err == nil {
		p.hear(next)
		p.remember(next)
		if call != nil {
			p.mu.Lock()
			p.announced = call
			p.mu.Unlock()
		}
	}
	w.note(p, "%s %s -> %s: %v", step, old, next, err)
	return now.Add(w.jumped()), err
}

// step tells what a swap is about: the beginning of a mint, its commit, or
// something else.
func (p *process) step(next coordinator.Record) (string, *minting) {
	known := p.knows()
	for _, a := range next.Attempts {
		if a.By == p.name && !slices.ContainsFunc(known.Attempts, func(k coordinator.Attempt) bool { return k.ID == a.ID }) {
			call := &minting{process: p, attempt: a, begun: next.Stamp()}
			p.world.begun(call)
			return "begin", call
		}
	}
	if next.Grant.Value != known.Grant.Value || next.DoubtReason == "mints overlapped" {
		return "commit", nil
	}
	return "swap", nil
}

func (g gate) Lock(ctx context.Context, name, holder string, ttl time.Duration) (coordinator.Lease, error) {
	g.process.here("lock sent")
	lease, err := g.store.Lock(ctx, name, holder, ttl)
	g.process.here("lock back")
	if err != nil {
		return nil, err
	}
	g.process.mu.Lock()
	g.process.lease = lease.Lost()
	g.process.mu.Unlock()
	return gateLease{lease, g.process}, nil
}

type gateLease struct {
	coordinator.Lease
	process *process
}

func (l gateLease) Release(ctx context.Context) error {
	l.process.mu.Lock()
	l.process.lease = nil
	l.process.mu.Unlock()
	l.process.here("release sent")
	err := l.Lease.Release(ctx)
	l.process.here("release back")
	return err
}

// Watch passes hints on while the process gets any.
func (g gate) Watch(name string, notify func()) (stop func()) {
	p := g.process
	p.mu.Lock()
	if p.died {
		p.mu.Unlock()
		return func() {}
	}
	p.watches++
	id := p.watches
	p.notifies[id] = notify
	p.mu.Unlock()
	// A hint has its way to go too, and no two processes hear of it at once.
	end := g.store.(coordinator.Watcher).Watch(name, func() {
		time.AfterFunc(p.ear.between(0, 2*time.Millisecond), func() { p.hint(id) })
	})
	p.mu.Lock()
	died := p.died
	if !died {
		p.stops[id] = end
	}
	p.mu.Unlock()
	if died {
		go end()
	}
	return func() {
		p.mu.Lock()
		delete(p.stops, id)
		delete(p.notifies, id)
		p.mu.Unlock()
		end()
	}
}

// disk is the machine's last-known-good copy, as one process reaches it. It
// outlives the process.
type disk struct {
	process *process
	store   coordinator.Store
}

func (d disk) Load(ctx context.Context, name string) (coordinator.Record, time.Time, error) {
	d.process.here("copy")
	r, now, err := d.store.Load(ctx, name)
	if err == nil && r.Exists() {
		d.process.remember(r)
	}
	return r, now, err
}

func (d disk) Swap(ctx context.Context, name string, old coordinator.Stamp, next coordinator.Record, events ...coordinator.Event) (time.Time, error) {
	d.process.here("copy")
	now, err := d.store.Swap(ctx, name, old, next, events...)
	if err == nil {
		d.process.world.writtenDown(next)
	}
	return now, err
}

func (d disk) Lock(ctx context.Context, name, holder string, ttl time.Duration) (coordinator.Lease, error) {
	return d.store.Lock(ctx, name, holder, ttl)
}
