package limit_test

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/internal/limit"
)

// take counts how many of n requests may go on.
func take(r *limit.Rates, client string, n int) (passed int, wait time.Duration) {
	for range n {
		if d := r.Take(client); d == 0 {
			passed++
		} else {
			wait = d
		}
	}
	return passed, wait
}

func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r limit.Rates
		if passed, _ := take(&r, "php", 1000); passed != 1000 {
			t.Errorf("without rates, %d of 1000 pass", passed)
		}
		r.Set(map[string]float64{"php": 50, "slow": 0.5})
		if passed, wait := take(&r, "php", 100); passed != 50 || wait != 20*time.Millisecond {
			t.Errorf("at once, %d pass, then wait %s; want 50, 20ms", passed, wait)
		}
		if passed, wait := take(&r, "slow", 100); passed != 10 || wait != 2*time.Second {
			t.Errorf("of a low rate, %d pass, then wait %s; want 10, 2s", passed, wait)
		}
		time.Sleep(20*time.Millisecond - time.Microsecond)
		if passed, _ := take(&r, "php", 1); passed != 0 {
			t.Error("too early, it passes")
		}
		time.Sleep(time.Microsecond)
		if passed, _ := take(&r, "php", 2); passed != 1 {
			t.Errorf("after the wait, %d pass, want 1", passed)
		}
	})
}

// Reading the config again gives nobody a new allowance, and a new rate counts
// at once.
func TestRatesStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r limit.Rates
		r.Set(map[string]float64{"a": 50, "b": 50})
		take(&r, "a", 50)
		r.Set(map[string]float64{"a": 50, "c": 1})
		if passed, _ := take(&r, "a", 10); passed != 0 {
			t.Errorf("after the same rates again, %d more pass", passed)
		}
		r.Set(map[string]float64{"a": 100})
		time.Sleep(100 * time.Millisecond)
		if passed, _ := take(&r, "a", 100); passed != 10 {
			t.Errorf("a tenth of a second with 100 a second: %d pass, want 10", passed)
		}
	})
}

func TestGuesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g limit.Guesses
		for i := range 100 {
			got := g.Note(fmt.Sprintf("192.0.2.1:%d", 1024+i)) // ports don't count
			if waits := i >= 20; (got.Wait > 0) != waits || got.First != (i == 20) {
				t.Fatalf("wrong key %d: %+v", i+1, got)
			}
		}
		if got := g.Note("192.0.2.2:1"); got.Wait != 0 {
			t.Errorf("another address has to wait: %+v", got)
		}
		time.Sleep(time.Minute - 1)
		if got := g.Note("192.0.2.1:1"); got.Wait != 1 {
			t.Errorf("at the end of the window: %+v", got)
		}
		time.Sleep(time.Nanosecond)
		if got := g.Note("192.0.2.1:1"); got.Wait != 0 {
			t.Errorf("after the window: %+v", got)
		}
	})
}

func TestGuessesOfOneNetwork(t *testing.T) {
	for name, one := range map[string]struct {
		address func(i int) string
		same    bool
	}{
		"a network of IPv6":    {func(i int) string { return fmt.Sprintf("[2001:db8::%x]:1", i+1) }, true},
		"zones":                {func(i int) string { return fmt.Sprintf("[fe80::1%%eth%d]:1", i) }, true},
		"IPv4 as IPv6":         {func(i int) string { return []string{"192.0.2.9:1", "[::ffff:192.0.2.9]:1"}[i%2] }, true},
		"a Unix socket":        {func(int) string { return "@" }, true},
		"networks of IPv6":     {func(i int) string { return fmt.Sprintf("[2001:db8:0:%x::1]:1", i+1) }, false},
		"addresses of IPv4":    {func(i int) string { return fmt.Sprintf("192.0.2.%d:1", i) }, false},
		"IPv4 and Unix socket": {func(i int) string { return []string{"0.0.0.0:1", "@"}[i/20] }, false},
	} {
		var g limit.Guesses
		waits := false
		for i := range 40 {
			waits = waits || g.Note(one.address(i)).Wait > 0
		}
		if waits != one.same {
			t.Errorf("%s: waits is %v", name, waits)
		}
	}
}

// Very many addresses cost little memory, and those who come last still wait.
func TestGuessesAreBounded(t *testing.T) {
	var g limit.Guesses
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var waits, told int
	for i := range 200_000 {
		got := g.Note(fmt.Sprintf("[2001:db8:%x:%x::1]:1", i>>16, i&0xffff))
		if got.Wait > 0 {
			waits++
		}
		if got.First {
			told++
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 1<<20 {
		t.Errorf("it keeps %d KiB", grown>>10)
	}
	if waits < 180_000 || told > 10 {
		t.Errorf("%d wait, %d are told of", waits, told)
	}
	runtime.KeepAlive(&g)
}

func TestConcurrency(t *testing.T) {
	var r limit.Rates
	var g limit.Guesses
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 1000 {
				if j%100 == 0 {
					r.Set(map[string]float64{"a": float64(1 + i)})
				}
				r.Take("a")
				g.Note("127.0.0.1:1")
			}
		})
	}
	all.Wait()
}
