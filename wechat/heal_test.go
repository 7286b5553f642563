package wechat_test

import (
	"bytes"
	"context"
	"errors"
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

func TestTransportHeals(t *testing.T) {
	small, big := "你好", strings.Repeat("x", wechat.ReplayLimit)
	for name, test := range map[string]struct {
		body    func() io.Reader
		content string
	}{
		"no body":                       {func() io.Reader { return nil }, ""},
		"http.NoBody":                   {func() io.Reader { return http.NoBody }, ""},
		"with GetBody":                  {func() io.Reader { return strings.NewReader(small) }, small},
		"without GetBody":               {func() io.Reader { return onlyReader{strings.NewReader(small)} }, small},
		"empty without GetBody":         {func() io.Reader { return onlyReader{strings.NewReader("")} }, ""},
		"without GetBody, at the bound": {func() io.Reader { return onlyReader{strings.NewReader(big)} }, big},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			used := w.tokens.current
			w.Revoke(appID)
			got := w.post(t, test.body())
			if got.ErrCode != 0 || got.Body != test.content || got.ContentLength != int64(len(test.content)) {
				t.Errorf("errcode %d, %d bytes of body, Content-Length %d: want the whole body, once more", got.ErrCode, len(got.Body), got.ContentLength)
			}
			if len(w.tokens.reports) != 1 || w.tokens.reports[0] != used {
				t.Errorf("%d reports, want one of the token that was used", len(w.tokens.reports))
			}
			var rejected *coordinator.RejectedError
			if !errors.As(w.tokens.causes[0], &rejected) || rejected.Code != 40001 {
				t.Errorf("the cause is %v, want 40001", w.tokens.causes[0])
			}
			mustNotShow(t, w.tokens.causes[0], used, "://")
			if stats := w.App(appID); stats.CallsAccepted != 1 || stats.CallsRejected[40001] != 1 {
				t.Errorf("calls: %+v", stats)
			}
		})
	}
}

func TestTransportHealsEveryRejection(t *testing.T) {
	for _, code := range []int{40001, 40014, 42001} {
		w := newWorld(t)
		w.Inject(wechattest.Fault{Kind: wechattest.Errcode, Code: code, On: wechattest.Call})
		if got := w.post(t, strings.NewReader("x")); got.ErrCode != 0 || len(w.tokens.reports) != 1 {
			t.Errorf("%d: answer %+v after %d reports", code, got, len(w.tokens.reports))
		}
	}
}

func TestTransportReportsNothingElse(t *testing.T) {
	w := newWorld(t)
	for _, code := range []int{-1, 40003, 40013, 40125, 40164, 41001, 43002, 44002, 45009, 45011, 45035, 47001, 48001, 48004, 50001, 50002, 61004, 61007} {
		w.Inject(wechattest.Fault{Kind: wechattest.Errcode, Code: code, On: wechattest.Call})
		if got := w.post(t, strings.NewReader("x")); got.ErrCode != code {
			t.Errorf("%d arrived as %d", code, got.ErrCode)
		}
	}
	if len(w.tokens.reports) != 0 || w.App(appID).Faults != 18 {
		t.Errorf("%d reports and %d calls, want none and 18", len(w.tokens.reports), w.App(appID).Faults)
	}
}

// With one retry, a provider that rejects everything is asked twice.
func TestTransportRetriesOnce(t *testing.T) {
	w := newWorld(t)
	w.Inject(wechattest.Fault{Kind: wechattest.Errcode, Code: 40001, On: wechattest.Call, Times: -1})
	if got := w.post(t, strings.NewReader("x")); got.ErrCode != 40001 {
		t.Errorf("errcode is %d, want the provider's own 40001", got.ErrCode)
	}
	if n := w.App(appID).Faults; n != 2 || len(w.tokens.reports) != 1 {
		t.Errorf("%d calls and %d reports, want 2 and 1", n, len(w.tokens.reports))
	}
}

// Where no other token is to be had, WeChat's answer is the best there is.
func TestTransportReturnsTheRejectionAsItIs(t *testing.T) {
	for name, mint := range map[string]func() (string, error){
		"report not acted on": nil,
		"mint failed":         func() (string, error) { return "", errors.New("no mint") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.tokens.mint = mint
			w.Revoke(appID)
			if got := w.post(t, strings.NewReader("x")); got.ErrCode != 40001 {
				t.Errorf("errcode is %d, want 40001", got.ErrCode)
			}
			if n := w.App(appID).CallsRejected[40001]; n != 1 {
				t.Errorf("%d calls, want one", n)
			}
		})
	}
}

// A body that is too large for memory is sent once; the rejection is reported
// all the same, for the calls to come.
func TestTransportSendsLargeBodiesOnce(t *testing.T) {
	large := strings.Repeat("x", wechat.ReplayLimit+1)
	for name, length := range map[string]int64{"known length": int64(len(large)), "unknown length": -1} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			var sent atomic.Int64
			w.Revoke(appID)
			body := &countingBody{Reader: strings.NewReader(large), read: &sent}
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.URL+"/cgi-bin/x", body)
			request.ContentLength = length
			if got := w.send(t, request, err); got.ErrCode != 40001 {
				t.Errorf("errcode is %d", got.ErrCode)
			}
			if sent.Load() != int64(len(large)) || len(w.tokens.reports) != 1 || w.App(appID).CallsRejected[40001] != 1 {
				t.Errorf("%d of %d bytes sent, %d reports", sent.Load(), len(large), len(w.tokens.reports))
			}
			if !body.closed.Load() {
				t.Error("the body was not closed")
			}
			if got := w.post(t, strings.NewReader("x")); got.ErrCode != 0 {
				t.Errorf("the call after that got %d", got.ErrCode)
			}
		})
	}
}

// A length that is known to be too large spares the memory altogether.
func TestTransportStreamsLargeBodies(t *testing.T) {
	body := &countingBody{Reader: strings.NewReader("start"), read: new(atomic.Int64)}
	base := sender(func(*http.Request) (*http.Response, error) {
		if n := body.read.Load(); n != 0 {
			t.Errorf("%d bytes were read before sending", n)
		}
		return nil, io.ErrClosedPipe
	})
	request, err := http.NewRequest(http.MethodPost, "https://api.weixin.qq.com/x", body)
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = wechat.ReplayLimit + 1
	if _, err := wechat.NewTransport(&tokens{current: "t0k3n"}, base).RoundTrip(request); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("error is %v", err)
	}
}

// /wxa/getwxacodeunlimit answers 412 to a body without Content-Length, an image
// when all is well, and JSON as text/plain when the token is rejected.
func TestTransportGetsImages(t *testing.T) {
	w := newWorld(t)
	w.Revoke(appID)
	response, err := w.client.Post(w.URL+"/wxa/getwxacodeunlimit", "application/json", onlyReader{strings.NewReader(`{"scene":"a"}`)})
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	image, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != 200 || !bytes.HasPrefix(image, []byte("\x89PNG")) {
		t.Errorf("status %d, %q, %v: want a PNG", response.StatusCode, image, err)
	}
}

// 24 calls find their token dead at the same time. Each reports the token that
// it used, so that one mint is enough.
func TestConcurrentRejections(t *testing.T) {
	const callers = 24
	w := newWorld(t)
	used := w.tokens.current
	w.Revoke(appID)

	var together, done sync.WaitGroup
	together.Add(callers)
	w.client.Transport = wechat.NewTransport(barrier{w.tokens, &together, used}, w.base, w.URL)
	for range callers {
		done.Go(func() {
			if got := w.post(t, onlyReader{strings.NewReader("hello")}); got.ErrCode != 0 || got.Body != "hello" {
				t.Errorf("answer is %+v", got)
			}
		})
	}
	done.Wait()
	if w.tokens.mints != 1 || len(w.tokens.reports) != callers {
		t.Errorf("%d mints and %d reports, want 1 and %d", w.tokens.mints, len(w.tokens.reports), callers)
	}
	for _, value := range w.tokens.reports {
		if value != used {
			t.Error("a token was reported that the call had not used")
		}
	}
	if stats := w.App(appID); stats.CallsAccepted != callers || stats.CallsRejected[40001] != callers {
		t.Errorf("calls: %+v", stats)
	}
}

// barrier lets reports of one token through once all callers have one.
type barrier struct {
	*tokens
	together *sync.WaitGroup
	value    string
}

func (b barrier) Report(ctx context.Context, value string, cause error) error {
	if value == b.value {
		b.together.Done()
		b.together.Wait()
	}
	return b.tokens.Report(ctx, value, cause)
}
