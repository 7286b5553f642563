package wechat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/tencent"
)

// TicketType says what a ticket is for.
type TicketType string

// The types of tickets.
const (
	// JSAPI tickets sign the configuration of the JS-SDK on a page: [SignPage].
	JSAPI TicketType = "jsapi"
	// WXCard tickets, called api_ticket, sign cards and coupons.
	WXCard TicketType = "wx_card"
)

// askWithin is the last part of a ticket's life in which it is asked for again:
// from its half-life on.
const askWithin = time.Hour

// Ticket gets jsapi and wx_card tickets at /cgi-bin/ticket/getticket, with an
// access token that it takes from another coordinator. It is a
// [coordinator.Source], for a coordinator with a name of its own, and safe for
// concurrent use.
//
// WeChat gives the same ticket to everybody who asks while it is valid, and
// always says that 7200 s are left, so that nobody knows its age who has not
// seen it come: a cache that believes the answer serves a dead ticket for up to
// two hours. So a ticket whose predecessor was alive a moment ago gets its whole
// life, any other one half of it. From its half-life on it is asked for again,
// seldom first and every two minutes in the end, some 150 times a day: "the
// number of calls is very limited". Being given out again does not prolong it
// beyond ten minutes from then.
//
// https://developers.weixin.qq.com/doc/service/en/api/webdev/jssdk/api_getticket.html
type Ticket struct {
	appID  string
	kind   TicketType
	tokens TokenSource
	client *tencent.Client
	err    error // what is wrong with the configuration, if anything
}

// NewTicket returns the source of the account's tickets of a type. tokens is
// the coordinator of the account's access token; the Ticket reports a token
// that WeChat rejects, and asks anew with another one at the next Mint. A
// mistake in the arguments is reported by Check, and by every Mint.
func NewTicket(appID string, tokens TokenSource, kind TicketType, cfg Config) *Ticket {
	t := &Ticket{appID: appID, kind: kind, tokens: tokens}
	switch {
	case checkAppID(appID) != nil:
		t.err = checkAppID(appID)
	case tokens == nil:
		t.err = errors.New("a ticket is got with an access token: give NewTicket the coordinator of that")
	case kind != JSAPI && kind != WXCard:
		t.err = fmt.Errorf("the type %.20q is none of a ticket: use %s or %s", kind, JSAPI, WXCard)
	default:
		t.client, t.err = ticketCalls.Client(tencent.Config(cfg))
	}
	return t
}

// Check returns what is wrong with the arguments of NewTicket, or nil.
func (t *Ticket) Check() error {
	if t.err != nil {
		return fmt.Errorf("wechat: %w", t.err)
	}
	return nil
}

// Traits tells how tickets behave. The credential names account and type: a
// new AppSecret does not end a ticket.
func (t *Ticket) Traits() coordinator.Traits {
	return coordinator.Traits{
		Kind:         coordinator.Idempotent,
		Credential:   "wechat:" + t.appID + "/" + string(t.kind),
		RenewsWithin: askWithin,
		DayOffset:    beijing,
	}
}

// Mint asks for the ticket, with one request. Without an access token it sends
// nothing. Its errors are of type *coordinator.SourceError.
func (t *Ticket) Mint(ctx context.Context, prev coordinator.Token) (coordinator.Token, error) {
	if t.err != nil {
		return coordinator.Token{}, ticketCalls.Misconfigured(t.err)
	}
	token, err := t.tokens.Token(ctx)
	if err != nil {
		return coordinator.Token{}, noToken(err)
	}
	asked := time.Now()
	ticket, err := t.client.Get(ctx, "cgi-bin/ticket/getticket", url.Values{"access_token": {token.Value}, "type": {string(t.kind)}}, token.Value)
	if err != nil {
		t.report(ctx, token.Value, err)
		return coordinator.Token{}, err
	}
	return coordinator.NewToken(ticket.Value, tencent.TrueEnd(ticket, prev, asked)), nil
}

// report tells the coordinator of the access token that WeChat rejects it, if
// that is what err says. The token that comes of it is for the next Mint.
func (t *Ticket) report(ctx context.Context, token string, err error) {
	var failure *coordinator.SourceError
	if errors.As(err, &failure) && IsRejected(failure.Code) {
		_ = t.tokens.Report(ctx, token, &coordinator.RejectedError{Code: failure.Code})
	}
}

// noToken is a mint without an access token. Who can mend that is the same as
// for the token.
func noToken(err error) *coordinator.SourceError {
	failure := &coordinator.SourceError{
		Class:   coordinator.Transient,
		Message: "there is no access token to get the ticket with",
		Advice:  err.Error(),
		Refused: true,
		Err:     err,
	}
	var source *coordinator.SourceError
	var backoff *coordinator.BackoffError
	switch {
	case errors.As(err, &source):
		failure.Class = source.Class
	case errors.As(err, &backoff):
		failure.Class = backoff.Failure.Class
	}
	return failure
}

// String names the account and the type of the ticket.
func (t *Ticket) String() string { return "wechat " + string(t.kind) + " ticket of " + t.appID }

// Format makes every verb of package fmt print String.
func (t *Ticket) Format(f fmt.State, _ rune) { fmt.Fprint(f, t.String()) }

// LogValue makes package log/slog print String.
func (t *Ticket) LogValue() slog.Value { return slog.StringValue(t.String()) }

// MarshalText makes encoding/json and its like print String.
func (t *Ticket) MarshalText() ([]byte, error) { return []byte(t.String()), nil }
