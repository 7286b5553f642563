package wechattest

import (
	"crypto/rand"
	"encoding/base64"
	"net/netip"
	"time"
)

// grant is a token that was given out.
type grant struct {
	value     string
	account   *account
	expiresAt time.Time
	deadFrom  time.Time // zero while no later mint or revocation has ended it
}

// endAt ends the grant at t, unless it ends earlier.
func (g *grant) endAt(t time.Time) {
	if g != nil && (g.deadFrom.IsZero() || t.Before(g.deadFrom)) {
		g.deadFrom = t
	}
}

// errcode is what WeChat or WeCom says to a call with this token.
func (g *grant) errcode(now time.Time) int {
	switch {
	case !g.deadFrom.IsZero() && !now.Before(g.deadFrom) && g.account.corp != "":
		return 40014
	case !g.deadFrom.IsZero() && !now.Before(g.deadFrom):
		return 40001
	case !now.Before(g.expiresAt):
		return 42001
	}
	return 0
}

// lane is the succession of tokens at one endpoint. WeChat promises that the
// token before stays valid for an overlap, and nothing of those before it: here
// they end at once.
type lane struct{ current, previous *grant }

func (l *lane) succeed(next *grant, now time.Time, overlap time.Duration) {
	l.previous.endAt(now)
	l.current.endAt(now.Add(overlap))
	l.previous, l.current = l.current, next
}

func (l *lane) revoke(now time.Time) {
	l.previous.endAt(now)
	l.current.endAt(now)
	l.previous, l.current = nil, nil
}

// account is one app. The Fake's lock guards it.
type account struct {
	id, secret string
	corp       string       // at WeCom; empty for an account of WeChat
	allowed    []netip.Addr // empty: all
	classic    lane
	stable     lane // completely apart from classic, as at WeChat
	wecom      lane
	tickets    map[string]*grant // by type

	day          string // of the counts below
	classicToday int
	stableToday  int
	forcedToday  int
	minute       int64 // of stableMinute
	stableMinute int
	forcedAt     time.Time

	stats AppStats
}

// turn starts the counts anew on a new day in Beijing, and in a new minute.
func (a *account) turn(now time.Time) {
	const beijing = 8 * time.Hour
	if day := now.UTC().Add(beijing).Format(time.DateOnly); day != a.day {
		a.day, a.classicToday, a.stableToday, a.forcedToday = day, 0, 0, 0
	}
	if minute := now.Unix() / 60; minute != a.minute {
		a.minute, a.stableMinute = minute, 0
	}
}

func (a *account) allows(ip netip.Addr) bool {
	for _, allowed := range a.allowed {
		if allowed == ip {
			return true
		}
	}
	return len(a.allowed) == 0
}

// newToken looks like one of WeChat's: a number, an underscore, and some
// hundred characters of base64.
func newToken(number string) string {
	random := make([]byte, 96)
	rand.Read(random) // never fails
	return number + "_" + base64.RawURLEncoding.EncodeToString(random)
}
