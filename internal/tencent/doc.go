// Package tencent is what the APIs of WeChat and WeCom have in common: a
// credential is got with one request, whose answer is a JSON object with a
// value and expires_in, or with errcode and errmsg; and every other call
// carries the access token in its query, and is answered with an errcode when
// that is no longer accepted.
//
// The packages wechat and wecom tell it, as a [Service], what differs: names,
// hosts, and what the codes mean. What it promises of failures is in the
// comment on package wechat.
package tencent
