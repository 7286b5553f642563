package coordinator_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
)

func TestPeek(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newProvider()
		store, faults := storetest.NewFaulty(storetest.NewMemory())
		c, err := coordinator.New("shop", source, store, coordinator.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Peek(); !errors.Is(err, coordinator.ErrNoToken) {
			t.Errorf("at first: %v", err)
		}
		time.Sleep(time.Minute)
		if source.minted() != 0 || faults.Calls(storetest.Load) != 0 {
			t.Error("Peek has started something")
		}

		away(faults)
		if _, err := c.Refresh(t.Context()); err == nil {
			t.Fatal("a mint without the store")
		}
		if _, err := c.Peek(); !errors.Is(err, coordinator.ErrNoToken) || !errors.Is(err, coordinator.ErrStoreUnavailable) {
			t.Errorf("without the store: %v", err)
		}
		faults.Heal()
		want, err := c.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.Peek(); err != nil || got.Value != want.Value {
			t.Errorf("with a token: %v, %v", got, err)
		}
		time.Sleep(time.Until(want.ExpiresAt()) - 1)
		if _, err := c.Peek(); err != nil {
			t.Errorf("1 ns before the end: %v", err)
		}
		time.Sleep(time.Nanosecond)
		if _, err := c.Peek(); !errors.Is(err, coordinator.ErrNoToken) {
			t.Errorf("at the end: %v", err)
		}
	})
}
