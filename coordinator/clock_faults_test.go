package coordinator_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

func TestClocks(t *testing.T) {
	for _, skew := range []time.Duration{-time.Hour, time.Hour} {
		t.Run(fmt.Sprint(skew), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				f.memory.Skew(skew) // seen from the store, it is this process that is wrong
				a, _ := f.member("a")
				b, faults := f.member("b")
				token(t, a)
				end := time.Now().Add(f.provider.life - f.provider.latency)
				tok := token(t, b)
				if !tok.ExpiresAt().Equal(end) {
					t.Errorf("expires in %s, want %s", time.Until(tok.ExpiresAt()), time.Until(end))
				}
				away(faults)
				time.Sleep(time.Until(end) - time.Millisecond)
				if got, err := b.Token(t.Context()); err != nil || got.Value != tok.Value {
					t.Errorf("just before its end: %v, %v", got, err)
				}
				time.Sleep(time.Millisecond)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if got, err := b.Token(ctx); err == nil {
					t.Errorf("at its end: %v", got)
				}
				f.drain(a, b)
			})
		})
	}
}

// The clock of a store that jumps back must not lengthen the life of a token
// that this process knows.
func TestStoreClockJumpsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		c, _ := f.member("a")
		tok := token(t, c)
		f.memory.Skew(-time.Hour)
		stop := f.runs(c)
		time.Sleep(f.provider.life - f.provider.latency)
		stop()
		if got, err := c.Token(t.Context()); err == nil && got.Value == tok.Value {
			t.Errorf("served %v after its end", got)
		}
	})
}

// The clock of a store that is set back must not keep those from minting who
// have lived through the token's end.
func TestStoreClockSetBackIsNoOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		c, _ := f.member("a")
		token(t, c)
		time.Sleep(time.Hour)
		f.memory.Skew(-time.Hour)
		stop := f.runs(c)
		defer stop()
		for range 90 {
			time.Sleep(time.Minute)
			if tok := token(t, c); !f.provider.accepts(tok.Value) {
				t.Fatalf("served %v, which the provider refuses", tok)
			}
		}
		if f.provider.minted() < 2 {
			t.Error("it was not refreshed")
		}
	})
}

// Where the store's clock was set back, a token that a stranger has killed must
// not be too young to be reported until the clock has caught up.
func TestReportAfterTheClockWasSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		c, _ := f.member("a")
		tok := token(t, c)
		time.Sleep(5 * time.Minute)
		f.memory.Skew(-time.Hour)
		if verdict, err := c.Reject(t.Context(), tok.Value, nil); verdict != coordinator.Acted || err != nil {
			t.Errorf("Reject: %q, %v; want %q", verdict, err, coordinator.Acted)
		}
		f.wantMints(2)
	})
}
