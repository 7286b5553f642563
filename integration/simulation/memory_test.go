package simulation_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
)

// backend is the store behind all processes, and what can happen to it.
type backend interface {
	connect(p *process) coordinator.Store
	record() coordinator.Record
	flush()
	failover(back int)                           // to a copy that lacks the last writes; locks are lost too
	hang(d time.Duration)                        // requests are carried out when that is over
	refuse(d time.Duration)                      // out of memory or read-only: nothing can be written until then
	swapped(p *process, next coordinator.Record) // after a swap of p, whatever came of it
	paused(p *process)
	cut(p *process) // its wire
	died(p *process)
	close()
}

// memory is the backend without a server. Its wires lie in the calls.
type memory struct {
	world *world
	store *storetest.Memory

	mu     sync.Mutex
	copies []storetest.Contents // after each of the last writes
	hangs  time.Time
	full   time.Time           // until then, it refuses to write
	latest *coordinator.Record // what the store holds; nil: to be read
}

func newMemory(w *world) *memory {
	return &memory{world: w, store: storetest.NewMemory()}
}

func (m *memory) connect(p *process) coordinator.Store { return overWire{m, p} }

// record reads each record once: most of the time it is the same for hours.
func (m *memory) record() coordinator.Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.latest == nil {
		r, _, err := m.store.Load(context.Background(), name)
		if err != nil {
			panic(err)
		}
		m.latest = &r
	}
	return *m.latest
}

// changed notes that the store may hold another record.
func (m *memory) changed() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.latest = nil
}

func (m *memory) flush() {
	m.store.Flush()
	m.changed()
}

func (m *memory) failover(back int) {
	m.mu.Lock()
	earlier := storetest.Contents{}
	if i := len(m.copies) - 1 - back; i >= 0 {
		earlier = m.copies[i]
		m.copies = m.copies[:i+1]
	}
	m.mu.Unlock()
	m.store.DropLock(name)
	m.store.Restore(earlier)
	m.changed()
}

// hang: renewals wait like all other requests.
func (m *memory) hang(d time.Duration) {
	m.store.StopRenewing(name)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hangs = time.Now().Add(d)
}

func (m *memory) refuse(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.full = time.Now().Add(d)
}

func (m *memory) refuses() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Now().Before(m.full) {
		return errFull
	}
	return nil
}

var errFull = errors.New("out of memory")

func (m *memory) swapped(*process, coordinator.Record) {} // see overWire.Swap
func (m *memory) close()                               {}

// paused: a lease is renewed by its holder. Memory renews by timers of its own.
func (m *memory) paused(p *process) {
	if holder, _ := m.store.Holder(context.Background(), name); holder != nil && holder.Holder == p.name {
		m.store.StopRenewing(name)
	}
}

func (m *memory) died(p *process) { m.paused(p) }
func (m *memory) cut(p *process)  { m.paused(p) }

// snapshot keeps what a failover may go back to.
func (m *memory) snapshot() {
	const kept = 8
	m.mu.Lock()
	defer m.mu.Unlock()
	m.copies = append(m.copies, m.store.Contents())
	m.copies = m.copies[max(0, len(m.copies)-kept):]
}

// overWire is the memory at the other end of a process's wire.
type overWire struct {
	memory  *memory
	process *process
}

// do sends a request. One that meets a server that hangs waits there.
func (s overWire) do(ctx context.Context, serve func()) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.memory.mu.Lock()
	wait := time.Until(s.memory.hangs)
	s.memory.mu.Unlock()
	if wait <= 0 {
		return s.process.toStore.call(ctx, func() (time.Duration, error) { serve(); return 0, nil })
	}
	done := make(chan struct{})
	time.AfterFunc(wait+s.process.dice.between(0, time.Millisecond), func() { serve(); close(done) })
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.process.dead:
		return errDead
	}
}

func (s overWire) Load(ctx context.Context, _ string) (coordinator.Record, time.Time, error) {
	var record coordinator.Record
	var now time.Time
	err := s.do(ctx, func() { record, now = s.memory.record(), time.Now().Round(0).UTC() })
	if err != nil {
		return coordinator.Record{}, time.Time{}, err
	}
	record.Lineage, record.Attempts = slices.Clone(record.Lineage), slices.Clone(record.Attempts)
	return record, now, nil
}

func (s overWire) Swap(ctx context.Context, name string, old coordinator.Stamp, next coordinator.Record, events ...coordinator.Event) (time.Time, error) {
	type reply struct {
		now time.Time
		err error
	}
	replies := make(chan reply, 1)
	err := s.do(ctx, func() {
		if err := s.memory.refuses(); err != nil {
			replies <- reply{time.Time{}, err}
			return
		}
		before := s.memory.record()
		now, err := s.memory.store.Swap(context.Background(), name, old, next, events...)
		if err == nil {
			s.memory.changed()
			s.memory.snapshot()
			s.process.world.written(s.process, next)
			s.process.world.judgeBegin(s.process, before, next)
			s.process.world.judgeDoubt(s.process, before, next)
		}
		replies <- reply{now, err}
	})
	if err != nil {
		return time.Time{}, err
	}
	r := <-replies
	return r.now, r.err
}

// Lock: a lock whose answer does not come is given back, as redisstore does.
func (s overWire) Lock(ctx context.Context, name, holder string, ttl time.Duration) (coordinator.Lease, error) {
	type reply struct {
		lease coordinator.Lease
		err   error
	}
	replies := make(chan reply, 1)
	var mu sync.Mutex
	var gone bool // the caller does not wait any more
	err := s.do(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		if err := s.memory.refuses(); err != nil {
			replies <- reply{nil, err}
			return
		}
		lease, err := s.memory.store.Lock(context.Background(), name, holder, ttl)
		if err == nil && (gone || !s.process.still()) {
			s.memory.store.StopRenewing(name)
		}
		replies <- reply{lease, err}
	})
	if err == nil {
		r := <-replies
		if r.err != nil {
			return nil, r.err
		}
		return wireLease{r.lease, s}, nil
	}
	mu.Lock()
	defer mu.Unlock()
	gone = true
	select {
	case r := <-replies:
		if r.err == nil {
			time.AfterFunc(s.process.dice.between(0, ttl), func() { r.lease.Release(context.Background()) })
		}
	default:
	}
	return nil, err
}

// wireLease is released over the wire. A release that is lost leaves a lock that
// lapses by itself.
type wireLease struct {
	coordinator.Lease
	store overWire
}

func (l wireLease) Release(ctx context.Context) error {
	l.store.memory.paused(l.store.process)
	return l.store.do(ctx, func() { l.Lease.Release(context.Background()) })
}

func (s overWire) Watch(name string, notify func()) (stop func()) {
	return s.memory.store.Watch(name, notify)
}
