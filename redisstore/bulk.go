package redisstore

import (
	"context"
	"errors"
	"slices"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/redis/go-redis/v9"
)

// LoadAll implements coordinator.BulkLoader with one pipeline: one command for
// each name and one round trip for all, or one for each node of a cluster.
func (s *Store) LoadAll(ctx context.Context, names []string) ([]coordinator.Loaded, error) {
	if s.unfit != nil {
		return nil, s.unfit
	}
	replies := s.loadPipeline(ctx, names)
	if slices.ContainsFunc(replies, func(c *redis.Cmd) bool { return redis.HasErrorPrefix(c.Err(), "NOSCRIPT") }) {
		// A server that was restarted, or that nobody has asked before.
		if err := s.teach(ctx); err != nil {
			return nil, explain("load records", err)
		}
		replies = s.loadPipeline(ctx, names)
	}
	all := make([]coordinator.Loaded, len(names))
	for i, name := range names {
		reply, err := replies[i].Slice()
		var answered redis.Error
		switch {
		case err == nil:
			all[i].Record, all[i].Now, all[i].Err = loaded(name, reply)
		case errors.As(err, &answered):
			all[i].Err = explain("load "+name, err) // it is this record that is wrong
		default:
			return nil, explain("load records", err)
		}
	}
	return all, nil
}

func (s *Store) loadPipeline(ctx context.Context, names []string) []*redis.Cmd {
	pipe := s.client.Pipeline()
	replies := make([]*redis.Cmd, len(names))
	for i, name := range names {
		replies[i] = loadScript.EvalSha(ctx, pipe, []string{s.recordKey(name)})
	}
	_, _ = pipe.Exec(ctx) // each reply has its own error
	return replies
}

// teach makes every server know the load script.
func (s *Store) teach(ctx context.Context) error {
	if cluster, ok := s.client.(*redis.ClusterClient); ok {
		return cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
			return loadScript.Load(ctx, node).Err()
		})
	}
	return loadScript.Load(ctx, s.client).Err()
}
