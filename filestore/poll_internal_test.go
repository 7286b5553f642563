package filestore

import (
	"os"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/mintonce/mintonce/coordinator"
)

// Polling stands in for the kernel when that has no watch left to give, which a
// test cannot bring about. It hints at changes and at nothing else.
func TestPoll(t *testing.T) {
	s, err := New(t.TempDir(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	var hints int
	w := &watcher{name: "shop", notify: func() { hints++ }}
	s.news.watchers = map[string]map[*watcher]struct{}{"shop": {w: {}}}
	f := &follower{news: &s.news}
	want := func(n int, when string) {
		t.Helper()
		if f.poll(); hints != n {
			t.Errorf("%d hints %s, want %d", hints, when, n)
		}
	}
	want(1, "at first")
	want(1, "when nothing happened")
	var r coordinator.Record
	for i := range 3 {
		next := r.Child(coordinator.NewStamp(r, time.Now()))
		if _, err := s.Swap(t.Context(), "shop", r.Stamp(), next); err != nil {
			t.Fatal(err)
		}
		r = next
		want(2+i, "after a write")
		want(2+i, "when nothing happened since")
	}
	if err := os.Remove(s.path("shop", recordFile)); err != nil {
		t.Fatal(err)
	}
	want(5, "after the file was removed")
	want(5, "when nothing happened since")
}

// When the kernel has dropped news, it does not say of what: all are told.
func TestOverflow(t *testing.T) {
	s, err := New(t.TempDir(), Config{})
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan string, 8)
	for _, name := range []string{"a", "b"} {
		defer s.Watch(name, func() { told <- name })()
		<-told // watching has begun
	}
	s.news.follower.kernel.Errors <- fsnotify.ErrEventOverflow
	for _, when := range []string{"at once", "when the kernel is asked anew"} {
		if names := map[string]bool{<-told: true, <-told: true}; len(names) != 2 {
			t.Errorf("%s, told %v, want both", when, names)
		}
	}
	// And news still arrive.
	if _, err := s.Swap(t.Context(), "a", coordinator.Stamp{}, coordinator.Record{}.Child(coordinator.NewStamp(coordinator.Record{}, time.Now()))); err != nil {
		t.Fatal(err)
	}
	if name := <-told; name != "a" {
		t.Errorf("told %s, want a", name)
	}
}
