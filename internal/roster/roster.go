// Package roster is what stores share that implement coordinator.Roster: it
// merges the participants of a process, and announces them from time to time
// for as long as there are any.
package roster

import (
	"cmp"
	"context"
	"crypto/rand"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

const (
	// Every is how often an instance is announced: one announcement may be
	// lost, or two, before the others take it for gone.
	Every = 15 * time.Second
	// gather is how long an announcement waits for others that join at the same
	// moment, as the coordinators of a process do when it starts.
	gather = 50 * time.Millisecond
	// patience bounds a call of the store.
	patience = time.Second
)

// Backend is how a store makes an instance known.
type Backend interface {
	// Now reads the store's clock.
	Now(ctx context.Context) (time.Time, error)
	// Announce makes an instance known that was announced as before the last
	// time, or was not announced yet if that is the zero Instance.
	Announce(ctx context.Context, i, before coordinator.Instance) error
	// Withdraw forgets an instance that was announced.
	Withdraw(ctx context.Context, i coordinator.Instance) error
}

// Announcer announces what takes part in one store. Set Backend before use. It
// is safe for concurrent use.
type Announcer struct {
	Backend Backend

	io      sync.Mutex        // one call of the Backend at a time
	mu      sync.Mutex        // guards all below
	entries map[string]*entry // by the instance's name
	poke    chan struct{}
	end     context.CancelFunc // nil while nobody takes part
}

// entry is an instance with its participants.
type entry struct {
	began        time.Time
	instance     coordinator.Instance // as it was announced last, or tried to; guarded by io
	announced    bool                 // guarded by io
	participants []*coordinator.Participant
}

// Join implements coordinator.Roster.
func (a *Announcer) Join(p coordinator.Participant) (leave func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.end == nil {
		a.entries, a.poke = make(map[string]*entry), make(chan struct{}, 1)
		ctx, end := context.WithCancel(context.Background())
		a.end = end
		go a.run(ctx, a.poke)
	}
	e := a.entries[p.Instance]
	if e == nil {
		e = &entry{began: time.Now(), instance: coordinator.Instance{Name: p.Instance, ID: rand.Text()}}
		a.entries[p.Instance] = e
		select {
		case a.poke <- struct{}{}:
		default:
		}
	}
	e.participants = append(e.participants, &p)
	return sync.OnceFunc(func() { a.leave(p.Instance, e, &p) })
}

// leave forgets a participant, and the instance with its last one.
func (a *Announcer) leave(name string, e *entry, p *coordinator.Participant) {
	a.mu.Lock()
	e.participants = slices.DeleteFunc(e.participants, func(one *coordinator.Participant) bool { return one == p })
	gone := len(e.participants) == 0
	if gone {
		delete(a.entries, name)
	}
	if len(a.entries) == 0 && a.end != nil {
		a.end()
		a.end = nil
	}
	a.mu.Unlock()
	if gone {
		a.withdraw(e)
	}
}

// withdraw comes after an announcement that is under way, and none comes after
// it.
func (a *Announcer) withdraw(e *entry) {
	a.io.Lock()
	defer a.io.Unlock()
	if !e.announced {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_ = a.Backend.Withdraw(ctx, e.instance) // if it fails, the store forgets it in a while
}

// run announces all instances, until ctx ends: now and then, and soon after
// one was added.
func (a *Announcer) run(ctx context.Context, poke <-chan struct{}) {
	timer := time.NewTimer(Every)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-poke:
			timer.Reset(gather)
			continue
		case <-timer.C:
		}
		timer.Reset(Every)
		for _, e := range a.all() {
			a.announce(ctx, e)
		}
	}
}

func (a *Announcer) all() []*entry {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Collect(maps.Values(a.entries))
}

// present returns the participants of e.
func (a *Announcer) present(e *entry) []*coordinator.Participant {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(e.participants)
}

func (a *Announcer) announce(ctx context.Context, e *entry) {
	a.io.Lock()
	defer a.io.Unlock()
	present := a.present(e)
	if len(present) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	// A store that is away is noticed, and told of, where it matters.
	i, before := e.instance, e.instance
	if !e.announced {
		now, err := a.Backend.Now(ctx)
		if err != nil {
			return
		}
		i.Since = now.Add(-time.Since(e.began)).UTC().Truncate(time.Second)
		before = coordinator.Instance{}
	}
	i.Mints, i.Tokens = false, 0
	for _, p := range present {
		i.Mints = i.Mints || p.Mints
		i.Tokens += p.Tokens()
	}
	e.instance, e.announced = i, true
	_ = a.Backend.Announce(ctx, i, before)
}

// Alive returns the instances that are to be shown of those that a store holds:
// sorted, and each once. A store may hold two states of one, if the reply to an
// announcement was lost.
func Alive(found []coordinator.Instance) []coordinator.Instance {
	slices.SortFunc(found, func(a, b coordinator.Instance) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID), b.Seen.Compare(a.Seen))
	})
	found = slices.CompactFunc(found, func(a, b coordinator.Instance) bool { return a.ID == b.ID })
	return found[:min(len(found), coordinator.MostInstances)]
}
