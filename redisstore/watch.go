package redisstore

import (
	"sync"

	"github.com/mintonce/mintonce/coordinator"
)

// watch is one subscriber to hints about one name, or about all.
type watch struct {
	mu     sync.Mutex // guards notify: it is not called any more once it is nil
	notify func(coordinator.Change)
}

// everyName is where those stand who watch all names. It is no name.
const everyName = ""

func (w *watch) wake(news coordinator.Change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.notify != nil {
		w.notify(news)
	}
}

// end waits for a hint that is being delivered.
func (w *watch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.notify = nil
}

// Watch implements coordinator.Watcher. The first watch starts one follower of
// the change stream, with one connection, which serves every name of this
// Store; the stop of the last one ends it and waits for that. notify must not
// call stop.
//
// The first hint comes once the follower knows its place in the stream. While
// Redis is away there are no hints; when it is back, every watch gets one.
func (s *Store) Watch(name string, notify func()) (stop func()) {
	if err := s.check(name); err != nil {
		s.warn(err)
		return func() {}
	}
	return s.watch(name, func(coordinator.Change) { notify() })
}

// WatchAll implements coordinator.WatcherOfAll, as Watch does for one name. It
// costs the same for any number of names.
func (s *Store) WatchAll(notify func(coordinator.Change)) (stop func()) {
	if s.unfit != nil {
		s.warn(s.unfit)
		return func() {}
	}
	return s.watch(everyName, notify)
}

func (s *Store) watch(name string, notify func(coordinator.Change)) (stop func()) {
	w := &watch{notify: notify}
	s.mu.Lock()
	if s.watches[name] == nil {
		s.watches[name] = make(map[*watch]struct{})
	}
	s.watches[name][w] = struct{}{}
	if s.follower == nil {
		s.follower = s.follow()
	}
	placed := s.follower.placed
	s.mu.Unlock()
	if placed {
		// Nobody else tells it. Not from here: the caller may hold a lock that
		// notify needs.
		go w.wake(coordinator.Change{})
	}
	return func() {
		s.unwatch(name, w)
		w.end()
	}
}

func (s *Store) unwatch(name string, w *watch) {
	s.mu.Lock()
	delete(s.watches[name], w)
	if len(s.watches[name]) == 0 {
		delete(s.watches, name)
	}
	last := s.follower
	if len(s.watches) > 0 {
		last = nil
	} else {
		s.follower = nil
	}
	s.mu.Unlock()
	if last != nil {
		last.end()
	}
}

// place notes whether f knows its place in the stream. When it has found it,
// everybody is told: anything may have happened before.
func (s *Store) place(f *follower, placed bool) {
	s.mu.Lock()
	f.placed = placed
	s.mu.Unlock()
	if placed {
		s.wakeAll()
	}
}

func (s *Store) wakeAll() {
	s.mu.Lock()
	all := make([]*watch, 0, len(s.watches))
	for _, watches := range s.watches {
		for w := range watches {
			all = append(all, w)
		}
	}
	s.mu.Unlock()
	for _, w := range all {
		w.wake(coordinator.Change{})
	}
}

func (s *Store) wake(news coordinator.Change) {
	s.mu.Lock()
	some := make([]*watch, 0, len(s.watches[news.Name])+len(s.watches[everyName]))
	for w := range s.watches[news.Name] {
		some = append(some, w)
	}
	for w := range s.watches[everyName] {
		some = append(some, w)
	}
	s.mu.Unlock()
	for _, w := range some {
		w.wake(news)
	}
}
