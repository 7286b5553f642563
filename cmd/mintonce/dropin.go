package main

import (
	"context"
	"errors"

	"github.com/mintonce/mintonce/internal/config"
	"github.com/mintonce/mintonce/internal/wechatapi"
	"github.com/mintonce/mintonce/wechat"
)

// wechat is what the API serves at WeChat's own paths under the config in use.
func (f *fleet) wechat() wechatapi.Config {
	said := f.inUse()
	accounts := make(map[string][]wechatapi.Account)
	tickets := make(map[string]map[string]string)
	for _, name := range f.config.Names() {
		if _, kept := f.known[name]; !kept {
			continue
		}
		switch t := said(name); {
		case t.WeChat != nil:
			accounts[t.WeChat.AppID] = append(accounts[t.WeChat.AppID], wechatapi.Account{Name: name, Classic: t.WeChat.Mode == config.ModeClassic})
		case t.Ticket != nil && said(t.Ticket.Of).WeChat != nil:
			appID := said(t.Ticket.Of).WeChat.AppID
			if tickets[appID] == nil {
				tickets[appID] = make(map[string]string)
			}
			tickets[appID][t.Ticket.Type] = name
		}
	}
	return wechatapi.Config{
		Accounts: accounts,
		Tickets:  tickets,
		Memory:   &f.given,
		Probe: func(ctx context.Context, name, token string) error {
			w := said(name).WeChat
			if w == nil {
				return errors.New("it is not a token of WeChat")
			}
			probe, err := wechat.NewProbe(wechat.Config{API: w.API, AllowPlainHTTP: w.AllowPlainHTTP})
			if err != nil {
				return err
			}
			return probe.Try(ctx, token)
		},
	}
}
