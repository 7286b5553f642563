package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/plain"
	"github.com/mintonce/mintonce/redisstore"
)

// pingPause is how often a store that does not answer is asked again.
const pingPause = time.Second

// outage tells when the store stops answering, and when it answers again, once
// each. It hears of it from the tokens, which all meet the same outage; and from
// the connection that follows changes, for tokens at rest meet none.
type outage struct {
	log   *slog.Logger
	level slog.Level                  // of the bad news
	ping  func(context.Context) error // asks the store; nil: nothing is asked

	ctx  context.Context // ends with the session
	stop context.CancelFunc
	all  sync.WaitGroup

	mu     sync.Mutex // guards all below
	since  time.Time  // of the outage; zero while there is none
	asking bool
}

func newOutage(log *slog.Logger, level slog.Level) *outage {
	o := &outage{log: log, level: level}
	o.ctx, o.stop = context.WithCancel(context.Background())
	return o
}

func (o *outage) away(detail string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.since.IsZero() {
		o.since = time.Now()
		o.log.Log(o.ctx, o.level, "the store does not answer", "detail", detail)
	}
}

func (o *outage) back() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.since.IsZero() {
		o.log.Info("the store answers again", "after", max(time.Since(o.since).Round(time.Second), time.Second))
		o.since = time.Time{}
	}
}

// warn is what the store calls amiss. Where that may be an outage, it is looked
// into.
func (o *outage) warn(err error) {
	var lost *redisstore.Error
	if o.ping == nil || !errors.As(err, &lost) || lost.Op != "follow the changes" {
		o.log.Log(o.ctx, o.level, plain.Text(err))
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.asking || o.ctx.Err() != nil {
		return
	}
	o.asking = true
	o.all.Go(func() { o.follow(err) })
}

// follow asks the store until it answers.
func (o *outage) follow(err error) {
	defer func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.asking = false
	}()
	if o.answers() {
		o.log.Log(o.ctx, o.level, plain.Text(err)) // that connection only
		return
	}
	o.away(plain.Text(err))
	for !o.answers() {
		select {
		case <-o.ctx.Done():
			return
		case <-time.After(pingPause):
		}
	}
	o.back()
}

// answers reports whether the store does, with whatever.
func (o *outage) answers() bool {
	ctx, cancel := context.WithTimeout(o.ctx, storeAnswers)
	defer cancel()
	err := o.ping(ctx)
	for _, verdict := range []error{coordinator.ErrBadRecord, coordinator.ErrNewerRecord, coordinator.ErrSealed} {
		if errors.Is(err, verdict) {
			return true
		}
	}
	return err == nil
}

// close ends all asking.
func (o *outage) close() {
	o.stop()
	o.all.Wait()
}
