package redisstore_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/redistest"
	"github.com/mintonce/mintonce/redisstore"
	"github.com/redis/go-redis/v9"
)

// TestNamesOfACluster: records are on all masters, and those of another fleet
// are none of ours.
func TestNamesOfACluster(t *testing.T) {
	t.Parallel()
	url := redistest.StartCluster(t).URL()
	s, other := open(t, url, redisstore.Config{}), open(t, url, redisstore.Config{Prefix: "mintonce:other"})
	var want []string
	for i := range 30 {
		name := fmt.Sprintf("shop-%02d", i)
		want = append(want, name)
		write(t, s, name, coordinator.Record{})
		write(t, other, "other-"+name, coordinator.Record{})
	}
	names, all, err := s.Names(t.Context())
	if !slices.Equal(names, want) || !all || err != nil {
		t.Errorf("Names: %q, %t, %v; want %q, all of them", names, all, err, want)
	}
}

// endless is a hook of go-redis: each SCAN says that there are more keys.
type endless struct{}

func (endless) DialHook(next redis.DialHook) redis.DialHook { return next }

func (endless) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (endless) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if scan, ok := cmd.(*redis.ScanCmd); ok {
			keys, _ := scan.Val()
			scan.SetVal(keys, 1)
		}
		return err
	}
}

// TestNamesOfALargeRedis: there may be many more keys than there is time to look
// at.
func TestNamesOfALargeRedis(t *testing.T) {
	t.Parallel()
	client := dial(t, "redis://"+startMini(t).Addr())
	client.AddHook(endless{})
	s := redisstore.New(client, redisstore.Config{})
	write(t, s, "shop", coordinator.Record{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	names, all, err := s.Names(ctx)
	if !slices.Equal(names, []string{"shop"}) || all || err != nil {
		t.Errorf("Names within a second: %q, %t, %v; want what was found", names, all, err)
	}
}

// TestNamesMayBeForbidden: SCAN is not among the commands that a Store needs.
func TestNamesMayBeForbidden(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := createUser(t, server, "mintonce")
	if names, all, err := s.Names(t.Context()); err == nil || all || !strings.Contains(err.Error(), "SCAN") {
		t.Errorf("Names without +scan: %q, %t, %v", names, all, err)
	}
	if err := dial(t, server.URL()).Do(t.Context(), "ACL", "SETUSER", "mintonce", "+scan").Err(); err != nil {
		t.Fatal(err)
	}
	write(t, s, "shop", coordinator.Record{})
	if names, all, err := s.Names(t.Context()); !slices.Equal(names, []string{"shop"}) || !all || err != nil {
		t.Errorf("Names with +scan: %q, %t, %v", names, all, err)
	}
}
