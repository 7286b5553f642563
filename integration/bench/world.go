package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mintonce/mintonce/redisstore"
	"github.com/redis/go-redis/v9"
)

// world is what a run has: its programs, servers and children, all of which
// end with it.
type world struct {
	short    bool
	source   string // the folder of mintonce's source
	profiles string // the folder for profiles, or empty
	self     string // this program
	dir      string // for temporary files
	spawned  int

	mu   sync.Mutex
	ends []func()
}

func newWorld(short bool, source, profiles string) (*world, error) {
	for _, program := range []string{"redis-server", "redis-benchmark"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("%s is not installed: it comes with Redis (Debian: redis-server and redis-tools)", program)
		}
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if profiles != "" {
		if err := os.MkdirAll(profiles, 0o755); err != nil {
			return nil, err
		}
	}
	dir, err := os.MkdirTemp("", "mintonce-bench-")
	if err != nil {
		return nil, err
	}
	w := &world{short: short, source: source, profiles: profiles, self: self, dir: dir}
	w.atEnd(func() { os.RemoveAll(dir) })
	return w, nil
}

// pick returns the size of a benchmark.
func pick[T any](w *world, full, short T) T {
	if w.short {
		return short
	}
	return full
}

func (w *world) atEnd(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ends = append(w.ends, f)
}

// close ends everything, the last thing first.
func (w *world) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, end := range slices.Backward(w.ends) {
		end()
	}
	w.ends = nil
}

// program runs a program until stop is called or this process ends.
func (w *world) program(ctx context.Context, args ...string) (pid int, stop func() error, err error) {
	g, err := w.spawn(ctx, "guard", args...)
	if err != nil {
		return 0, nil, err
	}
	if err := g.receive(&pid); err != nil {
		return 0, nil, err
	}
	return pid, g.end, nil
}

// redisServer is a redis-server without persistence, on a free port.
type redisServer struct {
	addr string
	url  string
	pid  int
	stop func() error
	*redis.Client
}

func (w *world) redis(ctx context.Context) (*redisServer, error) {
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(addr)
	pid, stop, err := w.program(ctx, "redis-server", "--bind", "127.0.0.1", "--port", port, "--dir", w.dir,
		"--save", "", "--appendonly", "no", "--loglevel", "warning", "--logfile", filepath.Join(w.dir, "redis-"+port+".log"))
	if err != nil {
		return nil, err
	}
	s := &redisServer{addr: addr, url: "redis://" + addr + "/0", pid: pid}
	if err := eventually(ctx, "redis-server listens", func() bool { return listens(addr) }); err != nil {
		return nil, err
	}
	client, err := redisstore.Open(s.url)
	if err != nil {
		return nil, err
	}
	s.Client = client.(*redis.Client)
	s.stop = func() error { return errors.Join(s.Close(), stop()) }
	return s, s.Ping(ctx).Err()
}

func listens(addr string) bool {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// calls are how often Redis has executed each command, inside scripts too.
func (s *redisServer) calls(ctx context.Context) (map[string]int, error) {
	text, err := s.Info(ctx, "commandstats").Result()
	if err != nil {
		return nil, err
	}
	calls := make(map[string]int)
	for line := range strings.Lines(text) {
		name, rest, ok := strings.Cut(strings.TrimPrefix(line, "cmdstat_"), ":calls=")
		if !ok {
			continue
		}
		count, _, _ := strings.Cut(rest, ",")
		if calls[name], err = strconv.Atoi(count); err != nil {
			return nil, fmt.Errorf("INFO commandstats: %q", line)
		}
	}
	return calls, nil
}

// executed returns what was executed between two calls of calls, without INFO
// itself.
func executed(before, after map[string]int) (each map[string]int, total int) {
	each = make(map[string]int)
	for name, n := range after {
		if d := n - before[name]; d > 0 && name != "info" {
			each[name] = d
			total += d
		}
	}
	return each, total
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

// eventually waits until ok, for half a minute at most.
func eventually(ctx context.Context, what string, ok func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: not within 30 s: %w", what, ctx.Err())
		case <-ticker.C:
		}
	}
	return nil
}

// pause waits for d, or less if ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// writePrivate writes a file that only this user may read.
func writePrivate(file, text string) error { return os.WriteFile(file, []byte(text), 0o600) }
