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
	pid    int
	stop   func() error
	rates  []float64       // requests a second, per round
	p50s   []time.Duration // per round
	p99s   []time.Duration
	perCPU []time.Duration // of the server, per request and round
}

// overHTTP measures GET /v1/tokens/NAME of the command, beside the least that
// a server in Go can do.
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
	body, err := fetch(ctx, ours.url)
	if err != nil {
		return nil, err
	}
	c, err := w.spawn(ctx, "handler")
	if err != nil {
		return nil, err
	}
	defer c.end()
	bare := &served{name: "bare net/http handler", pid: c.cmd.Process.Pid}
	if err := c.ask(string(body), &bare.url); err != nil {
		return nil, err
	}
	const connections = 32
	rounds, window := pick(w, 7, 1), pick(w, 2*time.Second, 300*time.Millisecond)
	for range rounds {
		for _, s := range []*served{bare, ours} {
			if err := s.load(ctx, connections, window); err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	return httpSection(ours, bare, connections, rounds, window), nil
}

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
	s := &served{name: "mintonce serve", url: "http://" + addr + "/v1/tokens/shop", pid: pid, stop: stop}
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

func httpSection(ours, bare *served, connections, rounds int, window time.Duration) *section {
	t := table{caption: "Medians of the rounds:", head: []string{"", "requests a second", "p50", "p99", "CPU of the server per request"}}
	for _, s := range []*served{ours, bare} {
		t.add(s.name, number(median(s.rates)), ms(median(s.p50s)), ms(median(s.p99s)), micros(median(s.perCPU)))
	}
	p50 := func(s *served) []float64 { return each(s.p50s, time.Duration.Seconds) }
	p99 := func(s *served) []float64 { return each(s.p99s, time.Duration.Seconds) }
	cpu := func(s *served) []float64 { return each(s.perCPU, time.Duration.Seconds) }
	t.add("ratio", ratio(paired(ours.rates, bare.rates)), ratio(paired(p50(ours), p50(bare))), ratio(paired(p99(ours), p99(bare))), ratio(paired(cpu(ours), cpu(bare))))
	bars := plot.Bars{Title: "GET /v1/tokens/NAME", Y: plot.Axis{Label: "µs, logarithmic", Log: true}, Groups: []string{"p50", "p99", "CPU of the server per request"}}
	for _, s := range []*served{ours, bare} {
		bars.Names = append(bars.Names, s.name)
		bars.Values = append(bars.Values, each([]time.Duration{median(s.p50s), median(s.p99s), median(s.perCPU)}, func(d time.Duration) float64 { return max(0.1, float64(d.Nanoseconds())/1000) }))
	}
	return &section{
		title: "Over HTTP",
		text: fmt.Sprintf("`GET /v1/tokens/NAME` of `mintonce serve`, beside a bare `net/http` handler in a process of its own that answers with the same bytes. The\n"+
			"client, which uses the processors too, has %d connections with one request at a time; %d rounds of %s each, in turn.", connections, rounds, window),
		tables: []table{t},
		plots:  []picture{{"http.svg", "latency, and CPU of the server per request", bars.SVG()}},
	}
}
