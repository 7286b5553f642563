package feed

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

const (
	// newest is how many entries of a history are read after a hint.
	newest = 20
	// underway is how long an event may take from its moment to the history.
	underway = time.Second
	// patience bounds one call of the store.
	patience = 3 * time.Second
	// mostAtOnce is how many histories are read where any name may have
	// changed; where there are more, subscribers are told of a gap.
	mostAtOnce = 200
)

// follower finds in the histories of the store what other processes do.
type follower struct {
	feed    *Feed
	history coordinator.Historian
	cancel  context.CancelFunc
	done    chan struct{}
	poke    chan struct{}

	watching sync.Mutex        // guards stops and ended; held while the store is told
	stops    map[string]func() // of watches, by name
	ended    bool

	mu      sync.Mutex      // guards all below
	begun   map[string]bool // the first hint of a watch has come, which tells of nothing new
	many    bool            // there are too many names to read the histories of all
	all     bool            // any name may have changed
	pending map[string]bool

	// Of the goroutine of run.
	since time.Time                    // on the store's clock
	read  map[string]coordinator.Event // the newest entry that was seen, by name
}

// follow begins to follow the store, if that is of use. The caller holds f.mu.
func (f *Feed) follow() *follower {
	ctx, cancel := context.WithCancel(context.Background())
	w := &follower{
		feed: f, cancel: cancel, done: make(chan struct{}), poke: make(chan struct{}, 1),
		begun: make(map[string]bool), pending: make(map[string]bool), stops: make(map[string]func()), read: make(map[string]coordinator.Event),
	}
	w.history, _ = coordinator.As[coordinator.Historian](f.store)
	if w.history == nil {
		close(w.done)
		return w
	}
	go w.run(ctx)
	return w
}

// end stops the follower and waits for it. No lock may be held.
func (w *follower) end() {
	w.cancel()
	<-w.done
	w.watching.Lock()
	defer w.watching.Unlock()
	w.ended = true
	for _, stop := range w.stops {
		stop()
	}
}

// run reads the histories that hints are about, until ctx ends.
func (w *follower) run(ctx context.Context) {
	defer close(w.done)
	w.since = w.storeNow(ctx).Add(-underway)
	w.keep()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.poke:
		}
		for _, name := range w.take() {
			w.look(ctx, name)
		}
	}
}

// storeNow returns the time on the store's clock, or on this machine's while
// there is no store.
func (w *follower) storeNow(ctx context.Context) time.Time {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for name := range w.feed.kept() { // any will do
		if _, now, err := w.feed.store.Load(ctx, name); err == nil {
			return now
		}
		break
	}
	return time.Now()
}

// keep watches the names that are kept by now, and no others. Where the store
// tells of all names at once, one watch will do.
func (w *follower) keep() {
	w.watching.Lock()
	defer w.watching.Unlock()
	if w.ended || w.history == nil {
		return
	}
	names := w.feed.kept()
	w.count(len(names))
	if all, ok := coordinator.As[coordinator.WatcherOfAll](w.feed.store); ok {
		if len(w.stops) == 0 {
			w.stops[""] = all.WatchAll(func(c coordinator.Change) { w.hinted("", c.Name) })
		}
		return
	}
	one, ok := coordinator.As[coordinator.Watcher](w.feed.store)
	if !ok {
		return
	}
	for name, stop := range w.stops {
		if !names[name] {
			delete(w.stops, name)
			stop()
			w.forget(name)
		}
	}
	for name := range names {
		if w.stops[name] == nil {
			w.stops[name] = one.Watch(name, func() { w.hinted(name, name) })
		}
	}
}

// count notes how many names there are.
func (w *follower) count(names int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.many = names > mostAtOnce
}

// forget makes the first hint of the next watch of this name its first again.
func (w *follower) forget(watch string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.begun, watch)
}

// hinted notes what a hint is about that one of the watches had.
func (w *follower) hinted(watch, name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.begun[watch] && watch == name {
		w.begun[watch] = true
		if w.many {
			return // nothing is new yet, or hardly anything
		}
	}
	w.all = w.all || name == ""
	if name != "" {
		w.pending[name] = true
	}
	select {
	case w.poke <- struct{}{}:
	default:
	}
}

// take returns the names whose histories are to be read.
func (w *follower) take() []string {
	known := w.feed.kept()
	w.mu.Lock()
	all, pending := w.all, w.pending
	w.all, w.pending = false, make(map[string]bool)
	w.mu.Unlock()
	switch {
	case all && len(known) > mostAtOnce:
		w.feed.gap()
	case all:
		pending = known
	}
	var names []string
	for name := range pending {
		if known[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// look publishes what is new in the history of a name. If it cannot be read,
// the next hint will do; the store gives one when it is back.
func (w *follower) look(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	entries, err := w.history.History(ctx, name, newest)
	if err != nil || len(entries) == 0 {
		return
	}
	last, known := w.read[name]
	w.read[name] = normal(entries[0])
	seen := func(e coordinator.Event) bool {
		if known {
			return normal(e) == last
		}
		return e.At.Before(w.since)
	}
	if i := slices.IndexFunc(entries, seen); i >= 0 {
		entries = entries[:i]
	} else if len(entries) == newest {
		w.feed.gap() // there may be more
	}
	slices.Reverse(entries)
	w.feed.publish(entries...)
}
