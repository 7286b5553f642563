package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// stage plays one side.
type stage struct {
	settings
	way    way
	redis  *demoRedis
	screen *screen

	provider *provider
	fleet    *fleet
	began    time.Time

	mu     sync.Mutex // guards remark
	remark string     // on the accident of the phase
}

func newStage(s settings, w way, store *demoRedis, screen *screen) *stage {
	return &stage{settings: s, way: w, redis: store, screen: screen}
}

// play runs the side from start to end. No process of it is left afterwards.
func (s *stage) play(ctx context.Context) (result, error) {
	var err error
	if s.provider, err = startProvider(s.timing); err != nil {
		return result{}, err
	}
	defer s.provider.close()
	s.fleet = newFleet(s.orders)
	defer s.fleet.stop()
	if err := s.fleet.startAll(ctx, s.replicas); err != nil {
		return result{}, err
	}
	s.screen.side(s.way, s.provider.address, s.fleet.pids())
	if err := s.fleet.begin(); err != nil {
		return result{}, err
	}
	s.began = time.Now()
	return s.run(ctx)
}

func (s *stage) orders(replica int) orders {
	return orders{
		Way: s.way, Replica: replica, Replicas: s.replicas, API: s.provider.url(replica), Redis: s.redis.url, Prefix: s.redis.prefix, Rate: s.rate,
		Overlap: int(s.overlap / time.Millisecond),
	}
}

// run goes through the phases by the clock, and counts what happens in each.
// Accidents go on beside it, and may outlast their phase.
func (s *stage) run(ctx context.Context) (result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	accidents, ctx := errgroup.WithContext(ctx)
	var r result
	for i, p := range script {
		before := s.counts()
		accidents.Go(func() error { return p.accident(ctx, s, p) })
		if err := s.show(ctx, p, before); err != nil {
			cancel()
			if cause := accidents.Wait(); cause != nil && errors.Is(err, context.Canceled) {
				err = cause
			}
			return r, err
		}
		if i == len(script)-1 {
			if err := accidents.Wait(); err != nil {
				return r, err
			}
			s.fleet.stop() // the last calls belong to the last phase
		}
		o := outcome{p.name, s.counts().minus(before), s.takeRemark()}
		s.screen.ended(o)
		r.outcomes = append(r.outcomes, o)
	}
	r.firstFailure = s.fleet.firstFailure
	return r, nil
}

// show shows what happens in a phase, until its end by the clock. It returns
// an error if ctx ends or a process breaks before.
func (s *stage) show(ctx context.Context, p phase, before counts) error {
	end := time.NewTimer(time.Until(s.began.Add(s.at(p.to))))
	defer end.Stop()
	refresh := time.NewTicker(200 * time.Millisecond)
	defer refresh.Stop()
	for {
		select {
		case <-end.C:
			return nil
		case <-refresh.C:
			s.screen.underWay(outcome{name: p.name, counts: s.counts().minus(before)})
		case err := <-s.fleet.broken:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// counts are the figures of the side so far.
func (s *stage) counts() counts {
	var c counts
	c.mints, c.rejected = s.provider.counts()
	c.calls, c.failed = s.fleet.counts()
	return c
}

// remarks on an accident, for the line of its phase.
func (s *stage) remarks(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remark = text
}

func (s *stage) takeRemark() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := s.remark
	s.remark = ""
	return text
}
