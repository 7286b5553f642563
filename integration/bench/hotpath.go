package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/mintonce/mintonce/integration/bench/internal/plot"
)

// aims of the hot path
const (
	mostOfFloor = 1.25
	mostOfAWS   = 0.6
)

// reader is one way to read a cached token.
type reader struct {
	name  string
	read  func(n int) error // reads it n times, in a loop of its own
	ns    map[int][]float64 // nanoseconds a call by goroutines, one per round
	alloc float64           // allocations a call
}

// hotPath measures what a token costs before each API call.
func hotPath(ctx context.Context, w *world) (*section, error) {
	redis, err := w.redis(ctx)
	if err != nil {
		return nil, err
	}
	defer redis.stop()
	readers, err := hotReaders(ctx, redis)
	if err != nil {
		return nil, err
	}
	parallel := []int{1, 2, 16, 64}
	rounds, slice := pick(w, 15, 1), pick(w, 80*time.Millisecond, 20*time.Millisecond)
	for range rounds {
		for _, goroutines := range parallel {
			// Side by side: whatever slows the machine down slows all of them.
			for _, r := range readers {
				ns, err := perCall(r.read, goroutines, slice)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", r.name, err)
				}
				r.ns[goroutines] = append(r.ns[goroutines], ns)
			}
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	for _, r := range readers {
		r.alloc = testing.AllocsPerRun(100, func() { err = errors.Join(err, r.read(1)) })
	}
	if err != nil {
		return nil, err
	}
	return hotPathSection(readers, parallel, rounds)
}

// perCall lets goroutines read for about d and returns the nanoseconds of the
// machine's time per call: with two goroutines on two cores, half of what each
// of them takes.
func perCall(read func(n int) error, goroutines int, d time.Duration) (float64, error) {
	n := 1
	for {
		took, err := together(read, goroutines, n)
		if err != nil {
			return 0, err
		}
		if took >= d/2 {
			return float64(took.Nanoseconds()) / float64(n*goroutines), nil
		}
		n = int(min(float64(n)*100, 1+float64(n)*1.1*float64(d)/float64(max(took, time.Microsecond))))
	}
}

// together lets each goroutine read n times, all at once.
func together(read func(n int) error, goroutines, n int) (time.Duration, error) {
	start, errs := make(chan struct{}), make(chan error, goroutines)
	for range goroutines {
		go func() {
			<-start
			errs <- read(n)
		}()
	}
	began := time.Now()
	close(start)
	var all error
	for range goroutines {
		all = errors.Join(all, <-errs)
	}
	return time.Since(began), all
}

func hotPathSection(readers []*reader, parallel []int, rounds int) (*section, error) {
	byName := make(map[string]*reader)
	for _, r := range readers {
		byName[r.name] = r
	}
	floor, ours, aws := byName[floorName], byName[tokenName], byName[awsName]
	t := table{caption: "Nanoseconds per call of the whole machine, median of the rounds; in brackets: times the floor.", head: []string{"read by"}}
	for _, n := range parallel {
		t.head = append(t.head, plural(n, "goroutine"))
	}
	t.head = append(t.head, "allocations")
	bars := plot.Bars{Title: "Reading a token: nanoseconds per call", Y: plot.Axis{Label: "ns, logarithmic", Log: true}}
	for _, n := range parallel {
		bars.Groups = append(bars.Groups, plural(n, "goroutine"))
	}
	for _, r := range readers {
		cells := []string{r.name}
		var values []float64
		for _, n := range parallel {
			values = append(values, median(r.ns[n]))
			cells = append(cells, fmt.Sprintf("%s (%s)", number(median(r.ns[n])), ratio(paired(r.ns[n], floor.ns[n]))))
		}
		t.add(append(cells, strconv.FormatFloat(r.alloc, 'f', -1, 64))...)
		bars.Names, bars.Values = append(bars.Names, r.name), append(bars.Values, values)
	}
	s := &section{
		title: "The hot path",
		text: fmt.Sprintf("`Coordinator.Token` is called before each API call. Beside it: the floor, an atomic load of a pointer and one reading of the\n"+
			"monotonic clock; `golang.org/x/oauth2`'s `ReuseTokenSource`; aws-sdk-go-v2's `CredentialsCache`; a GET from a Redis on the same machine\n"+
			"(go-redis). Each is called in a loop by so many goroutines, one after the other, %d times; ratios are medians of the ratios within a round.", rounds),
		tables: []table{t},
		plots:  []picture{{"hotpath.svg", "nanoseconds per call", bars.SVG()}},
	}
	for _, n := range parallel {
		toFloor, toAWS := paired(ours.ns[n], floor.ns[n]), paired(ours.ns[n], aws.ns[n])
		s.aims = append(s.aims,
			aim{"hot path, " + plural(n, "goroutine"), "at most 1.25 x the floor", ratio(toFloor), toFloor <= mostOfFloor},
			aim{"hot path, " + plural(n, "goroutine"), "at most 0.6 x aws.CredentialsCache", ratio(toAWS), toAWS <= mostOfAWS})
	}
	s.aims = append(s.aims, aim{"hot path, allocations", "0", fmt.Sprint(ours.alloc), ours.alloc == 0})
	if ours.alloc != 0 {
		return nil, fmt.Errorf("a call of Token allocates %v times, and must not", ours.alloc)
	}
	return s, nil
}

// paired is the median ratio of values that were measured side by side.
func paired(values, beside []float64) float64 {
	ratios := make([]float64, len(values))
	for i := range values {
		ratios[i] = values[i] / beside[i]
	}
	return median(ratios)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return count(n) + " " + what + "s"
}
