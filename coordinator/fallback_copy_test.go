package coordinator_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
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
