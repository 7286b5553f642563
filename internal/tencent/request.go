package tencent

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
)

const userAgent = "mintonce"

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
