package wecom

import (
	"context"
	"errors"
	"net/http"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/tencent"
)

// TokenSource is what a Transport needs of a [coordinator.Coordinator].
type TokenSource interface {
	// Token returns the token to use now.
	Token(ctx context.Context) (coordinator.Token, error)
	// Report says that WeCom rejected the token with this value, and why.
	Report(ctx context.Context, value string, cause error) error
}

// ErrForeignHost is returned for a request to a host that must not see the
// token: neither WeCom's nor one that NewTransport was told of. Nothing was
// sent.
var ErrForeignHost = errors.New("wecom: not a host of the WeCom API")

var calls = tencent.Calls{
	Package:    "wecom",
	Hosts:      apiHosts,
	Foreign:    ErrForeignHost,
	IsRejected: IsRejected,
}

// Transport is an http.RoundTripper that adds the access token to the query of
// every request. When WeCom answers that it does not accept the token, the
// Transport reports exactly that token, takes another one and sends the request
// a second time, once.
//
// It sends the token to WeCom only. Bodies are treated as those of
// wechat.Transport are. It is safe for concurrent use.
type Transport struct{ signed *tencent.Transport }

// NewTransport returns a Transport that takes its tokens from tokens, usually a
// *coordinator.Coordinator, and sends with base; nil means
// http.DefaultTransport. The token goes to WeCom over https, and to the APIs
// whose base URLs follow. If one of those is no URL, all requests fail.
func NewTransport(tokens TokenSource, base http.RoundTripper, apis ...string) *Transport {
	return &Transport{calls.Transport(tokens, base, apis)}
}

// RoundTrip sends the request with the current token, and once more with
// another one if WeCom rejects it. The request is not changed; its body is
// closed. When no other token is to be had, the answer with the rejection is
// returned as it is.
func (t *Transport) RoundTrip(request *http.Request) (*http.Response, error) {
	return t.signed.RoundTrip(request)
}
