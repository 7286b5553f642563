package wechat

import (
	"context"
	"errors"
	"net/http"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/tencent"
)

// TokenSource is what a Transport and a Ticket need of a
// [coordinator.Coordinator].
type TokenSource interface {
	// Token returns the token to use now.
	Token(ctx context.Context) (coordinator.Token, error)
	// Report says that WeChat rejected the token with this value, and why.
	Report(ctx context.Context, value string, cause error) error
}

// ErrForeignHost is returned for a request to a host that must not see the
// token: neither one of WeChat's nor one that NewTransport was told of. Nothing
// was sent.
var ErrForeignHost = errors.New("wechat: not a host of the WeChat API")

var calls = tencent.Calls{
	Package:    "wechat",
	Hosts:      apiHosts,
	Foreign:    ErrForeignHost,
	IsRejected: IsRejected,
	Tokenless:  "/sns/",
}

// Transport is an http.RoundTripper that adds the access token to the query of
// every request. When WeChat answers that it does not accept the token, the
// Transport reports exactly that token, takes another one and sends the request
// a second time, once. WeChat checks the token before it does anything, so a
// request that was rejected has had no effect.
//
// It sends the token to WeChat's hosts only, so that neither a mistake nor a
// redirect gives it away. An access_token in the caller's query is replaced.
// Requests under /sns/ pass as they are: they need another kind of token.
//
// A body is sent again if the request has GetBody, as those of http.NewRequest
// with a bytes.Reader, bytes.Buffer or strings.Reader do. Any other body is
// read into memory first, up to 1 MiB, and then has a Content-Length, without
// which some of WeChat's APIs answer 412. A larger one is sent once only.
//
// It is safe for concurrent use.
type Transport struct{ signed *tencent.Transport }

// NewTransport returns a Transport that takes its tokens from tokens, usually a
// *coordinator.Coordinator, and sends with base; nil means
// http.DefaultTransport. The token goes to WeChat's own hosts over https, and
// to the APIs whose base URLs follow, such as "http://127.0.0.1:8430" for a
// sandbox. If one of those is no URL, all requests fail.
func NewTransport(tokens TokenSource, base http.RoundTripper, apis ...string) *Transport {
	return &Transport{calls.Transport(tokens, base, apis)}
}

// RoundTrip sends the request with the current token, and once more with
// another one if WeChat rejects it. The request is not changed; its body is
// closed, as the contract of http.RoundTripper demands. When no other token is
// to be had, the answer with the rejection is returned as it is.
func (t *Transport) RoundTrip(request *http.Request) (*http.Response, error) {
	return t.signed.RoundTrip(request)
}
