package wechatapi

import (
	"sync"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// remembered bounds what a Memory holds. Its entries are small; a client that
// was forgotten is taken for one that asks for the first time, until it asks
// again.
const remembered = 1 << 16

// Memory is what clients were given, and which tokens were tried. Its zero
// value is ready. It is safe for concurrent use.
type Memory struct {
	probes
	mu    sync.Mutex // guards given
	given map[holder]given
}

// holder is a client and a token that it was given. All processes of this
// machine are one client where none are configured.
type holder struct{ client, token string }

// actor is the holder's client for the history.
func (h holder) actor() string {
	if h.client == "" {
		return "a local caller of the API, by asking again"
	}
	return "client " + h.client + ", by asking again"
}

// given is what a holder was given last.
type given struct {
	generation int64
	until      time.Time // it had no reason to come back before
}

// hasEarly reports whether the holder was given this very token before, and
// comes back before it had to.
func (m *Memory) hasEarly(who holder, token coordinator.Token) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	last, known := m.given[who]
	return known && last.generation == token.Generation && time.Now().Before(last.until)
}

// note remembers that the holder was given a token for so long.
func (m *Memory) note(who holder, token coordinator.Token, life time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.given == nil {
		m.given = make(map[holder]given)
	}
	now := time.Now()
	if _, known := m.given[who]; !known && len(m.given) >= remembered {
		m.makeRoom(now)
	}
	m.given[who] = given{token.Generation, now.Add(life - tolerance(life))}
}

// tolerance is how much earlier an SDK may come back without being suspected:
// most subtract a margin, and nobody asks at a bad moment for nothing.
func tolerance(life time.Duration) time.Duration { return min(life/4, 5*time.Minute) }

// makeRoom forgets what is past, and otherwise some of the entries. The caller
// holds mu.
func (m *Memory) makeRoom(now time.Time) {
	for who, g := range m.given {
		if !now.Before(g.until) {
			delete(m.given, who)
		}
	}
	const some = remembered / 16
	for who := range m.given { // in an order that nobody can foresee
		if len(m.given) <= remembered-some {
			break
		}
		delete(m.given, who)
	}
}
