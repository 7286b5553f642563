package redisstore

import (
	"context"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/redis/go-redis/v9"
)

// On a cluster a swap and its announcement are two commands to two servers, and
// a process may be killed in between. So the announcement is made twice there:
// as an intent before the swap, and as news after it. Followers act upon the
// news. Where none follows upon an intent, they look by themselves: that costs
// nothing at rest, and nothing where the news come.
//
// An intent may be that of a swap which then failed, and it may itself be lost:
// it is a hint like any other.

const (
	// intentField marks an entry of the change stream that announces what is
	// about to be written.
	intentField = "intent"
	// intentTimeout bounds how long a swap waits for its intent to be taken in:
	// a record must not be written late because the server of the change stream
	// hangs, which is another one.
	intentTimeout = 250 * time.Millisecond
	// patience is how long followers wait for the news that an intent promised:
	// longer than a swap may take, and far below a provider's overlap.
	patience = 5 * time.Second
)

// intend announces a swap that is about to be made. A failure is nothing to
// tell of: the news will say the same.
func (s *Store) intend(ctx context.Context, name string, next coordinator.Record) {
	limit := intentTimeout
	if end, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(end)/4)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	_ = s.addChange(ctx, name, next, intentField, "1")
}

// announce tells of a swap that was made.
func (s *Store) announce(ctx context.Context, name string, next coordinator.Record) {
	if err := s.addChange(ctx, name, next); err != nil {
		s.warn(explain("announce a change of "+name, err))
	}
}

// addChange adds an entry to the change stream.
func (s *Store) addChange(ctx context.Context, name string, next coordinator.Record, more ...any) error {
	return s.client.XAdd(ctx, &redis.XAddArgs{
		Stream: s.changesKey(), MaxLen: streamLength, Approx: true,
		Values: append([]any{"name", name, "generation", next.Grant.Generation, "stamp", next.Stamp().String()}, more...),
	}).Err()
}

// intents are the swaps that were announced and are not known to have been
// made.
type intents map[coordinator.Stamp]intent

type intent struct {
	name string
	read time.Time
}

// overdue takes out those whose news should be there by now.
func (open intents) overdue(now time.Time) []coordinator.Change {
	var all []coordinator.Change
	for write, i := range open {
		if now.Sub(i.read) >= patience {
			all = append(all, coordinator.Change{Name: i.name, Write: write})
			delete(open, write)
		}
	}
	return all
}
