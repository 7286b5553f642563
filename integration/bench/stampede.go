package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mintonce/mintonce/integration/bench/internal/plot"
)

// The bound of how long after the mint's answer the last process has the token.
const stampedeAim = 50 * time.Millisecond

// mintLatency is the least that the provider takes for a mint.
const mintLatency = 300 * time.Millisecond

// pollPause is how long the alternative waits before it looks again.
const pollPause = 100 * time.Millisecond

// fleet is what the runs of one kind of callers have shown.
type fleet struct {
	how      string
	last     []time.Duration // after the mint's answer, per run
	each     []float64       // milliseconds, of all processes of all runs
	commands []float64       // that Redis has executed, per run
	mints    int             // of the run that had the most
}

// stampede starts many processes that want a token at once, where there is
// none, and measures how long after the mint's answer the last one has it.
func stampede(ctx context.Context, w *world) (*section, error) {
	processes, rounds := pick(w, 64, 6), pick(w, 10, 1)
	server, err := w.redis(ctx)
	if err != nil {
		return nil, err
	}
	defer server.stop()
	provider, err := w.provider(0)
	if err != nil {
		return nil, err
	}
	fleets := []*fleet{{how: asMintonce}, {how: asPolling}}
	for round := range rounds {
		// Another phase of the polling for each run: else it may be lucky always.
		provider.latency = mintLatency + time.Duration(round)*pollPause/time.Duration(rounds)
		for _, f := range fleets {
			if err := f.round(ctx, w, server, provider, processes); err != nil {
				return nil, fmt.Errorf("%s: %w", f.how, err)
			}
		}
	}
	return stampedeSection(fleets, processes, rounds), nil
}

// round lets new processes ask for the token at the same moment, from an empty
// store.
func (f *fleet) round(ctx context.Context, w *world, server *redisServer, provider *provider, processes int) error {
	if err := server.FlushAll(ctx).Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	var callers []*child
	defer func() {
		for _, c := range callers {
			c.end()
		}
	}()
	for range processes {
		c, err := w.spawn(ctx, "caller")
		if err != nil {
			return err
		}
		callers = append(callers, c)
		if err := c.send.Encode(callerJob{URL: server.url, Provider: provider.url, How: f.how}); err != nil {
			return err
		}
	}
	for _, c := range callers {
		if err := c.receive(new(ready)); err != nil {
			return err
		}
	}
	before, err := server.calls(ctx)
	if err != nil {
		return err
	}
	for _, c := range callers {
		if err := c.send.Encode(ready{}); err != nil {
			return err
		}
	}
	var got []callerResult
	for _, c := range callers {
		var r callerResult
		if err := c.receive(&r); err != nil {
			return err
		}
		if r.Error != "" {
			return errors.New(r.Error)
		}
		got = append(got, r)
	}
	after, err := server.calls(ctx)
	if err != nil {
		return err
	}
	_, total := executed(before, after)
	mints, answered := provider.taken()
	return f.note(got, mints, answered, total)
}

func (f *fleet) note(got []callerResult, mints int, answered moment, commands int) error {
	if mints != 1 {
		return fmt.Errorf("%d mints, want 1", mints)
	}
	var last time.Duration
	for _, r := range got {
		if r.Fingerprint != got[0].Fingerprint {
			return errors.New("two processes have different tokens")
		}
		after := r.At.since(answered)
		last = max(last, after)
		f.each = append(f.each, after.Seconds()*1000)
	}
	f.last = append(f.last, last)
	f.commands = append(f.commands, float64(commands))
	f.mints = max(f.mints, mints)
	return nil
}

func stampedeSection(fleets []*fleet, processes, rounds int) *section {
	ours, polling := fleets[0], fleets[1]
	t := table{
		caption: "From the mint's answer until the last process has the token:",
		head:    []string{"", "mints", "p50 of the runs", "least", "most", "p50 of the processes", "commands that Redis executed"},
	}
	d := plot.Distribution{Title: "From the mint's answer until a process has the token", X: plot.Axis{Label: "ms"}}
	for _, f := range fleets {
		t.add(f.how, fmt.Sprint(f.mints), ms(median(f.last)), ms(percentile(f.last, 0)), ms(percentile(f.last, 100)), number(median(f.each))+" ms", number(median(f.commands)))
		d.Names, d.Values = append(d.Names, f.how), append(d.Values, f.each)
	}
	toPolling := float64(median(ours.last)) / float64(median(polling.last))
	t.add("ratio", "", ratio(toPolling), "", "", ratio(median(ours.each)/median(polling.each)), ratio(median(ours.commands)/median(polling.commands)))
	return &section{
		title: "A stampede at a cold start",
		text: fmt.Sprintf("%d new processes ask for the token at the same moment, Redis is empty, and the provider takes %d ms to answer a mint over HTTP\n"+
			"(from run to run a little more, so that its answer meets every phase of the polling). %d runs. Each process only calls `Token`. The clock starts just before the provider writes its answer. Beside it: the plain loop that\n"+
			"most people write with redislock: GET the token; if there is none, take the lock, look again, mint and SET; if the lock is taken, sleep %d ms.",
			processes, mintLatency.Milliseconds(), rounds, pollPause.Milliseconds()),
		tables: []table{t},
		plots:  []picture{{"stampede.svg", "distribution of the time until a process has the token", d.SVG()}},
		aims: []aim{
			{fmt.Sprintf("%d processes, cold: mints", processes), "1", fmt.Sprint(ours.mints), ours.mints == 1},
			{fmt.Sprintf("%d processes, cold: the last has the token after the answer, p50", processes), "at most 50 ms", ms(median(ours.last)) + " (" + ratio(toPolling) + " polling)", median(ours.last) <= stampedeAim},
		},
	}
}
