package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// GroupConfig tunes a Group. The zero value works.
type GroupConfig struct {
	// Config holds for every credential of the group.
	Config

	// Concurrent bounds how many credentials are looked at or minted by
	// single calls at once, so that a mass start does not become a mass of
	// mints. Default 64, at most 1,000.
	Concurrent int

	// IdleAfter, if positive, makes Run drop credentials that are not kept by
	// Keep once nobody has asked the group for them for that long, or up to
	// twice as long. Default 0: none is dropped.
	IdleAfter time.Duration
}

// Group keeps very many credentials in one process: one subscription and one
// timer for all, no goroutine per credential at rest, loads in bulk. All of its
// methods are safe for concurrent use.
//
// A credential's work is done by its Coordinator as ever; the group only says
// when to look. Several processes with the same group share the work without
// knowing of each other: whoever gets a lock mints.
type Group struct {
	store      Store
	open       func(name string) (Source, error)
	config     GroupConfig
	hub        *hub
	common     *common // of all members
	epoch      time.Time
	concurrent chan struct{} // one slot for each flight that may be under way
	draining   chan struct{} // the turn of the one who takes all slots
	poke       chan struct{} // wakes Run

	mu      sync.RWMutex // guards all below
	members map[string]*member
	turns   turns // of the members that are kept, the next one first
	running int   // calls of Run
}

// member is one credential of a group.
type member struct {
	Coordinator
	kept   bool          // Run keeps it fresh
	hints  int32         // how many came while it had its turn
	index  int           // in turns; notQueued while it is not there
	at     time.Duration // since the group's epoch: its next turn
	hint   Stamp         // the last of them
	ignore func()        // ends the subscription to its changes, if it has one

	unread atomic.Bool // since the last sweep for idle members
}

// NewGroup returns a group without members. open returns the Source of a name
// when that is first asked for; with Config.NeverMint it may be nil. It may be
// called by several goroutines at once, and must not call the group.
func NewGroup(store Store, open func(name string) (Source, error), config GroupConfig) (*Group, error) {
	if store == nil {
		return nil, errors.New("mintonce: NewGroup needs a Store")
	}
	if open == nil && !config.NeverMint {
		return nil, errors.New("mintonce: NewGroup needs a function that opens sources, or Config.NeverMint")
	}
	shared, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	config.Config = shared
	if config.Concurrent == 0 {
		config.Concurrent = 64
	}
	if config.Concurrent < 1 || config.Concurrent > 1000 {
		return nil, fmt.Errorf("mintonce: GroupConfig.Concurrent is %d: it must be from 1 to 1000", config.Concurrent)
	}
	if config.IdleAfter != 0 && config.IdleAfter < time.Second {
		return nil, fmt.Errorf("mintonce: GroupConfig.IdleAfter is %s: it must be 0, or at least 1s", config.IdleAfter)
	}
	hub := newHub(store)
	g := &Group{
		store: store, open: open, config: config, hub: hub, epoch: time.Now(), members: make(map[string]*member),
		concurrent: make(chan struct{}, config.Concurrent), draining: make(chan struct{}, 1), poke: make(chan struct{}, 1),
	}
	g.common = &common{Config: shared, store: store, hints: hub.watcher(), landed: g.landed}
	return g, nil
}

// Get returns the coordinator of this name, which is made at the first call.
// Do not call its Run: the group's does that.
func (g *Group) Get(name string) (*Coordinator, error) {
	m, err := g.member(name)
	if err != nil {
		return nil, err
	}
	return &m.Coordinator, nil
}

// Token is Get(name), then Token(ctx).
func (g *Group) Token(ctx context.Context, name string) (Token, error) {
	m, err := g.member(name)
	if err != nil {
		return Token{}, err
	}
	return m.Token(ctx)
}

func (g *Group) member(name string) (*member, error) {
	g.mu.RLock()
	m := g.members[name]
	g.mu.RUnlock()
	if m != nil {
		if m.unread.Load() {
			m.unread.Store(false)
		}
		return m, nil
	}
	source, err := g.source(name)
	if err != nil {
		return nil, err
	}
	m = &member{index: notQueued}
	if err := m.init(name, source, g.common); err != nil {
		return nil, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if m := g.members[name]; m != nil {
		return m, nil // somebody else was faster
	}
	g.members[name] = m
	return m, nil
}

func (g *Group) source(name string) (Source, error) {
	if err := CheckName(name); err != nil || g.open == nil {
		return nil, err
	}
	source, err := g.open(name)
	if err != nil {
		return nil, fmt.Errorf("mintonce: no source for %s: %w", name, err)
	}
	return source, nil
}

// Keep makes Run keep these credentials fresh from now on. The error joins
// those of the names that could not be opened; the others are kept.
func (g *Group) Keep(names ...string) error {
	var failed []error // joined at once: one by one, each would repeat the text of all before
	for i, name := range names {
		if i%bulk == bulk-1 {
			g.wake() // the first ones are loaded while the last are made
		}
		m, err := g.member(name)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		g.mu.Lock()
		if !m.kept {
			m.kept = true
			g.turn(m, 0)
			g.serve(m, g.running > 0)
		}
		g.mu.Unlock()
	}
	g.wake()
	return errors.Join(failed...)
}

// Drop forgets these credentials. Coordinators that are still held by callers
// go on working; a mint under way is finished.
func (g *Group) Drop(names ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, name := range names {
		g.drop(name)
	}
}

// drop forgets a credential. The caller holds mu.
func (g *Group) drop(name string) {
	m := g.members[name]
	if m == nil {
		return
	}
	delete(g.members, name)
	g.turns.remove(m)
	if m.kept {
		g.serve(m, false)
	}
	m.kept = false
}

// serve begins or ends what Run does for a kept member beside its turns. The
// caller holds mu.
func (g *Group) serve(m *member, on bool) {
	switch {
	case on && m.ignore == nil:
		m.setRunning(+1)
		m.ignore = g.hub.attend(m.name, g.hinted)
	case !on && m.ignore != nil:
		m.setRunning(-1)
		go m.ignore() // it waits for a hint that may be waiting for mu
		m.ignore = nil
	}
}

// Names returns the names of all members, sorted.
func (g *Group) Names() []string {
	g.mu.RLock()
	defer g.mu.RUnlock()
	names := make([]string, 0, len(g.members))
	for name := range g.members {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// turn puts m's next turn at that time. The caller holds mu.
func (g *Group) turn(m *member, at time.Duration) {
	if g.members[m.name] == m && m.kept {
		g.turns.set(m, at)
	}
}

// wake makes Run look at the turns anew.
func (g *Group) wake() {
	select {
	case g.poke <- struct{}{}:
	default:
	}
}
