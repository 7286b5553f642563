package coordinator_test

import (
	"context"
	"errors"
	"fmt"
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
		disk, want := f.copied()
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
		disk, tok := f.copied()
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

// A copy that could not be read before the store was is not written over, but
// read then: it may have the only refresh token that is not spent.
func TestCopyIsReadBeforeItIsWritten(t *testing.T) {
	for failures := range 4 {
		t.Run(fmt.Sprint(failures, " failures"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				f.provider.traits.Kind = coordinator.Rotating
				disk := storetest.NewMemory()
				a, faults := f.member("a", withFallback(disk))
				token(t, a)
				<-f.provider.arrived
				time.Sleep(time.Minute)
				go a.Rotate(context.Background())
				<-f.provider.arrived
				away(faults)
				time.Sleep(5 * time.Second)
				last := token(t, a) // saved in the copy only; then a is killed
				time.Sleep(time.Minute)
				slow, trouble := storetest.NewFaulty(disk)
				trouble.Fail(storetest.Load, failures, errors.New("too many open files"))
				source := &asked{provider: f.provider}
				after, err := coordinator.New("shop", source, f.memory, coordinator.Config{Instance: "after", Fallback: slow})
				if err != nil {
					t.Fatal(err)
				}
				defer f.runs(after)()
				time.Sleep(10 * time.Second)
				got := token(t, after)
				if fresh := got.Value == last.Value && source.with == "" || source.with == "refresh-"+last.Value; !fresh {
					t.Errorf("%v is served, minted with %q, which is spent; the copy has refresh-%s", got, source.with, last.Value)
				}
				if r := f.record(); r.Grant.Value != got.Value || r.DoubtAt != 0 || len(r.Attempts) > 0 {
					t.Errorf("%v is served, and the record is %v", got, r)
				}
			})
		})
	}
}

// A process whose first call is a report has one try to read its copy before it
// hears the store, which may have lost what the copy has.
func TestCopyThatWasNotReadAddsToTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		disk := storetest.NewMemory()
		before, _ := f.member("before", withFallback(disk))
		token(t, before)
		older := f.memory.Contents()
		time.Sleep(time.Minute)
		want, err := before.Rotate(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		f.drain(before)
		f.memory.Restore(older)
		slow, trouble := storetest.NewFaulty(disk)
		trouble.Fail(storetest.Load, 1, errors.New("too many open files"))
		after, _ := f.member("after", withFallback(slow))
		if err := after.Report(t.Context(), "long ago", nil); err != nil {
			t.Fatal(err)
		}
		if got := token(t, after); got.Value != want.Value {
			t.Errorf("%v is served; the copy has %v", got, want)
		}
		f.drain(after)
		if got := f.record().Grant; got.Value != want.Value || f.record().DoubtAt != 0 {
			t.Errorf("the record is %v; the copy has %v", f.record(), want)
		}
		f.wantMints(2)
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
