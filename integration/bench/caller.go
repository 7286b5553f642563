package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/bsm/redislock"
	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/redisstore"
	"github.com/redis/go-redis/v9"
)

// The kinds of callers.
const (
	asMintonce = "mintonce"
	asPolling  = "redislock, polling"
)

type callerJob struct{ URL, Provider, How string }

// ready says that a child waits for the start, and is the start.
type ready struct{}

type callerResult struct {
	At          moment
	Fingerprint string
	Error       string
}

// beCaller is a process that wants the token once.
func beCaller(ctx context.Context, p *parent) error {
	var job callerJob
	if err := p.receive(&job); err != nil {
		return err
	}
	client, err := redisstore.Open(job.URL)
	if err != nil {
		return err
	}
	defer client.Close()
	token, err := callerOf(job, client)
	if err != nil {
		return err
	}
	if err := client.Ping(ctx).Err(); err != nil {
		return err
	}
	if err := p.send(ready{}); err != nil {
		return err
	}
	if err := p.receive(&ready{}); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	value, err := token(ctx)
	result := callerResult{At: now(), Fingerprint: coordinator.Fingerprint(value)}
	if err != nil {
		result.Error = err.Error()
	}
	if err := p.send(result); err != nil {
		return err
	}
	// The end of this process must not take time from those that still wait.
	if err := p.receive(&ready{}); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func callerOf(job callerJob, client redis.UniversalClient) (func(context.Context) (string, error), error) {
	source := newRemoteSource(job.Provider)
	if job.How == asPolling {
		return pollingCaller(client, source), nil
	}
	c, err := coordinator.New("shop", source, redisstore.New(client, redisstore.Config{}), coordinator.Config{})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (string, error) {
		token, err := c.Token(ctx)
		return token.Value, err
	}, nil
}

// pollingCaller is the plain alternative.
func pollingCaller(client redis.UniversalClient, source coordinator.Source) func(context.Context) (string, error) {
	const key, lease = "plain", 10 * time.Second
	locks := redislock.New(client)
	mint := func(ctx context.Context) (string, error) {
		token, err := source.Mint(ctx, coordinator.Token{})
		if err != nil {
			return "", err
		}
		return token.Value, client.Set(ctx, key, token.Value, time.Until(token.ExpiresAt())).Err()
	}
	return func(ctx context.Context) (string, error) {
		for {
			value, err := client.Get(ctx, key).Result()
			if !errors.Is(err, redis.Nil) {
				return value, err
			}
			lock, err := locks.Obtain(ctx, key+":lock", lease, nil)
			if errors.Is(err, redislock.ErrNotObtained) {
				if err := pause(ctx, pollPause); err != nil {
					return "", err
				}
				continue
			}
			if err != nil {
				return "", err
			}
			defer lock.Release(context.WithoutCancel(ctx))
			if value, err := client.Get(ctx, key).Result(); !errors.Is(err, redis.Nil) {
				return value, err
			}
			return mint(ctx)
		}
	}
}
