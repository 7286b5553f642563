package main

import (
	"context"
	"fmt"
	"time"

	"github.com/mintonce/mintonce/integration/bench/internal/plot"
)

// The aims for the largest group.
const (
	residentAim = 300e6 // bytes
	startAim    = 10 * time.Second
	startShare  = 0.5 // of the speed of pipelined HGETALLs
	growthAim   = 1.2 // of memory and CPU per credential
)

// size is all that was measured of groups of n credentials.
type size struct {
	n         int
	loads     []groupLoaded
	plain     []time.Duration // all records by pipelined HGETALLs
	hgetall   float64         // redis-benchmark, a second
	set       float64         // the same
	refreshed watched
	serverCPU time.Duration // of Redis, while refreshing
	sent      float64       // commands a second, while refreshing
}

// groups measures processes with very many credentials.
func groups(ctx context.Context, w *world) (*section, error) {
	var sizes []*size
	for _, n := range pick(w, []int{1_000, 10_000, 100_000}, []int{200, 1_000}) {
		s := &size{n: n}
		if err := s.measure(ctx, w); err != nil {
			return nil, fmt.Errorf("%d credentials: %w", n, err)
		}
		sizes = append(sizes, s)
	}
	return groupSection(sizes), nil
}

func (s *size) measure(ctx context.Context, w *world) error {
	server, err := w.redis(ctx)
	if err != nil {
		return err
	}
	defer server.stop()
	names := merchantNames(s.n)
	if err := prepare(ctx, server, names, 0, time.Time{}); err != nil {
		return err
	}
	for range pick(w, 3, 1) { // in turn
		if err := s.load(ctx, w, server); err != nil {
			return err
		}
		plain, err := plainLoad(ctx, w, server, s.n)
		if err != nil {
			return err
		}
		s.plain = append(s.plain, plain)
	}
	requests := pick(w, 100_000, 5_000)
	if s.hgetall, err = redisBenchmark(ctx, server, "-c", "4", "-P", "256", "-n", fmt.Sprint(requests), "HGETALL", "mintonce:{"+names[0]+"}"); err != nil {
		return err
	}
	if s.set, err = redisBenchmark(ctx, server, "-c", "64", "-n", fmt.Sprint(requests), "SET", "plain", tokenValue("plain", 1)); err != nil {
		return err
	}
	return s.refresh(ctx, w, server, names)
}

// load starts a process, lets it load everything, and ends it.
func (s *size) load(ctx context.Context, w *world, server *redisServer) error {
	c, err := w.spawn(ctx, "group")
	if err != nil {
		return err
	}
	var loaded groupLoaded
	if err := c.ask(groupJob{URL: server.url, N: s.n}, &loaded); err != nil {
		return err
	}
	s.loads = append(s.loads, loaded)
	return c.end()
}

// refresh lets many of the tokens fall due at one moment.
func (s *size) refresh(ctx context.Context, w *world, server *redisServer, names []string) error {
	due := min(s.n, pick(w, 10_000, 200))
	longest := 2*s.worst() + 8*time.Second // to load, and to come to rest
	at := time.Now().Add(longest)
	if err := prepare(ctx, server, names, due, at.Add(s.worst())); err != nil { // as long as a load, at most
		return err
	}
	c, err := w.spawn(ctx, "group")
	if err != nil {
		return err
	}
	defer c.end()
	if err := c.ask(groupJob{URL: server.url, N: s.n, Quick: true, Life: 2 * time.Hour}, &groupLoaded{}); err != nil {
		return err
	}
	before, err := server.calls(ctx)
	if err != nil {
		return err
	}
	used := processTime(server.pid)
	if err := c.ask(watchFor{Time: 90 * time.Second, Mints: due}, &s.refreshed); err != nil {
		return err
	}
	s.serverCPU = processTime(server.pid) - used
	after, err := server.calls(ctx)
	if err != nil {
		return err
	}
	each, _ := executed(before, after)
	s.sent = float64(sentInAll(s.refreshed.Sent, each)) / s.refreshed.Took.Seconds()
	return nil
}

// The figures of the loads, each a median.
func (s *size) took() time.Duration {
	return median(each(s.loads, func(l groupLoaded) time.Duration { return l.Took }))
}
func (s *size) cpu() time.Duration {
	return median(each(s.loads, func(l groupLoaded) time.Duration { return l.CPU }))
}
func (s *size) resident() float64 {
	return median(each(s.loads, func(l groupLoaded) float64 { return l.Resident }))
}
func (s *size) peak() float64 {
	return median(each(s.loads, func(l groupLoaded) float64 { return l.Peak }))
}
func (s *size) heap() float64 {
	return median(each(s.loads, func(l groupLoaded) float64 { return l.Heap }))
}
func (s *size) worst() time.Duration {
	return percentile(each(s.loads, func(l groupLoaded) time.Duration { return l.Took }), 100)
}
func (s *size) perSecond() float64       { return float64(s.refreshed.Mints) / s.refreshed.Took.Seconds() }
func (s *size) plainTook() time.Duration { return median(s.plain) }

func each[T, U any](values []T, f func(T) U) []U {
	all := make([]U, len(values))
	for i, v := range values {
		all[i] = f(v)
	}
	return all
}

func (s *size) perCredential(d time.Duration) time.Duration { return d / time.Duration(s.n) }

func groupSection(sizes []*size) *section {
	start := table{
		caption: "From nothing until `Token` returns every token, beside the same records read by pipelined HGETALLs into maps, and beside `redis-benchmark`, which parses nothing:",
		head:    []string{"credentials", "all loaded", "CPU per credential", "HGETALLs", "speed of these", "redis-benchmark -P 256", "speed of that"},
	}
	space := table{
		caption: "Memory, with a real `wechat` source for each credential:",
		head:    []string{"credentials", "resident at rest", "peak while loading", "peak with the refreshes below", "heap per credential", "resident per credential"},
	}
	refresh := table{
		caption: "Many fall due at the same moment; the provider answers at once. Beside it `redis-benchmark -c 64 SET` on the same server:",
		head:    []string{"credentials", "refreshed", "refreshes a second", "CPU per refresh", "of Redis", "commands a second", "redis-benchmark", "ratio"},
	}
	bars := plot.Bars{Title: "Start until all tokens are loaded", Y: plot.Axis{Label: "seconds, logarithmic", Log: true}, Names: []string{"Group", "pipelined HGETALLs", "redis-benchmark HGETALL -P 256"}, Values: make([][]float64, 3)}
	for _, s := range sizes {
		n := count(s.n)
		bench := time.Duration(float64(s.n) / s.hgetall * float64(time.Second))
		start.add(n, seconds(s.took()), micros(s.perCredential(s.cpu())), seconds(s.plainTook()), ratio(speed(s.plainTook(), s.took())), seconds(bench), ratio(speed(bench, s.took())))
		space.add(n, mebibytes(s.resident()), mebibytes(s.peak()), mebibytes(s.refreshed.Peak), number(s.heap()/float64(s.n))+" B", number(s.resident()/float64(s.n))+" B")
		refresh.add(n, count(s.refreshed.Mints), number(s.perSecond()), micros(s.refreshed.CPU/time.Duration(s.refreshed.Mints)), micros(s.serverCPU/time.Duration(s.refreshed.Mints)),
			number(s.sent), number(s.set), ratio(s.sent/s.set))
		bars.Groups = append(bars.Groups, n+" credentials")
		for i, d := range []time.Duration{s.took(), s.plainTook(), bench} {
			bars.Values[i] = append(bars.Values[i], d.Seconds())
		}
	}
	few, many := sizes[0], sizes[len(sizes)-1]
	cpuGrowth := float64(many.perCredential(many.cpu())) / float64(few.perCredential(few.cpu()))
	heapGrowth := many.heap() / float64(many.n) / (few.heap() / float64(few.n))
	share := speed(many.plainTook(), many.took())
	most := max(many.resident(), many.peak(), many.refreshed.Peak)
	return &section{
		title: "Very many credentials in one process",
		text: "One process with a `Group` that minds its memory as `mintonce serve` does, one Redis with prepared records as days of work leave them: a full lineage of 32 writes, a token of 180\n" +
			"characters. The process is new for each measurement, and medians of three are given, in turn with the HGETALLs (the faster of two ways:\n" +
			"1 connection with 1,000 a pipeline, 4 with 256).",
		tables: []table{start, space, refresh},
		plots:  []picture{{"group.svg", "start until all tokens are loaded", bars.SVG()}},
		aims: []aim{
			{count(many.n) + " credentials: resident, ever", "at most 300 MB", fmt.Sprintf("%.0f MB", most/1e6), most <= residentAim},
			{count(many.n) + " credentials: start to all loaded", "at most 10 s", seconds(many.took()), many.took() <= startAim},
			{count(many.n) + " credentials: start to all loaded", "at least half the speed of pipelined HGETALLs", ratio(share), share >= startShare},
			{"heap per credential, from " + count(few.n), "at most 1.2 x", ratio(heapGrowth), heapGrowth <= growthAim},
			{"CPU per credential, from " + count(few.n), "at most 1.2 x", ratio(cpuGrowth), cpuGrowth <= growthAim},
		},
	}
}

// speed of what took d, as a share of the speed of what took the other time.
func speed(other, d time.Duration) float64 { return float64(other) / float64(d) }
