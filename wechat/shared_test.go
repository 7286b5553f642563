package wechat_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/wechat"
	"github.com/mintonce/mintonce/wechat/wechattest"
)

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
