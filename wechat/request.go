package wechat

import (
	"context"
	"encoding/json"
	"net/url"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/tencent"
)

// tokenCalls are the two token endpoints.
var tokenCalls = tencent.Service{
	Name: "WeChat", API: DefaultAPI, Hosts: apiHosts,
	What: "token", Field: "access_token", Meaning: meaningOf,
	Unlisted: []int{40164, 61004}, Whitelist: "IP whitelist",
}

// grantType is in the singular, unlike the client_credentials of OAuth 2.0.
const grantType = "client_credential"

func (a *account) classic(ctx context.Context) (coordinator.Token, error) {
	if a.err != nil {
		return coordinator.Token{}, tokenCalls.Misconfigured(a.err)
	}
	query := url.Values{"grant_type": {grantType}, "appid": {a.appID}, "secret": {a.secret}}
	return a.client.Get(ctx, "cgi-bin/token", query, a.secret)
}

func (a *account) stable(ctx context.Context, force bool) (coordinator.Token, error) {
	if a.err != nil {
		return coordinator.Token{}, tokenCalls.Misconfigured(a.err)
	}
	body, err := json.Marshal(struct {
		GrantType    string `json:"grant_type"`
		AppID        string `json:"appid"`
		Secret       string `json:"secret"`
		ForceRefresh bool   `json:"force_refresh"`
	}{grantType, a.appID, a.secret, force})
	if err != nil {
		return coordinator.Token{}, tokenCalls.Misconfigured(err) // texts and a bool always marshal
	}
	return a.client.Post(ctx, "cgi-bin/stable_token", body, a.secret)
}
