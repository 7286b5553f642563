package storetest

import (
	"sync"

	"github.com/mintonce/mintonce/coordinator"
)

// faultyWatcher adds the Watcher of the store.
type faultyWatcher struct {
	*faulty
	watcher coordinator.Watcher
}

// cuttable passes hints on while they are not cut.
type cuttable struct {
	mu     sync.Mutex // held while notify runs, so that stop waits for it
	notify func()     // nil after stop
}

func (c *cuttable) hint() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.notify != nil {
		c.notify()
	}
}

func (s faultyWatcher) Watch(name string, notify func()) (stop func()) {
	c := &cuttable{notify: notify}
	s.faults.mu.Lock()
	s.faults.hints[c] = struct{}{}
	s.faults.mu.Unlock()
	end := s.watcher.Watch(name, func() {
		if !s.faults.hintsCut() {
			c.hint()
		}
	})
	return func() {
		s.faults.mu.Lock()
		delete(s.faults.hints, c)
		s.faults.mu.Unlock()
		end()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.notify = nil
	}
}

// CutHints drops all hints until PassHints, those that say that watching has
// begun too: the process has lost its connection for news.
func (f *Faults) CutHints() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cut = true
}

// PassHints ends CutHints, and gives one hint to all watchers, as a store does
// that has connected again and cannot know what it missed.
func (f *Faults) PassHints() {
	f.mu.Lock()
	was := f.cut
	f.cut = false
	var waiting []*cuttable
	for c := range f.hints {
		waiting = append(waiting, c)
	}
	f.mu.Unlock()
	if was {
		for _, c := range waiting {
			c.hint()
		}
	}
}

func (f *Faults) hintsCut() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cut
}
