package storetest

import (
	"maps"
	"time"
)

// Flush removes everything, locks too, as FLUSHALL does on a Redis server, and
// tells all watchers.
func (m *Memory) Flush() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.locks)
	m.contents = Contents{}.clone()
	m.hintAll()
}

// Contents returns what m holds now, for [Memory.Restore].
func (m *Memory) Contents() Contents {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.contents.clone()
}

// Restore puts records and histories back to what they were, as a failover to
// a server that lags behind does, and tells all watchers. Locks stay as they
// are; see [Memory.DropLock].
func (m *Memory) Restore(earlier Contents) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.contents = earlier.clone()
	m.hintAll()
}

// WriteRaw stores fields as the record of name, whatever they are, and tells
// the watchers of name.
func (m *Memory) WriteRaw(name string, fields map[string]string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.contents.records[name] = maps.Clone(fields)
	m.hint(name)
}

// Skew sets the store's clock off from that of this process.
func (m *Memory) Skew(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.skew = d
}
