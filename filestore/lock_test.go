package filestore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gofrs/flock"

	"github.com/mintonce/mintonce/coordinator"
)

// The name in the lock file is that of the holder, and what somebody else put
// there is not shown.
func TestHolderName(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	lease, err := s.Lock(t.Context(), "shop", "host-17", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer lease.Release(t.Context())
	path := filepath.Join(dir, "shop.lock")
	ours, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for content, want := range map[string]string{
		string(ours):                 "host-17",
		"terminal \x1b[31m":          "",
		"two\nlines\n":               "",
		strings.Repeat("long", 1000): "",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = s.Lock(t.Context(), "shop", "other", time.Second)
		var locked *coordinator.LockedError
		if !errors.As(err, &locked) || locked.Holder != want {
			t.Errorf("lock file %.20q: error %v, want a LockedError with holder %q", content, err, want)
		}
	}
}

// A lease ends with Release and not with its ttl.
func TestLeaseIgnoresTTL(t *testing.T) {
	s := open(t, t.TempDir())
	lease, err := s.Lock(t.Context(), "shop", "me", time.Nanosecond)
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Lock(t.Context(), "shop", "other", time.Nanosecond); !errors.Is(err, coordinator.ErrLocked) {
		t.Errorf("Lock after the ttl: error %v, want ErrLocked", err)
	}
	if err := lease.Release(ended); err != nil {
		t.Errorf("Release with a context that has ended: %v", err)
	}
	if locked, err := s.Holder(t.Context(), "shop"); locked != nil || err != nil {
		t.Errorf("Holder after Release: %v, error %v; want nil", locked, err)
	}
}

// A writer that is stopped in the middle of a write keeps others from writing,
// but not from reading, nor longer than their contexts allow.
func TestStoppedWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, path, r := written(t)
		guard := flock.New(strings.TrimSuffix(path, ".json") + ".guard")
		if err := guard.Lock(); err != nil {
			t.Fatal(err)
		}
		defer guard.Unlock()
		for method, call := range map[string]func(context.Context) error{
			"Swap":   func(ctx context.Context) error { _, err := s.Swap(ctx, "shop", r.Stamp(), child(r)); return err },
			"Lock":   func(ctx context.Context) error { _, err := s.Lock(ctx, "shop", "me", time.Second); return err },
			"Append": func(ctx context.Context) error { return s.Append(ctx, "shop", detail("a")) },
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			err := call(ctx)
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "shop.guard") || !strings.Contains(err.Error(), "stopped") {
				t.Errorf("%s: error %v, want one that says who is in the way", method, err)
			}
		}
		if got, _, err := s.Load(t.Context(), "shop"); err != nil || got.Stamp() != r.Stamp() {
			t.Errorf("Load: %v, error %v", got.Stamp(), err)
		}
		if _, err := s.History(t.Context(), "shop", 1); err != nil {
			t.Errorf("History: %v", err)
		}
		if err := guard.Unlock(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Swap(t.Context(), "shop", r.Stamp(), child(r)); err != nil {
			t.Errorf("Swap after the writer went on: %v", err)
		}
	})
}

// Whoever asks who holds a lock does not make it seem taken.
func TestHolderDoesNotDisturb(t *testing.T) {
	dir := t.TempDir()
	s, other := open(t, dir), open(t, dir)
	done := make(chan struct{})
	var askers sync.WaitGroup
	for range 3 {
		askers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := other.Holder(t.Context(), "shop"); err != nil {
					t.Errorf("Holder: %v", err)
					return
				}
			}
		})
	}
	for range 50 {
		lease, err := s.Lock(t.Context(), "shop", "me", time.Second)
		if err != nil {
			t.Errorf("Lock while others ask who holds it: %v", err)
			break
		}
		if err := lease.Release(t.Context()); err != nil {
			t.Error(err)
		}
	}
	close(done)
	askers.Wait()
}
