package redisstore

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"github.com/bsm/redislock"
	"github.com/mintonce/mintonce/coordinator"
	"github.com/redis/go-redis/v9"
)

// cleanupTimeout bounds what is done after the caller's context has ended.
const cleanupTimeout = time.Second

// Lock implements coordinator.Store with one command. The lock's value is
// HOLDER/RANDOM, new for every attempt: without the random part, a holder
// whose lock has lapsed could renew the lock of its own next attempt.
//
// After an error, the lock may have been taken all the same. It is then given
// back in the background, within a second.
func (s *Store) Lock(ctx context.Context, name, holder string, ttl time.Duration) (coordinator.Lease, error) {
	if err := s.check(name); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, explain("lock "+name, err) // nothing was sent, nothing to give back
	}
	key, value := s.lockKey(name), holder+"/"+rand.Text()
	// What Redis counts down begins later than this, so trust ends earlier.
	sent := time.Now()
	lock, err := s.locks.Obtain(ctx, key, ttl, &redislock.Options{Token: value, RetryStrategy: redislock.NoRetry()})
	switch {
	case errors.Is(err, redislock.ErrNotObtained):
		return nil, s.lockedBy(ctx, name)
	case err != nil:
		go s.giveBack(context.WithoutCancel(ctx), key, value)
		return nil, explain("lock "+name, err)
	}
	return newLease(lock, name, sent, ttl), nil
}

// giveBack removes a lock that an obtain without an answer may have taken. If
// that fails too, the lock lapses by itself.
func (s *Store) giveBack(ctx context.Context, key, value string) {
	ctx, cancel := context.WithTimeout(ctx, cleanupTimeout)
	defer cancel()
	_ = unlockScript.Run(ctx, s.client, []string{key}, value).Err()
}

// lockedBy describes the lock that we did not get. It may be free by now.
func (s *Store) lockedBy(ctx context.Context, name string) *coordinator.LockedError {
	holder, err := s.Holder(ctx, name)
	if err != nil || holder == nil {
		return &coordinator.LockedError{}
	}
	return holder
}

// Holder implements coordinator.LockInspector with one round trip.
func (s *Store) Holder(ctx context.Context, name string) (*coordinator.LockedError, error) {
	if err := s.check(name); err != nil {
		return nil, err
	}
	pipe := s.client.Pipeline()
	value := pipe.Get(ctx, s.lockKey(name))
	left := pipe.PTTL(ctx, s.lockKey(name))
	_, err := pipe.Exec(ctx)
	if errors.Is(value.Err(), redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, explain("read the lock of "+name, err)
	}
	text := value.Val()
	holder := text[:max(0, strings.LastIndexByte(text, '/'))]
	return &coordinator.LockedError{Holder: holder, Remaining: max(0, left.Val())}, nil
}
