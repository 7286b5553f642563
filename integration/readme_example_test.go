package integration_test

import (
	"context"
	"net/http"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/redisstore"
	"github.com/mintonce/mintonce/wechat"
)

// embed is the code that the README quotes.
func embed(ctx context.Context, appID, secret string) error {
	redisClient, err := redisstore.Open("redis://127.0.0.1:6379/0")
	if err != nil {
		return err
	}
	store := redisstore.New(redisClient, redisstore.Config{})
	source := wechat.NewStableToken(appID, secret, wechat.Config{})
	tokens, err := coordinator.New("shop", source, store, coordinator.Config{})
	if err != nil {
		return err
	}
	go tokens.Run(ctx) // optional: refresh ahead of time, learn of changes at once
	client := &http.Client{Transport: wechat.NewTransport(tokens, nil)}
	response, err := client.Get("https://api.weixin.qq.com/cgi-bin/get_api_domain_ip")
	if err != nil {
		return err
	}
	return response.Body.Close()
}

var _ = embed
