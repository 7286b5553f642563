package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/mintonce/mintonce/redisstore"
	"github.com/mintonce/mintonce/wechat"
	"github.com/mintonce/mintonce/wechat/wechattest"
	"github.com/redis/go-redis/v9"
)

// naiveApp shares a token as the common SDKs for WeChat do when they are given
// a Redis cache, each part as in one of them:
//
//   - Get the token: from the cache; on a miss, under a mutex of the process
//     and after a second look, mint and store it with a margin of 1,500 of
//     7,200 seconds. silenceper/wechat, credential/default_access_token.go.
//   - After 40001, 40014 or 42001: mint whoever has done so meanwhile, store
//     it, read the cache, and repeat the call once. ArtisanCloud/PowerWeChat,
//     kernel/baseClient.go, CheckTokenNeedRefresh. wechatpy does the same
//     without a limit to the repeats; silenceper does nothing.
//   - No lock between processes: none of the three has one.
//
// One thing is kinder than PowerWeChat: the second mint takes the mutex too,
// so that a process never mints twice at the same time.
type naiveApp struct {
	api    string
	cache  redis.UniversalClient
	key    string
	client *http.Client
	mu     sync.Mutex // held during a mint
}

func newNaiveApp(o orders) (app, error) {
	cache, err := redisstore.Open(o.Redis)
	if err != nil {
		return nil, err
	}
	return &naiveApp{api: o.API, cache: cache, key: naiveKey(o.Prefix), client: &http.Client{}}, nil
}

// naiveKey is the key of the token in the cache.
func naiveKey(prefix string) string { return prefix + ":naive:access_token:" + wechattest.AppID }

func (a *naiveApp) call(ctx context.Context) error {
	token, err := a.token(ctx)
	if err != nil {
		return err
	}
	err = a.send(ctx, token)
	var answer *apiError
	if !errors.As(err, &answer) || !wechat.IsRejected(answer.code) {
		return err
	}
	if err := a.rotate(ctx); err != nil {
		return err
	}
	if token, err = a.token(ctx); err != nil {
		return err
	}
	return a.send(ctx, token)
}

func (a *naiveApp) send(ctx context.Context, token string) error {
	return sendMessage(ctx, a.client, a.api+messagePath+"?access_token="+url.QueryEscape(token))
}

func (a *naiveApp) token(ctx context.Context) (string, error) {
	if token, err := a.cached(ctx); token != "" || err != nil {
		return token, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if token, err := a.cached(ctx); token != "" || err != nil {
		return token, err
	}
	return a.mint(ctx)
}

// rotate mints without asking whether that is still needed.
func (a *naiveApp) rotate(ctx context.Context) error {
	_, err := a.mint(ctx)
	return err
}

func (a *naiveApp) cached(ctx context.Context) (string, error) {
	token, err := a.cache.Get(ctx, a.key).Result()
	if errors.Is(err, redis.Nil) {
		return "", nil
	}
	return token, err
}

func (a *naiveApp) mint(ctx context.Context) (string, error) {
	query := url.Values{"grant_type": {"client_credential"}, "appid": {wechattest.AppID}, "secret": {wechattest.Secret}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.api+"/cgi-bin/token?"+query.Encode(), nil)
	if err != nil {
		return "", errors.New("the demo made a bad request")
	}
	var answer struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
		ErrCode     int    `json:"errcode"`
	}
	if err := exchange(a.client, request, &answer); err != nil {
		return "", err
	}
	if answer.AccessToken == "" {
		return "", fmt.Errorf("no token: %w", &apiError{answer.ErrCode})
	}
	life := time.Duration(answer.ExpiresIn) * time.Second
	margin := life * 1500 / 7200
	return answer.AccessToken, a.cache.Set(ctx, a.key, answer.AccessToken, life-margin).Err()
}

func (a *naiveApp) close() { a.cache.Close() }
