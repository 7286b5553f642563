package storetest

import (
	"context"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// memoryLease is a lock of a Memory and the handle of its holder, who may have
// lost it. It is renewed by timers, not by a goroutine: a lease that a test
// abandons, as a killed process does, leaves nothing running.
type memoryLease struct {
	memory *Memory
	name   string
	holder string
	ttl    time.Duration
	lost   chan struct{}

	// Guarded by memory.mu.
	until  time.Time   // when the lock lapses, unless it is renewed
	renew  *time.Timer // the next renewal
	trust  *time.Timer // closes lost when renewals cease to succeed
	over   bool        // released
	closed bool        // lost is closed
}

// margin is the part of ttl by which trust ends before the lock lapses.
const margin = 8

// Lock implements [coordinator.Store]. The lock lapses ttl after its last
// renewal, of which there are four in each ttl.
func (m *Memory) Lock(ctx context.Context, name, holder string, ttl time.Duration) (coordinator.Lease, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if locked := m.holder(name); locked != nil {
		return nil, locked
	}
	l := &memoryLease{memory: m, name: name, holder: holder, ttl: ttl, lost: make(chan struct{}), until: time.Now().Add(ttl)}
	m.locks[name] = l
	l.trust = time.AfterFunc(ttl-ttl/margin, l.distrust)
	l.renew = time.AfterFunc(ttl/4, l.prolong)
	return l, nil
}

// Holder implements [coordinator.LockInspector].
func (m *Memory) Holder(ctx context.Context, name string) (*coordinator.LockedError, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.holder(name), nil
}

func (m *Memory) holder(name string) *coordinator.LockedError {
	l := m.locks[name]
	if l == nil || !time.Now().Before(l.until) {
		return nil
	}
	return &coordinator.LockedError{Holder: l.holder, Remaining: time.Until(l.until)}
}

// DropLock takes the lock of name from its holder, as a failover or a flush
// does. The holder learns of it at its next renewal.
func (m *Memory) DropLock(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.locks, name)
}

// StopRenewing ends the renewal of the lock of name, as if its holder were
// paused, killed or cut off. The holder loses its trust in the lock at the
// usual time, and ttl after the last renewal the lock lapses.
func (m *Memory) StopRenewing(name string) {
	m.mu.Lock()
	l := m.locks[name]
	m.mu.Unlock()
	if l != nil {
		l.stopRenewing()
	}
}

func (l *memoryLease) stopRenewing() {
	l.memory.mu.Lock()
	defer l.memory.mu.Unlock()
	if l.renew != nil {
		l.renew.Stop()
		l.renew = nil
	}
}

// prolong renews the lock, if it is still ours.
func (l *memoryLease) prolong() {
	l.memory.mu.Lock()
	defer l.memory.mu.Unlock()
	switch {
	case l.over || l.closed || l.renew == nil:
	case l.memory.locks[l.name] == l && time.Now().Before(l.until):
		l.until = time.Now().Add(l.ttl)
		l.trust.Reset(l.ttl - l.ttl/margin)
		l.renew.Reset(l.ttl / 4)
	default:
		l.lose()
	}
}

func (l *memoryLease) distrust() {
	l.memory.mu.Lock()
	defer l.memory.mu.Unlock()
	if time.Until(l.until) <= l.ttl/margin { // or a renewal was quicker than this call
		l.lose()
	}
}

// lose closes lost. memory.mu is held.
func (l *memoryLease) lose() {
	if !l.over && !l.closed {
		l.closed = true
		close(l.lost)
	}
}

// Lost implements [coordinator.Lease].
func (l *memoryLease) Lost() <-chan struct{} { return l.lost }

// Release implements [coordinator.Lease]. It cannot fail.
func (l *memoryLease) Release(context.Context) error {
	l.memory.mu.Lock()
	defer l.memory.mu.Unlock()
	if l.over {
		return nil
	}
	l.over = true
	l.trust.Stop()
	if l.renew != nil {
		l.renew.Stop()
	}
	if l.memory.locks[l.name] == l {
		delete(l.memory.locks, l.name)
	}
	return nil
}
