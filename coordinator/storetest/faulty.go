package storetest

import (
	"context"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// faulty is a Store whose calls meet faults.
type faulty struct {
	store  coordinator.Store
	faults *Faults
}

func (s *faulty) Load(ctx context.Context, name string) (coordinator.Record, time.Time, error) {
	var r coordinator.Record
	var now time.Time
	err := s.faults.disturb(ctx, Load, func() (err error) {
		r, now, err = s.store.Load(ctx, name)
		return err
	})
	if err != nil {
		return coordinator.Record{}, time.Time{}, err
	}
	return r, now, nil
}

func (s *faulty) Swap(ctx context.Context, name string, old coordinator.Stamp, next coordinator.Record, events ...coordinator.Event) (time.Time, error) {
	var now time.Time
	err := s.faults.disturb(ctx, Swap, func() (err error) {
		now, err = s.store.Swap(ctx, name, old, next, events...)
		return err
	})
	if err != nil {
		return time.Time{}, err
	}
	return now, nil
}

// Lock: a lock whose reply was lost stays taken until it lapses. Nobody holds
// its lease, so it is not renewed either.
func (s *faulty) Lock(ctx context.Context, name, holder string, ttl time.Duration) (coordinator.Lease, error) {
	var lease coordinator.Lease
	err := s.faults.disturb(ctx, Lock, func() (err error) {
		lease, err = s.store.Lock(ctx, name, holder, ttl)
		return err
	})
	if err == nil {
		return &faultyLease{lease, s.faults}, nil
	}
	if orphan, ok := lease.(*memoryLease); ok {
		orphan.stopRenewing()
	} else if lease != nil {
		time.AfterFunc(ttl, func() { lease.Release(context.WithoutCancel(ctx)) })
	}
	return nil, err
}

type faultyLease struct {
	coordinator.Lease
	faults *Faults
}

func (l *faultyLease) Release(ctx context.Context) error {
	return l.faults.disturb(ctx, Release, func() error { return l.Lease.Release(ctx) })
}

// faultyHistorian adds the Historian of the store.
type faultyHistorian struct {
	*faulty
	history coordinator.Historian
}

func (s faultyHistorian) History(ctx context.Context, name string, n int) ([]coordinator.Event, error) {
	var entries []coordinator.Event
	err := s.faults.disturb(ctx, History, func() (err error) {
		entries, err = s.history.History(ctx, name, n)
		return err
	})
	if err != nil {
		return nil, err
	}
	return entries, nil
}

func (s faultyHistorian) Append(ctx context.Context, name string, events ...coordinator.Event) error {
	return s.faults.disturb(ctx, Append, func() error { return s.history.Append(ctx, name, events...) })
}

// faultyInspector adds the LockInspector of the store.
type faultyInspector struct {
	*faulty
	inspector coordinator.LockInspector
}

func (s faultyInspector) Holder(ctx context.Context, name string) (*coordinator.LockedError, error) {
	var locked *coordinator.LockedError
	err := s.faults.disturb(ctx, Holder, func() (err error) {
		locked, err = s.inspector.Holder(ctx, name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return locked, nil
}

// passThrough returns s with exactly the optional interfaces that its store
// has: none of its calls may pass the faults by.
func passThrough(s *faulty) coordinator.Store {
	watcher, w := coordinator.As[coordinator.Watcher](s.store)
	history, h := coordinator.As[coordinator.Historian](s.store)
	inspector, l := coordinator.As[coordinator.LockInspector](s.store)
	type (
		watches   = coordinator.Watcher
		remembers = coordinator.Historian
		inspects  = coordinator.LockInspector
	)
	W, H, L := faultyWatcher{s, watcher}, faultyHistorian{s, history}, faultyInspector{s, inspector}
	switch {
	case w && h && l:
		return struct {
			coordinator.Store
			watches
			remembers
			inspects
		}{s, W, H, L}
	case w && h:
		return struct {
			coordinator.Store
			watches
			remembers
		}{s, W, H}
	case w && l:
		return struct {
			coordinator.Store
			watches
			inspects
		}{s, W, L}
	case h && l:
		return struct {
			coordinator.Store
			remembers
			inspects
		}{s, H, L}
	case w:
		return struct {
			coordinator.Store
			watches
		}{s, W}
	case h:
		return struct {
			coordinator.Store
			remembers
		}{s, H}
	case l:
		return struct {
			coordinator.Store
			inspects
		}{s, L}
	default:
		return s
	}
}
