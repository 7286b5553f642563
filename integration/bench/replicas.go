package main

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/redisstore"
	"github.com/redis/go-redis/v9"
)

type replicasJob struct {
	URL      string
	Replicas int
}

// arrivals are the moments at which replicas had news, by kind and number.
type arrivals map[string]map[int64][]moment

// log collects arrivals.
type log struct {
	mu  sync.Mutex // guards got
	got arrivals
}

func (l *log) note(kind string, number int64, at moment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.got[kind] == nil {
		l.got[kind] = make(map[int64][]moment)
	}
	l.got[kind][number] = append(l.got[kind][number], at)
}

// complete reports whether all replicas have all that is wanted.
func (l *log) complete(wanted map[string][]int64, replicas int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for kind, numbers := range wanted {
		for _, number := range numbers {
			if len(l.got[kind][number]) < replicas {
				return false
			}
		}
	}
	return true
}

// beReplicas is a process with many replicas, which share nothing but it.
func beReplicas(ctx context.Context, p *parent) error {
	var job replicasJob
	if err := p.receive(&job); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l := &log{got: make(arrivals)}
	for range job.Replicas {
		if err := startReplica(ctx, job, l); err != nil {
			return err
		}
	}
	// The first look of Run is over, and the store's follower has its place.
	if err := pause(ctx, 2*time.Second); err != nil {
		return err
	}
	if err := p.send(ready{}); err != nil {
		return err
	}
	var wanted map[string][]int64
	if err := p.receive(&wanted); err != nil {
		return err
	}
	if err := eventually(ctx, "all news have arrived", func() bool { return l.complete(wanted, job.Replicas) }); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return p.send(l.got)
}

// startReplica starts a coordinator, and a subscriber for the alternatives.
func startReplica(ctx context.Context, job replicasJob, l *log) error {
	universal, err := redisstore.Open(job.URL)
	if err != nil {
		return err
	}
	client := universal.(*redis.Client)
	context.AfterFunc(ctx, func() { client.Close() })
	store := &watchedStore{Store: redisstore.New(client, redisstore.Config{}), log: l, seen: make(map[int64]bool)}
	c, err := coordinator.New("shop", nil, store, coordinator.Config{NeverMint: true})
	if err != nil {
		return err
	}
	store.replica = c
	if _, err := c.Token(ctx); err != nil {
		return err
	}
	go c.Run(ctx)
	return subscribe(ctx, client, l)
}

// subscribe notes what is published, and reads a token where it is told to.
func subscribe(ctx context.Context, client *redis.Client, l *log) error {
	subscription := client.Subscribe(ctx, plainChannel, readingChannel)
	for range 2 {
		if _, err := subscription.Receive(ctx); err != nil {
			return err
		}
	}
	go func() {
		defer subscription.Close()
		for {
			message, err := subscription.ReceiveMessage(ctx)
			if err != nil {
				return // the end; what is missing then is noticed
			}
			number, _ := strconv.ParseInt(message.Payload, 10, 64)
			if message.Channel == plainChannel {
				l.note(byPublish, number, now())
			} else if _, err := client.HGet(ctx, "mintonce:{shop}", "value").Result(); err == nil {
				l.note(byReading, number, now())
			}
		}
	}()
	return nil
}

// watchedStore tells when its replica has a new generation. There is no event
// for that: a replica that reads a new token has done nothing.
type watchedStore struct {
	*redisstore.Store
	replica *coordinator.Coordinator
	log     *log
	mu      sync.Mutex // guards seen
	seen    map[int64]bool
}

func (s *watchedStore) Load(ctx context.Context, name string) (coordinator.Record, time.Time, error) {
	r, at, err := s.Store.Load(ctx, name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := r.Grant.Generation; err == nil && !s.seen[g] {
		s.seen[g] = true
		go s.await(g)
	}
	return r, at, err
}

// await notes the moment at which Token returns the generation, which is
// microseconds away.
func (s *watchedStore) await(generation int64) {
	for began := time.Now(); time.Since(began) < 5*time.Second; runtime.Gosched() {
		if t, err := s.replica.Token(context.Background()); err == nil && t.Generation >= generation {
			s.log.note(byMintonce, generation, now())
			return
		}
	}
	panic(fmt.Sprintf("generation %d was loaded and is not served", generation)) // ends the run, with this text
}
