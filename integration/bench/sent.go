package main

import (
	"context"
	"maps"
	"net"
	"sync"

	"github.com/redis/go-redis/v9"
)

// sentCommands counts what a client sends, as a hook of go-redis.
type sentCommands struct {
	mu   sync.Mutex // guards each
	each map[string]int
}

func countSent(client *redis.Client) *sentCommands {
	s := &sentCommands{each: make(map[string]int)}
	client.AddHook(s)
	return s
}

func (s *sentCommands) count(commands ...redis.Cmder) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range commands {
		s.each[c.Name()]++
	}
}

func (s *sentCommands) snapshot() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.each)
}

// DialHook implements redis.Hook.
func (s *sentCommands) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

// ProcessHook implements redis.Hook.
func (s *sentCommands) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		s.count(cmd)
		return next(ctx, cmd)
	}
}

// ProcessPipelineHook implements redis.Hook.
func (s *sentCommands) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, commands []redis.Cmder) error {
		s.count(commands...)
		return next(ctx, commands)
	}
}
