// Package wecom gets access tokens of WeCom (企业微信) for a
// [coordinator.Coordinator], and sends API calls with them. It is package wechat
// for WeCom: what that says of failed mints, of secrets in errors, and of one
// request per mint, holds here too.
//
// In WeCom each app of a corp has a secret and a token of its own:
// [NewAppToken] is the source of one of them. [NewTransport] makes an
// [net/http.Client] that adds the token to each call, and that recovers once
// when WeCom rejects it.
//
// Package wechattest has a fake of it.
package wecom
