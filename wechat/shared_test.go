package wechat_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/wechat"
	"github.com/mintonce/mintonce/wechat/wechattest"
)

func TestSourcesShareAWire(t *testing.T) {
	roots := x509.NewCertPool()
	dial := func(context.Context, string, string) (net.Conn, error) { return nil, net.ErrClosed }
	first := wechat.NewStableToken(appID, secret, wechat.Config{})
	for name, test := range map[string]struct {
		cfg  wechat.Config
		same bool
	}{
		"no config":         {wechat.Config{}, true},
		"the default API":   {wechat.Config{API: wechat.DefaultAPI}, true},
		"another API":       {wechat.Config{API: "https://sh.api.weixin.qq.com"}, false},
		"other authorities": {wechat.Config{RootCAs: roots}, false},
		"a Dial":            {wechat.Config{Dial: dial}, false},
	} {
		t.Run(name, func(t *testing.T) {
			other := wechat.NewStableToken("wxanother", secret, test.cfg)
			if got := wechat.SameWire(first, other); got != test.same {
				t.Errorf("shared is %v, want %v", got, test.same)
			}
		})
	}
	dialled := wechat.Config{Dial: dial}
	if wechat.SameWire(wechat.NewStableToken(appID, secret, dialled), wechat.NewStableToken(appID, secret, dialled)) {
		t.Error("two sources with a Dial share a wire")
	}
}

// Accounts that share a wire share nothing else.
func TestSourcesOnOneWireAtOnce(t *testing.T) {
	const many = 50
	var apps []wechattest.App
	for i := range many {
		apps = append(apps, wechattest.App{ID: fmt.Sprintf("wx%02d", i), Secret: fmt.Sprintf("secret-of-%02d", i)})
	}
	fake := wechattest.NewServer(wechattest.Config{Apps: apps})
	t.Cleanup(fake.Close)
	var all sync.WaitGroup
	for _, app := range apps {
		source := wechat.NewStableToken(app.ID, app.Secret, wechat.Config{API: fake.URL})
		all.Go(func() {
			token, err := source.Mint(t.Context(), coordinator.Token{})
			if err != nil || coordinator.Fingerprint(token.Value) != fake.App(app.ID).StableToken {
				t.Errorf("%s got %v, %v", app.ID, token, err)
			}
		})
	}
	all.Wait()
}

// A hundred thousand accounts must cost little more than their ids and secrets.
func TestSourceIsSmall(t *testing.T) {
	const many, most = 10_000, 256 // bytes each
	keep := make([]wechat.StableToken, many)
	keep[0] = wechat.NewStableToken(appID, secret, wechat.Config{})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range keep {
		keep[i] = wechat.NewStableToken(appID, secret, wechat.Config{})
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / many; each > most {
		t.Errorf("a source takes %d bytes, want at most %d", each, most)
	}
	runtime.KeepAlive(keep)
}

// Wires do not pile up in a process whose accounts come and go.
func TestWireEndsWithItsSources(t *testing.T) {
	const api = "http://127.0.0.1:1/some/where"
	source := wechat.NewStableToken(appID, secret, wechat.Config{API: api})
	with := wechat.SharedWires()
	runtime.KeepAlive(source)
	source = wechat.StableToken{}
	for deadline := time.Now().Add(10 * time.Second); wechat.SharedWires() >= with; runtime.GC() {
		if time.Now().After(deadline) {
			t.Fatal("the wire has outlived its only source")
		}
		runtime.Gosched()
	}
}
