package filestore

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// pollEvery is how often record files are looked at while the kernel cannot
// tell of changes, for example because its limit of watches is reached.
const pollEvery = time.Second

// Watch implements [coordinator.Watcher]. All watches share one goroutine and
// one kernel watch of the folder, which end with the last of them. stop must
// not be called from notify.
func (s *Store) Watch(name string, notify func()) (stop func()) {
	w := &watcher{name: name, notify: notify}
	s.news.add(w)
	return func() { s.news.remove(w) }
}

// watcher is one watch of one name.
type watcher struct {
	name   string
	mu     sync.Mutex // held while notify runs, so that stop waits for it
	notify func()     // nil after stop
	begun  bool       // guarded by news.mu: it had its first hint
}

func (w *watcher) hint() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.notify != nil {
		w.notify()
	}
}

// news tells watchers of changes in the folder.
type news struct {
	dir      string
	mu       sync.Mutex // guards all below
	watchers map[string]map[*watcher]struct{}
	follower *follower // nil when there are no watchers
}

func (n *news) add(w *watcher) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.follower == nil {
		n.watchers = make(map[string]map[*watcher]struct{})
		n.follower = &follower{news: n, joined: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
		go n.follower.run()
	}
	if n.watchers[w.name] == nil {
		n.watchers[w.name] = make(map[*watcher]struct{})
	}
	n.watchers[w.name][w] = struct{}{}
	select {
	case n.follower.joined <- struct{}{}:
	default:
	}
}

func (n *news) remove(w *watcher) {
	w.mu.Lock()
	w.notify = nil
	w.mu.Unlock()

	n.mu.Lock()
	var last *follower
	if _, ok := n.watchers[w.name][w]; ok {
		delete(n.watchers[w.name], w)
		if len(n.watchers[w.name]) == 0 {
			delete(n.watchers, w.name)
		}
		if len(n.watchers) == 0 {
			last, n.follower = n.follower, nil
			close(last.quit)
		}
	}
	n.mu.Unlock()
	if last != nil {
		<-last.done
	}
}

// pick returns the watchers that choose holds for.
func (n *news) pick(choose func(*watcher) bool) []*watcher {
	n.mu.Lock()
	defer n.mu.Unlock()
	var picked []*watcher
	for _, group := range n.watchers {
		for w := range group {
			if choose(w) {
				picked = append(picked, w)
			}
		}
	}
	return picked
}

// watching returns the watchers of name.
func (n *news) watching(name string) []*watcher {
	n.mu.Lock()
	defer n.mu.Unlock()
	var watching []*watcher
	for w := range n.watchers[name] {
		watching = append(watching, w)
	}
	return watching
}

// follower is the goroutine that learns of changes.
type follower struct {
	news   *news
	joined chan struct{} // there may be a watcher that had no hint yet
	quit   chan struct{}
	done   chan struct{}
	kernel *fsnotify.Watcher // nil while it cannot be had, and files are polled
	seen   map[string]seen   // by name, for polling
}

// seen is what tells one content of a record file from the next: a write gives
// it another inode.
type seen struct {
	info os.FileInfo // nil if there is no file
}

func (f *follower) run() {
	defer close(f.done)
	f.open()
	defer f.close()
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		var events <-chan fsnotify.Event
		var failures <-chan error
		var tick <-chan time.Time
		if f.kernel != nil {
			events, failures = f.kernel.Events, f.kernel.Errors
		} else {
			tick = ticker.C
		}
		select {
		case <-f.quit:
			return
		case <-f.joined:
			f.hintJoined()
		case e, ok := <-events:
			if !ok || e.Name == f.news.dir { // the folder itself was moved or removed
				f.giveUp()
				continue
			}
			f.follow(e)
		case <-failures: // hints were lost, or worse
			f.giveUp()
		case <-tick:
			if f.open(); f.kernel != nil {
				f.hintAll()
				continue
			}
			f.poll()
		}
	}
}

// open asks the kernel to tell of changes in the folder.
func (f *follower) open() {
	kernel, err := fsnotify.NewWatcher()
	if err != nil {
		return
	}
	if kernel.Add(f.news.dir) != nil {
		kernel.Close()
		return
	}
	f.kernel, f.seen = kernel, nil
}

func (f *follower) close() {
	if f.kernel != nil {
		f.kernel.Close()
		f.kernel = nil
	}
}

// giveUp begins anew with the next tick: not at once, as what failed may fail
// again and again.
func (f *follower) giveUp() {
	f.close()
	f.hintAll()
}

func (f *follower) follow(e fsnotify.Event) {
	name, isRecord := strings.CutSuffix(filepath.Base(e.Name), recordFile)
	if !isRecord || e.Op == fsnotify.Chmod {
		return
	}
	hint(f.news.watching(name))
}

// hintJoined gives their first hint to those that began to watch.
func (f *follower) hintJoined() {
	hint(f.news.pick(func(w *watcher) bool {
		first := !w.begun
		w.begun = true
		return first
	}))
}

func (f *follower) hintAll() {
	hint(f.news.pick(func(*watcher) bool { return true }))
}

// poll hints at the files that differ from what was seen before.
func (f *follower) poll() {
	before := f.seen
	f.seen = make(map[string]seen)
	hint(f.news.pick(func(w *watcher) bool {
		if _, ok := f.seen[w.name]; !ok {
			info, err := os.Stat(filepath.Join(f.news.dir, w.name+recordFile))
			if err != nil {
				info = nil
			}
			f.seen[w.name] = seen{info}
		}
		last, ok := before[w.name]
		return !ok || !last.same(f.seen[w.name])
	}))
}

func (s seen) same(other seen) bool {
	if s.info == nil || other.info == nil {
		return s.info == other.info
	}
	return os.SameFile(s.info, other.info) && s.info.Size() == other.info.Size() && s.info.ModTime().Equal(other.info.ModTime())
}

func hint(watchers []*watcher) {
	for _, w := range watchers {
		w.hint()
	}
}
