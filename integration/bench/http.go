package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mintonce/mintonce/integration/bench/internal/plot"
	"github.com/mintonce/mintonce/wechat/wechattest"
)

// served is a server that is measured from outside.
type served struct {
	name   string
	url    string
	dropIn string // WeChat's own path of the same server
	pid    int
	stop   func() error
	rates  []float64       // requests a second, per round
	p50s   []time.Duration // per round
	p99s   []time.Duration
	perCPU []time.Duration // of the server, per request and round
}

// overHTTP measures GET /v1/tokens/NAME of the command, and WeChat's own path,
// beside the least that a server in Go can do with the same bytes.
func overHTTP(ctx context.Context, w *world) (*section, error) {
	server, err := w.redis(ctx)
	if err != nil {
		return nil, err
	}
	defer server.stop()
	ours, err := w.serve(ctx, server)
	if err != nil {
		return nil, err
	}
	defer ours.stop() // before its Redis
	dropIn := &served{name: "mintonce serve, /cgi-bin/token", pid: ours.pid, url: ours.dropIn}
	const connections = 32
	rounds, window := pick(w, 7, 1), pick(w, 2*time.Second, 300*time.Millisecond)
	pairs := []*pair{{ours: ours}, {ours: dropIn}}
	for _, p := range pairs {
		c, err := w.spawn(ctx, "handler")
		if err != nil {
			return nil, err
		}
		defer c.end()
		body, err := fetch(ctx, p.ours.url)
		if err != nil {
			return nil, err
		}
		p.bare = &served{name: "bare net/http handler, the same bytes", pid: c.cmd.Process.Pid}
		if err := c.ask(string(body), &p.bare.url); err != nil {
			return nil, err
		}
	}
	for range rounds {
		for _, p := range pairs {
			for _, s := range []*served{p.bare, p.ours} {
				if err := s.load(ctx, connections, window); err != nil {
					return nil, fmt.Errorf("%s: %w", s.name, err)
				}
			}
		}
	}
	return httpSection(pairs, connections, rounds, window), nil
}

// pair is a path of ours beside a bare handler that answers with the same
// bytes.
type pair struct{ ours, bare *served }

// serve builds the command and starts it with a fake WeChat.
func (w *world) serve(ctx context.Context, server *redisServer) (*served, error) {
	program := filepath.Join(w.dir, "mintonce")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./cmd/mintonce")
	build.Dir = w.source
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the command: %w\n%s", err, out)
	}
	provider := wechattest.NewServer(wechattest.Config{})
	w.atEnd(provider.Close)
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	secret := filepath.Join(w.dir, "secret")
	if err := writePrivate(secret, wechattest.Secret); err != nil {
		return nil, err
	}
	pid, stop, err := w.program(ctx, program, "serve", "--store", server.url, "--listen", addr, "--name", "shop", "--log-level", "warn",
		"--wechat-appid", wechattest.AppID, "--wechat-secret-file", secret, "--wechat-api", provider.URL)
	if err != nil {
		return nil, err
	}
	s := &served{
		name: "mintonce serve, /v1/tokens/NAME", url: "http://" + addr + "/v1/tokens/shop", pid: pid, stop: stop,
		dropIn: "http://" + addr + "/cgi-bin/token?grant_type=client_credential&secret=any&appid=" + wechattest.AppID,
	}
	return s, eventually(ctx, "mintonce serve answers", func() bool { _, err := fetch(ctx, s.url); return err == nil })
}

func fetch(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, errors.New(response.Status)
	}
	return io.ReadAll(response.Body)
}

// load sends requests over so many connections, one after the other on each.
func (s *served) load(ctx context.Context, connections int, window time.Duration) error {
	transport := &http.Transport{MaxIdleConnsPerHost: connections}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	used, began := processTime(s.pid), time.Now()
	var mu sync.Mutex // guards took and failed
	var took []time.Duration
	var failed error
	var stop atomic.Bool
	var all sync.WaitGroup
	for range connections {
		all.Go(func() {
			mine, err := requests(client, s.url, &stop)
			mu.Lock()
			defer mu.Unlock()
			took, failed = append(took, mine...), errors.Join(failed, err)
		})
	}
	err := pause(ctx, window)
	stop.Store(true)
	all.Wait()
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	s.rates = append(s.rates, float64(len(took))/time.Since(began).Seconds())
	s.p50s, s.p99s = append(s.p50s, median(took)), append(s.p99s, percentile(took, 99))
	s.perCPU = append(s.perCPU, (processTime(s.pid)-used)/time.Duration(max(1, len(took))))
	return nil
}

func requests(client *http.Client, url string, stop *atomic.Bool) ([]time.Duration, error) {
	var took []time.Duration
	for !stop.Load() {
		began := time.Now()
		response, err := client.Get(url)
		if err != nil {
			return took, err
		}
		_, err = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK {
			return took, fmt.Errorf("%s: %w", response.Status, err)
		}
		took = append(took, time.Since(began))
	}
	return took, nil
}

// beHandler serves one body to everybody.
func beHandler(_ context.Context, p *parent) error {
	var body string
	if err := p.receive(&body); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	answer := []byte(body)
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write(answer)
	})}
	go server.Serve(listener)
	if err := p.send("http://" + listener.Addr().String() + "/v1/tokens/shop"); err != nil {
		return err
	}
	if err := p.receive(new(json.RawMessage)); !errors.Is(err, io.EOF) {
		return err
	}
	return server.Close()
}

// leastShare is how much of a bare handler's throughput is aimed at.
const leastShare = 0.7

func httpSection(pairs []*pair, connections, rounds int, window time.Duration) *section {
	p50 := func(s *served) []float64 { return each(s.p50s, time.Duration.Seconds) }
	p99 := func(s *served) []float64 { return each(s.p99s, time.Duration.Seconds) }
	cpu := func(s *served) []float64 { return each(s.perCPU, time.Duration.Seconds) }
	t := table{caption: "Medians of the rounds:", head: []string{"", "requests a second", "p50", "p99", "CPU of the server per request"}}
	bars := plot.Bars{Title: "Over HTTP", Y: plot.Axis{Label: "µs, logarithmic", Log: true}, Groups: []string{"p50", "p99", "CPU of the server per request"}}
	var aims []aim
	for i, p := range pairs {
		for _, s := range []*served{p.ours, p.bare} {
			t.add(s.name, number(median(s.rates)), ms(median(s.p50s)), ms(median(s.p99s)), micros(median(s.perCPU)))
			if s == p.ours || i == 0 { // one bare handler is like the other
				bars.Names = append(bars.Names, s.name)
				bars.Values = append(bars.Values, each([]time.Duration{median(s.p50s), median(s.p99s), median(s.perCPU)}, func(d time.Duration) float64 { return max(0.1, float64(d.Nanoseconds())/1000) }))
			}
		}
		rates := paired(p.ours.rates, p.bare.rates)
		t.add("ratio", ratio(rates), ratio(paired(p50(p.ours), p50(p.bare))), ratio(paired(p99(p.ours), p99(p.bare))), ratio(paired(cpu(p.ours), cpu(p.bare))))
		aims = append(aims, aim{
			what:  "requests a second of " + p.ours.name + ", beside a bare handler with the same bytes",
			bound: fmt.Sprintf("≥ %.0f %%", 100*leastShare), reached: ratio(rates), ok: rates >= leastShare,
		})
	}
	return &section{
		title: "Over HTTP",
		text: fmt.Sprintf("`GET /v1/tokens/NAME` and `GET /cgi-bin/token` of `mintonce serve`, each beside a bare `net/http` handler in a process of its own that answers\n"+
			"with the same bytes. The client, which uses the processors too, has %d connections with one request at a time; %d rounds of %s each, in turn.", connections, rounds, window),
		aims:   aims,
		tables: []table{t},
		plots:  []picture{{"http.svg", "latency, and CPU of the server per request", bars.SVG()}},
	}
}
