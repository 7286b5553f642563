package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/integration/bench/internal/plot"
	"github.com/mintonce/mintonce/redisstore"
)

const (
	propagationAim   = 25 * time.Millisecond
	propagationRatio = 3
)

// The channels of the alternatives.
const (
	plainChannel   = "plain"
	readingChannel = "reading"
)

// The ways by which news can reach the replicas.
const (
	byMintonce = "mintonce: commit to Token"
	byPublish  = "PUBLISH, to be read"
	byReading  = "PUBLISH, then GET"
)

// propagation commits tokens, and measures when each of many replicas serves
// them.
func propagation(ctx context.Context, w *world) (*section, error) {
	processes, each, rounds := pick(w, 8, 2), pick(w, 25, 5), pick(w, 100, 5)
	server, err := w.redis(ctx)
	if err != nil {
		return nil, err
	}
	defer server.stop()
	store := &timedStore{Store: redisstore.New(server.Client, redisstore.Config{}), commits: make(map[int64]moment)}
	source := &localSource{name: "shop", life: 2 * time.Hour, latency: 50 * time.Millisecond}
	minter, err := coordinator.New("shop", source, store, coordinator.Config{})
	if err != nil {
		return nil, err
	}
	if _, err := minter.Token(ctx); err != nil {
		return nil, err
	}
	var fleet []*child
	for range processes {
		c, err := w.spawn(ctx, "replicas")
		if err != nil {
			return nil, err
		}
		defer c.end()
		if err := c.send.Encode(replicasJob{URL: server.url, Replicas: each}); err != nil {
			return nil, err
		}
		fleet = append(fleet, c)
	}
	for _, c := range fleet {
		if err := c.receive(&ready{}); err != nil {
			return nil, err
		}
	}
	sent, err := spreadNews(ctx, server, minter, store, rounds)
	if err != nil {
		return nil, err
	}
	arrivals, err := collect(fleet, sent)
	if err != nil {
		return nil, err
	}
	delays, lasts, err := delaysOf(sent, arrivals, processes*each)
	if err != nil {
		return nil, err
	}
	return propagationSection(delays, lasts, processes, each, rounds), nil
}

// timedStore notes when the commit of a generation is sent.
type timedStore struct {
	*redisstore.Store
	mu      sync.Mutex // guards commits
	commits map[int64]moment
}

func (s *timedStore) Swap(ctx context.Context, name string, old coordinator.Stamp, next coordinator.Record, events ...coordinator.Event) (time.Time, error) {
	s.mu.Lock()
	if s.commits[next.Grant.Generation] == 0 {
		s.commits[next.Grant.Generation] = now()
	}
	s.mu.Unlock()
	return s.Store.Swap(ctx, name, old, next, events...)
}

// news are moments by kind and number: the generation, or the round.
type news map[string]map[int64]moment

// spreadNews sends news of each kind in turn, with pauses in which all of it
// arrives.
func spreadNews(ctx context.Context, server *redisServer, minter *coordinator.Coordinator, store *timedStore, rounds int) (news, error) {
	const rest = 150 * time.Millisecond
	sent := news{byMintonce: {}, byPublish: {}, byReading: {}}
	for round := range int64(rounds) {
		token, err := minter.Rotate(ctx)
		if err != nil {
			return nil, err
		}
		store.mu.Lock()
		sent[byMintonce][token.Generation] = store.commits[token.Generation]
		store.mu.Unlock()
		if err := pause(ctx, rest); err != nil {
			return nil, err
		}
		for _, kind := range []string{byPublish, byReading} {
			channel := plainChannel
			if kind == byReading {
				channel = readingChannel
			}
			sent[kind][round] = now()
			if err := server.Publish(ctx, channel, round).Err(); err != nil {
				return nil, err
			}
			if err := pause(ctx, rest); err != nil {
				return nil, err
			}
		}
	}
	return sent, nil
}

// collect asks the processes for what has arrived.
func collect(fleet []*child, sent news) ([]arrivals, error) {
	wanted := make(map[string][]int64)
	for kind, numbers := range sent {
		for number := range numbers {
			wanted[kind] = append(wanted[kind], number)
		}
	}
	var all []arrivals
	for _, c := range fleet {
		var a arrivals
		if err := c.ask(wanted, &a); err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// delaysOf returns how long everything took: for each replica, and for the
// last of them in each round. It is an error if anything did not arrive.
func delaysOf(sent news, all []arrivals, replicas int) (delays, lasts map[string][]time.Duration, err error) {
	delays, lasts = make(map[string][]time.Duration), make(map[string][]time.Duration)
	for kind, numbers := range sent {
		for number, at := range numbers {
			var arrived int
			var last time.Duration
			for _, a := range all {
				for _, then := range a[kind][number] {
					d := then.since(at)
					delays[kind], last = append(delays[kind], d), max(last, d)
					arrived++
				}
			}
			if arrived != replicas {
				return nil, nil, fmt.Errorf("%s, number %d: reached %d of %d replicas", kind, number, arrived, replicas)
			}
			lasts[kind] = append(lasts[kind], last)
		}
	}
	return delays, lasts, nil
}

func propagationSection(delays, lasts map[string][]time.Duration, processes, each, rounds int) *section {
	t := table{caption: "Milliseconds from sending to having it:", head: []string{"", "p50", "p99", "most", "last replica of a round, p50", "p99"}}
	d := plot.Distribution{Title: "From the commit until a replica serves the token", X: plot.Axis{Label: "ms"}}
	for _, kind := range []string{byMintonce, byPublish, byReading} {
		t.add(kind, ms(median(delays[kind])), ms(percentile(delays[kind], 99)), ms(percentile(delays[kind], 100)), ms(median(lasts[kind])), ms(percentile(lasts[kind], 99)))
		values := make([]float64, len(delays[kind]))
		for i, delay := range delays[kind] {
			values[i] = delay.Seconds() * 1000
		}
		d.Names, d.Values = append(d.Names, kind), append(d.Values, values)
	}
	times := func(to string, p float64, of map[string][]time.Duration) float64 {
		return float64(percentile(of[byMintonce], p)) / float64(percentile(of[to], p))
	}
	for _, to := range []string{byPublish, byReading} {
		t.add("ratio to "+to, ratio(times(to, 50, delays)), ratio(times(to, 99, delays)), ratio(times(to, 100, delays)), ratio(times(to, 50, lasts)), ratio(times(to, 99, lasts)))
	}
	p99 := percentile(delays[byMintonce], 99)
	return &section{
		title: "Propagation",
		text: fmt.Sprintf("%d replicas with `Run` and `NeverMint` in %d processes, each with a store and connections of its own, as if it were alone. A minter\n"+
			"rotates the token %d times (mint latency 50 ms). The clock starts when the commit is sent to Redis and stops when the replica's `Token`\n"+
			"returns the new generation. Beside it, in turn with it: one plain PUBLISH to as many subscribers, which may lose news, and one after\n"+
			"which every subscriber GETs a token, which is what a replica must do to have it.",
			processes*each, processes, rounds),
		tables: []table{t},
		plots:  []picture{{"propagation.svg", "distribution of the time until a replica has the news", d.SVG()}},
		aims: []aim{
			{fmt.Sprintf("commit to %d replicas, p99", processes*each), "at most 25 ms", ms(p99), p99 <= propagationAim},
			{fmt.Sprintf("commit to %d replicas, p99", processes*each), "at most 3 x one plain PUBLISH", ratio(times(byPublish, 99, delays)), times(byPublish, 99, delays) <= propagationRatio},
		},
	}
}
