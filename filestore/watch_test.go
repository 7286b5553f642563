package filestore_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mintonce/mintonce/coordinator"
)

// hints collects hints of one watch.
func hints() (notify func(), arrived chan struct{}) {
	arrived = make(chan struct{}, 1)
	return func() {
		select {
		case arrived <- struct{}{}:
		default:
		}
	}, arrived
}

func wantHint(t *testing.T, arrived chan struct{}, when string) {
	t.Helper()
	select {
	case <-arrived:
	case <-time.After(time.Minute):
		t.Fatalf("no hint %s", when)
	}
}

// All watches share one goroutine of ours, which ends with the last of them.
func TestWatchersShareAGoroutine(t *testing.T) {
	s := open(t, t.TempDir())
	before := goleak.IgnoreCurrent()
	for range 3 {
		var stops []func()
		var group sync.WaitGroup
		for _, name := range []string{"a", "b", "c", "c"} {
			notify, arrived := hints()
			stops = append(stops, s.Watch(name, notify))
			wantHint(t, arrived, "when watching began")
		}
		for _, stop := range stops {
			group.Go(stop)
			group.Go(stop)
		}
		group.Wait()
		if err := goleak.Find(before); err != nil {
			t.Fatalf("after the last watch was stopped: %v", err)
		}
	}
}

func TestWatchStress(t *testing.T) {
	s := open(t, t.TempDir())
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 20 {
				notify, arrived := hints()
				stop := s.Watch("shop", notify)
				<-arrived
				stop()
				stop()
			}
		})
	}
	group.Wait()
}

// A watch that is stopped while a change is being told gets no hint any more.
func TestStopWhileTelling(t *testing.T) {
	s := open(t, t.TempDir())
	calls := make(chan string, 8)
	var stop [2]func()
	var telling [2]func() // what to do in notify
	var mu sync.Mutex     // guards telling
	for i := range stop {
		stop[i] = s.Watch("shop", func() {
			mu.Lock()
			do := telling[i]
			mu.Unlock()
			if do != nil {
				do()
			}
			calls <- "told"
		})
		<-calls // watching has begun
		defer stop[i]()
	}
	mu.Lock()
	telling = [2]func(){stop[1], stop[0]} // whoever is told first stops the other
	mu.Unlock()
	r := child(coordinator.Record{})
	if _, err := s.Swap(t.Context(), "shop", coordinator.Stamp{}, r); err != nil {
		t.Fatal(err)
	}
	<-calls
	notify, arrived := hints()
	defer s.Watch("shop", notify)()
	wantHint(t, arrived, "when watching began") // after the round of hints before
	if extra := len(calls); extra != 0 {
		t.Errorf("%d hints after stop had returned", extra)
	}
}

// A folder that goes away and comes back, perhaps with other records, is
// watched again.
func TestWatchOutlivesTheFolder(t *testing.T) {
	s, path, r := written(t)
	dir := filepath.Dir(path)
	notify, arrived := hints()
	defer s.Watch("shop", notify)()
	wantHint(t, arrived, "when watching began")
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	wantHint(t, arrived, "when the folder went away")
	open(t, dir) // makes the folder anew
	for {
		// The store follows the new folder from some moment on: then, it hints
		// at each write.
		wantHint(t, arrived, "when the folder came back")
		if r2, _, err := s.Load(t.Context(), "shop"); err == nil && !r2.Exists() {
			break
		}
	}
	if _, err := s.Swap(t.Context(), "shop", coordinator.Stamp{}, child(r)); err != nil {
		t.Fatal(err)
	}
	for {
		wantHint(t, arrived, "after a write to the new folder")
		if r2, _, err := s.Load(t.Context(), "shop"); err == nil && r2.Exists() {
			break
		}
	}
}
