package wechattest

import (
	"maps"
	"slices"
	"time"
)

// Outcome says what became of a request.
type Outcome string

// The outcomes.
const (
	Minted    Outcome = "minted"    // a new token
	Repeated  Outcome = "repeated"  // the current stable token again
	Forced    Outcome = "forced"    // a new stable token, by force
	TooEarly  Outcome = "too early" // a forced refresh that did not refresh
	Refused   Outcome = "refused"   // no token, but Code
	Accepted  Outcome = "accepted"  // a call with a good token
	Rejected  Outcome = "rejected"  // a call whose token is not good, see Code
	Faulted   Outcome = "faulted"   // a fault took over; what was processed has an event of its own
	Elsewhere Outcome = "elsewhere" // MintElsewhere
	Revoked   Outcome = "revoked"   // Revoke
)

// Event is something that happened at the fake. It never holds a token or a
// secret.
type Event struct {
	At          time.Time `json:"at"`
	App         string    `json:"app,omitempty"`
	Endpoint    Endpoint  `json:"endpoint,omitempty"`
	Outcome     Outcome   `json:"outcome"`
	Code        int       `json:"code,omitempty"`
	Fingerprint string    `json:"fingerprint,omitempty"` // coordinator.Fingerprint of the token
	Fault       Kind      `json:"fault,omitempty"`
}

// Stats counts what happened since the fake began.
type Stats struct {
	Apps map[string]AppStats `json:"apps"`
	// UnknownCalls are the rejected calls without a token or with one that
	// never was, by code.
	UnknownCalls map[int]int `json:"unknown_calls"`
}

// AppStats counts what happened to one app.
type AppStats struct {
	MintRequests  int         `json:"mint_requests"` // that arrived at either token endpoint, whatever became of them
	ClassicMints  int         `json:"classic_mints"`
	StableMints   int         `json:"stable_mints"` // new tokens, forced ones included
	StableRepeats int         `json:"stable_repeats"`
	ForcedMints   int         `json:"forced_mints"`
	TooEarly      int         `json:"too_early"` // forced refreshes that did not refresh
	MintsRefused  map[int]int `json:"mints_refused"`
	CallsAccepted int         `json:"calls_accepted"`
	CallsRejected map[int]int `json:"calls_rejected"`
	WeComMints    int         `json:"wecom_mints"`    // new tokens
	WeComRepeats  int         `json:"wecom_repeats"`  // the current one again
	Tickets       int         `json:"tickets"`        // new ones, of both types
	TicketRepeats int         `json:"ticket_repeats"` // the current one again
	Faults        int         `json:"faults"`
	ClassicToken  string      `json:"classic_token,omitempty"` // fingerprint of the newest one
	StableToken   string      `json:"stable_token,omitempty"`
	WeComToken    string      `json:"wecom_token,omitempty"`
}

func newAppStats() AppStats {
	return AppStats{MintsRefused: make(map[int]int), CallsRejected: make(map[int]int)}
}

func (s *AppStats) copied() AppStats {
	c := *s
	c.MintsRefused, c.CallsRejected = maps.Clone(s.MintsRefused), maps.Clone(s.CallsRejected)
	return c
}

// Stats returns the counts.
func (f *Fake) Stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	stats := Stats{Apps: make(map[string]AppStats), UnknownCalls: maps.Clone(f.unknown)}
	for id, a := range f.accounts {
		s := a.stats.copied()
		if a.classic.current != nil {
			s.ClassicToken = fingerprint(a.classic.current.value)
		}
		if a.stable.current != nil {
			s.StableToken = fingerprint(a.stable.current.value)
		}
		if a.wecom.current != nil {
			s.WeComToken = fingerprint(a.wecom.current.value)
		}
		stats.Apps[id] = s
	}
	return stats
}

// App returns the counts of one app. It panics if there is none of this ID.
func (f *Fake) App(appID string) AppStats {
	stats, found := f.Stats().Apps[appID]
	if !found {
		panic("wechattest: no app " + appID)
	}
	return stats
}

// Log returns the last 10,000 events, the oldest first.
func (f *Fake) Log() []Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.log)
}

// note adds an event to the log and tells the observer. The Fake is not locked.
func (f *Fake) note(e Event) {
	f.mu.Lock()
	f.log = append(f.log, e)
	if len(f.log) > remembered {
		f.log = f.log[1:]
	}
	f.mu.Unlock()
	if f.cfg.Observe != nil {
		f.cfg.Observe(e)
	}
}

// count counts an event. The Fake is locked.
func (s *AppStats) count(e Event) {
	switch code := e.Code; e.Outcome {
	case Minted:
		switch e.Endpoint {
		case Classic:
			s.ClassicMints++
		case Stable:
			s.StableMints++
		case WeCom:
			s.WeComMints++
		}
	case Refused:
		s.MintsRefused[code]++
	case Accepted:
		s.CallsAccepted++
	case Rejected:
		s.CallsRejected[code]++
	case Repeated:
		if e.Endpoint == WeCom {
			s.WeComRepeats++
		} else {
			s.StableRepeats++
		}
	case TooEarly:
		s.TooEarly++
	case Forced:
		s.ForcedMints++
		s.StableMints++
	}
}
