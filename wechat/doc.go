// Package wechat mints access tokens at WeChat (公众号, 小程序 and their
// relatives) for a [coordinator.Coordinator], and sends API calls with them.
//
// [NewStableToken] is the source to prefer: /cgi-bin/stable_token gives the
// same token to everybody who asks. [NewClassicToken] is for accounts and
// programs that still live on /cgi-bin/token, where every mint ends the token
// before it. WeChat keeps the two completely apart, so both may be in use
// while one moves from the first to the second.
//
// [NewTicket] is the source of jsapi and wx_card tickets, which are got with an
// access token; [SignPage] signs a page for the JS-SDK with one.
//
// [NewTransport] makes an [net/http.Client] that adds the token to each call,
// and that recovers once when WeChat rejects it.
//
// # What a failed mint means
//
// Every failure is a [coordinator.SourceError] whose text holds no secret, no
// token and no URL. Its Refused flag is set in two cases only: the connection
// never came about, so that nothing can have been sent; or WeChat answered with
// an error code. Everything else, be it a time-out, a broken connection, HTTP
// 5xx, a redirect, HTML, an empty body or a token whose lifetime makes no
// sense, leaves open whether a token was minted, and is reported that way.
//
// A source sends one request per mint and never repeats it. It uses a
// connection of its own each time, because net/http repeats a GET by itself
// when a reused connection breaks: one call, two mints.
package wechat
