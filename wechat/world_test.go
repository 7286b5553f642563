package wechat_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/wechat"
	"github.com/mintonce/mintonce/wechat/wechattest"
)

// tokens stands in for a coordinator: it holds one token, and mints another
// when exactly that one is reported.
type tokens struct {
	mu      sync.Mutex
	current string
	mint    func() (string, error)
	mints   int
	reports []string
	causes  []error
}

func (s *tokens) Token(ctx context.Context) (coordinator.Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ctx.Err() != nil {
		return coordinator.Token{}, ctx.Err()
	}
	if s.current == "" {
		return coordinator.Token{}, coordinator.ErrNoToken
	}
	return coordinator.Token{Value: s.current}, nil
}

func (s *tokens) Report(_ context.Context, value string, cause error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reports = append(s.reports, value)
	s.causes = append(s.causes, cause)
	if value != s.current || s.mint == nil {
		return nil
	}
	s.mints++
	next, err := s.mint()
	if err == nil {
		s.current = next
	}
	return err
}

// world is a client whose tokens come from a fake WeChat.
type world struct {
	*wechattest.Server
	tokens *tokens
	base   *http.Transport
	client *http.Client
}

func newWorld(t *testing.T) world {
	fake := newFake(t, wechattest.Config{})
	mint := func() (string, error) { return fake.MintElsewhere(appID, wechattest.Classic), nil }
	source := &tokens{mint: mint}
	source.current, _ = mint()
	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	return world{fake, source, base, &http.Client{Transport: wechat.NewTransport(source, base, fake.URL)}}
}

type echo struct {
	ErrCode       int    `json:"errcode"`
	Method        string `json:"method"`
	Query         string `json:"query"`
	ContentLength int64  `json:"content_length"`
	Body          string `json:"body"`
}

func (w world) send(t *testing.T, request *http.Request, err error) echo {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	response, err := w.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var got echo
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if shown := response.Request.URL.String(); strings.Contains(shown, w.tokens.current) {
		t.Errorf("the response's request has the token: %s", shown)
	}
	return got
}

func (w world) post(t *testing.T, body io.Reader) echo {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.URL+"/cgi-bin/menu/create?b=2&a=%31", body)
	return w.send(t, request, err)
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip reads and closes the body, as the contract demands.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		io.Copy(io.Discard, r.Body)
		r.Body.Close()
	}
	return f(r)
}

// sender is a roundTripper that leaves the body alone.
type sender func(*http.Request) (*http.Response, error)

func (f sender) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type onlyReader struct{ io.Reader }

type failingReader struct{ err error }

func (f failingReader) Read([]byte) (int, error) { return 0, f.err }

// failsOnce ends quietly after its error, which therefore must not get lost.
type failsOnce struct {
	err  error
	done bool
}

func (f *failsOnce) Read([]byte) (int, error) {
	if f.done {
		return 0, io.EOF
	}
	f.done = true
	return 0, f.err
}

type countingBody struct {
	io.Reader
	read   *atomic.Int64
	closed atomic.Bool
}

func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.read.Add(int64(n))
	return n, err
}

func (b *countingBody) Close() error {
	b.closed.Store(true)
	return nil
}
