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
	rejections rejections
	mu         sync.Mutex // guards given
	given      map[holder]given
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
	before     time.Time // when that was noted
	insisting  int       // how often it was asked for again since, each time at once
}

// insistence is how many times, each within insistPause of the one before, the
// holder of a token asks for it until that says more than to come back early:
// an SDK does so that gets rejection after rejection.
const (
	insistence  = 3
	insistPause = time.Second
)

// urgency is what speaks for trying the token that somebody asks for.
type urgency struct {
	early  bool // it was given this very token, and comes back before it had to
	urgent bool // and at once, again and again
	forced bool // it demands another one
}

// urgencyOf is how urgent it is for the holder that this token is tried.
func (m *Memory) urgencyOf(who holder, token coordinator.Token) urgency {
	m.mu.Lock()
	defer m.mu.Unlock()
	last, known := m.given[who]
	now := time.Now()
	if !known || last.generation != token.Generation || !now.Before(last.until) {
		return urgency{}
	}
	return urgency{early: true, urgent: last.insisting+2 >= insistence && now.Sub(last.before) <= insistPause}
}

// note remembers that the holder was given a token for so long.
func (m *Memory) note(who holder, token coordinator.Token, life time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.given == nil {
		m.given = make(map[holder]given)
	}
	now := time.Now()
	last, known := m.given[who]
	if !known && len(m.given) >= remembered {
		m.makeRoom(now)
	}
	next := given{generation: token.Generation, until: now.Add(life - tolerance(life)), before: now}
	if known && last.generation == token.Generation && now.Sub(last.before) <= insistPause {
		next.insisting = min(last.insisting+1, insistence)
	}
	m.given[who] = next
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
