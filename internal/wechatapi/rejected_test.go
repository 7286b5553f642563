package wechatapi_test

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/wechatapi"
)

// spaced is why a report brings no other token while somebody else mints.
var spaced = &coordinator.ForeignMinterError{Count: 3, By: "client php", RetryAfter: 2 * time.Minute, Advice: "use mode stable"}

// TestRejectedIsNotHandedOut: a token that WeChat was seen to refuse is given to
// nobody until it is replaced. All learn when that will be.
func TestRejectedIsNotHandedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(wechatapi.Config{})
		c := w.tokens["classic"]
		c.stays = spaced
		w.send(t, classic(shopID, phpKey))
		w.rejects(40001)
		recorder := httptest.NewRecorder()
		w.ServeHTTP(recorder, classic(shopID, phpKey))
		got := check(t, recorder)
		if got.ErrCode != -1 || !strings.Contains(got.ErrMsg, "WeChat rejects the current token (errcode 40001): ask again in 2m0s") || !strings.Contains(got.ErrMsg, "next mint in 2m0s") || recorder.Header().Get("Retry-After") != "120" {
			t.Errorf("%+v, Retry-After %q", got, recorder.Header().Get("Retry-After"))
		}
		time.Sleep(5 * time.Second)
		w.clients[nodeKey].Tokens = []string{"classic"}
		if got := w.send(t, classic(shopID, nodeKey)); got.ErrCode != -1 || !strings.Contains(got.ErrMsg, "next mint in 1m55s") {
			t.Errorf("to another client: %+v", got)
		}
		var rejected *wechatapi.RejectedError
		var foreign *coordinator.ForeignMinterError
		if err := w.Rejected("classic", c.token); !errors.As(err, &rejected) || rejected.Code != 40001 || !errors.As(err, &foreign) || strings.Contains(err.Error(), c.token.Value) {
			t.Errorf("Rejected returns %v", err)
		}
		if err := w.Rejected("stable", w.tokens["stable"].token); err != nil {
			t.Errorf("of another token: %v", err)
		}
		c.next(2 * time.Hour) // the mint that was waited for
		if got := w.send(t, classic(shopID, phpKey)); got.AccessToken != "classic-token-2" || w.Rejected("classic", c.token) != nil {
			t.Errorf("the successor: %+v", got)
		}
	})
}

// TestRejectedIsTriedAgain, though seldom: it may be WeChat that was wrong.
func TestRejectedIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(wechatapi.Config{})
		w.tokens["classic"].stays = spaced
		w.send(t, classic(shopID, phpKey))
		w.rejects(40001)
		w.send(t, classic(shopID, phpKey))
		w.accepts()
		time.Sleep(9 * time.Second)
		if got := w.send(t, classic(shopID, phpKey)); got.ErrCode != -1 || w.probed() != 1 {
			t.Errorf("%+v, %d probes", got, w.probed())
		}
		time.Sleep(time.Second)
		if got := w.send(t, classic(shopID, phpKey)); got.AccessToken != "classic-token-1" || w.probed() != 2 {
			t.Errorf("%+v, %d probes", got, w.probed())
		}
	})
}

// TestRejectedButYoung: a rejection that is not acted on stands until it is
// tried again, or somewhat longer where nobody has it tried.
func TestRejectedButYoung(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(wechatapi.Config{})
		c := w.tokens["classic"]
		c.verdict = coordinator.TooYoung
		w.send(t, classic(shopID, phpKey))
		w.rejects(40001)
		if got := w.send(t, classic(shopID, phpKey)); got.ErrCode != -1 || !strings.Contains(got.ErrMsg, "tried again in 10s") {
			t.Errorf("%+v", got)
		}
		time.Sleep(39 * time.Second)
		if err := w.Rejected("classic", c.token); err == nil {
			t.Error("it is served again too soon")
		}
		time.Sleep(time.Second)
		if err := w.Rejected("classic", c.token); err != nil {
			t.Errorf("still %v", err)
		}
	})
}

// TestDoubtIsNoRejection: where the probe cannot tell, the token is served.
func TestDoubtIsNoRejection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(wechatapi.Config{})
		w.tokens["classic"].verdict = coordinator.Acted // the provider vouches for it
		w.send(t, classic(shopID, phpKey))
		w.rejects(40001)
		if got := w.send(t, classic(shopID, phpKey)); got.AccessToken != "classic-token-1" {
			t.Errorf("%+v", got)
		}
	})
}

// TestInsisting: who asks again and again at once has the token tried before
// its turn, a few times only.
func TestInsisting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(wechatapi.Config{})
		ask := func() answer { t.Helper(); return w.send(t, classic(shopID, phpKey)) }
		ask()
		ask() // it comes back early: fine
		time.Sleep(2 * time.Second)
		ask()
		w.rejects(40001)
		if got := ask(); got.AccessToken != "classic-token-1" || w.probed() != 1 {
			t.Errorf("the second time: %+v, %d probes", got, w.probed())
		}
		if got := ask(); got.AccessToken != "classic-token-2" || w.probed() != 2 {
			t.Errorf("the third time: %+v, %d probes", got, w.probed())
		}

		// A client without a cache asks all the time, and costs little.
		w.accepts()
		for range 600 * 10 {
			ask()
			time.Sleep(100 * time.Millisecond)
		}
		if n := w.probed() - 2; n < 20 || n > 20+6 {
			t.Errorf("%d probes in 10 minutes, want one in 30 s and a few more", n)
		}
	})
}
