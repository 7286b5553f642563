package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/mintonce/mintonce/redisstore"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"
)

type readerJob struct {
	URL         string
	N           int
	Connections int
	Bulk        int // commands a pipeline
}

// plainLoad reads all records in a new process, in the faster of two ways.
func plainLoad(ctx context.Context, w *world, server *redisServer, n int) (time.Duration, error) {
	var best time.Duration
	for _, job := range []readerJob{{server.url, n, 1, 1000}, {server.url, n, 4, 256}} {
		c, err := w.spawn(ctx, "reader")
		if err != nil {
			return 0, err
		}
		var took time.Duration
		if err := c.ask(job, &took); err != nil {
			return 0, err
		}
		if err := c.end(); err != nil {
			return 0, err
		}
		if best == 0 || took < best {
			best = took
		}
	}
	return best, nil
}

// beReader reads records as plainly as can be, and keeps their fields.
func beReader(ctx context.Context, p *parent) error {
	var job readerJob
	if err := p.receive(&job); err != nil {
		return err
	}
	began := time.Now()
	client, err := redisstore.Open(job.URL)
	if err != nil {
		return err
	}
	defer client.Close()
	names := merchantNames(job.N)
	records := make([]map[string]string, job.N)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(job.Connections)
	for from := 0; from < len(names); from += job.Bulk {
		group.Go(func() error {
			to := min(from+job.Bulk, len(names))
			pipe := client.Pipeline()
			replies := make([]*redis.MapStringStringCmd, to-from)
			for i := range replies {
				replies[i] = pipe.HGetAll(ctx, redisstore.DefaultPrefix+":{"+names[from+i]+"}")
			}
			if _, err := pipe.Exec(ctx); err != nil {
				return err
			}
			for i, reply := range replies {
				records[from+i] = reply.Val()
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, record := range records {
		if record["value"] == "" {
			return errors.New("a record has no value")
		}
	}
	return p.send(time.Since(began))
}

// redisBenchmark returns the requests a second that redis-benchmark reaches.
func redisBenchmark(ctx context.Context, server *redisServer, args ...string) (float64, error) {
	host, port, _ := strings.Cut(server.addr, ":")
	out, err := exec.CommandContext(ctx, "redis-benchmark", append([]string{"-h", host, "-p", port, "--csv"}, args...)...).Output()
	if err != nil {
		return 0, fmt.Errorf("redis-benchmark: %w", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	fields := strings.Split(lines[len(lines)-1], `","`)
	if len(fields) < 2 {
		return 0, fmt.Errorf("redis-benchmark: %q", lines[len(lines)-1])
	}
	return strconv.ParseFloat(strings.Trim(fields[1], `"`), 64)
}
