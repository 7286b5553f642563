package wechat

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// PageConfig is what a page gives to wx.config of WeChat's JS-SDK, beside its
// jsApiList. It marshals to JSON under the names that wx.config expects.
type PageConfig struct {
	AppID     string `json:"appId"`
	Timestamp int64  `json:"timestamp"`
	NonceStr  string `json:"nonceStr"`
	Signature string `json:"signature"`
}

// SignPage signs the page at pageURL, with a new nonce and the present time.
// ticket is the value of a JSAPI ticket of the account; it does not show in the
// result. pageURL is the whole address of the page as the browser has it, which
// is location.href; what follows a # does not count. Sign on the server only,
// and for pages of one's own: whoever has the result may use the account's
// JS-SDK on that page.
func SignPage(appID, ticket, pageURL string) (PageConfig, error) {
	if err := checkAppID(appID); err != nil {
		return PageConfig{}, fmt.Errorf("wechat: %w", err)
	}
	if ticket == "" {
		return PageConfig{}, errors.New("wechat: the jsapi ticket is empty: take it from its coordinator")
	}
	if u, err := url.Parse(pageURL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return PageConfig{}, errors.New("wechat: the page's URL is not of the form https://HOST/...: send location.href of the page, decoded once")
	}
	c := PageConfig{AppID: appID, Timestamp: time.Now().Unix(), NonceStr: rand.Text()}
	c.Signature = PageSignature(ticket, c.NonceStr, c.Timestamp, pageURL)
	return c, nil
}

// PageSignature is the signature of a page: SHA-1, in hex, over ticket, nonce,
// time (in seconds since 1970) and URL, as they are and without escapes.
//
// https://developers.weixin.qq.com/doc/offiaccount/OA_Web_Apps/JS-SDK.html#62
func PageSignature(ticket, nonce string, timestamp int64, pageURL string) string {
	pageURL, _, _ = strings.Cut(pageURL, "#")
	sum := sha1.Sum(fmt.Appendf(nil, "jsapi_ticket=%s&noncestr=%s&timestamp=%d&url=%s", ticket, nonce, timestamp, pageURL))
	return hex.EncodeToString(sum[:])
}
