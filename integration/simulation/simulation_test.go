package simulation_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"
)

// setting is a kind of world.
type setting struct {
	test    string
	over    string // what the store is
	day     time.Duration
	connect func(*world) backend
	// rotating: refresh tokens rotate; see families_test.go.
	rotating bool
	// http: the provider is reached with package wechat, over net/http; see
	// web_test.go.
	http bool
}

var (
	overMemory = setting{
		test: "TestMemory", over: "a store in memory",
		day: 24 * time.Hour, connect: func(w *world) backend { return newMemory(w) },
	}
	// Of three hours only: some 90 commands a minute and replica.
	overRedis = setting{
		test: "TestRedis", over: "redisstore, go-redis and redislock over miniredis, and wechat over net/http",
		day: 3 * time.Hour, connect: func(w *world) backend { return newRedis(w) }, http: true,
	}
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
// as many as MINTONCE_BUDGET allows, from new ones on unless MINTONCE_SEED says
// otherwise. They print a report, and append it to the file MINTONCE_REPORT.
func TestMemory(t *testing.T) { overMemory.run(t, 6) }

func TestRedis(t *testing.T) { overRedis.run(t, 1) }

func (s setting) run(t *testing.T, standard int) {
	budget := duration(t, "MINTONCE_BUDGET", 0)
	first, n := number(t, "MINTONCE_SEED", 1), number(t, "MINTONCE_SEEDS", standard)
	switch {
	case os.Getenv("MINTONCE_SEED") != "" && os.Getenv("MINTONCE_SEEDS") == "":
		n = 1
	case os.Getenv("MINTONCE_SEED") == "" && budget > 0:
		first = int(time.Now().Unix() % 1_000_000 * 1000)
	}
	began := time.Now()
	sum := total{setting: s, first: first, faults: make(map[string]int), losses: make(map[string]int)}
	for seed := first; budget > 0 && time.Since(began) < budget || budget == 0 && seed < first+n; seed++ {
		w := s.simulate(t, seed)
		if w == nil {
			break // -failfast
		}
		sum.add(w)
		if file := os.Getenv("MINTONCE_PICTURE"); file != "" {
			picture := w.picture(duration(t, "MINTONCE_PICTURE_FROM", 0), duration(t, "MINTONCE_PICTURE_SPAN", s.day))
			if err := os.WriteFile(file, picture, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	sum.took = time.Since(began)
	t.Log(sum.report())
	if file := os.Getenv("MINTONCE_REPORT"); file != "" {
		if err := sum.append(file); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReplay measures how far a seed determines a run: all of it that is noted
// in the trace, to the nanosecond. It is hardly ever less than all.
func TestReplay(t *testing.T) {
	n := number(t, "MINTONCE_REPLAYS", 3)
	same, seed := 0, 101
	// On a busy machine the scheduler breaks in more often, so that it takes more
	// days to find one.
	for ; seed <= 100+n || same == 0 && !raceDetector && seed <= 100+20*n; seed++ {
		first, second := overMemory.simulate(t, seed), overMemory.simulate(t, seed)
		if first.digest.Sum64() == second.digest.Sum64() {
			same++
		}
		// The beginning, up to the first fault, has no excuse.
		if a, b := first.opening, second.opening; a != b || a == 0 {
			t.Errorf("seed %d: two runs differ before the first fault", seed)
		}
	}
	if same == 0 && !raceDetector { // which has the scheduler choose at random
		t.Error("no day replayed to the last nanosecond")
	}
	t.Logf("%d of %d days replayed to the last nanosecond", same, seed-101)
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

func duration(t *testing.T, variable string, standard time.Duration) time.Duration {
	text := os.Getenv(variable)
	if text == "" {
		return standard
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("%s=%q: a duration such as 10m is needed", variable, text)
	}
	return d
}
