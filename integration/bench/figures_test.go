package main

import (
	"testing"
	"time"
)

func TestPercentile(t *testing.T) {
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = 100 - i
	}
	for _, c := range []struct {
		values []int
		p      float64
		want   int
	}{
		{nil, 50, 0},
		{[]int{7}, 0, 7},
		{[]int{7}, 99, 7},
		{[]int{3, 1, 2}, 50, 2},
		{[]int{4, 1, 3, 2}, 50, 2},
		{hundred, 0, 1},
		{hundred, 50, 50},
		{hundred, 99, 99},
		{hundred, 100, 100},
	} {
		if got := percentile(c.values, c.p); got != c.want {
			t.Errorf("percentile %v of %d values = %v, want %v", c.p, len(c.values), got, c.want)
		}
	}
}

func TestPairedIsTheMedianOfRatios(t *testing.T) {
	// A round in which the whole machine was slow must not count.
	if got := paired([]float64{10, 200, 12}, []float64{10, 100, 10}); got != 1.2 {
		t.Errorf("paired = %v, want 1.2", got)
	}
}

func TestFiguresForPeople(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{number(1.234), "1.23"},
		{number(12.34), "12.3"},
		{number(1234.4), "1234"},
		{number(12345.6), "12,346"},
		{count(999), "999"},
		{count(1_000), "1,000"},
		{count(1_234_567), "1,234,567"},
		{ms(1500 * time.Microsecond), "1.50 ms"},
		{ms(15 * time.Millisecond), "15.0 ms"},
		{micros(1500 * time.Nanosecond), "1.50 µs"},
		{plural(1, "goroutine"), "1 goroutine"},
		{plural(2, "goroutine"), "2 goroutines"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestExecutedLeavesOutInfo(t *testing.T) {
	each, total := executed(map[string]int{"get": 3, "info": 1, "set": 2}, map[string]int{"get": 5, "info": 2, "set": 2, "xread": 1})
	if total != 3 || each["get"] != 2 || each["xread"] != 1 || len(each) != 2 {
		t.Errorf("executed = %v, %d", each, total)
	}
}
