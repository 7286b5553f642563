package wechattest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"time"
)

// asking is a request for a token.
type asking struct {
	endpoint  Endpoint
	grantType string
	appID     string
	secret    string
	force     bool
	ip        netip.Addr
	errcode   int // of the request's form; 0 if it is well-formed
}

// readAsking reads the request. All endpoints take it in one way only.
func (f *Fake) readAsking(r *http.Request) asking {
	if r.URL.Path == gettokenPath {
		return f.readGettoken(r)
	}
	if r.URL.Path == classicPath {
		q := r.URL.Query()
		return asking{endpoint: Classic, grantType: q.Get("grant_type"), appID: q.Get("appid"), secret: q.Get("secret"), ip: clientIP(r)}
	}
	a := asking{endpoint: Stable, ip: clientIP(r)}
	if r.Method != http.MethodPost {
		a.errcode = 43002
		return a
	}
	var body struct {
		GrantType    string `json:"grant_type"`
		AppID        string `json:"appid"`
		Secret       string `json:"secret"`
		ForceRefresh bool   `json:"force_refresh"`
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, bodyLimit)).Decode(&body); err != nil {
		a.errcode = 47001
		return a
	}
	a.grantType, a.appID, a.secret, a.force = body.GrantType, body.AppID, body.Secret, body.ForceRefresh
	return a
}

func clientIP(r *http.Request) netip.Addr {
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return at.Addr().Unmap()
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1}) // a connection without an address, such as a pipe
}

// serveMint answers the token endpoints.
func (f *Fake) serveMint(w http.ResponseWriter, r *http.Request) {
	ask := f.readAsking(r)
	fault := f.take(ask.endpoint, ask.appID)
	f.mu.Lock()
	if a := f.accounts[ask.appID]; a != nil {
		a.stats.MintRequests++
	}
	f.mu.Unlock()
	f.play(fault, w, r, ask.appID, ask.endpoint, func() answer { return f.mint(ask, fault.expiresIn()) })
}

// mint processes a request for a token. expiresIn, if not nil, replaces the
// number in the answer.
func (f *Fake) mint(ask asking, expiresIn *string) answer {
	f.mu.Lock()
	now := f.cfg.Now()
	token, outcome, code := f.decide(ask, now)
	event := Event{At: now, App: ask.appID, Endpoint: ask.endpoint, Outcome: outcome, Code: code}
	if a := f.accounts[ask.appID]; a != nil {
		a.stats.count(event)
	}
	var reply answer
	switch {
	case code != 0 && ask.endpoint == WeCom:
		reply = wecomRefusal(code, ask.ip)
	case code != 0:
		reply = refusal(code, ask.ip)
	case ask.endpoint == WeCom:
		reply = f.wecomAnswer(token.value, expiresIn)
	default:
		reply = tokenAnswer(token.value, token.expiresAt.Sub(now), expiresIn)
	}
	if code == 0 {
		event.Fingerprint = fingerprint(token.value)
	}
	f.mu.Unlock()
	f.note(event)
	return reply
}

// decide checks the request and finds the token for it, or an error code. The
// Fake is locked.
func (f *Fake) decide(ask asking, now time.Time) (*grant, Outcome, int) {
	if ask.endpoint == WeCom {
		return f.gettoken(ask, now)
	}
	a := f.accounts[ask.appID]
	switch {
	case ask.errcode != 0:
		return nil, Refused, ask.errcode
	case ask.grantType != "client_credential":
		return nil, Refused, 40002
	case ask.appID == "":
		return nil, Refused, 41002
	case a == nil || a.corp != "":
		return nil, Refused, 40013
	case ask.secret == "":
		return nil, Refused, 41004
	case ask.secret != a.secret:
		return nil, Refused, 40125
	case !a.allows(ask.ip):
		return nil, Refused, 40164
	}
	a.turn(now)
	if ask.endpoint == Classic {
		return f.mintClassic(a, now)
	}
	return f.askStable(a, ask.force, now)
}

func (f *Fake) mintClassic(a *account, now time.Time) (*grant, Outcome, int) {
	if over(a.classicToday, f.cfg.ClassicPerDay) {
		return nil, Refused, 45009
	}
	a.classicToday++
	return f.succeed(a, &a.classic, now), Minted, 0
}

func (f *Fake) askStable(a *account, force bool, now time.Time) (*grant, Outcome, int) {
	if over(a.stableToday, f.cfg.StablePerDay) {
		return nil, Refused, 45009
	}
	if over(a.stableMinute, f.cfg.StablePerMinute) {
		return nil, Refused, 45011
	}
	a.stableToday++
	a.stableMinute++
	current := a.stable.current
	switch {
	case current == nil || !now.Before(current.expiresAt.Add(-f.cfg.RenewsWithin)):
		// The text says that both tokens are valid for five minutes from now,
		// but not that this goes beyond the old one's own end: here it does
		// not.
		return f.succeed(a, &a.stable, now), Minted, 0
	case !force:
		return current, Repeated, 0
	case !a.forcedAt.IsZero() && now.Before(a.forcedAt.Add(f.cfg.ForceSpacing)):
		return current, TooEarly, 0 // "otherwise it will not refresh"
	case over(a.forcedToday, f.cfg.ForcedPerDay):
		return nil, Refused, 45009 // which code WeChat uses here is not documented
	}
	a.forcedToday++
	a.forcedAt = now
	return f.succeed(a, &a.stable, now), Forced, 0
}

func over(count, limit int) bool { return limit > 0 && count >= limit }

// succeed mints the next token of a lane. The Fake is locked.
func (f *Fake) succeed(a *account, l *lane, now time.Time) *grant {
	number := "91"
	switch l {
	case &a.stable:
		number = "92"
	case &a.wecom:
		number = "94"
	}
	g := &grant{value: newToken(number), account: a, expiresAt: now.Add(f.cfg.Lifetime.Truncate(time.Second))}
	l.succeed(g, now, f.cfg.Overlap)
	f.remember(g)
	return g
}

// remember keeps the grant, and forgets the oldest of very many: a call with
// one of those is answered as with any string that never was a token.
func (f *Fake) remember(g *grant) {
	f.grants[g.value] = g
	f.order = append(f.order, g.value)
	if len(f.order) > remembered {
		delete(f.grants, f.order[0])
		f.order = f.order[1:]
	}
}
