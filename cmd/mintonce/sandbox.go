package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/mintonce/mintonce/internal/config"
	"github.com/mintonce/mintonce/internal/httpapi"
	"github.com/mintonce/mintonce/internal/plain"
	"github.com/mintonce/mintonce/wechat/wechattest"
	"github.com/spf13/cobra"
)

// sandboxOptions say what the fake WeChat is like.
type sandboxOptions struct {
	listen        string
	appID, secret string
	lifetime      time.Duration
}

func (a *app) sandboxCommand() *cobra.Command {
	var o sandboxOptions
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "Run a fake WeChat, to try everything without an account",
		Long: `sandbox serves a fake of WeChat's API: tokens live, overlap and die there as
they do at WeChat, its quotas and errors are the same, and it can be told to
fail. It fakes WeCom (企业微信) as well. It prints what to try next. The
variables of its own flags begin with MINTONCE_SANDBOX_, such as
MINTONCE_SANDBOX_LISTEN.

It needs no password and can be made to fail by anybody who reaches it: keep
it on a loopback address or in a private network.`,
		Example: `  mintonce sandbox
  curl -d '{"kind":"errcode","code":-1,"times":3}' \
      http://127.0.0.1:8421/sandbox/fault
  curl http://127.0.0.1:8421/sandbox/stats`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c := config.Config{} // of the common flags, it heeds those of the log only
			a.logSettings(&c)
			if err := a.ready(&c, slog.LevelInfo); err != nil {
				return err
			}
			if o.lifetime < time.Second || o.lifetime > 24*time.Hour {
				return misused("--lifetime is %s: it must be from 1s to 24h", o.lifetime)
			}
			a.begun = true
			return a.sandbox(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.listen, "listen", "127.0.0.1:8421", "`HOST:PORT` of the fake")
	cmd.Flags().StringVar(&o.appID, "appid", wechattest.AppID, "AppID `ID` of its account\n")
	cmd.Flags().StringVar(&o.secret, "secret", wechattest.Secret, "AppSecret `TEXT` of its account, which protects\nnothing\n")
	cmd.Flags().DurationVar(&o.lifetime, "lifetime", 2*time.Hour, "how long its tokens live")
	return cmd
}

func (a *app) sandbox(ctx context.Context, o sandboxOptions) error {
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return listenError(o.listen, err)
	}
	fake := wechattest.New(wechattest.Config{
		Apps:     []wechattest.App{{ID: o.appID, Secret: o.secret}},
		CorpApps: []wechattest.CorpApp{{CorpID: wechattest.CorpID, Agent: wechattest.CorpAgent, Secret: wechattest.CorpSecret}},
		Lifetime: o.lifetime,
		Observe: func(e wechattest.Event) {
			attrs := []any{"appid", e.App, "endpoint", string(e.Endpoint)}
			if e.Code != 0 {
				attrs = append(attrs, "code", e.Code)
			}
			if e.Fault != "" {
				attrs = append(attrs, "fault", string(e.Fault))
			}
			a.log.Info(string(e.Outcome), attrs...)
		},
	})
	defer fake.Close()
	server := httpapi.NewServer(fake, a.log)
	server.WriteTimeout = 0 // it can be told to be slow
	unhook := context.AfterFunc(ctx, func() {
		fake.Close() // lets go of what it holds back
		_ = server.Close()
	})
	defer unhook()
	fmt.Fprintf(a.stdout, nextSteps, listener.Addr(), o.appID, o.secret)
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("listen on %s: %w", o.listen, err)
	}
	return nil
}

// nextSteps is a first walk through the command.
const nextSteps = `A fake WeChat listens at http://%[1]s for appid %[2]s.
Try in another terminal:

  export MINTONCE_NAME=shop MINTONCE_WECHAT_APPID=%[2]s
  export MINTONCE_WECHAT_SECRET=%[3]s MINTONCE_WECHAT_API=http://%[1]s

  mintonce token                          # mints one
  mintonce token                          # the same again: minted once
  mintonce status                         # who minted it, when, why, what is next
  mintonce rotate                         # a new one
  mintonce doctor                         # is everything in order?
  mintonce serve --listen 127.0.0.1:8420  # keep it fresh; then, elsewhere:
  curl http://127.0.0.1:8420/v1/tokens/shop

See what the provider saw, and let its next three mints fail:

  curl http://%[1]s/sandbox/stats
  curl -d '{"kind":"errcode","code":-1,"times":3}' http://%[1]s/sandbox/fault

Be somebody else who mints with the same secret; after two, our token is dead:

  curl -d '{"app":"%[2]s","endpoint":"stable"}' http://%[1]s/sandbox/mint

A ticket, and an app of WeCom, are for a config file:

  store: file:try
  tokens:
    shop:       {wechat: {appid: %[2]s, api: "http://%[1]s"}}
    shop-jsapi: {ticket: {of: shop}}
    office:     {wecom: {corpid: ` + wechattest.CorpID + `, agent: ` + wechattest.CorpAgent + `, api: "http://%[1]s"}}

  export MINTONCE_WECOM_SECRET=` + wechattest.CorpSecret + `
`

func listenError(address string, err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return fmt.Errorf("cannot listen on %s (%s): choose another address with --listen", address, plain.Text(err))
}
