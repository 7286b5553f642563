// Package wechattest is a fake of the WeChat API, for tests and for trying
// things out without an account. It knows how tokens live and die there: that a
// mint at /cgi-bin/token ends the token before it after five minutes and the
// one before that at once, that /cgi-bin/stable_token repeats itself until the
// last five minutes, what is rationed, what errors look like, and that a ticket
// is always said to have 7200 seconds left. It can be told to misbehave in
// every way that has been seen of the real one.
//
// WeCom is faked beside it, for package wecom: /cgi-bin/gettoken, and all calls
// with its tokens.
//
//	server := wechattest.NewServer(wechattest.Config{})
//	defer server.Close()
//	source := wechat.NewClassicToken(wechattest.AppID, wechattest.Secret, wechat.Config{API: server.URL})
//
// [Fake] is an http.Handler, for servers of one's own. Where the documentation
// of WeChat leaves something open, the fake takes the harsher reading, and the
// comment at that place says so.
//
// # Control over HTTP
//
// Tests in other processes use these paths of the fake, which WeChat does not
// have. They have no protection: serve the fake on loopback only.
//
//	GET  /sandbox/stats    the [Stats], as JSON
//	GET  /sandbox/log      the [Event] list, as JSON
//	POST /sandbox/fault    adds a [Fault], such as {"kind":"errcode","code":-1,"times":3,"on":"mint"};
//	                       its delay is a text, such as "250ms"
//	POST /sandbox/clear    removes all faults and lets go of what they hold
//	POST /sandbox/release  lets go of the requests that faults hold; the faults stay
//	POST /sandbox/mint     {"app":"wx...","endpoint":"classic"}: mints as another program would; or "stable", "wecom"
//	POST /sandbox/revoke   {"app":"wx..."}: ends all tokens of the app
package wechattest
