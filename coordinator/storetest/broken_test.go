package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
	"github.com/mintonce/mintonce/internal/roster"
)

// recorder is a TB that notes a failure instead of failing.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	failures []string
	skipped  bool
	cleanups []func()
}

func (r *recorder) note(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, text)
}
func (r *recorder) Error(args ...any)            { r.note(fmt.Sprint(args...)) }
func (r *recorder) Errorf(f string, args ...any) { r.note(fmt.Sprintf(f, args...)) }
func (r *recorder) Cleanup(f func())             { r.cleanups = append(r.cleanups, f) }

// errStop is what ends a check early. Goexit would end the test around it.
var errStop = errors.New("stop")

func (r *recorder) Fatal(args ...any)            { r.Error(args...); panic(errStop) }
func (r *recorder) Fatalf(f string, args ...any) { r.Errorf(f, args...); panic(errStop) }
func (r *recorder) Skip(...any)                  { r.skipped = true; panic(errStop) }
func (r *recorder) Skipf(string, ...any)         { r.skipped = true; panic(errStop) }

// run runs a check and returns its failures.
func (r *recorder) run(check string, f storetest.Fixture) []string {
	defer func() {
		slices.Reverse(r.cleanups)
		for _, f := range r.cleanups {
			f()
		}
	}()
	func() {
		defer func() {
			if end := recover(); end != nil && end != errStop {
				panic(end)
			}
		}()
		storetest.RunOne(r, check, f)
	}()
	return r.failures
}

// broken is a Memory with some methods replaced, to break one promise.
type broken struct {
	*storetest.Memory
	load   func(ctx context.Context, name string) (coordinator.Record, time.Time, error)
	swap   func(ctx context.Context, name string, old coordinator.Stamp, next coordinator.Record, events ...coordinator.Event) (time.Time, error)
	lock   func(ctx context.Context, name, holder string, ttl time.Duration) (coordinator.Lease, error)
	watch  func(name string, notify func()) func()
	recent func(ctx context.Context, name string, n int) ([]coordinator.Event, error)
	holder func(ctx context.Context, name string) (*coordinator.LockedError, error)
	join   func(coordinator.Participant) func()
	alive  func(context.Context) ([]coordinator.Instance, error)
	names  func(context.Context) ([]string, bool, error)
}

func (b *broken) Names(ctx context.Context) ([]string, bool, error) { return b.names(ctx) }

func (b *broken) Instances(ctx context.Context) ([]coordinator.Instance, error) { return b.alive(ctx) }

func (b *broken) Join(p coordinator.Participant) func() { return b.join(p) }

func (b *broken) Load(ctx context.Context, name string) (coordinator.Record, time.Time, error) {
	return b.load(ctx, name)
}
func (b *broken) Swap(ctx context.Context, name string, old coordinator.Stamp, next coordinator.Record, events ...coordinator.Event) (time.Time, error) {
	return b.swap(ctx, name, old, next, events...)
}
func (b *broken) Lock(ctx context.Context, name, holder string, ttl time.Duration) (coordinator.Lease, error) {
	return b.lock(ctx, name, holder, ttl)
}
func (b *broken) Watch(name string, notify func()) func() { return b.watch(name, notify) }
func (b *broken) History(ctx context.Context, name string, n int) ([]coordinator.Event, error) {
	return b.recent(ctx, name, n)
}
func (b *broken) Holder(ctx context.Context, name string) (*coordinator.LockedError, error) {
	return b.holder(ctx, name)
}

// brokenLease replaces methods of a lease.
type brokenLease struct {
	coordinator.Lease
	release func(ctx context.Context) error
	lost    chan struct{}
}

func (l brokenLease) Release(ctx context.Context) error {
	if l.release != nil {
		return l.release(ctx)
	}
	return l.Lease.Release(ctx)
}

func (l brokenLease) Lost() <-chan struct{} {
	if l.lost != nil {
		return l.lost
	}
	return l.Lease.Lost()
}

// The suite finds each of these faults, by the check that it is meant for.
func TestSuiteFindsBrokenStores(t *testing.T) {
	closed := make(chan struct{})
	close(closed)
	faults := []struct {
		check, fault string
		inject       func(b *broken)
	}{
		{"Load/absent", "an error for an absent record", func(b *broken) {
			b.load = func(ctx context.Context, name string) (coordinator.Record, time.Time, error) {
				r, now, err := b.Memory.Load(ctx, name)
				if !r.Exists() {
					err = errors.New("not found")
				}
				return r, now, err
			}
		}},
		{"Load/every field", "fields of later versions dropped", func(b *broken) {
			b.swap = func(ctx context.Context, name string, old coordinator.Stamp, next coordinator.Record, events ...coordinator.Event) (time.Time, error) {
				fields := next.Fields()
				delete(fields, "added_by_a_later_version")
				next, _ = coordinator.ParseRecord(fields)
				return b.Memory.Swap(ctx, name, old, next, events...)
			}
		}},
		{"Load/caller owns the result", "a cached record", func(b *broken) {
			var cached coordinator.Record
			b.load = func(ctx context.Context, name string) (coordinator.Record, time.Time, error) {
				r, now, err := b.Memory.Load(ctx, name)
				if !cached.Exists() {
					cached = r
				}
				return cached, now, err
			}
		}},
		{"Swap/caller owns the arguments", "a cached argument", func(b *broken) {
			var cached coordinator.Record
			b.swap = func(ctx context.Context, name string, old coordinator.Stamp, next coordinator.Record, events ...coordinator.Event) (time.Time, error) {
				cached = next
				return b.Memory.Swap(ctx, name, old, next, events...)
			}
			b.load = func(ctx context.Context, name string) (coordinator.Record, time.Time, error) {
				return cached, time.Now(), nil
			}
		}},
		{"Load/clock", "a clock of whole seconds", func(b *broken) {
			b.load = func(ctx context.Context, name string) (coordinator.Record, time.Time, error) {
				r, now, err := b.Memory.Load(ctx, name)
				return r, now.Truncate(time.Second), err
			}
		}},
		{"Load/clock", "a clock per handle", func(b *broken) {
			b.swap = func(ctx context.Context, name string, old coordinator.Stamp, next coordinator.Record, events ...coordinator.Event) (time.Time, error) {
				now, err := b.Memory.Swap(ctx, name, old, next, events...)
				return now.Add(time.Minute), err
			}
		}},
		{"Load/newer format", "a newer record overwritten", overwritesUnusable},
		{"Load/damaged", "a damaged record overwritten", overwritesUnusable},
		{"Load/damaged", "a damaged record taken for absent", func(b *broken) {
			b.load = func(ctx context.Context, name string) (coordinator.Record, time.Time, error) {
				r, now, err := b.Memory.Load(ctx, name)
				if errors.Is(err, coordinator.ErrBadRecord) {
					err = nil
				}
				return r, now, err
			}
		}},
		{"Swap/create", "creation that replaces", func(b *broken) {
			b.swap = b.swapUnlessStale(func(old coordinator.Stamp) bool { return old == coordinator.Stamp{} })
		}},
		{"Swap/conflict", "only revisions compared", func(b *broken) {
			b.swap = func(ctx context.Context, name string, old coordinator.Stamp, next coordinator.Record, events ...coordinator.Event) (time.Time, error) {
				stored, _, _ := b.Memory.Load(ctx, name)
				if stored.Revision() == old.Revision {
					old = stored.Stamp()
				}
				return b.Memory.Swap(ctx, name, old, next, events...)
			}
		}},
		{"Swap/conflict", "older revisions accepted", func(b *broken) {
			b.swap = b.swapUnlessStale(func(old coordinator.Stamp) bool { return old.Revision > 1 })
		}},
		{"Swap/leaves no old field", "fields merged", func(b *broken) {
			b.swap = func(ctx context.Context, name string, old coordinator.Stamp, next coordinator.Record, events ...coordinator.Event) (time.Time, error) {
				stored, _, _ := b.Memory.Load(ctx, name)
				fields := stored.Fields()
				if !stored.Exists() {
					fields = nil
				}
				merged := next.Fields()
				for key, value := range fields {
					if merged[key] == "" {
						merged[key] = value
					}
				}
				next, _ = coordinator.ParseRecord(merged)
				return b.Memory.Swap(ctx, name, old, next, events...)
			}
		}},
		{"Swap/repeated", "a repeated swap is a conflict", func(b *broken) {
			b.swap = func(ctx context.Context, name string, old coordinator.Stamp, next coordinator.Record, events ...coordinator.Event) (time.Time, error) {
				if stored, _, _ := b.Memory.Load(ctx, name); stored.Stamp() != old {
					return time.Time{}, coordinator.ErrConflict
				}
				return b.Memory.Swap(ctx, name, old, next, events...)
			}
		}},
		{"Swap/repeated", "a repeated swap adds its events again", func(b *broken) {
			b.swap = func(ctx context.Context, name string, old coordinator.Stamp, next coordinator.Record, events ...coordinator.Event) (time.Time, error) {
				now, err := b.Memory.Swap(ctx, name, old, next)
				if err == nil {
					b.Memory.Append(ctx, name, events...)
				}
				return now, err
			}
		}},
		{"Swap/repeated", "an ancestor counts as stored", func(b *broken) {
			b.swap = func(ctx context.Context, name string, old coordinator.Stamp, next coordinator.Record, events ...coordinator.Event) (time.Time, error) {
				stored, now, _ := b.Memory.Load(ctx, name)
				if slices.Contains(stored.Lineage, next.Stamp()) {
					return now, nil
				}
				return b.Memory.Swap(ctx, name, old, next, events...)
			}
		}},
		{"Swap/race", "compare and write in two steps", func(b *broken) {
			b.swap = func(ctx context.Context, name string, old coordinator.Stamp, next coordinator.Record, events ...coordinator.Event) (time.Time, error) {
				stored, now, _ := b.Memory.Load(ctx, name)
				if stored.Stamp() != old {
					return now, coordinator.ErrConflict
				}
				time.Sleep(time.Millisecond)
				b.Memory.WriteRaw(name, next.Fields())
				return now, nil
			}
		}},
		{"Swap/names are independent", "names cut at a dot", func(b *broken) {
			b.load = func(ctx context.Context, name string) (coordinator.Record, time.Time, error) {
				return b.Memory.Load(ctx, name[:min(4, len(name))])
			}
		}},
		{"Context/ended", "contexts ignored", func(b *broken) {
			b.load = func(ctx context.Context, name string) (coordinator.Record, time.Time, error) {
				return b.Memory.Load(context.WithoutCancel(ctx), name)
			}
		}},
		{"Context/ended", "a conflict instead of no answer", func(b *broken) {
			b.swap = func(ctx context.Context, name string, old coordinator.Stamp, next coordinator.Record, events ...coordinator.Event) (time.Time, error) {
				now, err := b.Memory.Swap(ctx, name, old, next, events...)
				if ctx.Err() != nil {
					err = coordinator.ErrConflict
				}
				return now, err
			}
		}},
		{"Context/ended", "a lock that nobody has", func(b *broken) {
			b.lock = func(ctx context.Context, name, holder string, ttl time.Duration) (coordinator.Lease, error) {
				l, err := b.Memory.Lock(context.WithoutCancel(ctx), name, holder, ttl)
				return l, errors.Join(err, ctx.Err())
			}
		}},
		{"Lock/exclusive", "a lock that its holder takes again", func(b *broken) {
			b.lock = func(ctx context.Context, name, holder string, ttl time.Duration) (coordinator.Lease, error) {
				l, err := b.Memory.Lock(ctx, name, holder, ttl)
				var locked *coordinator.LockedError
				if errors.As(err, &locked) && locked.Holder == holder {
					return brokenLease{release: func(context.Context) error { return nil }}, nil
				}
				return l, err
			}
		}},
		{"Lock/exclusive", "the wrong holder", func(b *broken) {
			b.lock = func(ctx context.Context, name, holder string, ttl time.Duration) (coordinator.Lease, error) {
				return b.Memory.Lock(ctx, name, "somebody", ttl)
			}
		}},
		{"Lock/outlives its context and ttl", "no renewal", func(b *broken) {
			b.lock = func(ctx context.Context, name, holder string, ttl time.Duration) (coordinator.Lease, error) {
				l, err := b.Memory.Lock(ctx, name, holder, ttl)
				if err == nil {
					b.Memory.StopRenewing(name)
				}
				return l, err
			}
		}},
		{"Lock/outlives its context and ttl", "released with its context", func(b *broken) {
			b.lock = func(ctx context.Context, name, holder string, ttl time.Duration) (coordinator.Lease, error) {
				l, err := b.Memory.Lock(ctx, name, holder, ttl)
				if err == nil {
					context.AfterFunc(ctx, func() { l.Release(context.WithoutCancel(ctx)) })
				}
				return l, err
			}
		}},
		{"Lock/release", "release of another's lock", releasesAnyLock},
		{"Lock/dropped", "release of another's lock", releasesAnyLock},
		{"Lock/dropped", "a lost lock that nobody learns of", func(b *broken) {
			b.lock = func(ctx context.Context, name, holder string, ttl time.Duration) (coordinator.Lease, error) {
				l, err := b.Memory.Lock(ctx, name, holder, ttl)
				return brokenLease{Lease: l, lost: make(chan struct{})}, err
			}
		}},
		{"Lock/exclusive", "lost from the start", func(b *broken) {
			b.lock = func(ctx context.Context, name, holder string, ttl time.Duration) (coordinator.Lease, error) {
				l, err := b.Memory.Lock(ctx, name, holder, ttl)
				return brokenLease{Lease: l, lost: closed}, err
			}
		}},
		{"Lock/race", "a lock that two can take", func(b *broken) {
			b.lock = func(ctx context.Context, name, holder string, ttl time.Duration) (coordinator.Lease, error) {
				return brokenLease{release: func(context.Context) error { return nil }}, nil
			}
		}},
		{"Lock/names are independent", "one lock for all names", func(b *broken) {
			b.lock = func(ctx context.Context, name, holder string, ttl time.Duration) (coordinator.Lease, error) {
				return b.Memory.Lock(ctx, "all", holder, ttl)
			}
		}},
		{"LockInspector/holder", "a holder after release", func(b *broken) {
			b.holder = func(ctx context.Context, name string) (*coordinator.LockedError, error) {
				return &coordinator.LockedError{Holder: "alpha"}, nil
			}
		}},
		{"Watcher/hints", "no first hint", func(b *broken) {
			b.watch = func(name string, notify func()) func() {
				first := true
				return b.Memory.Watch(name, func() {
					if !first {
						notify()
					}
					first = false
				})
			}
		}},
		{"Watcher/hints", "only the first hint", func(b *broken) {
			b.watch = func(name string, notify func()) func() { return b.Memory.Watch(name, sync.OnceFunc(notify)) }
		}},
		{"Watcher/lost writes", "silence after a flush", func(b *broken) {
			b.watch = func(name string, notify func()) func() {
				first := true
				return b.Memory.Watch(name, func() {
					if r, _, _ := b.Memory.Load(t.Context(), name); first || r.Exists() {
						notify()
					}
					first = false
				})
			}
		}},
		{"Watcher/several", "stop ends all watches", func(b *broken) {
			var stops []func()
			b.watch = func(name string, notify func()) func() {
				stops = append(stops, b.Memory.Watch(name, notify))
				return func() {
					for _, stop := range stops {
						stop()
					}
				}
			}
		}},
		{"Watcher/stop is final", "stop that does not wait", func(b *broken) {
			b.watch = func(name string, notify func()) func() {
				stop := b.Memory.Watch(name, notify)
				return func() { time.AfterFunc(20*time.Millisecond, stop) }
			}
		}},
		{"Historian/order", "the oldest first", func(b *broken) {
			b.recent = func(ctx context.Context, name string, n int) ([]coordinator.Event, error) {
				entries, err := b.Memory.History(ctx, name, n)
				slices.Reverse(entries)
				return entries, err
			}
		}},
		{"Historian/order", "more than asked for", func(b *broken) {
			b.recent = func(ctx context.Context, name string, n int) ([]coordinator.Event, error) {
				return b.Memory.History(ctx, name, n+1)
			}
		}},
		{"Historian/swap", "events of swaps dropped", func(b *broken) {
			b.swap = func(ctx context.Context, name string, old coordinator.Stamp, next coordinator.Record, events ...coordinator.Event) (time.Time, error) {
				return b.Memory.Swap(ctx, name, old, next)
			}
		}},
		{"Historian/swap", "events kept before the compare", func(b *broken) {
			b.swap = func(ctx context.Context, name string, old coordinator.Stamp, next coordinator.Record, events ...coordinator.Event) (time.Time, error) {
				b.Memory.Append(ctx, name, events...)
				return b.Memory.Swap(ctx, name, old, next)
			}
		}},
		{"Historian/names are independent", "one history for all names", func(b *broken) {
			b.recent = func(ctx context.Context, name string, n int) ([]coordinator.Event, error) {
				return b.Memory.History(ctx, "shop", n)
			}
		}},
		{"Lister/names", "the end of ctx is an error", func(b *broken) {
			b.names = func(ctx context.Context) ([]string, bool, error) {
				names, all, err := b.Memory.Names(ctx)
				return names, all, errors.Join(err, ctx.Err())
			}
		}},
		{"Lister/names", "locks are listed too", func(b *broken) {
			b.names = func(ctx context.Context) ([]string, bool, error) {
				names, all, err := b.Memory.Names(ctx)
				return slices.Insert(names, 0, "no-record"), all, err
			}
		}},
		{"Roster/coming and going", "those who have left are there", func(b *broken) {
			ever := make(map[string]coordinator.Instance)
			b.alive = func(ctx context.Context) ([]coordinator.Instance, error) {
				alive, err := b.Memory.Instances(ctx)
				for _, i := range alive {
					ever[i.ID] = i
				}
				return roster.Alive(slices.Collect(maps.Values(ever))), err
			}
		}},
		{"Roster/one name", "only the first participant counts", func(b *broken) {
			var first sync.Once
			b.join = func(p coordinator.Participant) func() {
				leave := func() {}
				first.Do(func() { leave = b.Memory.Join(p) })
				return leave
			}
		}},
	}
	for _, f := range faults {
		t.Run(f.check+"/"+f.fault, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := storetest.NewMemory()
				b := &broken{m, m.Load, m.Swap, m.Lock, m.Watch, m.History, m.Holder, m.Join, m.Instances, m.Names}
				f.inject(b)
				fixture := memoryFixture(t)
				fixture.Open = func(testing.TB) coordinator.Store { return b }
				fixture.WriteRaw = func(_ testing.TB, name string, fields map[string]string) { m.WriteRaw(name, fields) }
				fixture.Flush = func(testing.TB) { m.Flush() }
				fixture.DropLock = func(_ testing.TB, name string) { m.DropLock(name) }
				r := &recorder{TB: t}
				if failures := r.run(f.check, fixture); len(failures) == 0 {
					t.Errorf("the check found nothing (skipped: %t)", r.skipped)
				} else {
					t.Log(failures[0])
				}
				time.Sleep(time.Minute) // for what the fault left running
			})
		})
	}
}

// swapUnlessStale swaps without comparing where loose says so.
func (b *broken) swapUnlessStale(loose func(old coordinator.Stamp) bool) func(context.Context, string, coordinator.Stamp, coordinator.Record, ...coordinator.Event) (time.Time, error) {
	return func(ctx context.Context, name string, old coordinator.Stamp, next coordinator.Record, events ...coordinator.Event) (time.Time, error) {
		if loose(old) {
			stored, _, _ := b.Memory.Load(ctx, name)
			old = stored.Stamp()
		}
		return b.Memory.Swap(ctx, name, old, next, events...)
	}
}

func overwritesUnusable(b *broken) {
	b.swap = func(ctx context.Context, name string, old coordinator.Stamp, next coordinator.Record, events ...coordinator.Event) (time.Time, error) {
		if _, _, err := b.Memory.Load(ctx, name); err != nil {
			b.Memory.WriteRaw(name, next.Fields())
		}
		return b.Memory.Swap(ctx, name, old, next, events...)
	}
}

func releasesAnyLock(b *broken) {
	b.lock = func(ctx context.Context, name, holder string, ttl time.Duration) (coordinator.Lease, error) {
		l, err := b.Memory.Lock(ctx, name, holder, ttl)
		return brokenLease{Lease: l, release: func(ctx context.Context) error {
			b.Memory.DropLock(name)
			return l.Release(ctx)
		}}, err
	}
}
