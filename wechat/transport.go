package wechat

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/mintonce/mintonce/coordinator"
)

// TokenSource is what a Transport needs of a [coordinator.Coordinator].
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
type Transport struct {
	tokens TokenSource
	base   http.RoundTripper
	hosts  map[string]bool // scheme://host
	err    error           // what is wrong with the hosts, if anything
}

// NewTransport returns a Transport that takes its tokens from tokens, usually a
// *coordinator.Coordinator, and sends with base; nil means
// http.DefaultTransport. The token goes to WeChat's own hosts over https, and
// to the APIs whose base URLs follow, such as "http://127.0.0.1:8430" for a
// sandbox. If one of those is no URL, all requests fail.
func NewTransport(tokens TokenSource, base http.RoundTripper, apis ...string) *Transport {
	if base == nil {
		base = http.DefaultTransport
	}
	t := &Transport{tokens: tokens, base: base, hosts: make(map[string]bool)}
	for _, host := range apiHosts {
		t.hosts["https://"+host] = true
	}
	for _, api := range apis {
		u, err := url.Parse(api)
		if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" {
			t.err = errors.New("wechat: an API given to NewTransport is not a URL: use the form https://HOST")
			continue
		}
		t.hosts[u.Scheme+"://"+canonicalHost(u)] = true
	}
	return t
}

// RoundTrip sends the request with the current token, and once more with
// another one if WeChat rejects it. The request is not changed; its body is
// closed, as the contract of http.RoundTripper demands. When no other token is
// to be had, the answer with the rejection is returned as it is.
func (t *Transport) RoundTrip(request *http.Request) (*http.Response, error) {
	if err := t.mayCall(request.URL); err != nil {
		closeBody(request)
		return nil, err
	}
	if strings.HasPrefix(request.URL.Path, "/sns/") {
		return t.base.RoundTrip(request)
	}
	ctx := request.Context()
	token, err := t.tokens.Token(ctx)
	if err != nil {
		closeBody(request)
		return nil, fmt.Errorf("wechat: no access token for the call: %w", err)
	}
	outgoing, err := replayable(request)
	if err != nil {
		return nil, err
	}
	response, err := t.send(outgoing, request, token.Value)
	if err != nil {
		return nil, err
	}
	if rejected := rejectionIn(response); rejected != nil {
		return t.heal(outgoing, request, token.Value, response, rejected)
	}
	return response, nil
}

// heal reports the token, and repeats the request if there is another one by
// now. What goes wrong with that is not worth more than WeChat's answer, which
// the caller has to deal with in any case.
func (t *Transport) heal(outgoing, request *http.Request, used string, response *http.Response, rejected *coordinator.RejectedError) (*http.Response, error) {
	ctx := request.Context()
	_ = t.tokens.Report(ctx, used, rejected)
	token, err := t.tokens.Token(ctx)
	if err != nil || token.Value == used || ctx.Err() != nil {
		return response, nil
	}
	again, err := repeat(outgoing)
	if err != nil {
		return response, nil
	}
	response.Body.Close()
	return t.send(again, request, token.Value)
}

// send adds the token to outgoing and sends it. The response names request as
// its origin, so that the URL with the token stays in here.
func (t *Transport) send(outgoing, request *http.Request, token string) (*http.Response, error) {
	signed := *outgoing
	u := *outgoing.URL
	u.RawQuery = withAccessToken(u.RawQuery, token)
	signed.URL = &u
	response, err := t.base.RoundTrip(&signed)
	if err != nil {
		return nil, withoutToken(err, token)
	}
	response.Request = request
	return response, nil
}

// withAccessToken sets access_token in a query and leaves all else as it is, in
// order and spelling.
func withAccessToken(query, token string) string {
	kept := make([]string, 0, 8)
	for pair := range strings.SplitSeq(query, "&") {
		key, _, _ := strings.Cut(pair, "=")
		if name, err := url.QueryUnescape(key); pair != "" && (err != nil || name != "access_token") {
			kept = append(kept, pair)
		}
	}
	return strings.Join(append(kept, "access_token="+url.QueryEscape(token)), "&")
}

// withoutToken returns err as it is, unless its text has the token: an
// *url.Error of a custom base quotes the URL, and net/http quotes replies that
// are not HTTP.
func withoutToken(err error, token string) error {
	var quoting *url.Error
	if errors.As(err, &quoting) {
		err = quoting.Err
	}
	text := err.Error()
	if !strings.Contains(text, token) && !strings.Contains(text, url.QueryEscape(token)) {
		return err
	}
	for _, end := range []error{context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, end) {
			return fmt.Errorf("wechat: the call failed: %w", end)
		}
	}
	return errors.New("wechat: the call failed, with an error that quotes the access token")
}

func (t *Transport) mayCall(u *url.URL) error {
	if t.err != nil {
		return t.err
	}
	if u == nil || !t.hosts[strings.ToLower(u.Scheme)+"://"+canonicalHost(u)] {
		return ErrForeignHost
	}
	return nil
}
