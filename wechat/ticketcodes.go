package wechat

import (
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/tencent"
)

// ticketCalls is /cgi-bin/ticket/getticket.
var ticketCalls = tencent.Service{
	Name: "WeChat", API: DefaultAPI, Hosts: apiHosts,
	What: "ticket", Field: "ticket", Meaning: ticketMeaningOf,
	Unlisted: []int{40164, 61004}, Whitelist: "IP whitelist",
}

// ticketMeaningOf knows that of a ticket what differs, and else what codes mean
// of a token. A code that blames the AppID or the AppSecret there is not known
// here, where neither is sent.
func ticketMeaningOf(code int) (tencent.Meaning, bool) {
	if m, known := ticketMeanings[code]; known {
		return tencent.Meaning(m), true
	}
	m, known := meaningOf(code)
	return m, known && m.Class != coordinator.Configuration
}

// rejected is what IsRejected means of the token that a ticket was asked for
// with. Ticket.Mint has reported it by then.
var rejected = meaning{coordinator.Transient, 0,
	"WeChat does not accept the access token", "nothing to do: it was reported, and the next try takes the token of then"}

// ticketMeanings are the codes that mean something else, or more, where a
// ticket is asked for.
// https://developers.weixin.qq.com/doc/service/en/api/webdev/jssdk/api_getticket.html
// https://developers.weixin.qq.com/doc/store/API/basics/commErrCode.html
var ticketMeanings = map[int]meaning{
	40001: rejected,
	40014: rejected,
	42001: rejected,
	41001: {coordinator.Configuration, tencent.ConfigurationAfter,
		"the access token did not reach WeChat", "look for a proxy that changes requests; otherwise this is a bug of mintonce"},
	40097: {coordinator.Configuration, tencent.ConfigurationAfter,
		"WeChat does not know this type of ticket", "look for a proxy that changes requests; otherwise this is a bug of mintonce"},
	48001: {coordinator.Operator, 10 * time.Minute,
		"the account has no permission for this type of ticket", "check in WeChat's console that it is an official account with that permission, and that the token is of this account"},
	45009: {coordinator.Quota, 10 * time.Minute,
		"the ticket calls of the day are used up", "find out who else asks for tickets of this account; wait for the next day, or clear the quota in WeChat's console"},
	45011: {coordinator.Quota, time.Minute,
		"too many ticket calls in this minute", "find out who else asks for tickets of this account"},
}
