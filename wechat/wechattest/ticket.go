package wechattest

import (
	"fmt"
	"net/http"
	"net/netip"
)

// ticket answers /cgi-bin/ticket/getticket: the same ticket of an app and type
// while it lives, and the next one after that. WeChat lets an old ticket live
// beside its successor for a time that it does not tell: here it does not.
func (f *Fake) ticket(token, kind string, ip netip.Addr, expiresIn *string) answer {
	event := f.admit(token, Tickets)
	f.note(event)
	switch {
	case event.Code != 0:
		return refusal(event.Code, ip)
	case kind != "jsapi" && kind != "wx_card":
		return refusal(40097, ip) // which code WeChat uses here is not documented
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	a, now := f.account(event.App), f.cfg.Now()
	g := a.tickets[kind]
	if g == nil || !now.Before(g.expiresAt) {
		g = &grant{value: newToken("93"), account: a, expiresAt: now.Add(f.cfg.TicketLifetime)}
		a.tickets[kind] = g
		a.stats.Tickets++
	} else {
		a.stats.TicketRepeats++
	}
	number := "7200" // always, whatever is left
	if expiresIn != nil {
		number = *expiresIn
	}
	if number != "" {
		number = `,"expires_in":` + number
	}
	return answer{status: http.StatusOK, contentType: jsonType,
		body: fmt.Appendf(nil, `{"errcode":0,"errmsg":"ok","ticket":%q%s}`, g.value, number)}
}
