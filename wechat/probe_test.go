package wechat_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/wechat"
	"github.com/mintonce/mintonce/wechat/wechattest"
)

func newProbe(t *testing.T, api string) *wechat.Probe {
	t.Helper()
	probe, err := wechat.NewProbe(wechat.Config{API: api})
	if err != nil {
		t.Fatal(err)
	}
	return probe
}

func TestProbe(t *testing.T) {
	now := time.Now()
	fake := newFake(t, wechattest.Config{Now: func() time.Time { return now }})
	probe := newProbe(t, fake.URL)
	first := fake.MintElsewhere(appID, wechattest.Classic)
	if err := probe.Try(t.Context(), first); err != nil {
		t.Errorf("a good token: %v", err)
	}
	second := fake.MintElsewhere(appID, wechattest.Classic)
	if err := probe.Try(t.Context(), first); err != nil {
		t.Errorf("the one before, in its overlap: %v", err)
	}
	now = now.Add(5 * time.Minute)
	for token, code := range map[string]int{first: 40001, "garbage": 40014, second: 0} {
		var rejected *coordinator.RejectedError
		if err := probe.Try(t.Context(), token); code == 0 && err != nil || code != 0 && (!errors.As(err, &rejected) || rejected.Code != code) {
			t.Errorf("%v, want %d", err, code)
		}
	}
	if stats := fake.App(appID); stats.MintRequests != 0 {
		t.Errorf("the probes minted: %+v", stats)
	}
}

// TestProbeThatTellsNothing: what is not WeChat's word on this very token is no
// rejection, and no error quotes the token.
func TestProbeThatTellsNothing(t *testing.T) {
	const token = "token-that-nobody-prints"
	for name, serve := range map[string]http.HandlerFunc{
		"busy": func(w http.ResponseWriter, r *http.Request) {
			w.Write([]byte(`{"errcode":-1,"errmsg":"system error"}`))
		},
		"quota": func(w http.ResponseWriter, r *http.Request) {
			w.Write([]byte(`{"errcode":45009,"errmsg":"` + r.URL.RawQuery + `"}`))
		},
		"no token":  func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(`{"errcode":41001}`)) },
		"not whole": func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(`{"errcode":40001.5}`)) },
		"text":      func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(`{"errcode":"40001"}`)) },
		"gateway":   func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(502); w.Write([]byte(`{"errcode":40001}`)) },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere?"+r.URL.RawQuery, http.StatusFound)
		},
		"HTML":  func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("<p>40001 " + r.URL.RawQuery)) },
		"empty": func(w http.ResponseWriter, r *http.Request) {},
		"large": func(w http.ResponseWriter, r *http.Request) {
			w.Write([]byte(`{"errcode":40001,"x":"` + strings.Repeat("x", 64<<10) + `"}`))
		},
		"a broken end": func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) },
		"silence":      func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(serve)
			defer server.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			err := newProbe(t, server.URL).Try(ctx, token)
			var rejected *coordinator.RejectedError
			if err == nil || errors.As(err, &rejected) || strings.Contains(err.Error(), token) {
				t.Errorf("%v", err)
			}
		})
	}
	if err := newProbe(t, "http://127.0.0.1:1").Try(t.Context(), token); err == nil || strings.Contains(err.Error(), token) {
		t.Errorf("nobody there: %v", err)
	}
	if _, err := wechat.NewProbe(wechat.Config{API: "http://api.weixin.qq.com"}); err == nil {
		t.Error("plain http to WeChat is accepted")
	}
}
