package simulation_test

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"
)

// setting is a kind of world.
type setting struct {
	test    string
	day     time.Duration
	connect func(*world) backend
}

var (
	overMemory = setting{"TestMemory", 24 * time.Hour, func(w *world) backend { return newMemory(w) }}
	overRedis  = setting{"TestRedis", 3 * time.Hour, func(w *world) backend { return newRedis(w) }} // some 90 commands a minute and replica
)

// simulate runs one seed and returns its world when the day is over.
func (s setting) simulate(t *testing.T, seed int) *world {
	var w *world
	t.Run(fmt.Sprint(seed), func(t *testing.T) {
		cryptotest.SetGlobalRandom(t, uint64(seed))
		synctest.Test(t, func(t *testing.T) {
			w = newWorld(uint64(seed), s)
			w.run()
		})
		if len(w.violations) > 0 {
			t.Errorf("%s", w.report(number(t, "MINTONCE_TRACE", 12)))
		}
	})
	return w
}

// TestMemory and TestRedis run MINTONCE_SEEDS seeds from MINTONCE_SEED on, or
// as many as MINTONCE_BUDGET allows, and print a report.
func TestMemory(t *testing.T) { overMemory.run(t, 6) }

func TestRedis(t *testing.T) { overRedis.run(t, 1) }

func (s setting) run(t *testing.T, standard int) {
	first, n := number(t, "MINTONCE_SEED", 1), number(t, "MINTONCE_SEEDS", standard)
	budget := duration(t, "MINTONCE_BUDGET")
	if os.Getenv("MINTONCE_SEED") != "" && os.Getenv("MINTONCE_SEEDS") == "" {
		n = 1
	}
	began := time.Now()
	sum := total{faults: make(map[string]int)}
	for seed := first; budget > 0 && time.Since(began) < budget || budget == 0 && seed < first+n; seed++ {
		w := s.simulate(t, seed)
		if w == nil {
			break // -failfast
		}
		sum.add(w)
	}
	t.Log(sum.report(time.Since(began)))
}

// TestReplay measures how far a seed determines a run: all of it that is noted
// in the trace, to the nanosecond. It is hardly ever less than all.
func TestReplay(t *testing.T) {
	n := number(t, "MINTONCE_REPLAYS", 3)
	same := 0
	for seed := 101; seed <= 100+n; seed++ {
		first, second := overMemory.simulate(t, seed), overMemory.simulate(t, seed)
		if first.digest.Sum64() == second.digest.Sum64() {
			same++
		}
		// The beginning, up to the first fault, has no excuse.
		if a, b := first.opening, second.opening; a != b || a == 0 {
			t.Errorf("seed %d: two runs differ before the first fault", seed)
		}
	}
	if same == 0 {
		t.Error("no day replayed to the last nanosecond")
	}
	t.Logf("%d of %d days replayed to the last nanosecond", same, n)
}

// total sums up many runs.
type total struct {
	seeds                                             int
	calls, failed, rejected, unhealed, minted, broken int64
	slowest, excused                                  time.Duration
	faults                                            map[string]int
}

func (sum *total) add(w *world) {
	sum.seeds++
	sum.calls, sum.failed = sum.calls+w.calls.Load(), sum.failed+w.failed.Load()
	sum.rejected, sum.unhealed = sum.rejected+w.rejected.Load(), sum.unhealed+w.unhealed.Load()
	sum.minted += int64(w.provider.minted())
	sum.broken += int64(len(w.violations))
	sum.slowest, sum.excused = max(sum.slowest, w.slowest), max(sum.excused, w.slowestExc)
	for name, n := range w.faults {
		sum.faults[name] += n
	}
}

func (sum *total) report(took time.Duration) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d seeds in %s, %.2f seeds/second, %d with a violation\n", sum.seeds, took.Round(time.Second), float64(sum.seeds)/took.Seconds(), sum.broken)
	fmt.Fprintf(&b, "%d calls of Token, %d failed; %d tokens rejected, %d of them also after the one retry; %d mints\n", sum.calls, sum.failed, sum.rejected, sum.unhealed, sum.minted)
	fmt.Fprintf(&b, "slowest convergence after a burst %s; where only a report heals %s\n", sum.slowest.Round(time.Second), sum.excused.Round(time.Second))
	for _, name := range slices.Sorted(maps.Keys(sum.faults)) {
		fmt.Fprintf(&b, "%6d %s\n", sum.faults[name], name)
	}
	return b.String()
}

func number(t *testing.T, variable string, standard int) int {
	text := os.Getenv(variable)
	if text == "" {
		return standard
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s=%q: a number is needed", variable, text)
	}
	return n
}

func duration(t *testing.T, variable string) time.Duration {
	text := os.Getenv(variable)
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("%s=%q: a duration such as 10m is needed", variable, text)
	}
	return d
}
