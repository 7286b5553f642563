package wecom_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/wechat/wechattest"
	"github.com/mintonce/mintonce/wecom"
)

// A source says in plain words what is wrong, and what to do about it.
func ExampleNewAppToken() {
	office := wechattest.CorpApp{CorpID: wechattest.CorpID, Agent: wechattest.CorpAgent, Secret: wechattest.CorpSecret}
	server := wechattest.NewServer(wechattest.Config{CorpApps: []wechattest.CorpApp{office}})
	defer server.Close()
	server.AllowOnly(office.ID(), "203.0.113.7")

	source := wecom.NewAppToken(office.CorpID, office.Agent, office.Secret, wecom.Config{API: server.URL})
	_, err := source.Mint(context.Background(), coordinator.Token{})

	var failure *coordinator.SourceError
	if errors.As(err, &failure) {
		fmt.Println(failure.Class, failure.Code)
		fmt.Println(failure.Advice)
	}
	// Output:
	// operator 60020
	// add 127.0.0.1 to the account's list of trusted addresses in WeCom's console
}
