package coordinator_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
)

// TestKeepUntil: a token of a provider where the last mint wins can be kept
// until the planned mint and the overlap after it, and never beyond its end.
func TestKeepUntil(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newProvider()
		c, err := coordinator.New("shop", source, storetest.NewMemory(), coordinator.Config{})
		if err != nil {
			t.Fatal(err)
		}
		token, err := c.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		overlap := source.Traits().Overlap
		if overlap == 0 {
			t.Fatal("the provider has no overlap")
		}
		status, err := c.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		planned := time.Now().Add(status.RefreshAt.Sub(status.Now))
		want := planned.Add(overlap)
		if token.ExpiresAt().Before(want) {
			want = token.ExpiresAt()
		}
		if got := c.KeepUntil(token); got.Sub(want).Abs() > time.Second || got.After(token.ExpiresAt()) {
			t.Errorf("until %s, want %s", got, want)
		}
		old := token
		old.Generation--
		if got := c.KeepUntil(old); time.Until(got) != overlap {
			t.Errorf("the one before, for %s, want %s", time.Until(got), overlap)
		}
		time.Sleep(time.Until(planned) + time.Second)
		if got := c.KeepUntil(token); time.Until(got) > overlap || got.After(token.ExpiresAt()) {
			t.Errorf("once a mint is due, for %s", time.Until(got))
		}
	})
}

func TestAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newProvider()
		c, err := coordinator.New("shop", source, storetest.NewMemory(), coordinator.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if current, previous := c.Accepted(); current != "" || previous != "" {
			t.Errorf("at first: %q, %q", current, previous)
		}
		first, err := c.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if current, previous := c.Accepted(); current != first.Fingerprint() || previous != "" {
			t.Errorf("with one token: %q, %q", current, previous)
		}
		time.Sleep(time.Minute)
		second, err := c.Rotate(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if current, previous := c.Accepted(); current != second.Fingerprint() || previous != first.Fingerprint() {
			t.Errorf("after a rotation: %q, %q", current, previous)
		}
		time.Sleep(source.Traits().Overlap)
		if current, previous := c.Accepted(); current != second.Fingerprint() || previous != "" {
			t.Errorf("after the overlap: %q, %q", current, previous)
		}
	})
}

// The overlap of a rotating source is that of its refresh tokens.
func TestKeepUntilOfARotatingSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newProvider()
		source.traits.Kind = coordinator.Rotating
		c, err := coordinator.New("shop", source, storetest.NewMemory(), coordinator.Config{})
		if err != nil {
			t.Fatal(err)
		}
		token, err := c.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		status, err := c.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		planned := time.Now().Add(status.RefreshAt.Sub(status.Now))
		if got := c.KeepUntil(token); got.Sub(planned).Abs() > time.Second {
			t.Errorf("until %s, want %s", got, planned)
		}
	})
}
