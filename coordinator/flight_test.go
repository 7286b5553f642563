package coordinator_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
)

// A failure that time does not heal is returned at once, also while calls come
// faster than the store answers.
func TestWrongSecretUnderLoadIsToldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		for range 100 {
			f.provider.fail(&coordinator.SourceError{Class: coordinator.Configuration, Message: "wrong secret", Refused: true})
		}
		c, faults := f.member("a")
		faults.Delay(storetest.Any, storetest.Always, 10*time.Millisecond)
		var slowest atomic.Int64
		var calls sync.WaitGroup
		for range 1000 {
			calls.Go(func() {
				start := time.Now()
				if _, err := c.Token(context.Background()); err == nil {
					t.Error("there is a token")
				}
				if d := int64(time.Since(start)); d > slowest.Load() {
					slowest.Store(d)
				}
			})
			time.Sleep(5 * time.Millisecond)
		}
		calls.Wait()
		if d := time.Duration(slowest.Load()); d > time.Second {
			t.Errorf("a call took %s; %d loads", d, faults.Calls(storetest.Load))
		}
	})
}

// Whoever joins a flight must not hold up those who joined before.
func TestRefreshEndsThoughOthersCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		c, faults := f.member("a")
		token(t, c)
		faults.Delay(storetest.Load, storetest.Always, 10*time.Millisecond)
		var slowest atomic.Int64
		var calls sync.WaitGroup
		for range 1000 {
			calls.Go(func() {
				start := time.Now()
				if _, err := c.Refresh(context.Background()); err != nil {
					t.Error(err)
				}
				if d := int64(time.Since(start)); d > slowest.Load() {
					slowest.Store(d)
				}
			})
			time.Sleep(5 * time.Millisecond)
		}
		calls.Wait()
		if d := time.Duration(slowest.Load()); d > time.Second {
			t.Errorf("a call took %s", d)
		}
	})
}

// An operator's order that comes while an ordinary mint is being announced is
// not lost with it.
func TestRotateDuringAnnouncement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.provider.traits.Kind = coordinator.Idempotent
		source := &forceful{provider: f.provider}
		store, faults := storetest.NewFaulty(f.memory)
		c, err := coordinator.New("shop", source, store, coordinator.Config{Instance: "a"})
		if err != nil {
			t.Fatal(err)
		}
		token(t, c)
		time.Sleep(f.provider.life - 4*time.Minute) // a refresh is due; the provider gives out the same token again
		ordered := make(chan error, 1)
		faults.Before(storetest.Swap, 1, func() {
			go func() { _, err := c.Rotate(context.Background()); ordered <- err }()
			time.Sleep(100 * time.Millisecond)
		})
		token(t, c)
		if err := <-ordered; err != nil {
			t.Fatal(err)
		}
		if source.forced.Load() != 1 {
			t.Errorf("Rotate says that all is well; the provider was asked for a new token %d times", source.forced.Load())
		}
	})
}

// forceful is a provider that gives out the same token, unless it is forced.
type forceful struct {
	*provider
	forced atomic.Int64
}

func (s *forceful) Rotate(ctx context.Context, prev coordinator.Token) (coordinator.Token, error) {
	s.forced.Add(1)
	s.provider.mu.Lock()
	s.provider.tokens = nil
	s.provider.mu.Unlock()
	return s.provider.Mint(ctx, prev)
}

// An order of which the provider's budget allows nothing must not keep callers
// from the ordinary mint that it allows.
func TestRefusedRotationDoesNotRefuseToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.provider.traits.DailyRotations = 1
		c, _ := f.member("a")
		token(t, c)
		if _, err := c.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * f.provider.life)
		c.Rotate(t.Context())
		if tok, err := c.Token(t.Context()); err != nil {
			t.Errorf("%v, %v", tok, err)
		}
		f.drain(c)
	})
}

// Callers that wait must not hold up the end of Run.
func TestRunEndsThoughCallersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		for range 1000 {
			f.provider.fail(&coordinator.SourceError{Class: coordinator.Transient, Message: "down", Refused: true})
		}
		c, _ := f.member("a")
		stop := f.runs(c)
		time.Sleep(10 * time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		for range 2 {
			go func() {
				for ctx.Err() == nil {
					c.Token(ctx)
					time.Sleep(time.Second / 4)
				}
			}()
			time.Sleep(7 * time.Second)
		}
		start := time.Now()
		stop()
		if d := time.Since(start); d > 3*time.Second {
			t.Errorf("Run ended after %s", d)
		}
		cancel()
		time.Sleep(time.Minute)
	})
}

// Calls that come all the time with a failure that time does not heal must not
// become as many looks at the store, also not while one is under way.
func TestStormOfFailingCallsLooksSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		for range 1000 {
			f.provider.fail(&coordinator.SourceError{Class: coordinator.Configuration, Message: "wrong secret", Refused: true})
		}
		c, faults := f.member("a")
		faults.Delay(storetest.Any, storetest.Always, 10*time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var calls sync.WaitGroup
		for range 3 {
			calls.Go(func() {
				for ctx.Err() == nil {
					c.Token(ctx)
					time.Sleep(time.Millisecond)
				}
			})
		}
		calls.Wait()
		if n := faults.Calls(storetest.Load); n > 60 {
			t.Errorf("%d loads in ten seconds", n)
		}
		f.drain(c)
	})
}

// An order that the budget refuses is no answer to those who ask for something
// else meanwhile.
func TestOthersDuringRefusedRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.provider.traits.DailyRotations = 1
		c, faults := f.member("a")
		token(t, c)
		if _, err := c.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		tok := token(t, c)
		time.Sleep(time.Minute)
		faults.Delay(storetest.Load, storetest.Always, 100*time.Millisecond)
		refused := make(chan error, 1)
		order := func() {
			go func() { _, err := c.Rotate(context.Background()); refused <- err }()
			time.Sleep(150 * time.Millisecond) // it is looked into
		}
		order()
		if _, err := c.Refresh(t.Context()); err != nil {
			t.Errorf("Refresh: %v", err)
		}
		if err := <-refused; !errors.Is(err, coordinator.ErrBudget) {
			t.Fatalf("Rotate: %v", err)
		}
		order()
		if err := c.Report(t.Context(), tok.Value, errors.New("rejected")); err != nil {
			t.Errorf("Report: %v", err)
		}
		if got := token(t, c); got.Value == tok.Value {
			t.Error("the rejected token was not replaced")
		}
		<-refused
	})
}
