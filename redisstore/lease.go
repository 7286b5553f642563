package redisstore

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/bsm/redislock"
)

// lease is a lock that is held and renewed. Trust in it ends ttl less a margin
// after the last successful command was sent, whatever happens on the way.
type lease struct {
	lock *redislock.Lock
	name string
	ttl  time.Duration

	lose  func() // closes lost, once
	lost  chan struct{}
	trust *time.Timer // calls lose when trust ends

	stop    context.CancelFunc // ends renewal
	stopped chan struct{}      // closed when renewal has ended

	release sync.Once
	err     error // of the release
}

func newLease(lock *redislock.Lock, name string, sent time.Time, ttl time.Duration) *lease {
	ctx, stop := context.WithCancel(context.Background())
	l := &lease{lock: lock, name: name, ttl: ttl, lost: make(chan struct{}), stop: stop, stopped: make(chan struct{})}
	l.lose = sync.OnceFunc(func() { close(l.lost) })
	end := l.trustedUntil(sent)
	l.trust = time.AfterFunc(time.Until(end), l.lose)
	go l.renew(ctx, end)
	return l
}

// trustedUntil leaves a margin for clocks that run at different speeds and for
// the holder to notice.
func (l *lease) trustedUntil(sent time.Time) time.Time { return sent.Add(l.ttl - l.ttl/10) }

// Lost implements coordinator.Lease.
func (l *lease) Lost() <-chan struct{} { return l.lost }

// renew extends the lock every quarter of its ttl, and sooner after an error,
// until the lock is known to be lost or is released.
func (l *lease) renew(ctx context.Context, end time.Time) {
	defer close(l.stopped)
	pause := l.ttl / 4
	for {
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-l.lost:
			timer.Stop()
			return
		case <-timer.C:
		}
		sent := time.Now()
		err := l.extend(ctx, end)
		switch {
		case err == nil:
			pause = l.ttl / 4
			end = l.trustedUntil(sent)
			l.trust.Reset(time.Until(end))
		case errors.Is(err, redislock.ErrNotObtained):
			l.lose() // it is certainly not ours any more
			return
		default:
			pause = l.ttl / 16 // an answer may still come before trust ends
		}
	}
}

// extend sends one renewal. It gets a quarter of the ttl, so that a connection
// that hangs is replaced while there is time for another try.
func (l *lease) extend(ctx context.Context, end time.Time) error {
	deadline := time.Now().Add(l.ttl / 4)
	if end.Before(deadline) {
		deadline = end
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	return l.lock.Refresh(ctx, l.ttl, nil)
}

// Release implements coordinator.Lease. It takes its own time, at most a
// second and a quarter of the ttl, even if ctx has ended. Lost stays as it is.
func (l *lease) Release(ctx context.Context) error {
	l.release.Do(func() {
		l.stop()
		<-l.stopped
		l.trust.Stop()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
		defer cancel()
		err := l.lock.Release(ctx)
		if err != nil && !errors.Is(err, redislock.ErrLockNotHeld) {
			l.err = explain("release the lock of "+l.name, err)
		}
	})
	return l.err
}
