package simulation_test

import (
	"os"
	"runtime"
	"runtime/debug"
	"testing"
)

// TestMain runs on one processor: what happens at the same simulated moment
// then happens in much the same order every time, and faster. A day leaves much
// garbage and keeps little, so garbage is collected late.
func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}
