// Package filewatch tells when files have changed. It watches their folders,
// because editors replace files by renaming others onto them, and Kubernetes
// replaces a whole folder behind a symbolic link.
package filewatch

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// quiet is how long nothing must have happened before a change is told: a
	// file is often written in several steps.
	quiet = 250 * time.Millisecond
	// longest bounds the wait for quiet.
	longest = 2 * time.Second
	// missing is how often a folder that is not there is looked for.
	missing = 2 * time.Second
)

// Interest is what is watched in one folder.
type Interest struct {
	Folder string
	// Matches says which files count, by their names. Nil: all of them.
	Matches func(name string) bool
}

// Watcher tells of changes. Its methods are safe for concurrent use.
type Watcher struct {
	notify  *fsnotify.Watcher
	changes chan struct{}
	lost    chan struct{} // receives when events may have been lost
	done    sync.WaitGroup

	mu      sync.Mutex // guards folders
	folders map[string]*folder
}

// folder is one that is to be watched.
type folder struct {
	matches []func(string) bool
	watched os.FileInfo // what is watched; nil while the folder is missing
}

// New returns a Watcher that watches nothing yet. The error is about limits of
// the system.
func New() (*Watcher, error) {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	w := &Watcher{notify: notify, changes: make(chan struct{}, 1), lost: make(chan struct{}, 1), folders: make(map[string]*folder)}
	w.done.Go(w.run)
	// Apart from run: fsnotify may hold a lock that run needs until its error
	// is taken.
	w.done.Go(func() {
		for range w.notify.Errors {
			poke(w.lost)
		}
	})
	return w, nil
}

// poke sends a value, unless one is waiting already.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Changes receives a value when something has changed, a moment after it has
// become quiet.
func (w *Watcher) Changes() <-chan struct{} { return w.changes }

// Close ends watching.
func (w *Watcher) Close() {
	_ = w.notify.Close() // it has no error that matters
	w.done.Wait()
}

// Watch replaces what is watched. A folder that is missing is watched, and told
// of, once it is there. The error is about one of the folders that cannot be
// watched for another reason.
func (w *Watcher) Watch(interests []Interest) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := make(map[string]*folder)
	for _, interest := range interests {
		path := filepath.Clean(interest.Folder)
		f := next[path]
		if f == nil {
			f = &folder{}
			if before := w.folders[path]; before != nil {
				f.watched = before.watched
			}
			next[path] = f
		}
		matches := interest.Matches
		if matches == nil {
			matches = func(string) bool { return true }
		}
		f.matches = append(f.matches, matches)
	}
	for path := range w.folders {
		if next[path] == nil {
			_ = w.notify.Remove(path) // it may have gone by itself
		}
	}
	w.folders = next
	var failed error
	for path, f := range next {
		if _, err := w.attend(path, f); err != nil && !os.IsNotExist(err) {
			failed = err
		}
	}
	return failed
}

// attend makes sure that a folder is watched, and that it is the one of today:
// a path may lead elsewhere after a rename. It reports whether that is new. The
// caller holds mu.
func (w *Watcher) attend(path string, f *folder) (found bool, err error) {
	info, err := os.Stat(path)
	if err != nil {
		f.watched = nil
		return false, err
	}
	if f.watched != nil && os.SameFile(f.watched, info) {
		return false, nil
	}
	_ = w.notify.Remove(path)
	f.watched = nil
	if err := w.notify.Add(path); err != nil {
		return false, err
	}
	f.watched = info
	return true, nil
}

// run waits for events until Close.
func (w *Watcher) run() {
	still := time.NewTimer(time.Hour)
	still.Stop()
	search := time.NewTicker(missing)
	defer search.Stop()
	var latest time.Time // when a change is told, quiet or not
	changed := func() {
		if latest.IsZero() {
			latest = time.Now().Add(longest)
		}
		still.Reset(min(quiet, time.Until(latest)))
	}
	for {
		select {
		case e, ok := <-w.notify.Events:
			if !ok {
				return
			}
			if w.concerns(e) {
				changed()
			}
		case <-w.lost:
			changed()
		case <-search.C:
			if w.search() {
				changed()
			}
		case <-still.C:
			latest = time.Time{}
			poke(w.changes)
		}
	}
}

// concerns reports whether an event is about something that is of interest.
func (w *Watcher) concerns(e fsnotify.Event) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if f := w.folders[e.Name]; f != nil && e.Has(fsnotify.Remove|fsnotify.Rename) {
		f.watched = nil // the folder itself has gone
		_ = w.notify.Remove(e.Name)
		_, _ = w.attend(e.Name, f) // if there is another one; search does the rest
		return true
	}
	f := w.folders[filepath.Dir(e.Name)]
	if f == nil {
		return false
	}
	name := filepath.Base(e.Name)
	if strings.HasPrefix(name, "..") { // ..data of Kubernetes, behind which everything changes
		return true
	}
	for _, matches := range f.matches {
		if matches(name) {
			return true
		}
	}
	return false
}

// search looks for folders that are missing, or that have been replaced without
// an event, such as by a link that leads elsewhere.
func (w *Watcher) search() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	any := false
	for path, f := range w.folders {
		found, _ := w.attend(path, f)
		any = any || found
	}
	return any
}
