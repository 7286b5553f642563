package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/redisstore"
	"github.com/redis/go-redis/v9"
	"golang.org/x/oauth2"
)

// The names of readers in the report.
const (
	floorName = "the floor: atomic load, time.Since"
	tokenName = "Coordinator.Token"
	awsName   = "aws.CredentialsCache"
)

var errNoToken = errors.New("there is no token where there must be one")

// hotReaders are ready to be measured: each has its token.
func hotReaders(ctx context.Context, server *redisServer) ([]*reader, error) {
	store := redisstore.New(server.Client, redisstore.Config{})
	source := &localSource{name: "shop", life: 2 * time.Hour}
	c, err := coordinator.New("shop", source, store, coordinator.Config{})
	if err != nil {
		return nil, err
	}
	group, err := coordinator.NewGroup(store, func(string) (coordinator.Source, error) { return source, nil }, coordinator.GroupConfig{})
	if err != nil {
		return nil, err
	}
	token, err := c.Token(ctx)
	if err != nil {
		return nil, err
	}
	plain := redis.NewClient(&redis.Options{Addr: server.addr})
	if err := plain.Set(ctx, "plain", token.Value, 0).Err(); err != nil {
		return nil, err
	}
	readers := []*reader{
		{name: floorName, read: readFloor(token)},
		{name: tokenName, read: func(n int) error {
			for range n {
				if t, err := c.Token(ctx); err != nil || t.Generation != 1 {
					return errNoToken
				}
			}
			return nil
		}},
		{name: "Group.Token by name", read: func(n int) error {
			for range n {
				if t, err := group.Token(ctx, "shop"); err != nil || t.Generation != 1 {
					return errNoToken
				}
			}
			return nil
		}},
		{name: awsName, read: readAWS(ctx, token.Value)},
		{name: "oauth2.ReuseTokenSource", read: readOAuth2(token.Value)},
		{name: "go-redis GET", read: func(n int) error {
			for range n {
				if v, err := plain.Get(ctx, "plain").Result(); err != nil || v == "" {
					return errors.Join(errNoToken, err)
				}
			}
			return nil
		}},
	}
	for _, r := range readers {
		r.ns = make(map[int][]float64)
		if err := r.read(1); err != nil {
			return nil, err
		}
	}
	return readers, nil
}

// readFloor is the least that a cached token with an end can cost.
func readFloor(token coordinator.Token) func(n int) error {
	type cached struct {
		token coordinator.Token
		end   time.Duration
	}
	var current atomic.Pointer[cached]
	epoch := time.Now()
	current.Store(&cached{token, time.Until(token.ExpiresAt())})
	return func(n int) error {
		for range n {
			if c := current.Load(); time.Since(epoch) >= c.end || c.token.Generation != 1 {
				return errNoToken
			}
		}
		return nil
	}
}

func readAWS(ctx context.Context, value string) func(n int) error {
	cache := aws.NewCredentialsCache(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "id", SecretAccessKey: value, CanExpire: true, Expires: time.Now().Add(2 * time.Hour)}, nil
	}))
	return func(n int) error {
		for range n {
			if c, err := cache.Retrieve(ctx); err != nil || c.SecretAccessKey == "" {
				return errNoToken
			}
		}
		return nil
	}
}

func readOAuth2(value string) func(n int) error {
	source := oauth2.ReuseTokenSource(&oauth2.Token{AccessToken: value, Expiry: time.Now().Add(2 * time.Hour)}, nil)
	return func(n int) error {
		for range n {
			if t, err := source.Token(); err != nil || t.AccessToken == "" {
				return errNoToken
			}
		}
		return nil
	}
}
