// Package wechatapi answers the paths of WeChat's API at which an SDK gets its
// access token and its tickets, in WeChat's own wire format, from what a
// coordinator keeps. An SDK in any language changes its host, and mints no
// more.
//
//	GET  /cgi-bin/token?grant_type=client_credential&appid=..&secret=KEY
//	POST /cgi-bin/stable_token {"grant_type":..,"appid":..,"secret":KEY,"force_refresh":..}
//	GET  /cgi-bin/ticket/getticket?access_token=..&type=jsapi|wx_card
//
// # Who is served
//
// The client's key takes the place of the AppSecret; the AppID says which
// token is wanted. An account may be kept in both modes, as two tokens that
// WeChat keeps completely apart: /cgi-bin/token then prefers the classic one,
// and stable_token the stable one. Either path serves the other if it is the
// only one, since an SDK calls the path that it was written for.
//
// A wrong key is told before the AppID is looked at, and the AppID of another
// client's token is answered like one that there is not. A ticket is given for
// an access token that is good, as at WeChat, without a key: whoever has the
// token could get the ticket there.
//
// # An SDK that asks again
//
// An SDK whose token was rejected asks for another one, and has no way to say
// which token that was. Most of them would rather get any token than none, and
// so do the same when they were restarted, or have lost their cache. At WeChat
// that costs a mint each time, and ends the token of everybody else.
//
// Here, asking costs nothing. [Memory] knows which generation each client was
// given last, and until when it was told to keep it. One that comes back before
// that, or that demands force_refresh, while that generation is still the
// current one, may have met a rejection. So the token is tried on a cheap call
// of the provider: by one request at a time, spaced out, and bounded in time.
// Only if the provider refuses exactly this token is it reported, like any
// other rejected token. The answer waits for that a moment, and is the current
// token otherwise: the SDK will ask again.
//
// Probes are 30 s apart. A token that dies in between is noticed by how it is
// asked for: some SDKs repeat the call, and ask again, as fast as they can. Who
// asks three times, at once each time, has the token tried before its turn; as
// rarely as the provider's quotas demand, see urgentBurst.
//
// A token that was seen to be refused, and that is still the current one because
// the next mint has to wait, is handed out to nobody, here or at /v1/tokens: the
// answer is that of a busy WeChat, and says when to come back. The token is
// tried again now and then, in case that was WeChat's mistake. A token that is
// merely doubted is served.
//
// # What expires_in says
//
// It is the time for which the token can be kept by somebody who is told
// nothing more. At /cgi-bin/token that is less than the token's own life: the
// planned mint ends it after an overlap of five minutes. A little is taken off
// that, the same for the same client, so that the clients do not all come back
// at once; and nothing is ever added but the SDK's own margin, where the config
// knows it: such an SDK subtracts that again.
//
// # Errors
//
// They are WeChat's: status 200, errcode and errmsg, with a rid that the log
// has, too. What mintonce has to say to people follows WeChat's text as a hint.
package wechatapi
