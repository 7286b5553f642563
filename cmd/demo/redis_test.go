package main

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/mintonce/mintonce/redisstore"
)

func TestTheUsersRedisIsLeftAsItWas(t *testing.T) {
	server := miniredis.RunT(t)
	server.Set("theirs", "x")
	server.Set("mintonce:{shop}", "x")
	r, err := startRedis(context.Background(), "redis://"+server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	record := r.prefix + ":{shop}"
	for _, key := range []string{naiveKey(r.prefix), record, record + ":lock", record + ":history", r.prefix + ":changes", r.prefix + ":marker"} {
		server.Set(key, "x")
	}
	r.close()
	if keys := server.Keys(); !slices.Equal(keys, []string{"mintonce:{shop}", "theirs"}) {
		t.Errorf("what is left is %q", keys)
	}
}

func TestLocksInTheBuiltInRedisLapse(t *testing.T) {
	r, err := startRedis(context.Background(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := r.client.Set(ctx, "lock", "x", 20*time.Millisecond).Err(); err != nil {
		t.Fatal(err)
	}
	for r.client.Exists(ctx, "lock").Val() == 1 {
		if !pause(ctx, 5*time.Millisecond) {
			t.Fatal("a key outlives its time to live")
		}
	}
}

func TestTheCommandLineOfRedisCLI(t *testing.T) {
	for url, want := range map[string]string{
		"redis://127.0.0.1:16399":                   "redis-cli -p 16399",
		"redis://127.0.0.1:16399/3":                 "redis-cli -p 16399 -n 3",
		"rediss://ann:hidden@example.com":           "redis-cli -h example.com -p 6379 --tls --user ann --askpass",
		"redis+cluster://10.0.0.1:7000,10.0.0.2":    "redis-cli -h 10.0.0.1 -p 7000 -c",
		"redis+sentinel://10.0.0.1:26379/mymaster/": "redis-cli",
	} {
		options, err := redisstore.ParseURL(url)
		if err != nil {
			t.Fatal(err)
		}
		if got := redisCLI(options); got != want {
			t.Errorf("%s: got %q, want %q", url, got, want)
		}
	}
}
