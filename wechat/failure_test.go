package wechat_test

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/wechat"
	"github.com/mintonce/mintonce/wechat/wechattest"
)

// builders make both sources.
var builders = map[string]func(cfg wechat.Config) coordinator.Source{
	"classic": func(cfg wechat.Config) coordinator.Source { return wechat.NewClassicToken(appID, secret, cfg) },
	"stable":  func(cfg wechat.Config) coordinator.Source { return wechat.NewStableToken(appID, secret, cfg) },
}

// sources runs a test with both sources of one fake.
func sources(t *testing.T, test func(t *testing.T, fake *wechattest.Server, source coordinator.Source)) {
	for name, build := range builders {
		t.Run(name, func(t *testing.T) {
			fake := newFake(t, wechattest.Config{})
			test(t, fake, build(wechat.Config{API: fake.URL}))
		})
	}
}

// Whatever goes wrong after sending leaves open whether a token was minted, and
// must neither be retried nor be taken for a refusal.
func TestAmbiguousFailures(t *testing.T) {
	for _, test := range []struct {
		fault wechattest.Fault
		says  string
	}{
		{wechattest.Fault{Kind: wechattest.Status}, "HTTP 500"},
		{wechattest.Fault{Kind: wechattest.Status, Code: 503, Body: `{"errcode":40013,"errmsg":"not WeChat's answer"}`}, "HTTP 503"},
		{wechattest.Fault{Kind: wechattest.Status, Code: 404, Body: "no such page"}, "not a JSON object (HTTP 404)"},
		{wechattest.Fault{Kind: wechattest.Status, Code: 429, Body: `{"a":1}`}, "HTTP 429 without an errcode"},
		{wechattest.Fault{Kind: wechattest.Status, Code: 202, Body: `{"access_token":"t","expires_in":7200}`}, "HTTP 202"},
		{wechattest.Fault{Kind: wechattest.HTML}, "not a JSON object"},
		{wechattest.Fault{Kind: wechattest.Empty}, "empty"},
		{wechattest.Fault{Kind: wechattest.Redirect, Body: "/cgi-bin/token"}, "redirect"},
		{wechattest.Fault{Kind: wechattest.Reset}, "connection"},
		{wechattest.Fault{Kind: wechattest.Lost}, "connection"},
		{wechattest.Fault{Kind: wechattest.Truncated}, "closed early"},
		{wechattest.Fault{Kind: wechattest.Raw, Body: strings.Repeat(" ", wechat.ReplyLimit) + `{"access_token":"t","expires_in":7200}`}, "more than 65536 bytes"},
		{wechattest.Fault{Kind: wechattest.ExpiresIn, Body: "-1"}, "expires_in is -1"},
		{wechattest.Fault{Kind: wechattest.ExpiresIn, Body: "0"}, "expires_in is 0"},
		{wechattest.Fault{Kind: wechattest.ExpiresIn, Body: "2592001"}, "more than 30 days"},
		{wechattest.Fault{Kind: wechattest.ExpiresIn, Body: "99999999999999999999"}, "not a whole number"},
		{wechattest.Fault{Kind: wechattest.ExpiresIn, Body: `"7200"`}, "not a whole number"},
		{wechattest.Fault{Kind: wechattest.ExpiresIn, Body: "7200.5"}, "not a whole number"},
		{wechattest.Fault{Kind: wechattest.ExpiresIn, Body: "null"}, "not a whole number"},
		{wechattest.Fault{Kind: wechattest.ExpiresIn}, "missing"},
	} {
		t.Run(string(test.fault.Kind)+" "+test.says, func(t *testing.T) {
			sources(t, func(t *testing.T, fake *wechattest.Server, source coordinator.Source) {
				fake.Inject(test.fault)
				token, err := source.Mint(t.Context(), coordinator.Token{})
				failure := sourceError(t, err)
				if failure.Refused || failure.Class != coordinator.Transient || failure.Advice == "" || token.Value != "" {
					t.Errorf("failure is %+v with token %v: want an unresolved transient one with advice and no token", *failure, token)
				}
				if !strings.Contains(failure.Error(), test.says) {
					t.Errorf("failure says %q, want something with %q", failure, test.says)
				}
				if n := fake.App(appID).MintRequests; n != 1 {
					t.Errorf("one mint sent %d requests", n)
				}
				mustMint(t, source) // and the source is none the worse for it
			})
		})
	}
}

// A token whose end is not known is thrown away, but neither it nor the token
// in a broken answer may show up in the error.
func TestErrorsDoNotShowTokens(t *testing.T) {
	const value = "t0k3n-of-a-broken-answer"
	for _, body := range []string{
		`{"access_token":"` + value + `","expires_in":-5}`,
		`{"access_token":"` + value + `","expires_in":"` + value + `"}`,
		`{"access_token":"` + value + `","expires_in":7200,"errcode":40001,"errmsg":"` + value + `"}`,
		`{"access_token":"` + value + ``,
		value,
	} {
		_, _, failure := wechat.ParseReply(200, []byte(body), secret)
		if failure == nil {
			t.Fatalf("%s was accepted", body)
		}
		mustNotShow(t, failure, value)
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	var followed atomic.Int32
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Add(1) }))
	defer target.Close()
	sources(t, func(t *testing.T, fake *wechattest.Server, source coordinator.Source) {
		fake.Inject(wechattest.Fault{Kind: wechattest.Redirect, Body: target.URL})
		_, err := source.Mint(t.Context(), coordinator.Token{})
		sourceError(t, err)
		if followed.Load() != 0 {
			t.Error("the secret went where a redirect pointed")
		}
	})
}

// A time-out is a refusal only if the request cannot have been sent.
func TestTimeouts(t *testing.T) {
	for name, build := range builders {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // where sending takes no time
				fake, cfg := inBubble(t, wechattest.Config{})
				held := fake.HoldNext(wechattest.Mints)
				defer held.Release()
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				_, err := build(cfg).Mint(ctx, coordinator.Token{})
				failure := sourceError(t, err)
				if failure.Refused || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("time-out after sending: %+v", *failure)
				}
				if !strings.Contains(failure.Message, "time for it ran out") {
					t.Errorf("message is %q", failure.Message)
				}
			})
		})
	}

	gone := make(chan struct{})
	defer close(gone)
	stuck := func(ctx context.Context, _, _ string) (net.Conn, error) {
		select { // net/http detaches ctx: the dial outlives the mint
		case <-ctx.Done():
		case <-gone:
		}
		return nil, errors.New("gone")
	}
	source := wechat.NewClassicToken(appID, secret, wechat.Config{Dial: stuck})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := source.Mint(ctx, coordinator.Token{})
	if failure := sourceError(t, err); !failure.Refused || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("time-out before sending: %+v", *failure)
	}
}

// The coordinator breaks a mint off with its own reason, and must find it again.
func TestReasonOfCancellationIsKept(t *testing.T) {
	fake := newFake(t, wechattest.Config{})
	held := fake.HoldNext(wechattest.Mints)
	defer held.Release()
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-held.Arrived
		cancel(coordinator.ErrLockLost)
	}()
	_, err := wechat.NewClassicToken(appID, secret, wechat.Config{API: fake.URL}).Mint(ctx, coordinator.Token{})
	if failure := sourceError(t, err); failure.Refused || !errors.Is(err, coordinator.ErrLockLost) || !errors.Is(err, context.Canceled) {
		t.Errorf("failure is %v (%v), refused %t", failure, failure.Err, failure.Refused)
	}
}

func TestNotReached(t *testing.T) {
	for _, test := range []struct {
		name string
		dial error
		says string
	}{
		{"no such host", &net.DNSError{Err: "no such host", Name: "api.weixin.qq.com", IsNotFound: true}, "DNS does not know"},
		{"DNS down", &net.DNSError{Err: "server misbehaving", Name: "api.weixin.qq.com"}, "DNS gave no answer"},
		{"anything", errors.New("dialling https://" + secret + "@host"), "not reached"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dial := func(context.Context, string, string) (net.Conn, error) {
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: test.dial}
			}
			_, err := wechat.NewStableToken(appID, secret, wechat.Config{Dial: dial}).Mint(t.Context(), coordinator.Token{})
			failure := sourceError(t, err)
			if !failure.Refused || failure.Class != coordinator.Transient || !strings.Contains(failure.Message, test.says) {
				t.Errorf("failure is %+v, want a refused transient one with %q", *failure, test.says)
			}
		})
	}
	t.Run("connection refused", func(t *testing.T) {
		fake := newFake(t, wechattest.Config{})
		fake.Close()
		_, err := wechat.NewStableToken(appID, secret, wechat.Config{API: fake.URL}).Mint(t.Context(), coordinator.Token{})
		if failure := sourceError(t, err); !failure.Refused || !strings.Contains(failure.Message, "connection refused") {
			t.Errorf("failure is %+v", *failure)
		}
	})
}

func TestTLS(t *testing.T) {
	fake := wechattest.New(wechattest.Config{Apps: []wechattest.App{{ID: appID, Secret: secret}}})
	server := httptest.NewUnstartedServer(fake)
	server.Config.ErrorLog = quiet
	server.StartTLS()
	defer server.Close()
	plain := newFake(t, wechattest.Config{})
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())

	mustMint(t, wechat.NewClassicToken(appID, secret, wechat.Config{API: server.URL, RootCAs: roots}))

	for says, cfg := range map[string]wechat.Config{
		"not trusted":        {API: server.URL},
		"another host":       {API: strings.Replace(server.URL, "127.0.0.1", "localhost", 1), RootCAs: roots},
		"speaks plain HTTP":  {API: strings.Replace(plain.URL, "http:", "https:", 1)},
		"WeChat was not rea": {API: server.URL},
	} {
		_, err := wechat.NewClassicToken(appID, secret, cfg).Mint(t.Context(), coordinator.Token{})
		if failure := sourceError(t, err); !failure.Refused || !strings.Contains(failure.Message, says) {
			t.Errorf("failure is %+v, want a refused one with %q", *failure, says)
		}
	}
	if n := fake.App(appID).MintRequests; n != 1 {
		t.Errorf("%d requests were sent, want the one over a trusted connection", n)
	}
}

// What is not HTTP, or goes on for ever, may even echo the request.
func TestHostileServers(t *testing.T) {
	for name, serve := range map[string]func(conn net.Conn, request string){
		"echo":           func(conn net.Conn, request string) { io.WriteString(conn, request) },
		"echo as status": func(conn net.Conn, request string) { io.WriteString(conn, "HTTP/1.1 "+request) },
		"echo as header": func(conn net.Conn, request string) { io.WriteString(conn, "HTTP/1.1 200 OK\r\n"+request+"\r\n\r\n") },
		"echo as length": func(conn net.Conn, request string) {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: "+request)
		},
		"echo as redirect": func(conn net.Conn, request string) { io.WriteString(conn, "HTTP/1.1 302 X\r\nLocation: "+request) },
		"endless header": func(conn net.Conn, _ string) {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
			writeForever(conn, "X: y\r\n")
		},
		"endless body": func(conn net.Conn, _ string) {
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{")
			writeForever(conn, strings.Repeat(" ", 1000))
		},
		"endless 1xx": func(conn net.Conn, _ string) { writeForever(conn, "HTTP/1.1 103 Early Hints\r\n\r\n") },
	} {
		t.Run(name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			served := make(chan struct{})
			go func() {
				defer close(served)
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				request := make([]byte, 4096)
				n, _ := conn.Read(request)
				serve(conn, string(request[:n]))
			}()
			_, err = wechat.NewClassicToken(appID, secret, wechat.Config{API: "http://" + listener.Addr().String()}).Mint(t.Context(), coordinator.Token{})
			if failure := sourceError(t, err); failure.Refused || failure.Class != coordinator.Transient {
				t.Errorf("failure is %+v", *failure)
			}
			<-served // the endless ones end because the client hangs up
		})
	}
}

func writeForever(conn net.Conn, text string) {
	for {
		if _, err := io.WriteString(conn, text); err != nil {
			return
		}
	}
}
