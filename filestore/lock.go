package filestore

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"github.com/mintonce/mintonce/coordinator"
)

// guardRetry is how often a taken guard is tried. It is held for the time of a
// write, which is mostly that of two syncs.
const guardRetry = 2 * time.Millisecond

// guard excludes all other writers of name until unlock is called. It is
// exclusive between goroutines too, as each call opens the file anew.
func (s *Store) guard(ctx context.Context, name string) (unlock func(), err error) {
	l := flock.New(s.path(name, guardFile))
	locked, err := l.TryLockContext(ctx, guardRetry)
	switch {
	case ctx.Err() != nil && !locked:
		return nil, fmt.Errorf("filestore: %s: another process is writing, or was stopped while it did: %w", l.Path(), ctx.Err())
	case err != nil:
		return nil, s.explain("lock "+name+guardFile, err)
	}
	return func() { l.Unlock() }, nil
}

// Lock implements [coordinator.Store]. The kernel frees the lock when the
// process ends, however it ends, and not before: ttl is ignored.
func (s *Store) Lock(ctx context.Context, name, holder string, _ time.Duration) (coordinator.Lease, error) {
	var taken *flock.Flock
	locked, err := s.try(ctx, name, func(l *flock.Flock) error {
		taken = l
		return os.WriteFile(l.Path(), []byte(holder+"\n"), 0o600)
	})
	switch {
	case err != nil:
		return nil, err
	case locked != nil:
		return nil, locked
	}
	return &lease{lock: taken, lost: make(chan struct{})}, nil
}

// Holder implements [coordinator.LockInspector].
func (s *Store) Holder(ctx context.Context, name string) (*coordinator.LockedError, error) {
	return s.try(ctx, name, (*flock.Flock).Unlock)
}

// try takes the lock of name and does something with it, or tells who holds it.
// All of that is done under the guard: an inspection cannot make a Lock fail,
// and whoever finds the lock taken also finds its holder's name.
func (s *Store) try(ctx context.Context, name string, then func(*flock.Flock) error) (*coordinator.LockedError, error) {
	if err := begin(ctx, name); err != nil {
		return nil, err
	}
	unlock, err := s.guard(ctx, name)
	if err != nil {
		return nil, err
	}
	defer unlock()
	l := flock.New(s.path(name, lockFile))
	free, err := l.TryLock()
	if err == nil && !free {
		return &coordinator.LockedError{Holder: holderIn(l.Path())}, nil
	}
	if err == nil {
		err = then(l)
	}
	if err != nil {
		l.Unlock()
		return nil, s.explain("lock "+name+lockFile, err)
	}
	return nil, nil
}

// holderIn reads a holder's name, or nothing if it is not a plausible one.
func holderIn(path string) string {
	const longest = 256
	data, err := readUpTo(path, longest+1)
	holder := strings.TrimSuffix(string(data), "\n")
	if err != nil || len(data) > longest || strings.ContainsFunc(holder, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ""
	}
	return holder
}

// lease is a kernel lock that is held.
type lease struct {
	mu   sync.Mutex // guards lock
	lock *flock.Flock
	lost chan struct{}
}

// Lost implements [coordinator.Lease]. It is never closed: the kernel keeps the
// lock as long as the process lives.
func (l *lease) Lost() <-chan struct{} { return l.lost }

// Release implements [coordinator.Lease]. It does not wait, so it works with a
// context that has ended.
func (l *lease) Release(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.lock.Unlock(); err != nil { // nil when it is unlocked already
		return fmt.Errorf("filestore: %s: unlock: %w", l.lock.Path(), err)
	}
	return nil
}
