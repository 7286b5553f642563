package redisstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// mark writes a marker unless there is one, and returns the one that there is.
// A process that may not write goes without: it still sees the marker change
// when another process writes it.
func (s *Store) mark(ctx context.Context) (string, error) {
	mine := rand.Text()
	err := s.client.SetArgs(ctx, s.markerKey(), mine, redis.SetArgs{Mode: string(redis.NX)}).Err()
	switch {
	case err == nil:
		return mine, nil
	case redis.HasErrorPrefix(err, "NOPERM"):
		return "", nil
	case !errors.Is(err, redis.Nil):
		return "", err
	}
	theirs, err := s.client.Get(ctx, s.markerKey()).Result()
	if errors.Is(err, redis.Nil) {
		return "", nil // flushed again: the next round sees to it
	}
	return theirs, err
}

// streamID is the id of an entry of a stream; the zero value comes before all.
type streamID struct{ ms, seq uint64 }

func parseStreamID(text string) streamID {
	ms, seq, _ := strings.Cut(text, "-")
	var id streamID
	id.ms, _ = strconv.ParseUint(ms, 10, 64) // Redis sends no other form
	id.seq, _ = strconv.ParseUint(seq, 10, 64)
	return id
}

func (id streamID) String() string { return fmt.Sprintf("%d-%d", id.ms, id.seq) }

func (id streamID) before(other streamID) bool {
	return id.ms < other.ms || id.ms == other.ms && id.seq < other.seq
}
