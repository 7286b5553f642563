package wechat_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
	"github.com/mintonce/mintonce/internal/pipetest"
	"github.com/mintonce/mintonce/wechat"
	"github.com/mintonce/mintonce/wechat/wechattest"
)

// inBubble serves a fake, and returns how to reach it.
func inBubble(t *testing.T, cfg wechattest.Config) (*wechattest.Fake, wechat.Config) {
	fake := wechattest.New(cfg)
	listener := pipetest.Listen()
	server := &http.Server{Handler: fake}
	go server.Serve(listener)
	t.Cleanup(func() {
		fake.Close()
		server.Close()
	})
	return fake, wechat.Config{API: "http://127.0.0.1", Dial: listener.Dial}
}

// A day of a token and its ticket, minute by minute, at a WeChat that always
// says 7200 and where a ticket dies at its end without an overlap. Somebody
// else has asked for the first one long before.
func TestTicketForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, cfg := inBubble(t, wechattest.Config{})
		store := storetest.NewMemory()
		kept := func(name string, source coordinator.Source) *coordinator.Coordinator {
			c, err := coordinator.New(name, source, store, coordinator.Config{})
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		tokens := kept("shop", wechat.NewClassicToken(wechattest.AppID, wechattest.Secret, cfg))
		elsewhere := wechat.NewTicket(wechattest.AppID, tokens, wechat.JSAPI, cfg)
		if _, err := elsewhere.Mint(t.Context(), coordinator.Token{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(75 * time.Minute)

		tickets := kept("shop-jsapi", wechat.NewTicket(wechattest.AppID, tokens, wechat.JSAPI, cfg))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{}, 2)
		for _, c := range []*coordinator.Coordinator{tokens, tickets} {
			go func() {
				c.Run(ctx)
				ended <- struct{}{}
			}()
		}
		defer func() {
			cancel()
			<-ended
			<-ended
		}()

		dead := 0 // minutes in a row
		for minute := range 24 * 60 {
			ticket, err := tickets.Token(t.Context())
			if err != nil {
				t.Fatalf("minute %d: %v", minute, err)
			}
			if fake.AcceptsTicket(ticket.Value) {
				dead = 0
			} else if dead++; dead > 10 || minute > 60 && dead > 3 {
				t.Fatalf("minute %d: the ticket has been dead for %d minutes", minute, dead)
			}
			if left := time.Until(ticket.ExpiresAt()); left <= 0 {
				t.Fatalf("minute %d: the ticket ends in %s", minute, left)
			}
			time.Sleep(time.Minute)
		}
		got := fake.App(wechattest.AppID)
		if asked := got.Tickets + got.TicketRepeats; asked > 250 {
			t.Errorf("asked for the ticket %d times a day", asked)
		}
		if status, err := tickets.Status(t.Context()); err != nil || status.Generation != int64(got.Tickets) {
			t.Errorf("generation %d (%v) after %d tickets", status.Generation, err, got.Tickets)
		}
		if got.ClassicMints > 18 {
			t.Errorf("%d tokens were minted for the tickets of a day", got.ClassicMints)
		}
		t.Logf("asked %d times for %d tickets", got.Tickets+got.TicketRepeats, got.Tickets)
	})
}

// A foreign mint has killed the token: the ticket's coordinator finds out, and
// gets its ticket all the same.
func TestTicketHealsTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, cfg := inBubble(t, wechattest.Config{})
		store := storetest.NewMemory()
		tokens, err := coordinator.New("shop", wechat.NewClassicToken(wechattest.AppID, wechattest.Secret, cfg), store, coordinator.Config{})
		if err != nil {
			t.Fatal(err)
		}
		dead, err := tokens.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		fake.Revoke(wechattest.AppID)
		tickets, err := coordinator.New("shop-jsapi", wechat.NewTicket(wechattest.AppID, tokens, wechat.JSAPI, cfg), store, coordinator.Config{})
		if err != nil {
			t.Fatal(err)
		}
		ticket, err := tickets.Token(t.Context())
		if err != nil || !fake.AcceptsTicket(ticket.Value) {
			t.Errorf("%v, %v", ticket, err)
		}
		if token, err := tokens.Token(t.Context()); err != nil || token.Value == dead.Value {
			t.Errorf("the dead token is still served (%v)", err)
		}
		if got := fake.App(wechattest.AppID); got.ClassicMints != 2 || got.CallsRejected[40001] != 1 {
			t.Errorf("%d mints and %v rejected calls, want 2 and one 40001", got.ClassicMints, got.CallsRejected)
		}
	})
}
