package wechat_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/wechat"
	"github.com/mintonce/mintonce/wechat/wechattest"
)

var _ coordinator.Source = (*wechat.Ticket)(nil)

// ticketWorld is a fake with a token of the account, and its jsapi tickets.
func ticketWorld(t *testing.T) (world, *wechat.Ticket) {
	w := newWorld(t)
	return w, wechat.NewTicket(appID, w.tokens, wechat.JSAPI, wechat.Config{API: w.URL})
}

func TestTicketTraits(t *testing.T) {
	_, ticket := ticketWorld(t)
	want := coordinator.Traits{Kind: coordinator.Idempotent, Credential: "wechat:" + appID + "/jsapi", RenewsWithin: time.Hour, DayOffset: 8 * time.Hour}
	if got := ticket.Traits(); got != want {
		t.Errorf("traits are %+v, want %+v", got, want)
	}
}

func TestTicketsByType(t *testing.T) {
	w, jsapi := ticketWorld(t)
	card := wechat.NewTicket(appID, w.tokens, wechat.WXCard, wechat.Config{API: w.URL})
	one, two := mustMint(t, jsapi), mustMint(t, card)
	if one.Value == two.Value || !w.AcceptsTicket(one.Value) || !w.AcceptsTicket(two.Value) {
		t.Errorf("jsapi %v, wx_card %v", one, two)
	}
	if again := mustMint(t, jsapi); again.Value != one.Value {
		t.Error("a ticket was not repeated")
	}
	if jsapi.Traits().Credential == card.Traits().Credential {
		t.Error("tickets of two types have one credential, so that they could share a record")
	}
	if got := w.App(appID); got.CallsAccepted != 3 || got.MintRequests != 0 {
		t.Errorf("%d calls and %d mints for three tickets", got.CallsAccepted, got.MintRequests)
	}
}

// WeChat says 7200 s each time, whatever is left.
func TestTicketEnd(t *testing.T) {
	w, source := ticketWorld(t)
	current := mustMint(t, source).Value
	for name, test := range map[string]struct {
		value  string        // of the ticket before; empty: none
		left   time.Duration // of it
		answer string        // expires_in; empty: 7200
		want   time.Duration
	}{
		"of unknown age":                   {"", 0, "", time.Hour},
		"after one that had ended":         {"other", -time.Second, "", time.Hour},
		"after one that is alive":          {"other", 3 * time.Minute, "", 2 * time.Hour},
		"repeated in the midst of life":    {current, 47 * time.Minute, "", 47 * time.Minute},
		"repeated near its end":            {current, 3 * time.Minute, "", 10 * time.Minute},
		"repeated after its end":           {current, -24 * time.Hour, "", 10 * time.Minute},
		"said to be short":                 {current, time.Hour, "60", time.Minute},
		"said to be short, and is new":     {"other", time.Hour, "60", time.Minute},
		"said to be short, of unknown age": {"", 0, "60", 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			if test.answer != "" {
				w.Inject(wechattest.Fault{Kind: wechattest.ExpiresIn, On: wechattest.Tickets, Body: test.answer})
			}
			before := time.Now()
			var prev coordinator.Token
			if test.value != "" {
				prev = coordinator.NewToken(test.value, before.Add(test.left))
			}
			got, err := source.Mint(t.Context(), prev)
			if err != nil || got.Value != current {
				t.Fatalf("%v, %v", got, err)
			}
			if life := got.ExpiresAt().Sub(before); life < test.want || life > test.want+30*time.Second {
				t.Errorf("the ticket lives for %s, want %s", life, test.want)
			}
		})
	}
}

func TestTicketReportsARejectedToken(t *testing.T) {
	for _, code := range []int{40001, 40014, 42001} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			w, source := ticketWorld(t)
			used := w.tokens.current
			w.Inject(wechattest.Fault{Kind: wechattest.Errcode, On: wechattest.Tickets, Code: code})
			_, err := source.Mint(t.Context(), coordinator.Token{})
			failure := ticketError(t, err, used)
			if !failure.Refused || failure.Class != coordinator.Transient || failure.After != 0 || failure.Code != code {
				t.Errorf("failure is %+v, want a refused transient one", *failure)
			}
			var cause *coordinator.RejectedError
			if len(w.tokens.reports) != 1 || w.tokens.reports[0] != used || !errors.As(w.tokens.causes[0], &cause) || cause.Code != code {
				t.Errorf("%d reports, causes %v: want one of the token that was used, with the code", len(w.tokens.reports), w.tokens.causes)
			}
			if _, err := source.Mint(t.Context(), coordinator.Token{}); err != nil {
				t.Errorf("with the next token: %v", err)
			}
		})
	}
	w, source := ticketWorld(t)
	for _, code := range []int{-1, 41001, 45009, 48001} {
		w.Inject(wechattest.Fault{Kind: wechattest.Errcode, On: wechattest.Tickets, Code: code})
		if _, err := source.Mint(t.Context(), coordinator.Token{}); err == nil || len(w.tokens.reports) != 0 {
			t.Errorf("%d: error %v, %d reports", code, err, len(w.tokens.reports))
		}
	}
}

func TestTicketCodes(t *testing.T) {
	w, source := ticketWorld(t)
	for _, want := range []expectation{
		{-1, coordinator.Transient, 0, "busy"},
		{40097, coordinator.Configuration, 5 * time.Minute, "type of ticket"},
		{40164, coordinator.Operator, 3 * time.Minute, "add 127.0.0.1 to the account's IP whitelist"},
		{41001, coordinator.Configuration, 5 * time.Minute, "did not reach WeChat"},
		{45009, coordinator.Quota, 10 * time.Minute, "ticket calls"},
		{45011, coordinator.Quota, time.Minute, "minute"},
		{48001, coordinator.Operator, 10 * time.Minute, "permission"},
		{50002, coordinator.Operator, 10 * time.Minute, "limited"},
		{40125, coordinator.Transient, 0, "does not know"}, // blames a secret that was not sent
	} {
		w.Inject(wechattest.Fault{Kind: wechattest.Errcode, On: wechattest.Tickets, Code: want.code})
		_, err := source.Mint(t.Context(), coordinator.Token{})
		failure := ticketError(t, err, w.tokens.current)
		if failure.Code != want.code || failure.Class != want.class || failure.After != want.after || !failure.Refused {
			t.Errorf("%d gave %+v, want class %s after %s, refused", want.code, *failure, want.class, want.after)
		}
		if !strings.Contains(failure.Error(), want.says) || failure.Advice == "" || !strings.Contains(failure.Message, ", rid ") {
			t.Errorf("%d says %q: want %q, a rid and advice", want.code, failure, want.says)
		}
	}
}

// The token is in the query of the request, and must not show in an error.
func TestTicketErrorsShowNoToken(t *testing.T) {
	w, source := ticketWorld(t)
	token := w.tokens.current
	for _, fault := range []wechattest.Fault{
		{Kind: wechattest.Errcode, Code: 77777, Body: "bad token " + token},
		{Kind: wechattest.Reset}, {Kind: wechattest.Lost}, {Kind: wechattest.Truncated}, {Kind: wechattest.Empty}, {Kind: wechattest.HTML},
		{Kind: wechattest.Redirect, Body: "/cgi-bin/ticket/getticket?access_token=" + token},
		{Kind: wechattest.Raw, Body: token}, {Kind: wechattest.Raw, Body: `{"errcode":0,"errmsg":"ok"}`},
		{Kind: wechattest.ExpiresIn, Body: "0"},
	} {
		fault.On = wechattest.Tickets
		w.Inject(fault)
		_, err := source.Mint(t.Context(), coordinator.Token{})
		failure := ticketError(t, err, token)
		if wantRefused := fault.Kind == wechattest.Errcode; failure.Refused != wantRefused {
			t.Errorf("%s: refused is %t", fault.Kind, failure.Refused)
		}
	}
	if got := w.App(appID); got.Faults != 10 {
		t.Errorf("%d requests for 10 mints", got.Faults)
	}
}

func ticketError(t *testing.T, err error, token string) *coordinator.SourceError {
	t.Helper()
	failure := sourceError(t, err)
	mustNotShow(t, err, token)
	return failure
}

func TestTicketWithoutAToken(t *testing.T) {
	configuration := &coordinator.SourceError{Class: coordinator.Configuration, Message: "the AppSecret is wrong"}
	backoff := &coordinator.BackoffError{Failure: coordinator.Failure{Class: coordinator.Operator, Message: "frozen"}}
	for want, cause := range map[coordinator.Class]error{
		coordinator.Configuration: fmt.Errorf("%w: %w", coordinator.ErrNoToken, configuration),
		coordinator.Operator:      fmt.Errorf("%w: %w", coordinator.ErrNoToken, backoff),
		coordinator.Transient:     context.DeadlineExceeded,
	} {
		_, err := wechat.NewTicket(appID, noTokens{cause}, wechat.JSAPI, wechat.Config{}).Mint(t.Context(), coordinator.Token{})
		failure := sourceError(t, err)
		if failure.Class != want || !failure.Refused || !errors.Is(err, cause) || !strings.Contains(failure.Error(), "no access token") {
			t.Errorf("failure is %+v, want one of class %s that sent nothing", *failure, want)
		}
	}
}

type noTokens struct{ err error }

func (n noTokens) Token(context.Context) (coordinator.Token, error) {
	return coordinator.Token{}, n.err
}

func (n noTokens) Report(context.Context, string, error) error { return n.err }

func TestTicketCheck(t *testing.T) {
	tokens := new(tokens)
	for says, ticket := range map[string]*wechat.Ticket{
		"AppID is empty": wechat.NewTicket("", tokens, wechat.JSAPI, wechat.Config{}),
		"give NewTicket": wechat.NewTicket(appID, nil, wechat.JSAPI, wechat.Config{}),
		"use jsapi or":   wechat.NewTicket(appID, tokens, "card", wechat.Config{}),
		"https only":     wechat.NewTicket(appID, tokens, wechat.WXCard, wechat.Config{API: "http://api.weixin.qq.com"}),
	} {
		if err := ticket.Check(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("Check says %v, want %q", err, says)
		}
		_, err := ticket.Mint(t.Context(), coordinator.Token{})
		if failure := sourceError(t, err); failure.Class != coordinator.Configuration || !strings.Contains(failure.Advice, says) {
			t.Errorf("Mint says %v, want %q", failure, says)
		}
	}
	if err := wechat.NewTicket(appID, tokens, wechat.JSAPI, wechat.Config{}).Check(); err != nil {
		t.Error(err)
	}
}
