package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/redis/go-redis/v9"
)

// LoadAll implements coordinator.BulkLoader with one pipeline: one command for
// each name and one for the clock, in one round trip for all. The nodes of a
// cluster have clocks of their own, so there each load reads its own.
func (s *Store) LoadAll(ctx context.Context, names []string) ([]coordinator.Loaded, error) {
	if s.unfit != nil {
		return nil, s.unfit
	}
	return s.loadAll(ctx, "load records", names)
}

func (s *Store) loadAll(ctx context.Context, what string, names []string) ([]coordinator.Loaded, error) {
	if !s.clustered() {
		return s.loadByOneClock(ctx, what, names)
	}
	replies, err := s.loadPipeline(ctx, names, loadScript.EvalSha)
	if err == nil && slices.ContainsFunc(replies, isUnknownScript) {
		// A server that was restarted, or that nobody has asked before.
		replies, err = s.loadPipeline(ctx, names, loadScript.Eval)
	}
	if err != nil {
		return nil, explain(what, err)
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
			return nil, explain(what, err)
		}
	}
	return all, nil
}

// loadByOneClock reads the clock, then the records. A load may say that it is
// earlier than it is, as long as the clock is read after the request was sent.
// A script would read both in one step, and take Redis four times as long.
func (s *Store) loadByOneClock(ctx context.Context, what string, names []string) ([]coordinator.Loaded, error) {
	pipe := s.client.Pipeline()
	clock := pipe.Time(ctx)
	replies := make([]*redis.MapStringStringCmd, len(names))
	for i, name := range names {
		replies[i] = pipe.HGetAll(ctx, s.recordKey(name))
	}
	if err := send(ctx, pipe); err != nil {
		return nil, explain(what, err)
	}
	now, err := clock.Result()
	if err != nil {
		return nil, explain(what, err)
	}
	all := make([]coordinator.Loaded, len(names))
	for i, name := range names {
		stored, err := replies[i].Result()
		var answered redis.Error
		switch {
		case err == nil:
			all[i].Now = now.UTC()
			if all[i].Record, err = coordinator.ParseRecord(stored); err != nil {
				all[i].Err = fmt.Errorf("redisstore: load %s: %w", name, err)
			}
		case errors.As(err, &answered):
			all[i].Err = explain("load "+name, err) // it is this record that is wrong
		default:
			return nil, explain(what, err)
		}
	}
	return all, nil
}

func isUnknownScript(reply *redis.Cmd) bool { return redis.HasErrorPrefix(reply.Err(), "NOSCRIPT") }

// evaluate is a way to run a script: by its hash or by its source.
type evaluate func(ctx context.Context, c redis.Scripter, keys []string, args ...any) *redis.Cmd

func (s *Store) loadPipeline(ctx context.Context, names []string, script evaluate) ([]*redis.Cmd, error) {
	pipe := s.client.Pipeline()
	replies := make([]*redis.Cmd, len(names))
	for i, name := range names {
		replies[i] = script(ctx, pipe, []string{s.recordKey(name)})
	}
	return replies, send(ctx, pipe)
}

// send sends a pipeline whose replies have errors of their own. It returns one
// if there are no replies: where a new connection is refused, for a wrong
// password for example, go-redis leaves the commands as they were, which looks
// as if each had been answered with nothing.
func send(ctx context.Context, pipe redis.Pipeliner) error {
	commands, err := pipe.Exec(ctx)
	if slices.ContainsFunc(commands, func(c redis.Cmder) bool { return c.Err() != nil }) {
		return nil
	}
	return err
}
