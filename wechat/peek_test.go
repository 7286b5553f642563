package wechat_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mintonce/mintonce/wechat"
)

func TestTransportLeavesBodiesWhole(t *testing.T) {
	image := "\x89PNG" + strings.Repeat("\x00\xff{", 100_000)
	object := func(n int) string { return `{"errcode":40001,"x":"` + strings.Repeat("y", n-24) + `"}` }
	for name, body := range map[string]string{
		"nothing":            "",
		"blanks":             " \n",
		"many blanks":        strings.Repeat(" ", 100),
		"a brace":            "{",
		"not JSON":           "{not JSON}",
		"image":              image,
		"array":              `[{"errcode":40001}]`,
		"nested":             `{"data":{"errcode":40001}}`,
		"text":               `"errcode":40001`,
		"beyond the peek":    object(wechat.PeekLimit + 1),
		"far beyond":         object(10 * wechat.PeekLimit),
		"errcode as a text":  `{"errcode":"40001"}`,
		"success":            `{"errcode":0,"errmsg":"ok"}`,
		"two objects":        `{"errcode":40001}{}`,
		"brace after blanks": strings.Repeat(" ", 16) + `{"errcode":40001}`,
	} {
		t.Run(name, func(t *testing.T) {
			for _, length := range []int64{-1, int64(len(body))} {
				source := &tokens{current: "t", mint: func() (string, error) { return "u", nil }}
				reader := &countingBody{Reader: strings.NewReader(body), read: new(atomic.Int64)}
				base := roundTripper(func(r *http.Request) (*http.Response, error) {
					return &http.Response{StatusCode: 200, ContentLength: length, Body: reader}, nil
				})
				response, err := wechat.NewTransport(source, base).RoundTrip(httptest.NewRequest("GET", "https://api.weixin.qq.com/x", nil))
				if err != nil {
					t.Fatal(err)
				}
				if n := reader.read.Load(); n > wechat.PeekLimit+1 {
					t.Errorf("%d bytes were read ahead", n)
				}
				got, err := io.ReadAll(response.Body)
				if err != nil || string(got) != body {
					t.Errorf("%d bytes arrived (%v), want %d", len(got), err, len(body))
				}
				if reader.closed.Load() {
					t.Error("the body is closed before its reader is done")
				}
				if response.Body.Close(); !reader.closed.Load() {
					t.Error("closing the body did not close it")
				}
				if len(source.reports) != 0 {
					t.Error("this is not a rejection, but was reported")
				}
			}
		})
	}
}

func TestTransportLooksAtTheWholePeek(t *testing.T) {
	pad := wechat.PeekLimit - len(`{"errcode":40001,"x":""}`)
	for name, body := range map[string]string{
		"at the limit":   `{"errcode":40001,"x":"` + strings.Repeat("y", pad) + `"}`,
		"some blanks":    " \r\n\t" + `{"errcode":42001}`,
		"code at end":    `{"errmsg":"m","errcode":40014}`,
		"negative extra": `{"errcode":40001,"n":-1}`,
	} {
		source := &tokens{current: "t", mint: func() (string, error) { return "u", nil }}
		var sent []string
		var bodies []*countingBody
		base := roundTripper(func(r *http.Request) (*http.Response, error) {
			sent = append(sent, r.URL.Query().Get("access_token"))
			bodies = append(bodies, &countingBody{Reader: strings.NewReader(body), read: new(atomic.Int64)})
			return &http.Response{StatusCode: 200, ContentLength: -1, Body: bodies[len(bodies)-1]}, nil
		})
		response, err := wechat.NewTransport(source, base).RoundTrip(httptest.NewRequest("GET", "https://api.weixin.qq.com/x", nil))
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(response.Body)
		if strings.Join(sent, " ") != "t u" || string(got) != body {
			t.Errorf("%s: sent %q, %d bytes back", name, sent, len(got))
		}
		if !bodies[0].closed.Load() || bodies[1].closed.Load() {
			t.Errorf("%s: the body of the rejection must be closed, and the caller's must not", name)
		}
	}
}

// An error in the middle of a body must reach its reader, where it happened.
func TestTransportPassesReadErrorsOn(t *testing.T) {
	broken := errors.New("broken")
	for _, start := range []string{"", " ", "{", `{"errcode":40001}`, "abc"} {
		source := &tokens{current: "t"}
		base := roundTripper(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, ContentLength: -1, Body: io.NopCloser(io.MultiReader(strings.NewReader(start), &failsOnce{err: broken}))}, nil
		})
		response, err := wechat.NewTransport(source, base).RoundTrip(httptest.NewRequest("GET", "https://api.weixin.qq.com/x", nil))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(response.Body)
		if string(got) != start || !errors.Is(err, broken) || len(source.reports) != 0 {
			t.Errorf("after %q: got %q and %v, %d reports", start, got, err, len(source.reports))
		}
	}
}
