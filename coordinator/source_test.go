package coordinator_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
)

// remembering is a source that keeps the tokens that it was to replace.
type remembering struct {
	*provider
	before []coordinator.Token
	left   []time.Duration // of each, when it was to be replaced
}

func (r *remembering) Mint(ctx context.Context, prev coordinator.Token) (coordinator.Token, error) {
	r.before = append(r.before, prev)
	r.left = append(r.left, time.Until(prev.ExpiresAt()))
	return r.provider.Mint(ctx, prev)
}

// The store's clock may be any; the source sees the end on that of its process.
func TestSourceIsGivenTheTokenBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := storetest.NewMemory()
		memory.Skew(-3 * time.Hour)
		source := &remembering{provider: newProvider()}
		c, err := coordinator.New("shop", source, memory, coordinator.Config{})
		if err != nil {
			t.Fatal(err)
		}
		first := token(t, c)
		time.Sleep(time.Hour)
		if _, err := c.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		if none := source.before[0]; none.Value != "" || none.State() != "" || !none.ExpiresAt().IsZero() {
			t.Errorf("before the first token there was %v, which ends at %s", none, none.ExpiresAt())
		}
		if got := source.before[1]; got.Value != first.Value || got.State() != "refresh-"+first.Value || got.Generation != 1 {
			t.Errorf("before the second token there was %v, want %v with its state", got, first)
		}
		if left := source.left[1]; left < time.Hour-2*time.Second || left > time.Hour {
			t.Errorf("the token before had %s left, want an hour", left)
		}
	})
}
