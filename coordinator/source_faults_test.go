package coordinator_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
)

func TestFailuresAreSharedAndClassed(t *testing.T) {
	refused := func(class coordinator.Class, code int, after time.Duration) error {
		return &coordinator.SourceError{Class: class, Code: code, Message: "no", Advice: "do this", After: after, Refused: true}
	}
	for _, tc := range []struct {
		err    error
		atOnce bool
	}{
		{refused(coordinator.Transient, -1, 0), false},
		{refused(coordinator.Quota, 45009, 10*time.Minute), true},
		{refused(coordinator.Operator, 40164, time.Minute), true},
		{refused(coordinator.Configuration, 40125, 5*time.Minute), true},
		{errors.New("reset by peer"), false},
	} {
		t.Run(fmt.Sprint(tc.err), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				a, _ := f.member("a")
				b, _ := f.member("b")
				f.provider.fail(tc.err)
				start := time.Now()
				got, err := a.Token(t.Context())
				if !tc.atOnce {
					if err != nil || got.Generation != 1 || time.Since(start) < 500*time.Millisecond {
						t.Fatalf("%v, %v after %s; want a token after a back-off", got, err, time.Since(start))
					}
					return
				}
				if err == nil || time.Since(start) > 0 || !strings.Contains(err.Error(), "do this") {
					t.Fatalf("%v after %s; want the advice at once", err, time.Since(start))
				}
				_, err = b.Token(t.Context())
				var backoff *coordinator.BackoffError
				if !errors.As(err, &backoff) || backoff.RetryAfter <= 0 || !strings.Contains(err.Error(), "do this") {
					t.Errorf("the other process: %v, want the shared back-off", err)
				}
				f.wantMints(0)
				time.Sleep(backoff.RetryAfter + time.Second)
				if tok := token(t, b); tok.Generation != 1 {
					t.Errorf("after the back-off: %v", tok)
				}
			})
		})
	}
}

func TestFailedRefreshKeepsTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		c, _ := f.member("a")
		tok := token(t, c)
		for range 1000 {
			f.provider.fail(&coordinator.SourceError{Class: coordinator.Transient, Code: -1, Message: "busy", Refused: true})
		}
		stop := f.runs(c)
		defer stop()
		for range 118 {
			time.Sleep(time.Minute)
			if got := token(t, c); got.Value != tok.Value {
				t.Fatalf("got %v", got)
			}
		}
		if r := f.record(); r.Grant.Value != tok.Value || r.Failure.Count < 5 || r.Failure.Count > 60 {
			t.Errorf("after an outage of up to 30 minutes: %v and %d failures", r.Grant, r.Failure.Count)
		}
	})
}

func TestRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.provider.traits.RotationSpacing, f.provider.traits.DailyRotations = 30*time.Second, 3
		a, _ := f.member("a")
		b, _ := f.member("b")
		stop := f.runs(b)
		defer stop()
		token(t, a)
		if tok, err := a.Rotate(t.Context()); err != nil || tok.Generation != 2 {
			t.Fatalf("Rotate: %v, %v", tok, err)
		}
		synctest.Wait()
		if got := token(t, b); got.Generation != 2 {
			t.Errorf("the other process has %v", got)
		}
		if _, err := a.Rotate(t.Context()); !errors.Is(err, coordinator.ErrBudget) {
			t.Errorf("a second later: %v, want ErrBudget", err)
		}
		time.Sleep(31 * time.Second)
		f.provider.fail(&coordinator.SourceError{Class: coordinator.Transient, Code: -1, Message: "busy", Refused: true})
		if _, err := a.Rotate(t.Context()); err == nil || !strings.Contains(err.Error(), "busy") {
			t.Errorf("a rotation that failed: %v", err)
		}
		if got := token(t, a); got.Generation != 2 {
			t.Errorf("after a rotation that failed: %v", got)
		}
		time.Sleep(31 * time.Second)
		if tok, err := b.Rotate(t.Context()); err != nil || tok.Generation != 3 {
			t.Errorf("Rotate: %v, %v", tok, err)
		}
		time.Sleep(31 * time.Second)
		var budget *coordinator.BudgetError
		if _, err := b.Rotate(t.Context()); !errors.As(err, &budget) || budget.Limit != 3 {
			t.Errorf("a fourth rotation: %v, want the day's limit", err)
		}
		f.wantMints(3)
		f.converged()
		f.drain(a)
	})
}

func TestBudgetHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.provider.traits.DailyMints, f.provider.life = 5, time.Minute
		c, _ := f.member("a")
		stop := f.runs(c)
		defer stop()
		time.Sleep(12 * time.Hour)
		f.wantMints(5)
		if _, err := c.Token(t.Context()); !errors.Is(err, coordinator.ErrBudget) {
			t.Errorf("Token: %v, want ErrBudget", err)
		}
		if f.events.count(coordinator.EventBudget) == 0 {
			t.Error("nobody was told")
		}
		time.Sleep(13 * time.Hour)
		if f.provider.minted() != 10 {
			t.Errorf("%d mints by the next day, want 10", f.provider.minted())
		}
	})
}

func TestSourcePanicsAndHostileTokens(t *testing.T) {
	hour := func() time.Time { return time.Now().Add(time.Hour) }
	for name, token := range map[string]func() coordinator.Token{
		"no value":  func() coordinator.Token { return coordinator.NewToken("", hour()) },
		"no expiry": func() coordinator.Token { return coordinator.Token{Value: "secret"} },
		"expired":   func() coordinator.Token { return coordinator.NewToken("secret", time.Now().Add(-time.Hour)) },
		"eternal":   func() coordinator.Token { return coordinator.NewToken("secret", time.Now().Add(100*365*24*time.Hour)) },
		"too large": func() coordinator.Token { return coordinator.NewToken(strings.Repeat("secret", 10000), hour()) },
		"large state": func() coordinator.Token {
			return coordinator.NewToken("x", hour()).WithState(strings.Repeat("secret", 10000))
		},
		"not ASCII": func() coordinator.Token { return coordinator.NewToken("secret\xff", hour()) },
		"two lines": func() coordinator.Token { return coordinator.NewToken("secret\nsecret", hour()) },
		"panic":     func() coordinator.Token { return coordinator.Token{} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				memory := storetest.NewMemory()
				c, err := coordinator.New("shop", sourceFunc(func() coordinator.Token {
					if name == "panic" {
						panic("with a secret in it")
					}
					return token()
				}), memory, coordinator.Config{MaxWait: 300 * time.Millisecond})
				if err != nil {
					t.Fatal(err)
				}
				_, err = c.Token(t.Context())
				if !errors.Is(err, coordinator.ErrNoToken) || strings.Contains(err.Error(), "secret") {
					t.Errorf("Token: %v", err)
				}
				r, _, err := memory.Load(t.Context(), "shop")
				if err != nil || r.Grant.Value != "" || r.Failure.Count == 0 || len(r.Attempts) == 0 {
					t.Errorf("record: %v, %v; want the failure and the unanswered attempt", r, err)
				}
				if err := c.Drain(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

type sourceFunc func() coordinator.Token

func (f sourceFunc) Mint(context.Context, coordinator.Token) (coordinator.Token, error) {
	return f(), nil
}
func (f sourceFunc) Traits() coordinator.Traits { return coordinator.Traits{} }

// forcing is an idempotent provider that can be obliged to issue a new token.
type forcing struct {
	*provider
	forced int
}

func (f *forcing) Rotate(ctx context.Context, prev coordinator.Token) (coordinator.Token, error) {
	f.forced++
	return f.Mint(ctx, prev)
}

// The back-off doubles until BackoffMax, and stays there however long the
// outage: also where BackoffMin is so long that doubling it would overflow.
func TestBackoffOfALongOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		for range 100 {
			f.provider.fail(&coordinator.SourceError{Class: coordinator.Transient, Message: "down", Refused: true})
		}
		c, _ := f.member("a", func(cfg *coordinator.Config) { cfg.BackoffMin, cfg.BackoffMax = time.Hour, 24*time.Hour })
		stop := f.runs(c)
		<-f.provider.arrived
		last := time.Now()
		for i := range 30 {
			<-f.provider.arrived
			if d := time.Since(last); d < 45*time.Minute {
				t.Errorf("only %s after failure %d", d, i+1)
			}
			last = time.Now()
		}
		stop()
	})
}
