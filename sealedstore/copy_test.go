package sealedstore_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
	"github.com/mintonce/mintonce/sealedstore"
)

// A sealed copy that does not open is sound for the files it lies in, and not
// for those who have the key: they must not try again and again to replace it.
func TestCopyThatDoesNotOpen(t *testing.T) {
	files := openFiles(t, t.TempDir())
	sealed := sealedstore.New(files, newKeys(t))
	// The copy of another record in the place of this one's: it does not open here.
	other, err := coordinator.New("other", &source{}, storetest.NewMemory(), coordinator.Config{Fallback: sealed})
	if err != nil {
		t.Fatal(err)
	}
	token(t, other)
	if err := other.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, _, err := files.Load(t.Context(), "other")
	if err != nil || !r.Exists() {
		t.Fatalf("the copy is %v, error %v", r, err)
	}
	if _, err := files.Swap(t.Context(), "shop", coordinator.Stamp{}, r); err != nil {
		t.Fatal(err)
	}
	copies := &swapCounter{Store: sealed}
	c := newCoordinator(t, &source{}, storetest.NewMemory(), coordinator.Config{Fallback: copies})
	token(t, c)
	if err := c.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := copies.swaps.Load(); n > 2 {
		t.Errorf("%d tries to write the copy", n)
	}
}

// swapCounter counts the swaps of a store.
type swapCounter struct {
	coordinator.Store
	swaps atomic.Int64
}

func (s *swapCounter) Unwrap() coordinator.Store { return s.Store }

func (s *swapCounter) Swap(ctx context.Context, name string, old coordinator.Stamp, next coordinator.Record, events ...coordinator.Event) (time.Time, error) {
	s.swaps.Add(1)
	return s.Store.Swap(ctx, name, old, next, events...)
}
