package footprint_test

import (
	"context"
	"math"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/internal/footprint"
)

// settings are those of the collector that this package changes.
func settings() (limit int64, percent int) {
	percent = debug.SetGCPercent(100)
	debug.SetGCPercent(percent)
	return debug.SetMemoryLimit(-1), percent
}

// restore sees to it that the test leaves the collector as it was.
func restore(t *testing.T) {
	limit, percent := settings()
	t.Cleanup(func() {
		debug.SetMemoryLimit(limit)
		debug.SetGCPercent(percent)
	})
}

var kept []byte

// load allocates for so long.
func load(d time.Duration) {
	for began := time.Now(); time.Since(began) < d; time.Sleep(300 * time.Millisecond) {
		kept = make([]byte, 16<<20)
	}
	kept = nil
}

func TestBoundUntilAtRest(t *testing.T) {
	for _, busy := range []time.Duration{5 * time.Second, time.Hour} {
		t.Setenv("GOGC", "")
		t.Setenv("GOMEMLIMIT", "")
		restore(t)
		synctest.Test(t, func(t *testing.T) {
			settle := footprint.Bound(100_000)
			if limit, percent := settings(); limit < 250e6 || limit > 290e6 || percent != 100 {
				t.Errorf("while loading: limit %d, percent %d", limit, percent)
			}
			began := time.Now()
			settled := make(chan time.Duration, 1)
			go func() {
				settle(t.Context())
				settled <- time.Since(began)
			}()
			load(min(busy, time.Minute))
			time.Sleep(3 * time.Second)
			if d := <-settled; d < min(busy, 30*time.Second) || d > min(busy, 30*time.Second)+3*time.Second {
				t.Errorf("settled after %s, when it was busy for %s", d, busy)
			}
			if limit, percent := settings(); limit != math.MaxInt64 || percent != 40 {
				t.Errorf("at rest: limit %d, percent %d", limit, percent)
			}
			debug.SetGCPercent(100)
		})
	}
}

// Few tokens, an environment that knows better, and an early end change nothing.
func TestLeftAlone(t *testing.T) {
	for name, tc := range map[string]struct {
		tokens      int
		gogc, limit string
		ended       bool
	}{
		"few tokens":  {9_999, "", "", false},
		"environment": {100_000, "100", "1GiB", false},
		"early end":   {100_000, "", "1GiB", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GOGC", tc.gogc)
			t.Setenv("GOMEMLIMIT", tc.limit)
			restore(t)
			limit, percent := settings()
			ctx, cancel := context.WithCancel(t.Context())
			if tc.ended {
				cancel()
			}
			defer cancel()
			footprint.Bound(tc.tokens)(ctx)
			if l, p := settings(); l != limit || p != percent {
				t.Errorf("limit %d, percent %d; want %d and %d as before", l, p, limit, percent)
			}
		})
	}
}
