package wechatapi_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/wechatapi"
)

func ticket(token, kind string) string {
	return "/cgi-bin/ticket/getticket?access_token=" + token + "&type=" + kind
}

// TestTicket is in a bubble: how soon a new token is found depends on how long
// the making of the index took.
func TestTicket(t *testing.T) { synctest.Test(t, testTicket) }

func testTicket(t *testing.T) {
	w := newWorld(wechatapi.Config{})
	w.tokens["stable"].next(2 * time.Hour)
	tests := []struct {
		name, path string
		want       string
		code       int
		hint       string
	}{
		{"of the classic token", ticket("classic-token-1", "jsapi"), "jsapi-token-1", 0, ""},
		{"of the stable token", ticket("stable-token-2", "jsapi"), "jsapi-token-1", 0, ""},
		{"of the token before, in its overlap", ticket("stable-token-1", "jsapi"), "jsapi-token-1", 0, ""},
		{"of a type that is not kept", ticket("classic-token-1", "wx_card"), "", 48001, "NAME: {ticket: {of: TOKEN, type: wx_card}}"},
		{"of an account without tickets", ticket("other-token-1", "jsapi"), "", 48001, "add one to tokens in the config of mintonce"},
		{"of a type that there is not", ticket("classic-token-1", "qr"), "", 40097, "jsapi or wx_card"},
		{"of no type", "/cgi-bin/ticket/getticket?access_token=classic-token-1", "", 40097, ""},
		{"of an unknown token", ticket("guess", "jsapi"), "", 40001, ""},
		{"of a fingerprint", ticket(coordinator.Fingerprint("classic-token-1"), "jsapi"), "", 40001, ""},
		{"of a client's key", ticket(phpKey, "jsapi"), "", 40001, ""},
		{"of a ticket", ticket("jsapi-token-1", "jsapi"), "", 40001, ""},
		{"without a token", "/cgi-bin/ticket/getticket?type=jsapi", "", 41001, ""},
	}
	for _, test := range tests {
		got := w.send(t, get(test.path))
		if got.Ticket != test.want || got.ErrCode != test.code || !strings.Contains(got.ErrMsg, test.hint) {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
	w.tokens["stable"].next(2 * time.Hour)
	if got := w.send(t, get(ticket("stable-token-1", "jsapi"))); got.ErrCode != 40001 {
		t.Errorf("of the token before the one before: %+v", got)
	}
	if got := w.send(t, get(ticket("stable-token-3", "jsapi"))); got.Ticket == "" {
		t.Errorf("of a token that is newer than the index: %+v", got)
	}
	w.tokens["shop-jsapi"].err = coordinator.ErrNoToken
	if got := w.send(t, get(ticket("stable-token-3", "jsapi"))); got.ErrCode != -1 {
		t.Errorf("without a ticket: %+v", got)
	}
}

// BenchmarkUnknownTokens: what somebody costs who sends access tokens that
// there are not to a server with very many accounts.
func BenchmarkUnknownTokens(b *testing.B) {
	accounts := make(map[string][]wechatapi.Account)
	tokens := make(map[string]*credential)
	for i := range 100_000 {
		name := fmt.Sprint("m", i)
		tokens[name] = newCredential(name, time.Hour)
		accounts["wx"+name] = []wechatapi.Account{{Name: name}}
	}
	w := newWorld(wechatapi.Config{})
	w.Accounts, w.Credential = accounts, func(name string) wechatapi.Credential { return tokens[name] }
	for b.Loop() {
		w.send(b, get(ticket("guess", "jsapi")))
	}
}
