package redistest_test

import (
	"strings"
	"testing"

	"github.com/mintonce/mintonce/internal/redistest"
	"github.com/redis/go-redis/v9"
)

func TestCluster(t *testing.T) {
	c := redistest.StartCluster(t)
	if !strings.HasPrefix(c.URL(), "redis+cluster://127.0.0.1:") || strings.Count(c.URL(), ",") != 2 {
		t.Errorf("the URL is %s", c.URL())
	}
	var addrs []string
	for _, s := range c.Masters {
		addrs = append(addrs, s.Addr())
	}
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs[:1]}) // one leads to all
	defer client.Close()
	for _, key := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		if err := client.Set(t.Context(), key, key, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range c.Masters {
		alone := redis.NewClient(&redis.Options{Addr: s.Addr()})
		defer alone.Close()
		if n, err := alone.DBSize(t.Context()).Result(); err != nil || n == 0 || n == 8 {
			t.Errorf("%s holds %d of 8 keys, %v", s.Addr(), n, err)
		}
	}
}
