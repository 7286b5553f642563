package redisstore

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/redis/go-redis/v9"
)

// scanned is how many keys Redis looks at for one command, for about half a
// millisecond.
const scanned = 500

// Names implements coordinator.Lister with SCAN, on every master of a cluster,
// which looks at all keys of the database, whoever they belong to. Give it a ctx
// that ends soon. It is for people and needs +scan, which a Store does not need
// otherwise.
func (s *Store) Names(ctx context.Context) (names []string, all bool, err error) {
	if s.unfit != nil {
		return nil, false, s.unfit
	}
	var mu sync.Mutex
	scan := func(ctx context.Context, server *redis.Client) error {
		return s.scan(ctx, server, func(name string) {
			mu.Lock()
			defer mu.Unlock()
			names = append(names, name)
		})
	}
	switch c := s.client.(type) {
	case *redis.ClusterClient:
		err = c.ForEachMaster(ctx, scan)
	case *redis.Client:
		err = scan(ctx, c)
	}
	slices.Sort(names)
	names = slices.Compact(names) // SCAN may tell a key twice, and so do two masters while its slot moves
	end, bounded := ctx.Deadline()
	if ctx.Err() != nil || bounded && !time.Now().Before(end) { // a socket may see the end before ctx does
		return names, false, nil
	}
	return names, err == nil, explain("list the records", err)
}

// scan tells the names of the records of one server.
func (s *Store) scan(ctx context.Context, server *redis.Client, found func(name string)) error {
	before, after := s.prefix+":{", "}"
	for cursor := uint64(0); ; {
		keys, next, err := server.Scan(ctx, cursor, before+"*"+after, scanned).Result()
		if err != nil {
			return err
		}
		for _, key := range keys {
			name, hasPrefix := strings.CutPrefix(key, before)
			name, hasEnd := strings.CutSuffix(name, after)
			if hasPrefix && hasEnd && coordinator.CheckName(name) == nil {
				found(name)
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}
