package simulation_test

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// overRotating has a provider whose refresh tokens rotate (families_test.go).
// Its seeds are days of their own.
var overRotating = setting{
	test: "TestRotating", over: "a store in memory, refresh tokens rotate",
	day: 24 * time.Hour, connect: func(w *world) backend { return newMemory(w) }, rotating: true,
}

func TestRotating(t *testing.T) { overRotating.run(t, 3) }

// rotatingFaults: nobody mints without a refresh token, so there are no
// strangers. Instead, what a login is good for may end at the provider.
var rotatingFaults = append(slices.DeleteFunc(slices.Clone(faults), func(f fault) bool { return strings.HasPrefix(f.name, "stranger") }),
	fault{"provider ends the login", 1, func(w *world, d *dice) (time.Duration, int) {
		w.provokeSometimes(d)
		w.provider.endLogin()
		w.note(nil, "the provider ends the login")
		w.lose("the provider ended the login")
		return 0, 3
	}})
