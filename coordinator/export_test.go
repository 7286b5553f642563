package coordinator

import (
	"testing"
	"time"
)

// SetWallClock sets the wall clock of this machine ahead by d until the test
// ends, and leaves the monotonic clock alone.
func SetWallClock(t testing.TB, d time.Duration) {
	pretend.Add(int64(d))
	t.Cleanup(func() { pretend.Add(-int64(d)) })
}
