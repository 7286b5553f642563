package wechat_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/wechat"
	"github.com/mintonce/mintonce/wechat/wechattest"
)

// A source says in plain words what is wrong, and what to do about it.
func ExampleNewStableToken() {
	server := wechattest.NewServer(wechattest.Config{})
	defer server.Close()
	server.AllowOnly(wechattest.AppID, "203.0.113.7")

	source := wechat.NewStableToken(wechattest.AppID, wechattest.Secret, wechat.Config{API: server.URL})
	_, err := source.Mint(context.Background(), coordinator.Token{})

	var failure *coordinator.SourceError
	if errors.As(err, &failure) {
		fmt.Println(failure.Class, failure.Code)
		fmt.Println(failure.Advice)
	}
	// Output:
	// operator 40164
	// add 127.0.0.1 to the account's IP whitelist in WeChat's console
}

// The secret is checked for the usual mistakes of copying it.
func ExampleStableToken_Check() {
	source := wechat.NewStableToken("wx0123456789abcdef", "5ec7e7\n", wechat.Config{})
	fmt.Println(source.Check())
	// Output:
	// wechat: the AppSecret has a blank, a line end or another character that no AppSecret has: copy it again
}

// Another program has minted twice, so that the token of this one is dead. The
// call does not notice.
func ExampleNewTransport() {
	server := wechattest.NewServer(wechattest.Config{})
	defer server.Close()
	c := &minter{mint: func() string { return server.MintElsewhere(wechattest.AppID, wechattest.Classic) }} // usually a *coordinator.Coordinator
	c.current = c.mint()

	base := &http.Transport{}
	defer base.CloseIdleConnections()
	client := &http.Client{Transport: wechat.NewTransport(c, base, server.URL)}
	server.Revoke(wechattest.AppID)

	response, err := client.Post(server.URL+"/cgi-bin/message/custom/send", "application/json", strings.NewReader(`{"touser":"x"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer response.Body.Close()
	io.Copy(io.Discard, response.Body)
	calls := server.App(wechattest.AppID)
	fmt.Println(response.Status)
	fmt.Println("rejected:", calls.CallsRejected[40001], "accepted:", calls.CallsAccepted)
	// Output:
	// 200 OK
	// rejected: 1 accepted: 1
}

// minter is the least that a Transport needs.
type minter struct {
	current string
	mint    func() string
}

func (m *minter) Token(context.Context) (coordinator.Token, error) {
	return coordinator.Token{Value: m.current}, nil
}

func (m *minter) Report(_ context.Context, value string, _ error) error {
	if value == m.current {
		m.current = m.mint()
	}
	return nil
}
