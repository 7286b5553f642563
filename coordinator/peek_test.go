package coordinator_test

import (
	"errors"
	"fmt"
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

// TestGlance: it tells what this process knows, with the reason where it knows
// no better, and asks nobody.
func TestGlance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, faults := storetest.NewFaulty(storetest.NewMemory())
		source := newProvider()
		c, err := coordinator.New("shop", source, store, coordinator.Config{Instance: "me"})
		if err != nil {
			t.Fatal(err)
		}
		if s, err := c.Glance(); err != nil || s.Name != "shop" || s.State != "missing" || s.NextStep.Action != coordinator.Mint || s.Kind != source.Traits().Kind.String() {
			t.Errorf("at first: %+v, %v", s, err)
		}
		token, err := c.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Drain(t.Context()); err != nil { // the lock is released after the token is there
			t.Fatal(err)
		}
		calls := faults.Calls(storetest.Load)
		before, err := c.Glance()
		if err != nil || before.State != "live" || before.Generation != token.Generation || before.MintedBy != "me" || before.NextStep.Action != coordinator.Rest ||
			!before.NextStep.At.Equal(before.RefreshAt) || before.NextStep.At.IsZero() {
			t.Errorf("with a token: %+v, %v", before, err)
		}
		want, err := c.Status(t.Context())
		if want.History = nil; err != nil || fmt.Sprintf("%+v", want) != fmt.Sprintf("%+v", before) {
			t.Errorf("Status is %+v, %v; Glance %+v", want, err, before)
		}
		time.Sleep(time.Minute)
		if s, _ := c.Glance(); s.Now.Sub(before.Now) != time.Minute || s.ExpiresIn != before.ExpiresIn-60 {
			t.Errorf("a minute later, it is %s with %d s left instead of %d", s.Now.Sub(before.Now), s.ExpiresIn, before.ExpiresIn)
		}
		if n := faults.Calls(storetest.Load) - calls; n != 1 {
			t.Errorf("%d loads, want that of Status", n)
		}

		away(faults)
		if _, err := c.Refresh(t.Context()); err == nil {
			t.Fatal("a look without the store")
		}
		if s, err := c.Glance(); !errors.Is(err, coordinator.ErrStoreUnavailable) || s.Generation != token.Generation {
			t.Errorf("without the store: %+v, %v", s, err)
		}
		faults.Heal()
		if _, err := c.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Glance(); err != nil {
			t.Errorf("with the store again: %v", err)
		}

		other := newProvider()
		other.traits.Credential = "another"
		stranger, err := coordinator.New("shop", other, store, coordinator.Config{Instance: "stranger"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stranger.Refresh(t.Context()); !errors.Is(err, coordinator.ErrCredentialMismatch) {
			t.Fatal(err)
		}
		if s, err := stranger.Glance(); !errors.Is(err, coordinator.ErrCredentialMismatch) || s.Generation != 0 {
			t.Errorf("of another's record: %+v, %v", s, err)
		}
	})
}

// TestAction: what programs read is what programs wrote.
func TestAction(t *testing.T) {
	for _, action := range []coordinator.Action{coordinator.Rest, coordinator.Await, coordinator.Blocked, coordinator.Mint} {
		text, err := action.MarshalText()
		var read coordinator.Action = -1
		if err != nil || read.UnmarshalText(text) != nil || read != action {
			t.Errorf("%s is read as %s", text, read)
		}
	}
	var a coordinator.Action
	if err := a.UnmarshalText([]byte("dance")); err == nil {
		t.Error("dance is an action")
	}
}
