package redisstore

import (
	"context"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/redis/go-redis/v9"
)

// History implements coordinator.Historian with one command. About the last
// 1,000 entries of a name are kept.
func (s *Store) History(ctx context.Context, name string, n int) ([]coordinator.Event, error) {
	if err := s.check(name); err != nil {
		return nil, err
	}
	if n <= 0 {
		return nil, nil
	}
	entries, err := s.client.XRevRangeN(ctx, s.historyKey(name), "+", "-", int64(n)).Result()
	if err != nil {
		return nil, explain("read the history of "+name, err)
	}
	events := make([]coordinator.Event, 0, len(entries))
	for _, entry := range entries {
		fields := make(map[string]string, len(entry.Values))
		for field, value := range entry.Values {
			fields[field], _ = value.(string)
		}
		events = append(events, coordinator.ParseEvent(fields))
	}
	return events, nil
}

// Append implements coordinator.Historian with one round trip. An event that
// is appended again after a lost reply appears twice.
func (s *Store) Append(ctx context.Context, name string, events ...coordinator.Event) error {
	if err := s.check(name); err != nil {
		return err
	}
	pipe := s.client.Pipeline()
	for _, e := range events {
		fields := e.Fields()
		if len(fields) == 0 {
			continue
		}
		pipe.XAdd(ctx, &redis.XAddArgs{Stream: s.historyKey(name), MaxLen: streamLength, Approx: true, Values: appendFields(nil, fields)[1:]})
	}
	if pipe.Len() == 0 {
		return nil
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return explain("append to the history of "+name, err)
	}
	return nil
}
