package simulation_test

import (
	"os"
	"runtime"
	"testing"
)

// TestMain runs on one processor: what happens at the same simulated moment
// then happens in much the same order every time, and faster.
func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(1)
	os.Exit(m.Run())
}
