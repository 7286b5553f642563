package wechat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
)

// grantType is in the singular, unlike the client_credentials of OAuth 2.0.
const grantType = "client_credential"

var errNoRequest = errors.New("no request can be made of Config.API and the AppID: check them")

// classicRequest carries the secret in its query, as WeChat demands. This is
// why nothing in this package quotes a URL.
func (a *account) classicRequest(ctx context.Context) (*http.Request, error) {
	u := a.wire.base.JoinPath("cgi-bin", "token")
	u.RawQuery = url.Values{"grant_type": {grantType}, "appid": {a.appID}, "secret": {a.secret}}.Encode()
	return newRequest(ctx, http.MethodGet, u, nil)
}

func (a *account) stableRequest(ctx context.Context, force bool) (*http.Request, error) {
	body, err := json.Marshal(struct {
		GrantType    string `json:"grant_type"`
		AppID        string `json:"appid"`
		Secret       string `json:"secret"`
		ForceRefresh bool   `json:"force_refresh"`
	}{grantType, a.appID, a.secret, force})
	if err != nil {
		return nil, err
	}
	return newRequest(ctx, http.MethodPost, a.wire.base.JoinPath("cgi-bin", "stable_token"), body)
}

func newRequest(ctx context.Context, method string, u *url.URL, body []byte) (*http.Request, error) {
	// A nil *bytes.Reader in an io.Reader would not be nil, hence the two calls.
	if body == nil {
		request, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
		if err == nil {
			request.Header.Set("User-Agent", userAgent)
		}
		return request, err
	}
	request, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.GetBody = nil // without it, net/http cannot send the body a second time
	request.Header.Set("User-Agent", userAgent)
	request.Header.Set("Content-Type", "application/json")
	return request, nil
}

const userAgent = "mintonce"
