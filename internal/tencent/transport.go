package tencent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/mintonce/mintonce/coordinator"
)

// TokenSource is what a Transport needs of a coordinator.Coordinator.
type TokenSource interface {
	Token(ctx context.Context) (coordinator.Token, error)
	Report(ctx context.Context, value string, cause error) error
}

// Calls is how an API takes and refuses tokens.
type Calls struct {
	Package    string   // that errors name
	Hosts      []string // that may see the token, over https
	Foreign    error    // for a request to any other host
	IsRejected func(errcode int) bool
	Tokenless  string // paths that begin like this go without a token; empty: none
}

// Transport is what wechat.Transport and wecom.Transport say of themselves.
type Transport struct {
	calls  *Calls
	tokens TokenSource
	base   http.RoundTripper
	hosts  map[string]bool // scheme://host
	err    error           // what is wrong with the hosts, if anything
}

// Transport returns one that takes its tokens from tokens and sends with base;
// nil means http.DefaultTransport. apis are base URLs of further hosts that may
// see the token. If one of those is no URL, all requests fail.
func (c *Calls) Transport(tokens TokenSource, base http.RoundTripper, apis []string) *Transport {
	if base == nil {
		base = http.DefaultTransport
	}
	t := &Transport{calls: c, tokens: tokens, base: base, hosts: make(map[string]bool)}
	for _, host := range c.Hosts {
		t.hosts["https://"+host] = true
	}
	for _, api := range apis {
		u, err := url.Parse(api)
		if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" {
			t.err = errors.New(c.Package + ": an API given to NewTransport is not a URL: use the form https://HOST")
			continue
		}
		t.hosts[u.Scheme+"://"+canonicalHost(u)] = true
	}
	return t
}

// RoundTrip sends the request with the current token, and once more with
// another one if the provider rejects it. The request is not changed; its body is
// closed, as the contract of http.RoundTripper demands. When no other token is
// to be had, the answer with the rejection is returned as it is.
func (t *Transport) RoundTrip(request *http.Request) (*http.Response, error) {
	if err := t.mayCall(request.URL); err != nil {
		closeBody(request)
		return nil, err
	}
	if t.calls.Tokenless != "" && strings.HasPrefix(request.URL.Path, t.calls.Tokenless) {
		return t.base.RoundTrip(request)
	}
	ctx := request.Context()
	token, err := t.tokens.Token(ctx)
	if err != nil {
		closeBody(request)
		return nil, fmt.Errorf("%s: no access token for the call: %w", t.calls.Package, err)
	}
	outgoing, err := replayable(request)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.calls.Package, err)
	}
	response, err := t.send(outgoing, request, token.Value)
	if err != nil {
		return nil, err
	}
	if rejected := rejectionIn(response, t.calls.IsRejected); rejected != nil {
		return t.heal(outgoing, request, token.Value, response, rejected)
	}
	return response, nil
}

// heal reports the token, and repeats the request if there is another one by
// now. What goes wrong with that is not worth more than the provider's answer, which
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
		return nil, t.withoutToken(err, token)
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
func (t *Transport) withoutToken(err error, token string) error {
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
			return fmt.Errorf("%s: the call failed: %w", t.calls.Package, end)
		}
	}
	return errors.New(t.calls.Package + ": the call failed, with an error that quotes the access token")
}

func (t *Transport) mayCall(u *url.URL) error {
	if t.err != nil {
		return t.err
	}
	if u == nil || !t.hosts[strings.ToLower(u.Scheme)+"://"+canonicalHost(u)] {
		return t.calls.Foreign
	}
	return nil
}
