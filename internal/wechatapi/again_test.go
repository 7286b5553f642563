package wechatapi_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/wechatapi"
)

// TestAskingAgain: who comes back early with the current token has it tried,
// and gets another one if the provider refuses exactly that.
func TestAskingAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(wechatapi.Config{})
		ask := func(key, want string, probes, reports int) {
			t.Helper()
			got := w.send(t, classic(shopID, key))
			if c := w.tokens["classic"]; got.AccessToken != want || w.probed() != probes || len(c.reports) != reports {
				t.Errorf("%s %s, %d probes, reported %v; want %s, %d, %d", key, got.AccessToken, w.probed(), c.reports, want, probes, reports)
			}
		}
		ask(phpKey, "classic-token-1", 0, 0) // the first time
		time.Sleep(time.Minute)
		ask(phpKey, "classic-token-1", 1, 0) // it is fine
		w.rejects(40001)
		ask(phpKey, "classic-token-1", 1, 0) // too soon after that
		time.Sleep(30 * time.Second)
		ask(phpKey, "classic-token-2", 2, 1)
		ask(phpKey, "classic-token-2", 2, 1) // the new one is young: spaced out
		if codes := w.tokens["classic"].codes; codes[0] != 40001 {
			t.Errorf("reported with %v", codes)
		}
		if !strings.Contains(w.log.String(), "the provider rejects the token: reported") || strings.Contains(w.log.String(), "-token-") {
			t.Errorf("the log is %s", w.log)
		}
	})
}

// TestComingBackInTime: who was given another token, or comes back when the
// token ends, is not suspected.
func TestComingBackInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(wechatapi.Config{})
		w.rejects(40001)
		w.send(t, classic(shopID, phpKey))
		w.tokens["classic"].next(2 * time.Hour) // the planned refresh
		w.send(t, classic(shopID, phpKey))
		w.send(t, stable(shopID, phpKey, false)) // another token
		if w.probed() != 0 {
			t.Errorf("%d probes for tokens that were asked for the first time", w.probed())
		}
		time.Sleep(2*time.Hour - 5*time.Minute)
		w.send(t, classic(shopID, phpKey)) // some SDKs have margins
		if w.probed() != 0 {
			t.Errorf("%d probes at the end of a token", w.probed())
		}
	})
}

// TestForceRefresh never mints, but tries the token, the first time too, and
// sooner again.
func TestForceRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(wechatapi.Config{})
		for i, step := range []struct {
			after  time.Duration
			probes int
		}{{0, 1}, {9 * time.Second, 1}, {time.Second, 2}} {
			time.Sleep(step.after)
			if got := w.send(t, stable(shopID, phpKey, true)); got.AccessToken != "stable-token-1" || w.probed() != step.probes {
				t.Errorf("%d: %s, %d probes, want %d", i, got.AccessToken, w.probed(), step.probes)
			}
		}
		w.rejects(42001)
		time.Sleep(10 * time.Second)
		if got := w.send(t, stable(shopID, phpKey, true)); got.AccessToken != "stable-token-2" {
			t.Errorf("a refused token: %+v", got)
		}
	})
}

// TestOnlyARejectionIsReported: time-outs and other errors change nothing.
func TestOnlyARejectionIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(wechatapi.Config{})
		w.probe = func(context.Context, string) error { return errors.New("WeChat answers with errcode 45009") }
		w.send(t, classic(shopID, phpKey))
		if got := w.send(t, classic(shopID, phpKey)); got.AccessToken != "classic-token-1" || w.probed() != 1 || len(w.tokens["classic"].reports) != 0 {
			t.Errorf("%+v, %d probes, reported %v", got, w.probed(), w.tokens["classic"].reports)
		}
	})
}

// TestStorm: a thousand that come back at once make one probe and one report,
// and all get the new token.
func TestStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(wechatapi.Config{})
		w.probe = func(ctx context.Context, _ string) error {
			time.Sleep(100 * time.Millisecond)
			return nil
		}
		w.send(t, classic(shopID, phpKey))
		w.rejects(40001)
		slow := w.probe
		w.probe = func(ctx context.Context, token string) error {
			time.Sleep(100 * time.Millisecond)
			return slow(ctx, token)
		}
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() {
				if got := w.send(t, classic(shopID, phpKey)); got.AccessToken != "classic-token-2" {
					t.Errorf("%+v", got)
				}
			})
		}
		all.Wait()
		if w.probed() != 1 || len(w.tokens["classic"].reports) != 1 {
			t.Errorf("%d probes, %d reports", w.probed(), len(w.tokens["classic"].reports))
		}
	})
}

// TestSlowProbe: the answer waits a moment for the probe, and not longer; the
// probe goes on, and the next answer has the outcome.
func TestSlowProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var memory wechatapi.Memory
		w := newWorld(wechatapi.Config{Memory: &memory})
		w.send(t, classic(shopID, phpKey))
		w.rejects(40001)
		slow := w.probe
		w.probe = func(ctx context.Context, token string) error {
			time.Sleep(5 * time.Second)
			return slow(ctx, token)
		}
		began := time.Now()
		if got := w.send(t, classic(shopID, phpKey)); got.AccessToken != "classic-token-1" || time.Since(began) != 1500*time.Millisecond {
			t.Errorf("%+v after %s", got, time.Since(began))
		}
		time.Sleep(4 * time.Second)
		if got := w.send(t, classic(shopID, phpKey)); got.AccessToken != "classic-token-2" {
			t.Errorf("%+v", got)
		}
		memory.Close()
	})
}

// TestClose breaks off what is under way.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var memory wechatapi.Memory
		w := newWorld(wechatapi.Config{Memory: &memory})
		w.probe = func(ctx context.Context, _ string) error {
			<-ctx.Done()
			return ctx.Err()
		}
		w.send(t, stable(shopID, phpKey, true))
		began := time.Now()
		memory.Close()
		if took := time.Since(began); took != 0 {
			t.Errorf("Close took %s", took)
		}
	})
}

// TestMemoryOutlivesAHandler: the config was read again.
func TestMemoryOutlivesAHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var memory wechatapi.Memory
		newWorld(wechatapi.Config{Memory: &memory}).send(t, classic(shopID, phpKey))
		w := newWorld(wechatapi.Config{Memory: &memory})
		if w.send(t, classic(shopID, phpKey)); w.probed() != 1 {
			t.Errorf("%d probes", w.probed())
		}
	})
}

// TestMemoryIsBounded: what very many clients were given is forgotten in part,
// what is past first, and what was noted last stays.
func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var memory wechatapi.Memory
		token := coordinator.NewToken("x", time.Now().Add(time.Hour))
		for i := range wechatapi.Remembered / 2 {
			memory.Note("past", fmt.Sprint(i), token, time.Minute)
		}
		time.Sleep(time.Minute)
		for i := range wechatapi.Remembered {
			memory.Note("client", fmt.Sprint(i), token, time.Hour)
		}
		for i := range wechatapi.Remembered { // nothing of these had to go
			if !memory.HasEarly("client", fmt.Sprint(i), token) {
				t.Fatalf("%d was forgotten for what was past", i)
			}
		}
		for i := range wechatapi.Remembered {
			memory.Note("another", fmt.Sprint(i), token, time.Hour)
			if !memory.HasEarly("another", fmt.Sprint(i), token) {
				t.Fatalf("%d was forgotten at once", i)
			}
		}
		if n := memory.Len(); n > wechatapi.Remembered {
			t.Errorf("it holds %d entries", n)
		}
	})
}
