package wechattest

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
)

const (
	classicPath = "/cgi-bin/token"
	stablePath  = "/cgi-bin/stable_token"
	ticketPath  = "/cgi-bin/ticket/getticket"

	bodyLimit  = 1 << 20
	remembered = 10_000 // grants and events
)

// Endpoint is a part of the API.
type Endpoint string

// The parts of the API. Mints and Everything are for faults.
const (
	Classic    Endpoint = "classic" // /cgi-bin/token
	Stable     Endpoint = "stable"  // /cgi-bin/stable_token
	WeCom      Endpoint = "wecom"   // /cgi-bin/gettoken of WeCom
	Mints      Endpoint = "mint"    // all of them
	Call       Endpoint = "call"    // all that needs a token
	Tickets    Endpoint = "ticket"  // /cgi-bin/ticket/getticket, which is a call too
	Everything Endpoint = "all"
)

func (e Endpoint) covers(other Endpoint) bool {
	return e == other || e == Everything || e == Mints && (other == Classic || other == Stable || other == WeCom) || e == Call && other == Tickets
}

// Fake is a WeChat API. It is safe for concurrent use.
type Fake struct {
	cfg Config

	mu       sync.Mutex // guards all below
	accounts map[string]*account
	grants   map[string]*grant // by value
	order    []string          // of grants, the oldest first
	faults   []*Fault
	waiting  chan struct{} // closed to let go of what faults hold
	closed   chan struct{} // closed by Close
	log      []Event
	unknown  map[int]int // rejected calls that belong to no app, by code
}

// New returns a fake with the apps of cfg. It panics if two have the same ID.
func New(cfg Config) *Fake {
	f := &Fake{
		cfg:      cfg.withDefaults(),
		accounts: make(map[string]*account),
		grants:   make(map[string]*grant),
		waiting:  make(chan struct{}),
		closed:   make(chan struct{}),
		unknown:  make(map[int]int),
	}
	for _, app := range f.cfg.Apps {
		if f.accounts[app.ID] != nil {
			panic("wechattest: two apps have the ID " + app.ID)
		}
		f.accounts[app.ID] = &account{id: app.ID, secret: app.Secret, tickets: make(map[string]*grant), stats: newAppStats()}
	}
	for _, app := range f.cfg.CorpApps {
		if f.accounts[app.ID()] != nil {
			panic("wechattest: two apps have the ID " + app.ID())
		}
		f.accounts[app.ID()] = &account{id: app.ID(), corp: app.CorpID, secret: app.Secret, tickets: make(map[string]*grant), stats: newAppStats()}
	}
	return f
}

// ServeHTTP serves the API and its control.
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasPrefix(r.URL.Path, "/sandbox/"):
		f.serveControl(w, r)
	case r.URL.Path == classicPath, r.URL.Path == stablePath, r.URL.Path == gettokenPath:
		f.serveMint(w, r)
	default:
		f.serveCall(w, r)
	}
}

// Close lets go of all requests that faults hold, unanswered, now and later. A
// Server does it by itself.
func (f *Fake) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.closed:
	default:
		close(f.closed)
	}
}

// Accepts reports whether a call with this token would be accepted now.
func (f *Fake) Accepts(token string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	g := f.grants[token]
	return g != nil && g.errcode(f.cfg.Now()) == 0
}

// AcceptsTicket reports whether what is signed with this jsapi or wx_card ticket
// would be accepted now.
func (f *Fake) AcceptsTicket(ticket string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.accounts {
		for _, g := range a.tickets {
			if g.value == ticket {
				return f.cfg.Now().Before(g.expiresAt)
			}
		}
	}
	return false
}

// MintElsewhere mints as another program with the same secret would: at
// Classic, or by force at Stable or WeCom. No limit applies. It returns the
// token, and panics for an app or endpoint that does not exist.
func (f *Fake) MintElsewhere(appID string, at Endpoint) string {
	g, event := f.mintElsewhere(appID, at)
	f.note(event)
	return g.value
}

func (f *Fake) mintElsewhere(appID string, at Endpoint) (*grant, Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, now := f.account(appID), f.cfg.Now()
	lanes := map[Endpoint]*lane{Classic: &a.classic, Stable: &a.stable, WeCom: &a.wecom}
	if lanes[at] == nil {
		panic(fmt.Sprintf("wechattest: no tokens are minted at %q", at))
	}
	g := f.succeed(a, lanes[at], now)
	return g, Event{At: now, App: appID, Endpoint: at, Outcome: Elsewhere, Fingerprint: fingerprint(g.value)}
}

// Revoke ends all tokens of an app at once, as if it had been minted twice
// elsewhere.
func (f *Fake) Revoke(appID string) { f.note(f.revoke(appID)) }

func (f *Fake) revoke(appID string) Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, now := f.account(appID), f.cfg.Now()
	a.classic.revoke(now)
	a.stable.revoke(now)
	a.wecom.revoke(now)
	return Event{At: now, App: appID, Outcome: Revoked}
}

// SetSecret changes an app's secret. As far as is known, tokens live on.
func (f *Fake) SetSecret(appID, secret string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.account(appID).secret = secret
}

// AllowOnly sets the IP whitelist of an app; none allows every address. It
// panics for what is not an address.
func (f *Fake) AllowOnly(appID string, ips ...string) {
	allowed := make([]netip.Addr, len(ips))
	for i, ip := range ips {
		allowed[i] = netip.MustParseAddr(ip).Unmap()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.account(appID).allowed = allowed
}

// account returns an app that a test names, which therefore must exist. The
// Fake is locked.
func (f *Fake) account(appID string) *account {
	a := f.accounts[appID]
	if a == nil {
		panic("wechattest: no app " + appID)
	}
	return a
}
