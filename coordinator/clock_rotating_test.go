package coordinator_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// TestUnsavedTokenWhenTheClockWasSet, for a rotating source: its token is not
// served before it is saved, but its end is on the old clock just the same.
func TestUnsavedRotatingTokenWhenTheClockWasSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.provider.traits.Kind = coordinator.Rotating
		c, faults := f.member("a")
		go c.Token(context.Background())
		<-f.provider.arrived
		end := time.Now().Add(f.provider.life)
		away(faults)
		time.Sleep(5 * time.Second)
		f.memory.Skew(-20 * time.Minute)
		faults.Heal()
		tok := token(t, c)
		if late := tok.ExpiresAt().Sub(end); late > time.Second {
			t.Errorf("%v is served for %s after its end", tok, late)
		}
		f.drain(c)
	})
}
