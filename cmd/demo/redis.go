package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/mintonce/mintonce/redisstore"
	"github.com/redis/go-redis/v9"
)

// demoRedis is the Redis that the replicas share.
type demoRedis struct {
	url      string
	prefix   string
	client   redis.UniversalClient
	embedded *miniredis.Miniredis // nil if it is the user's
	cli      string               // how to look at it
}

// startRedis starts a Redis of the demo's own, or connects to the one at url.
func startRedis(ctx context.Context, url string) (*demoRedis, error) {
	r := &demoRedis{url: url, prefix: redisstore.DefaultPrefix}
	if url == "" {
		r.embedded = miniredis.NewMiniRedis()
		r.embedded.ClockTTL(true) // locks must lapse by themselves
		if err := r.embedded.StartAddr("127.0.0.1:0"); err != nil {
			return nil, fmt.Errorf("the built-in Redis cannot start: %w", err)
		}
		r.url = "redis://" + r.embedded.Addr()
	} else {
		r.prefix = fmt.Sprintf("mintonce-demo-%d", os.Getpid())
	}
	options, err := redisstore.ParseURL(r.url)
	if err != nil {
		return nil, err
	}
	r.cli = redisCLI(options)
	r.client = redis.NewUniversalClient(options)
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if err := r.client.Ping(ctx).Err(); err != nil {
		r.client.Close()
		return nil, fmt.Errorf("no answer from Redis at %s: %w; start it, or leave --redis out for a built-in one", strings.Join(options.Addrs, ", "), err)
	}
	return r, nil
}

// redisCLI is the command line of redis-cli, without the password.
func redisCLI(o *redis.UniversalOptions) string {
	host, port, err := net.SplitHostPort(o.Addrs[0])
	if err != nil || o.MasterName != "" {
		return "redis-cli" // to be completed with the address of the primary
	}
	cli := "redis-cli"
	if host != "127.0.0.1" && host != "localhost" {
		cli += " -h " + host
	}
	cli += " -p " + port
	if o.DB != 0 {
		cli += fmt.Sprintf(" -n %d", o.DB)
	}
	if o.TLSConfig != nil {
		cli += " --tls"
	}
	if o.Username != "" {
		cli += " --user " + o.Username
	}
	if o.Password != "" {
		cli += " --askpass"
	}
	if o.IsClusterMode {
		cli += " -c"
	}
	return cli
}

// commands are worth trying once mintonce's side has begun.
func (r *demoRedis) commands() []string {
	return []string{
		fmt.Sprintf("%s HGETALL '%s:{%s}'", r.cli, r.prefix, credentialName),
		fmt.Sprintf("%s XREVRANGE '%s:{%s}:history' + - COUNT 5", r.cli, r.prefix, credentialName),
		fmt.Sprintf("%s XREVRANGE %s:changes + - COUNT 5", r.cli, r.prefix),
	}
}

// close deletes the demo's keys, and ends its own Redis.
func (r *demoRedis) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	record := fmt.Sprintf("%s:{%s}", r.prefix, credentialName)
	for _, key := range []string{naiveKey(r.prefix), record, record + ":lock", record + ":history", r.prefix + ":changes", r.prefix + ":marker"} {
		r.client.Del(ctx, key) // one by one, for they may be in different slots
	}
	r.client.Close()
	if r.embedded != nil {
		r.embedded.Close()
	}
}
