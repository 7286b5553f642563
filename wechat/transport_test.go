package wechat_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/wechat"
	"github.com/mintonce/mintonce/wechat/wechattest"
)

func TestTransportAddsTheToken(t *testing.T) {
	w := newWorld(t)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.URL+"/cgi-bin/x?b=2&access_token=stale&&a=%31&access%5ftoken=stale", nil)
	before := request.URL.String()
	got := w.send(t, request, err)
	if got.ErrCode != 0 || got.Query != "a=1&b=2" {
		t.Errorf("answer is %+v, want success with the query a=1&b=2", got)
	}
	if request.URL.String() != before {
		t.Error("the caller's request was changed")
	}
}

// Order and spelling of the query matter where it is signed.
func TestTransportKeepsTheQueryAsItIs(t *testing.T) {
	var query string
	base := roundTripper(func(r *http.Request) (*http.Response, error) {
		query = r.URL.RawQuery
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader("ok"))}, nil
	})
	client := wechat.NewTransport(&tokens{current: "t+/="}, base)
	request := httptest.NewRequest("GET", "https://api.weixin.qq.com/x?b=%41&a=c+d&e&=&f=%zz&access_token=old", nil)
	if _, err := client.RoundTrip(request); err != nil {
		t.Fatal(err)
	}
	if want := "b=%41&a=c+d&e&=&f=%zz&access_token=t%2B%2F%3D"; query != want {
		t.Errorf("query is %s, want %s", query, want)
	}
}

func TestTransportKeepsTheTokenFromForeignHosts(t *testing.T) {
	base := roundTripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
	})
	transport := wechat.NewTransport(&tokens{current: "t"}, base, "http://127.0.0.1:8430", "https://Proxy.example:443/wechat")
	for address, allowed := range map[string]bool{
		"https://api.weixin.qq.com/x":              true,
		"https://API.weixin.qq.com:443/x":          true,
		"https://api2.weixin.qq.com/x":             true,
		"https://sh.api.weixin.qq.com/x":           true,
		"https://sz.api.weixin.qq.com/x":           true,
		"https://hk.api.weixin.qq.com/x":           true,
		"http://127.0.0.1:8430/x":                  true,
		"https://proxy.example/x":                  true,
		"http://api.weixin.qq.com/x":               false, // in the clear
		"http://proxy.example/x":                   false,
		"https://127.0.0.1:8430/x":                 false,
		"http://127.0.0.1:8431/x":                  false,
		"https://api.weixin.qq.com:444/x":          false,
		"https://api.weixin.qq.com.example/x":      false,
		"https://weixin.qq.com/x":                  false,
		"https://evil.example/x":                   false,
		"https://api.weixin.qq.com@evil.example/x": false,
		"https://api.weixin.qq.com./x":             false,
	} {
		body := &countingBody{Reader: strings.NewReader("x"), read: new(atomic.Int64)}
		request, err := http.NewRequest(http.MethodPost, address, body)
		if err != nil {
			t.Fatal(err)
		}
		_, err = transport.RoundTrip(request)
		if errors.Is(err, wechat.ErrForeignHost) == allowed {
			t.Errorf("%s: %v, want allowed %t", address, err, allowed)
		}
		if !body.closed.Load() {
			t.Errorf("%s: the request's body was not closed", address)
		}
	}

	bad := wechat.NewTransport(&tokens{current: "t"}, base, "127.0.0.1:8430")
	if _, err := bad.RoundTrip(httptest.NewRequest("GET", "https://api.weixin.qq.com/x", nil)); err == nil || !strings.Contains(err.Error(), "not a URL") {
		t.Errorf("an API that is no URL gave %v", err)
	}
}

// Redirects are followed by http.Client, past anything that a Transport could
// do about it, except refusing.
func TestTransportRefusesForeignRedirects(t *testing.T) {
	var visited atomic.Int32
	foreign := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { visited.Add(1) }))
	defer foreign.Close()
	w := newWorld(t)
	w.Inject(wechattest.Fault{Kind: wechattest.Redirect, Body: foreign.URL, On: wechattest.Call})
	_, err := w.client.Get(w.URL + "/cgi-bin/getcallbackip")
	if !errors.Is(err, wechat.ErrForeignHost) || visited.Load() != 0 {
		t.Errorf("redirect gave %v and %d visits", err, visited.Load())
	}
	mustNotShow(t, err, w.tokens.current)

	w.Inject(wechattest.Fault{Kind: wechattest.Redirect, Body: "/cgi-bin/getcallbackip", On: wechattest.Call})
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.URL+"/cgi-bin/x", nil)
	if got := w.send(t, request, err); got.ErrCode != 0 {
		t.Errorf("a redirect inside the API gave %d", got.ErrCode)
	}
}

// Requests under /sns/ have tokens of another kind, also called access_token.
func TestTransportLeavesUserTokensAlone(t *testing.T) {
	source := &tokens{current: "t"}
	var query string
	base := roundTripper(func(r *http.Request) (*http.Response, error) {
		query = r.URL.RawQuery
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(`{"errcode":40001}`))}, nil
	})
	if _, err := wechat.NewTransport(source, base).RoundTrip(httptest.NewRequest("GET", "https://api.weixin.qq.com/sns/userinfo?access_token=user", nil)); err != nil {
		t.Fatal(err)
	}
	if query != "access_token=user" || len(source.reports) != 0 {
		t.Errorf("query is %s, %d reports", query, len(source.reports))
	}
}

func TestTransportErrorsDoNotShowTheToken(t *testing.T) {
	const value = "s3cr3t/t0k3n+="
	for name, fail := range map[string]func(r *http.Request) error{
		"url.Error": func(r *http.Request) error {
			return &url.Error{Op: "Get", URL: r.URL.String(), Err: io.ErrUnexpectedEOF}
		},
		"quoted":            func(r *http.Request) error { return errors.New("malformed HTTP response " + r.URL.RawQuery) },
		"quoted cancelling": func(r *http.Request) error { return errors.Join(context.Canceled, errors.New(value)) },
		"harmless":          func(r *http.Request) error { return io.ErrUnexpectedEOF },
	} {
		base := roundTripper(func(r *http.Request) (*http.Response, error) { return nil, fail(r) })
		client := &http.Client{Transport: wechat.NewTransport(&tokens{current: value}, base)}
		_, err := client.Get("https://api.weixin.qq.com/x")
		if err == nil {
			t.Fatal("no error")
		}
		mustNotShow(t, err, value, url.QueryEscape(value))
		if want := name == "url.Error" || name == "harmless"; errors.Is(err, io.ErrUnexpectedEOF) != want {
			t.Errorf("%s: the cause is lost: %v", name, err)
		}
		if name == "quoted cancelling" && !errors.Is(err, context.Canceled) {
			t.Errorf("the end of the context is lost: %v", err)
		}
	}
}

func TestTransportWithoutToken(t *testing.T) {
	body := &countingBody{Reader: strings.NewReader("x"), read: new(atomic.Int64)}
	request, err := http.NewRequest(http.MethodPost, "https://api.weixin.qq.com/x", body)
	if err != nil {
		t.Fatal(err)
	}
	_, err = wechat.NewTransport(&tokens{}, nil).RoundTrip(request)
	if !errors.Is(err, coordinator.ErrNoToken) || !body.closed.Load() {
		t.Errorf("error is %v, body closed %t", err, body.closed.Load())
	}
}

func TestTransportHonoursContexts(t *testing.T) {
	t.Run("while reading the body", func(t *testing.T) {
		w := newWorld(t)
		reader, writer := io.Pipe()
		defer writer.Close()
		ctx, cancel := context.WithCancel(t.Context())
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL+"/cgi-bin/x", reader)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			io.WriteString(writer, "start") // returns when it has been read
			cancel()
		}()
		if _, err := w.client.Do(request); !errors.Is(err, context.Canceled) {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("while waiting for the answer", func(t *testing.T) {
		w := newWorld(t)
		held := w.HoldNext(wechattest.Call)
		defer held.Release()
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-held.Arrived
			cancel()
		}()
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL+"/cgi-bin/x", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.client.Do(request); !errors.Is(err, context.Canceled) {
			t.Errorf("error is %v", err)
		}
	})
}

func TestTransportReportsReadErrorOfTheBody(t *testing.T) {
	broken := errors.New("broken")
	w := newWorld(t)
	request, err := http.NewRequest(http.MethodPost, w.URL+"/cgi-bin/x", onlyReader{failingReader{broken}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.client.Do(request); !errors.Is(err, broken) {
		t.Errorf("error is %v", err)
	}
}
