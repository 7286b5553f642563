package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/redisstore"
	"github.com/mintonce/mintonce/wechat"
	"github.com/mintonce/mintonce/wechat/wechattest"
	"github.com/redis/go-redis/v9"
)

// credentialName is what the record is called in Redis.
const credentialName = "shop"

// mintonceApp shares its token through a Coordinator. This is all that an app
// has to do.
type mintonceApp struct {
	coordinator *coordinator.Coordinator
	client      *http.Client
	url         string
	redis       redis.UniversalClient
	stop        context.CancelFunc // ends the coordinator's Run
	stopped     chan struct{}      // closed when Run has ended
}

func newMintonceApp(o orders) (app, error) {
	client, err := redisstore.Open(o.Redis)
	if err != nil {
		return nil, err
	}
	store := redisstore.New(client, redisstore.Config{Prefix: o.Prefix})
	source := scaledSource{
		Source:  wechat.NewClassicToken(wechattest.AppID, wechattest.Secret, wechat.Config{API: o.API}),
		overlap: time.Duration(o.Overlap) * time.Millisecond,
	}
	c, err := coordinator.New(credentialName, source, store, scaledConfig(o))
	if err != nil {
		client.Close()
		return nil, err
	}
	a := &mintonceApp{
		coordinator: c,
		client:      &http.Client{Transport: wechat.NewTransport(c, nil, o.API)},
		url:         o.API + messagePath,
		redis:       client,
		stopped:     make(chan struct{}),
	}
	ctx, stop := context.WithCancel(context.Background())
	a.stop = stop
	go func() {
		defer close(a.stopped)
		_ = c.Run(ctx) // always nil
	}()
	return a, nil
}

// scaledConfig fits a token that lives for seconds. What depends on the
// network and the machine is at or near its smallest value, as in the fastest
// of real set-ups.
func scaledConfig(o orders) coordinator.Config {
	return coordinator.Config{
		Instance:     fmt.Sprintf("replica-%d-pid-%d", o.Replica, os.Getpid()),
		MintTimeout:  time.Second,
		Lease:        time.Second,
		StoreTimeout: 500 * time.Millisecond,
		MinimumAge:   500 * time.Millisecond,
		BackoffMin:   100 * time.Millisecond,
		BackoffMax:   time.Second,
		MaxWait:      callTimeout,
		Recheck:      time.Second,
	}
}

// scaledSource is a source of WeChat's whose overlap is that of the demo.
type scaledSource struct {
	coordinator.Source
	overlap time.Duration
}

// Traits implements coordinator.Source.
func (s scaledSource) Traits() coordinator.Traits {
	traits := s.Source.Traits()
	traits.Overlap = s.overlap
	return traits
}

func (a *mintonceApp) call(ctx context.Context) error { return sendMessage(ctx, a.client, a.url) }

func (a *mintonceApp) rotate(ctx context.Context) error {
	_, err := a.coordinator.Rotate(ctx)
	return err
}

func (a *mintonceApp) close() {
	a.stop()
	<-a.stopped
	a.redis.Close()
}
