package storetest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/roster"
)

// historyLimit is how many entries Memory keeps of each name.
const historyLimit = 1000

// Memory is a Store in memory: a whole one, with hints, history, and locks
// that lapse. Several coordinators that share a Memory are like processes that
// share a server. It is safe for concurrent use.
//
// It reads the time from package time only, so that all of it, lapsing locks
// too, works inside testing/synctest.
type Memory struct {
	mu       sync.Mutex // guards all below
	contents Contents
	locks    map[string]*memoryLease
	watchers map[string][]*memoryWatch
	skew     time.Duration

	instances map[string]coordinator.Instance // by ID
	roster    roster.Announcer
}

// Contents is what a Memory held at one moment: records and histories by name.
type Contents struct {
	records map[string]map[string]string // as Record.Fields gave them
	history map[string][]coordinator.Event
}

// NewMemory returns an empty Memory.
func NewMemory() *Memory {
	m := &Memory{locks: make(map[string]*memoryLease), watchers: make(map[string][]*memoryWatch), instances: make(map[string]coordinator.Instance)}
	m.roster.Backend = announcing{m}
	m.contents = m.contents.clone()
	return m
}

// clone copies the maps. What is in them is never changed, only replaced.
func (c Contents) clone() Contents {
	copied := Contents{records: make(map[string]map[string]string), history: make(map[string][]coordinator.Event)}
	maps.Copy(copied.records, c.records)
	maps.Copy(copied.history, c.history)
	return copied
}

// now is the store's clock. Like the clock of a server, it has no monotonic
// reading. m.mu is held.
func (m *Memory) now() time.Time { return time.Now().Add(m.skew).Round(0).UTC() }

// Load implements [coordinator.Store].
func (m *Memory) Load(ctx context.Context, name string) (coordinator.Record, time.Time, error) {
	if err := ctx.Err(); err != nil {
		return coordinator.Record{}, time.Time{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r, err := coordinator.ParseRecord(m.contents.records[name])
	return r, m.now(), err
}

// Names implements [coordinator.Lister].
func (m *Memory) Names(ctx context.Context) (names []string, all bool, err error) {
	if ctx.Err() != nil {
		return nil, false, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.contents.records)), true, nil
}

// LoadAll implements [coordinator.BulkLoader].
func (m *Memory) LoadAll(ctx context.Context, names []string) ([]coordinator.Loaded, error) {
	all := make([]coordinator.Loaded, len(names))
	for i, name := range names {
		all[i].Record, all[i].Now, all[i].Err = m.Load(ctx, name)
	}
	return all, ctx.Err()
}

// Swap implements [coordinator.Store].
func (m *Memory) Swap(ctx context.Context, name string, old coordinator.Stamp, next coordinator.Record, events ...coordinator.Event) (time.Time, error) {
	if err := ctx.Err(); err != nil {
		return time.Time{}, err
	}
	if !next.Exists() {
		return time.Time{}, errors.New("storetest: Swap to a record without a stamp")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	stored, err := coordinator.ParseRecord(m.contents.records[name])
	if err != nil {
		return time.Time{}, err
	}
	switch stored.Stamp() {
	case next.Stamp():
		return m.now(), nil
	case old:
	default:
		return time.Time{}, coordinator.ErrConflict
	}
	m.contents.records[name] = next.Fields()
	m.append(name, events)
	m.hint(name)
	return m.now(), nil
}

// History implements [coordinator.Historian].
func (m *Memory) History(ctx context.Context, name string, n int) ([]coordinator.Event, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	entries := slices.Clone(m.contents.history[name])
	slices.Reverse(entries)
	return entries[:max(0, min(n, len(entries)))], nil
}

// Append implements [coordinator.Historian].
func (m *Memory) Append(ctx context.Context, name string, events ...coordinator.Event) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.append(name, events)
	return nil
}

func (m *Memory) append(name string, events []coordinator.Event) {
	entries := slices.Clone(m.contents.history[name])
	for _, e := range events {
		entries = append(entries, coordinator.ParseEvent(e.Fields())) // as coarse as in a real store
	}
	m.contents.history[name] = entries[max(0, len(entries)-historyLimit):]
}
