package main

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/mintonce/mintonce/integration/bench/internal/plot"
)

const commandsAim = 6 // per refresh

// restPerMinute is what a process costs at rest: GET, XREVRANGE and XREAD every
// two seconds for news, and every 15 seconds a word that it is alive, as the
// package redisstore documents. It is taken off what was counted while
// refreshing; the benchmark also measures it.
const restPerMinute = 94

// idle is a process at rest with n tokens, and the server it has to itself.
type idle struct {
	n        int
	server   *redisServer
	child    *child
	sent     float64 // commands a minute
	executed float64 // a minute, inside scripts too
	cpu      time.Duration
}

// commands counts what a refresh costs Redis, and what being at rest does.
func commands(ctx context.Context, w *world) (*section, error) {
	var rest []*idle
	for _, n := range pick(w, []int{10, 1_000, 100_000}, []int{10, 1_000}) {
		i, err := w.idle(ctx, n)
		if err != nil {
			return nil, fmt.Errorf("%d tokens: %w", n, err)
		}
		defer i.server.stop()
		defer i.child.end()
		rest = append(rest, i)
	}
	if err := pause(ctx, pick(w, 5*time.Second, time.Second)); err != nil {
		return nil, err
	}
	// All at once, and while others refresh: at rest they do not disturb anybody.
	window := pick(w, time.Minute, 4*time.Second)
	finish, err := atRest(ctx, rest, window)
	if err != nil {
		return nil, err
	}
	costs, err := perRefresh(ctx, w)
	if err != nil {
		return nil, err
	}
	if err := finish(); err != nil {
		return nil, err
	}
	return commandsSection(rest, costs, window), nil
}

// idle starts a process with n tokens that are not due.
func (w *world) idle(ctx context.Context, n int) (*idle, error) {
	server, err := w.redis(ctx)
	if err != nil {
		return nil, err
	}
	if err := prepare(ctx, server, merchantNames(n), 0, time.Time{}); err != nil {
		return nil, err
	}
	c, err := w.spawn(ctx, "group")
	if err != nil {
		return nil, err
	}
	return &idle{n: n, server: server, child: c}, c.ask(groupJob{URL: server.url, N: n}, &groupLoaded{})
}

// atRest makes each process count what it sends in the window. finish waits for
// that.
func atRest(ctx context.Context, rest []*idle, window time.Duration) (finish func() error, err error) {
	before := make([]map[string]int, len(rest))
	for k, i := range rest {
		if before[k], err = i.server.calls(ctx); err != nil {
			return nil, err
		}
		if err := i.child.send.Encode(watchFor{Time: window}); err != nil {
			return nil, err
		}
	}
	began := time.Now()
	return func() error {
		for k, i := range rest {
			var seen watched
			if err := i.child.receive(&seen); err != nil {
				return err
			}
			after, err := i.server.calls(ctx)
			if err != nil {
				return err
			}
			each, total := executed(before[k], after)
			// The server has counted until now, the process only in its window.
			i.sent = (float64(sentInAll(seen.Sent, nil)))/seen.Took.Minutes() + float64(each["xread"])/time.Since(began).Minutes()
			i.executed = float64(total) / time.Since(began).Minutes()
			i.cpu = time.Duration(float64(seen.CPU) / seen.Took.Minutes())
		}
		return nil
	}, nil
}

// sentInAll adds to what a process has sent over its client the reads of the
// store's own connection. Scripts do not read streams, so the server's count of
// those is the process's.
func sentInAll(sent, executed map[string]int) int {
	total := executed["xread"]
	for _, n := range sent {
		total += n
	}
	return total
}

// refreshCost is what a refresh costs, in one way of running.
type refreshCost struct {
	how      string
	n        int
	sent     float64            // by the process
	executed float64            // by Redis
	each     map[string]float64 // sent, by kind
}

// perRefresh lets tokens with short lives fall due one by one, as they do in
// real life.
func perRefresh(ctx context.Context, w *world) ([]refreshCost, error) {
	var costs []refreshCost
	for _, run := range []struct {
		how  string
		n    int
		life time.Duration
	}{
		{"1 token", 1, time.Second},
		{"50 tokens", 50, pick(w, 10*time.Second, 3*time.Second)},
		{"1,000 tokens", 1_000, 20 * time.Second},
	} {
		cost, err := refreshCommands(ctx, w, run.n, run.life)
		if err != nil {
			return nil, fmt.Errorf("refreshing %s: %w", run.how, err)
		}
		cost.how = run.how
		costs = append(costs, cost)
		if w.short && len(costs) == 2 {
			break
		}
	}
	return costs, nil
}

func refreshCommands(ctx context.Context, w *world, n int, life time.Duration) (refreshCost, error) {
	server, err := w.redis(ctx)
	if err != nil {
		return refreshCost{}, err
	}
	defer server.stop()
	// Due now, so that each then has a token with the short life.
	if err := prepare(ctx, server, merchantNames(n), n, time.Now()); err != nil {
		return refreshCost{}, err
	}
	c, err := w.spawn(ctx, "group")
	if err != nil {
		return refreshCost{}, err
	}
	defer c.end()
	if err := c.ask(groupJob{URL: server.url, N: n, Quick: true, Life: life}, &groupLoaded{}); err != nil {
		return refreshCost{}, err
	}
	if err := pause(ctx, pick(w, life, time.Second)); err != nil { // out of step with the start
		return refreshCost{}, err
	}
	before, err := server.calls(ctx)
	if err != nil {
		return refreshCost{}, err
	}
	var seen watched
	if err := c.ask(watchFor{Time: pick(w, 15*time.Second, max(2*time.Second, life))}, &seen); err != nil {
		return refreshCost{}, err
	}
	after, err := server.calls(ctx)
	if err != nil {
		return refreshCost{}, err
	}
	if seen.Mints == 0 {
		return refreshCost{}, fmt.Errorf("nothing was refreshed within %s", seen.Took)
	}
	each, total := executed(before, after)
	atRest := restPerMinute * seen.Took.Minutes()
	cost := refreshCost{n: seen.Mints, each: make(map[string]float64)}
	cost.sent = (float64(sentInAll(seen.Sent, each)) - atRest) / float64(seen.Mints)
	cost.executed = (float64(total) - atRest) / float64(seen.Mints)
	seen.Sent["xread"] = each["xread"]
	for name, k := range seen.Sent {
		cost.each[name] = float64(k) / float64(seen.Mints)
	}
	return cost, nil
}

// kinds lists commands by how often they were sent.
func kinds(each map[string]float64) string {
	var words []string
	for _, name := range slices.Sorted(maps.Keys(each)) {
		words = append(words, fmt.Sprintf("%s %.2f", name, each[name]))
	}
	return strings.Join(words, ", ")
}

func commandsSection(rest []*idle, costs []refreshCost, window time.Duration) *section {
	perRefresh := table{
		caption: "Per refresh, what a process sends at rest taken off:",
		head:    []string{"one process keeps", "refreshes counted", "commands sent", "of which (with those at rest)", "executed by Redis, inside scripts too"},
	}
	most := 0.0
	for _, c := range costs {
		most = max(most, c.sent)
		perRefresh.add(c.how, count(c.n), fmt.Sprintf("%.2f", c.sent), kinds(c.each), fmt.Sprintf("%.1f", c.executed))
	}
	perMinute := table{
		caption: "Per minute at rest; beside it a poll that GETs every token each 30 s, which is computed, not measured:",
		head:    []string{"one process keeps", "commands sent", "executed by Redis", "CPU of the process", "a poll would send", "ratio"},
	}
	bars := plot.Bars{Title: "Commands per minute at rest, per process", Y: plot.Axis{Label: "commands, logarithmic", Log: true}, Names: []string{"mintonce", "a poll each 30 s (computed)"}, Values: make([][]float64, 2)}
	for _, i := range rest {
		poll := float64(2 * i.n)
		name := plural(i.n, "token")
		perMinute.add(name, number(i.sent), number(i.executed), ms(i.cpu), number(poll), fmt.Sprintf("%.4f x", i.sent/poll))
		bars.Groups = append(bars.Groups, name)
		bars.Values[0], bars.Values[1] = append(bars.Values[0], i.sent), append(bars.Values[1], poll)
	}
	few, many := rest[0], rest[len(rest)-1]
	slack := math.Ceil(float64(time.Minute) / float64(window) * 3) // a round more or less in the window
	return &section{
		title: "Commands that Redis gets",
		text: fmt.Sprintf("One process with a `Group`. What it sends is counted by a hook of go-redis, and for the connection on which the store waits for news\n"+
			"by the server's `INFO commandstats`, which also tells what Redis executes inside scripts. At rest: %s, records prepared,\n"+
			"nothing due; all sizes at the same time, each with a Redis of its own. Refreshing: tokens with lives of some seconds, minted in no time\n"+
			"by a source of the kind where the last mint wins, so with the lock.", window),
		tables: []table{perRefresh, perMinute},
		plots:  []picture{{"commands.svg", "commands per minute at rest", bars.SVG()}},
		aims: []aim{
			{"Redis commands per refresh", "at most 6", fmt.Sprintf("%.2f", most), most <= commandsAim+0.005},
			{"commands a minute at rest, " + plural(many.n, "token"), "no more than with 10", fmt.Sprintf("%.0f, with 10: %.0f", many.sent, few.sent), many.sent <= few.sent+slack},
		},
	}
}
