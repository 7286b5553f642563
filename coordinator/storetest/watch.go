package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// news makes a swap one that watchers must hear of.
var news = coordinator.Event{Kind: coordinator.EventMinted, Name: name, By: "host-1"}

// hints collects what a watch tells.
type hints struct {
	arrived chan struct{}
	stopped atomic.Bool
	late    atomic.Int32 // hints after stop returned
	stop    func()
}

// watch begins to watch, and ends it with the check.
func watch(t testing.TB, s coordinator.Store, name string) *hints {
	t.Helper()
	h := &hints{arrived: make(chan struct{}, 1)}
	h.stop = optional[coordinator.Watcher](t, s).Watch(name, func() {
		if h.stopped.Load() {
			h.late.Add(1)
		}
		select {
		case h.arrived <- struct{}{}:
		default:
		}
	})
	t.Cleanup(h.stop)
	return h
}

// end stops the watch and notes that no more hint may come.
func (h *hints) end() {
	h.stop()
	h.stopped.Store(true)
}

// want waits for a hint.
func (h *hints) want(t testing.TB, when string) {
	t.Helper()
	select {
	case <-h.arrived:
	case <-time.After(soon):
		t.Fatalf("no hint %s within %s", when, soon)
	}
}

// wantRecord waits for hints until the record is r, as a reader does.
func (h *hints) wantRecord(t testing.TB, s coordinator.Store, r coordinator.Record) {
	t.Helper()
	for {
		h.want(t, fmt.Sprintf("that leads to the record %v", r.Stamp()))
		if got, _ := load(t, s, name); got.Stamp() == r.Stamp() {
			return
		}
	}
}

func watchHints(t testing.TB, f Fixture) {
	s, other := f.Open(t), f.Open(t)
	h := watch(t, s, name)
	h.want(t, "when watching began")
	r := first(time.Now())
	swap(t, other, name, coordinator.Record{}, r, news)
	h.wantRecord(t, s, r)
	for i, writer := range []coordinator.Store{other, s, other, other, s} {
		child := next(r, time.Now(), fmt.Sprint("write ", i))
		swap(t, writer, name, r, child, news)
		r = child
		h.wantRecord(t, s, r)
	}
}

// watchFlush: a store that has lost writes says so, though nobody has written.
func watchFlush(t testing.TB, f Fixture) {
	if f.Flush == nil {
		t.Skip("Fixture.Flush is not set")
	}
	s, other := f.Open(t), f.Open(t)
	h := watch(t, s, name)
	h.want(t, "when watching began")
	r := first(time.Now())
	swap(t, other, name, coordinator.Record{}, r, news)
	h.wantRecord(t, s, r)
	f.Flush(t)
	h.wantRecord(t, s, coordinator.Record{})
}

func watchSeveral(t testing.TB, f Fixture) {
	s, other := f.Open(t), f.Open(t)
	one, two, elsewhere := watch(t, s, name), watch(t, s, name), watch(t, s, "elsewhere")
	elsewhere.want(t, "when watching another name began")
	var r coordinator.Record
	write := func() {
		t.Helper()
		child := next(r, time.Now(), "write")
		swap(t, other, name, r, child, news)
		r = child
	}
	one.want(t, "when watching began")
	two.want(t, "when watching began a second time")
	write()
	one.wantRecord(t, s, r)
	two.wantRecord(t, s, r)
	one.end()
	elsewhere.end()
	write()
	two.wantRecord(t, s, r)
	again := watch(t, s, name)
	again.want(t, "when watching began anew")
	write()
	again.wantRecord(t, s, r)
	two.wantRecord(t, s, r)
	for _, ended := range []*hints{one, elsewhere} {
		if n := ended.late.Load(); n > 0 {
			t.Errorf("%d hints after stop had returned", n)
		}
	}
}

// watchStop: when stop has returned, no more hint comes, even if writes are
// under way; stop may be called again, by several at once.
func watchStop(t testing.TB, f Fixture) {
	s, other := f.Open(t), f.Open(t)
	witness := watch(t, s, name)
	witness.want(t, "when watching began")
	done := make(chan struct{})
	var writer sync.WaitGroup
	rest := sync.OnceFunc(func() { close(done); writer.Wait() })
	defer rest() // a check that fails must not leave somebody who writes
	writer.Go(func() {
		var r coordinator.Record
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			child := next(r, time.Now(), fmt.Sprint("write ", i))
			if _, err := other.Swap(t.Context(), name, r.Stamp(), child, news); err != nil {
				t.Errorf("Swap while others watch: %v", err)
				return
			}
			r = child
			time.Sleep(time.Millisecond)
		}
	})
	var ended []*hints
	for range 20 {
		h := watch(t, s, name)
		h.want(t, "when watching began")
		var stoppers sync.WaitGroup
		for range 3 {
			stoppers.Go(h.stop)
		}
		h.end()
		stoppers.Wait()
		ended = append(ended, h)
		witness.want(t, "of writes that go on") // which h must not have
	}
	rest()
	// One more write is seen by the witness: by then, late hints are out too.
	r, now := load(t, s, name)
	last := next(r, now, "last")
	swap(t, other, name, r, last, news)
	witness.wantRecord(t, s, last)
	witness.end()
	for i, h := range ended {
		if n := h.late.Load(); n > 0 {
			t.Errorf("watch %d: %d hints after stop had returned", i, n)
		}
	}
}
