package coordinator

import (
	"context"
	"regexp"
	"time"
)

// Store keeps records. Nothing of the mint protocol lives in it: it loads,
// swaps and locks. Every method is safe for concurrent use, honours its ctx,
// and returns an error that matches none of this package's sentinels when the
// store cannot be reached. Run coordinator/storetest over every implementation.
//
// Watcher, WatcherOfAll, BulkLoader, Historian, LockInspector, Lister and
// Quarantiner below are optional; [As] finds them, in a [Wrapper] too.
type Store interface {
	// Load returns the record and the store's clock, which was read after the
	// call began, and not after the record was. A record that does not exist is
	// the zero Record and no error. It returns ErrNewerRecord or ErrBadRecord
	// for one that must not be used; a token that is sealed with a key that it
	// does not have stays as it is (see SealedPrefix). The caller owns the
	// result.
	Load(ctx context.Context, name string) (Record, time.Time, error)

	// Swap replaces the record whose last write was old (the zero Stamp: that
	// does not exist) by next, appends events to the history, and returns the
	// store's clock. It is atomic and durable: afterwards, either all of it is
	// visible to every process, or nothing.
	//
	// A Swap whose next is already the stored record succeeds and writes
	// nothing, so that it can be repeated after a lost reply. It returns
	// ErrConflict when another record is stored, and any error, leaving it as it
	// is, when that is damaged or of a newer version. After any other error, the
	// swap may or may not have happened.
	Swap(ctx context.Context, name string, old Stamp, next Record, events ...Event) (time.Time, error)

	// Lock takes the lock of name for holder, or returns a *LockedError at
	// once. A Store whose locks cannot lapse ignores ttl; any other keeps the
	// lock until ttl after the last renewal, and renews it by itself until it
	// is released; the end of ctx does not end the lock. After an error, the
	// lock may have been taken, and is free again within ttl.
	Lock(ctx context.Context, name, holder string, ttl time.Duration) (Lease, error)
}

// Lease is a lock that is held.
type Lease interface {
	// Lost is closed when the lock can no longer be trusted: at the latest
	// ttl, less a margin, after the last renewal that succeeded was sent.
	Lost() <-chan struct{}
	// Release gives the lock up. It is idempotent, and it is no error if the
	// lock had lapsed. It waits until renewal has ended.
	Release(ctx context.Context) error
}

// Watcher is a Store that tells of changes. Its news are hints: a hint may be
// early, late, doubled or lost in a crash.
type Watcher interface {
	// Watch calls notify once when watching has begun, and from then on soon
	// after the record may have changed (a Swap without events is no news), and
	// whenever the store may have lost writes. notify must not block, nor call
	// stop. stop ends it and may be called twice; when it returns, notify is not
	// called any more.
	Watch(name string, notify func()) (stop func())
}

// WatcherOfAll is a Watcher that can tell of every record at once, for a Group.
type WatcherOfAll interface {
	// WatchAll is Watch for all names. notify is first called with the zero
	// Change, when watching has begun.
	WatchAll(notify func(Change)) (stop func())
}

// Change is a hint that a record may have changed.
type Change struct {
	// Name of the record; empty if it may be any of them.
	Name string
	// Write is the write that the hint is about, or zero. A process whose
	// record descends from it has no need to look.
	Write Stamp
}

// BulkLoader is a Store that loads many records in few round trips.
type BulkLoader interface {
	// LoadAll is Load for each of the names, in their order. It returns as many
	// results as names, or an error if the store could not be reached at all.
	LoadAll(ctx context.Context, names []string) ([]Loaded, error)
}

// Loaded is what Load returns.
type Loaded struct {
	Record Record
	Now    time.Time // on the store's clock
	Err    error
}

// Historian is a Store that keeps what happened.
type Historian interface {
	// History returns up to n entries, the newest first; none for n = 0.
	History(ctx context.Context, name string, n int) ([]Event, error)
	// Append adds events that no Swap carries.
	Append(ctx context.Context, name string, events ...Event) error
}

// LockInspector is a Store that can tell who holds a lock.
type LockInspector interface {
	// Holder returns nil if nobody holds the lock of name.
	Holder(ctx context.Context, name string) (*LockedError, error)
}

// Lister is a Store that can tell which records it has. That is for people:
// nothing that a Coordinator does needs it.
type Lister interface {
	// Names returns the names of the records, damaged ones too, sorted. Where a
	// store has very many, that may take long. If ctx ends before, Names returns
	// those that were found, and all is false.
	Names(ctx context.Context) (names []string, all bool, err error)
}

// NamePattern is the form of a credential's name, which becomes part of keys
// and file names.
const NamePattern = `[A-Za-z0-9._-]{1,64}`

var namePattern = regexp.MustCompile(`^` + NamePattern + `$`)

// CheckName returns an error that matches ErrBadName for a name that is not
// of the form NamePattern. "." and ".." are refused because stores make file
// names of it.
func CheckName(name string) error {
	if !namePattern.MatchString(name) || name == "." || name == ".." {
		return &nameError{name}
	}
	return nil
}

// Quarantiner is a Store that can put a damaged record aside. It is asked to
// where the record is a copy (Config.Fallback) and the token is known: where a
// damaged record is the only one, to begin anew is for an operator to decide.
type Quarantiner interface {
	// Quarantine puts the record away, if loading it gives ErrBadRecord, so
	// that a new one can be made, and returns where it is kept for people to
	// look at. It returns nothing, and changes nothing, for a record that is
	// sound or missing.
	Quarantine(ctx context.Context, name string) (where string, err error)
}
