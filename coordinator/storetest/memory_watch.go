package storetest

import (
	"slices"
	"sync"
)

// memoryWatch is one watcher of one name.
type memoryWatch struct {
	news chan struct{} // holds one hint at most: more say no more
	quit chan struct{}
	done chan struct{}
}

// Watch implements [coordinator.Watcher]. It runs one goroutine, which stop
// ends. stop must not be called from notify.
func (m *Memory) Watch(name string, notify func()) (stop func()) {
	w := &memoryWatch{news: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
	w.hint() // the one that says that watching has begun
	m.mu.Lock()
	defer m.mu.Unlock()
	m.watchers[name] = append(m.watchers[name], w)
	go w.run(notify)
	quit := sync.OnceFunc(func() { close(w.quit) })
	return func() {
		m.mu.Lock()
		m.watchers[name] = slices.DeleteFunc(m.watchers[name], func(other *memoryWatch) bool { return other == w })
		m.mu.Unlock()
		quit()
		<-w.done
	}
}

func (w *memoryWatch) run(notify func()) {
	defer close(w.done)
	for {
		select {
		case <-w.quit:
			return
		case <-w.news:
			select {
			case <-w.quit:
				return
			default:
				notify()
			}
		}
	}
}

func (w *memoryWatch) hint() {
	select {
	case w.news <- struct{}{}:
	default:
	}
}

// hint tells the watchers of name, in the order in which they came, so that a
// simulation can be repeated. m.mu is held.
func (m *Memory) hint(name string) {
	for _, w := range m.watchers[name] {
		w.hint()
	}
}

// hintAll tells all watchers. m.mu is held.
func (m *Memory) hintAll() {
	for name := range m.watchers {
		m.hint(name)
	}
}
