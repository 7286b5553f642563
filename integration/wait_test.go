package integration_test

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

const (
	// patience bounds waiting for what has no limit of its own. Nothing fails
	// for being slower than usual.
	patience = 45 * time.Second
	// machineMargin is added to the limits that the requirement states in
	// seconds: for a machine with two busy cores, the race detector, and the
	// start of processes.
	machineMargin = 6 * time.Second
	// often is how often a condition is looked at.
	often = 20 * time.Millisecond
)

// errNotYet is for conditions that have nothing more to say.
var errNotYet = errors.New("not yet")

// eventually waits until condition returns nil, and fails the test with its
// last error otherwise.
func eventually(t testing.TB, what string, condition func() error) {
	t.Helper()
	within(t, patience, what, condition)
}

// within is eventually with a limit of its own. It returns how long it took.
func within(t testing.TB, limit time.Duration, what string, condition func() error) time.Duration {
	t.Helper()
	began := time.Now()
	for {
		err := condition()
		took := time.Since(began)
		if took > limit {
			t.Fatalf("%s: not within %s: %v", what, limit, err)
		}
		if err == nil {
			return took
		}
		time.Sleep(often)
	}
}

// signalled waits for a channel.
func signalled[T any](t testing.TB, what string, channel <-chan T) {
	t.Helper()
	select {
	case <-channel:
	case <-time.After(patience):
		t.Fatalf("%s: not after %s", what, patience)
	}
}

// expect turns a comparison into the error of a condition.
func expect[T comparable](what string, got, want T) error {
	if got != want {
		return fmt.Errorf("%s is %v, want %v", what, got, want)
	}
	return nil
}
