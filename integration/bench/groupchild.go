package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/footprint"
	"github.com/mintonce/mintonce/redisstore"
	"github.com/redis/go-redis/v9"
)

// groupJob is what a process with a group is to do: keep N merchants.
type groupJob struct {
	URL   string
	N     int
	Quick bool          // with sources that mint at once
	Life  time.Duration // of what they mint
}

// groupLoaded is what the process says once it has all tokens.
type groupLoaded struct {
	Took     time.Duration // from nothing to all tokens served
	CPU      time.Duration
	Resident float64 // bytes, once it is at rest
	Peak     float64 // bytes, until then
	Heap     float64 // bytes in use by the group
}

// watchFor tells the process to look at itself for so long, or until so many
// tokens were minted.
type watchFor struct {
	Time  time.Duration
	Mints int
}

// watched is what it saw.
type watched struct {
	Took  time.Duration
	CPU   time.Duration
	Mints int
	Peak  float64        // bytes, ever since the start
	Sent  map[string]int // commands, but for those of the store's own connection for news
}

// beGroup keeps very many credentials.
func beGroup(ctx context.Context, p *parent) error {
	var job groupJob
	if err := p.receive(&job); err != nil {
		return err
	}
	before := heapInUse()
	began, used := time.Now(), cpuTime()
	settle := footprint.Bound(job.N) // as mintonce serve does
	g, err := newGroupProcess(job)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	if err := g.Keep(g.names...); err != nil {
		return err
	}
	if err := g.load(ctx); err != nil {
		return err
	}
	loaded := groupLoaded{Took: time.Since(began), CPU: cpuTime() - used}
	settle(ctx)
	if err := pause(ctx, time.Second); err != nil {
		return err
	}
	loaded.Resident, loaded.Peak = memory("VmRSS"), memory("VmHWM")
	loaded.Heap = heapInUse() - before
	if err := heapProfile("loaded"); err != nil {
		return err
	}
	if err := p.send(loaded); err != nil {
		return err
	}
	for {
		var w watchFor
		if err := p.receive(&w); errors.Is(err, io.EOF) {
			cancel()
			return <-ended
		} else if err != nil {
			return err
		}
		result, err := g.watch(ctx, w)
		if err != nil {
			return err
		}
		if err := p.send(result); err != nil {
			return err
		}
	}
}

// groupProcess is a group and what counts its doings.
type groupProcess struct {
	*coordinator.Group
	names  []string
	store  *countedStore
	sent   *sentCommands
	minted atomic.Int64
}

// countedStore counts the records that were loaded in bulk.
type countedStore struct {
	*redisstore.Store
	loaded atomic.Int64
}

// LoadAll implements coordinator.BulkLoader.
func (s *countedStore) LoadAll(ctx context.Context, names []string) ([]coordinator.Loaded, error) {
	all, err := s.Store.LoadAll(ctx, names)
	s.loaded.Add(int64(len(all)))
	return all, err
}

func newGroupProcess(job groupJob) (*groupProcess, error) {
	client, err := redisstore.Open(job.URL)
	if err != nil {
		return nil, err
	}
	store := &countedStore{Store: redisstore.New(client, redisstore.Config{})}
	g := &groupProcess{names: merchantNames(job.N), store: store, sent: countSent(client.(*redis.Client))}
	open := func(string) (coordinator.Source, error) { return merchantSource(), nil }
	if job.Quick {
		quick := quickSource{merchantSource().Traits(), job.Life, new(atomic.Int64)}
		quick.traits.DailyMints = 0 // a day's mints take seconds here
		open = func(string) (coordinator.Source, error) { return quick, nil }
	}
	config := coordinator.GroupConfig{Config: coordinator.Config{Instance: "bench", Observer: g.observe}}
	g.Group, err = coordinator.NewGroup(store, open, config)
	return g, err
}

func (g *groupProcess) observe(e coordinator.Event) {
	if e.Kind == coordinator.EventMinted {
		g.minted.Add(1)
	}
}

// load waits until every token is served. Asking for a token that is not there
// would load it, and so spare the group the work: it begins when all records
// have been answered.
func (g *groupProcess) load(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for g.store.loaded.Load() < int64(len(g.names)) {
		if err := pause(ctx, time.Millisecond); err != nil {
			return fmt.Errorf("of %d records, %d were loaded: %w", len(g.names), g.store.loaded.Load(), err)
		}
	}
	for _, name := range g.names {
		if _, err := g.Token(ctx, name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// watch counts for a while.
func (g *groupProcess) watch(ctx context.Context, w watchFor) (watched, error) {
	sent, minted, used, began := g.sent.snapshot(), g.minted.Load(), cpuTime(), time.Now()
	if w.Mints > 0 {
		ctx, cancel := context.WithTimeout(ctx, w.Time)
		defer cancel()
		for g.minted.Load() == minted {
			if err := pause(ctx, time.Millisecond); err != nil {
				return watched{}, fmt.Errorf("nothing was minted within %s", w.Time)
			}
		}
		sent, used, began = g.sent.snapshot(), cpuTime(), time.Now()
		for g.minted.Load()-minted < int64(w.Mints) {
			if err := pause(ctx, time.Millisecond); err != nil {
				return watched{}, fmt.Errorf("%d of %d were minted within %s", g.minted.Load()-minted, w.Mints, w.Time)
			}
		}
	} else if err := pause(ctx, w.Time); err != nil {
		return watched{}, err
	}
	after := g.sent.snapshot()
	each, _ := executed(sent, after)
	return watched{Took: time.Since(began), CPU: cpuTime() - used, Mints: int(g.minted.Load() - minted), Peak: memory("VmHWM"), Sent: each}, nil
}

// heapInUse is what is still referred to.
func heapInUse() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// memory is a figure of this process as the system sees it, in bytes.
func memory(name string) float64 {
	kib, _ := strconv.ParseFloat(strings.TrimSuffix(field("/proc/self/status", name), " kB"), 64)
	return kib * 1024
}

// processTime is what another process has used of the processors.
func processTime(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name may hold blanks
	words := strings.Fields(rest)
	if len(words) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(words[11])
	system, _ := strconv.Atoi(words[12])
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100 on Linux
}
