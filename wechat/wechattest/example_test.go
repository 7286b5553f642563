package wechattest_test

import (
	"context"
	"fmt"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/wechat"
	"github.com/mintonce/mintonce/wechat/wechattest"
)

// The first mint takes place, but its answer is lost. The source says that it
// does not know, and the fake says what really happened.
func Example() {
	server := wechattest.NewServer(wechattest.Config{})
	defer server.Close()
	server.Inject(wechattest.Fault{Kind: wechattest.Lost})

	source := wechat.NewClassicToken(wechattest.AppID, wechattest.Secret, wechat.Config{API: server.URL})
	_, err := source.Mint(context.Background(), coordinator.Token{})
	fmt.Println("failed:", err != nil, "minted:", server.App(wechattest.AppID).ClassicMints)

	token, err := source.Mint(context.Background(), coordinator.Token{})
	fmt.Println("failed:", err != nil, "minted:", server.App(wechattest.AppID).ClassicMints, "accepted:", server.Accepts(token.Value))
	// Output:
	// failed: true minted: 1
	// failed: false minted: 2 accepted: true
}

// A test that needs the moment in which a mint is under way holds its request.
func ExampleFake_HoldNext() {
	server := wechattest.NewServer(wechattest.Config{})
	defer server.Close()
	held := server.HoldNext(wechattest.Mints)

	source := wechat.NewStableToken(wechattest.AppID, wechattest.Secret, wechat.Config{API: server.URL})
	done := make(chan error)
	go func() {
		_, err := source.Mint(context.Background(), coordinator.Token{})
		done <- err
	}()
	<-held.Arrived
	fmt.Println("minted while it is held:", server.App(wechattest.AppID).StableMints)
	held.Release()
	fmt.Println("error:", <-done, "minted:", server.App(wechattest.AppID).StableMints)
	// Output:
	// minted while it is held: 0
	// error: <nil> minted: 1
}
