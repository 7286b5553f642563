package wechatapi

import (
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// Remembered is how much a Memory holds at most.
const Remembered = remembered

// Note notes what a client was given, without a request.
func (m *Memory) Note(client, name string, token coordinator.Token, life time.Duration) {
	m.note(holder{client, name}, token, life)
}

// HasEarly reports whether the client was given this very token, and should
// still have it.
func (m *Memory) HasEarly(client, name string, token coordinator.Token) bool {
	return m.urgencyOf(holder{client, name}, token).early
}

// Len is how much a Memory holds.
func (m *Memory) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.given)
}
