package coordinator_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
	"github.com/mintonce/mintonce/filestore"
	"github.com/mintonce/mintonce/sealedstore"
)

// A copy whose offset was right for a wall clock that was set since must not
// end a token whose true end the store tells.
func TestCopyByAWrongWallClockEndsNoToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		disk := storetest.NewMemory()
		before, _ := f.member("before", withFallback(disk))
		want := token(t, before)
		f.drain(before)
		copied, _, err := disk.Load(t.Context(), "shop")
		if err != nil {
			t.Fatal(err)
		}
		fields := copied.Fields()
		fields["store_clock_ahead_ms"] = "3600000" // the wall clock was an hour slow when the copy was made, and was set right
		disk.WriteRaw("shop", fields)
		after, _ := f.member("after", withFallback(disk))
		if _, err := after.Refresh(t.Context()); err != nil { // the store answers
			t.Fatal(err)
		}
		if got := token(t, after); got.ExpiresAt().Sub(want.ExpiresAt()).Abs() > time.Second {
			t.Errorf("%v ends %s early", got, want.ExpiresAt().Sub(got.ExpiresAt()))
		}
		time.Sleep(f.provider.life - time.Hour)
		if got := token(t, after); got.Value != want.Value || f.provider.minted() != 1 {
			t.Errorf("half an hour before it is due: %v, %d mints", got, f.provider.minted())
		}
		f.drain(after)
	})
}

// A copy that could not be read at the first try is read at the next.
func TestCopyIsReadOnceTheDiskAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		disk := storetest.NewMemory()
		before, _ := f.member("before", withFallback(disk))
		tok := token(t, before)
		f.drain(before)
		slow, trouble := storetest.NewFaulty(disk)
		trouble.Fail(storetest.Load, 1, errors.New("too many open files"))
		after, faults := f.member("after", withFallback(slow))
		away(faults)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if got, err := after.Token(ctx); got.Value != tok.Value {
			t.Errorf("%v, %v; the copy has %v", got, err, tok)
		}
		f.drain(after)
	})
}

// A refresh token that only the copy has is of use though the access token
// beside it is over.
func TestCopyOfARotatingSourceOutlivesItsToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.provider.traits.Kind = coordinator.Rotating
		disk := storetest.NewMemory()
		a, faults := f.member("a", withFallback(disk))
		token(t, a)
		<-f.provider.arrived
		go a.Rotate(context.Background())
		<-f.provider.arrived
		away(faults)
		time.Sleep(5 * time.Second)
		last := token(t, a) // saved in the copy only; then a is killed
		time.Sleep(f.provider.life)
		source := &asked{provider: f.provider}
		after, err := coordinator.New("shop", source, f.memory, coordinator.Config{Instance: "after", Fallback: disk})
		if err != nil {
			t.Fatal(err)
		}
		token(t, after)
		if want := "refresh-" + last.Value; source.with != want {
			t.Errorf("minted with %s, which is spent; the copy has %s", source.with, want)
		}
		f.drain(after)
	})
}

// asked is a provider that notes the first refresh token it was given.
type asked struct {
	*provider
	with string
}

func (s *asked) Mint(ctx context.Context, prev coordinator.Token) (coordinator.Token, error) {
	if s.with == "" {
		s.with = prev.State()
	}
	return s.provider.Mint(ctx, prev)
}

// A sealed copy whose token does not open any more is not sound for those who
// have the key: they must not try fifty times to overwrite it at each look.
func TestSealedCopyThatDoesNotOpen(t *testing.T) {
	keys, err := sealedstore.NewKeys()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filestore.New(t.TempDir(), filestore.Config{})
	if err != nil {
		t.Fatal(err)
	}
	// The copy of another record in the place of this one's: it does not open here.
	sealed := sealedstore.New(files, keys)
	f := newFleet(t)
	f.provider.latency = 0
	other, err := coordinator.New("other", f.provider, storetest.NewMemory(), coordinator.Config{Fallback: sealed})
	if err != nil {
		t.Fatal(err)
	}
	token(t, other)
	f.drain(other)
	r, _, err := files.Load(t.Context(), "other")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := files.Swap(t.Context(), "shop", coordinator.Stamp{}, r); err != nil {
		t.Fatal(err)
	}
	copies := &swapCounter{Store: sealed}
	c, _ := f.member("a", withFallback(copies))
	start := time.Now()
	token(t, c)
	f.drain(c)
	if n := copies.swaps.Load(); n > 2 {
		t.Errorf("%d tries to write the copy in %s", n, time.Since(start))
	}
}

// swapCounter counts.
type swapCounter struct {
	coordinator.Store
	swaps atomic.Int64
}

func (s *swapCounter) Unwrap() coordinator.Store { return s.Store }

func (s *swapCounter) Swap(ctx context.Context, name string, old coordinator.Stamp, next coordinator.Record, events ...coordinator.Event) (time.Time, error) {
	s.swaps.Add(1)
	return s.Store.Swap(ctx, name, old, next, events...)
}
