package feed_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
	"github.com/mintonce/mintonce/internal/feed"
)

func everyone(string) bool { return true }

func event(name, detail string) coordinator.Event {
	return coordinator.Event{Kind: coordinator.EventMinted, Name: name, At: time.Now(), By: "host-1", Detail: detail}
}

func subscribe(t *testing.T, f *feed.Feed, last string) *feed.Subscription {
	t.Helper()
	s, err := f.Subscribe("", last, everyone)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// got returns what has come in, as NAME:DETAIL.
func got(s *feed.Subscription) string {
	synctest.Wait()
	var all []string
	for {
		select {
		case entry, ok := <-s.Entries():
			switch {
			case !ok:
				return strings.Join(append(all, "END"), " ")
			case entry.Gap:
				all = append(all, "GAP")
			default:
				all = append(all, entry.Event.Name+":"+entry.Event.Detail)
			}
		default:
			return strings.Join(all, " ")
		}
	}
}

func want(t *testing.T, s *feed.Subscription, when, want string) {
	t.Helper()
	if got := got(s); got != want {
		t.Errorf("%s: %q, want %q", when, got, want)
	}
}

// process is another process that shares the store.
type process struct {
	t     *testing.T
	store coordinator.Store
}

// write changes the record of name, with events.
func (p process) write(name string, events ...coordinator.Event) {
	p.t.Helper()
	r, now, err := p.store.Load(p.t.Context(), name)
	if err == nil {
		_, err = p.store.Swap(p.t.Context(), name, r.Stamp(), r.Child(coordinator.NewStamp(r, now)), events...)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}

// ofAll is a Memory that tells of every record at once, as Redis does.
type ofAll struct {
	*storetest.Memory
	notify func(coordinator.Change)
}

func (s *ofAll) WatchAll(notify func(coordinator.Change)) func() {
	s.notify = notify
	notify(coordinator.Change{})
	return func() { s.notify = func(coordinator.Change) {} }
}

func (s *ofAll) Swap(ctx context.Context, name string, old coordinator.Stamp, next coordinator.Record, events ...coordinator.Event) (time.Time, error) {
	now, err := s.Memory.Swap(ctx, name, old, next, events...)
	if s.notify != nil {
		s.notify(coordinator.Change{Name: name})
	}
	return now, err
}

// stores are the two ways in which stores give hints.
func stores(t *testing.T, run func(t *testing.T, store coordinator.Store)) {
	t.Run("names", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { run(t, storetest.NewMemory()) })
	})
	t.Run("all", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { run(t, &ofAll{Memory: storetest.NewMemory()}) })
	})
}

// TestEachEventOnce: what this process does is in the history, too; what others
// do is only there. What was before nobody hears of.
func TestEachEventOnce(t *testing.T) {
	stores(t, func(t *testing.T, store coordinator.Store) {
		other := process{t, store}
		other.write("shop", event("shop", "long ago"))
		time.Sleep(time.Minute)
		f := feed.New(store)
		defer f.Close()
		f.Keep([]string{"shop", "market"})
		s, second := subscribe(t, f, ""), subscribe(t, f, "")
		want(t, s, "at first", "")

		other.write("shop", event("shop", "theirs"), event("shop", "theirs too"))
		want(t, s, "of another process", "shop:theirs shop:theirs too")
		ours := event("shop", "ours")
		other.write("shop", ours) // its hint is faster than the observer
		f.Observe(ours)
		want(t, s, "of this process, after the history", "shop:ours")
		ours = event("market", "ours")
		f.Observe(ours)
		other.write("market", ours)
		want(t, s, "of this process, before the history", "market:ours")
		f.Observe(event("shop", "not in the history"))
		other.write("elsewhere", event("elsewhere", "of no token of ours"))
		f.Observe(event("elsewhere", "of no token of ours"))
		want(t, s, "in the end", "shop:not in the history")
		want(t, second, "of the second", "shop:theirs shop:theirs too shop:ours market:ours shop:not in the history")

		f.Keep([]string{"elsewhere"})
		other.write("elsewhere", event("elsewhere", "kept by now"))
		other.write("shop", event("shop", "dropped by now"))
		want(t, s, "after a change of names", "elsewhere:of no token of ours elsewhere:kept by now")
	})
}

func TestRights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := feed.New(storetest.NewMemory())
		defer f.Close()
		f.Keep([]string{"shop", "market"})
		s, err := f.Subscribe("php", "", func(name string) bool { return name == "market" })
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		all := subscribe(t, f, "")
		f.Observe(event("shop", "1"))
		f.Observe(event("market", "2"))
		want(t, s, "of one token", "market:2")
		first := <-all.Entries()
		again, err := f.Subscribe("php", first.ID, func(name string) bool { return name == "market" })
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		want(t, again, "resumed", "market:2")
	})
}

func TestResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewMemory()
		other := process{t, store}
		f := feed.New(store)
		defer f.Close()
		f.Keep([]string{"shop"})
		s := subscribe(t, f, "")
		f.Observe(event("shop", "1"))
		f.Observe(event("shop", "2"))
		first := (<-s.Entries()).ID
		second := (<-s.Entries()).ID
		s.Close()
		time.Sleep(20 * time.Second) // a network that comes and goes
		other.write("shop", event("shop", "3"))
		for last, missed := range map[string]string{first: "shop:2 shop:3", second: "shop:3"} {
			s := subscribe(t, f, last)
			if want(t, s, "after "+last, missed); !s.Resumed() {
				t.Error("it does not say that it goes on")
			}
			s.Close()
		}
		for _, unknown := range []string{"", "x", first + "9", strings.Replace(first, "-", "x-", 1), "-1"} {
			if s := subscribe(t, f, unknown); s.Resumed() {
				t.Errorf("it goes on after %q", unknown)
			}
		}
		f.Disconnect()
		time.Sleep(time.Minute) // nobody looks any more
		if s := subscribe(t, f, second); s.Resumed() {
			t.Error("it goes on after a time when nothing was followed")
		}
	})
}

// TestSlowReader: it is dropped, and can catch up; nobody waits for it.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := feed.New(storetest.NewMemory())
		defer f.Close()
		f.Keep([]string{"shop"})
		slow, quick := subscribe(t, f, ""), subscribe(t, f, "")
		const many = 300
		last := ""
		for i := range many {
			f.Observe(event("shop", fmt.Sprint(i)))
			entry := <-quick.Entries()
			if entry.Event.Detail != fmt.Sprint(i) {
				t.Fatalf("the quick one gets %q instead of %d", entry.Event.Detail, i)
			}
		}
		read := 0
		for entry := range slow.Entries() {
			last = entry.ID
			read++
		}
		if read == 0 || read >= many {
			t.Errorf("the slow one has read %d", read)
		}
		again := subscribe(t, f, last)
		missed := strings.Fields(got(again))
		if !again.Resumed() || read+len(missed) != many || missed[len(missed)-1] != "shop:299" {
			t.Errorf("%d read, then %d missed, the last of which is %v", read, len(missed), missed)
		}
		for i := range 3 * many {
			f.Observe(event("shop", fmt.Sprint("more ", i)))
			<-quick.Entries()
		}
		if s := subscribe(t, f, last); s.Resumed() {
			t.Error("it goes on after what is long forgotten")
		}
	})
}

// TestLost: where any name may have changed, all are read; where there are too
// many, subscribers are told.
func TestLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &ofAll{Memory: storetest.NewMemory()}
		f := feed.New(store)
		defer f.Close()
		f.Keep([]string{"shop"})
		s := subscribe(t, f, "")
		synctest.Wait()
		process{t, store.Memory}.write("shop", event("shop", "without a hint"))
		want(t, s, "without a hint", "")
		store.notify(coordinator.Change{})
		want(t, s, "when any may have changed", "shop:without a hint")
		many := []string{"shop"}
		for i := range 200 {
			many = append(many, fmt.Sprint("m", i))
		}
		f.Keep(many)
		store.notify(coordinator.Change{})
		want(t, s, "with many names", "GAP")
	})
}

// TestStoreAway: a history that cannot be read is read at the next hint.
func TestStoreAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, faults := storetest.NewFaulty(storetest.NewMemory())
		f := feed.New(store)
		defer f.Close()
		f.Keep([]string{"shop"})
		s := subscribe(t, f, "")
		synctest.Wait()
		faults.Fail(storetest.History, 1, errors.New("away"))
		process{t, store}.write("shop", event("shop", "1"))
		want(t, s, "without the store", "")
		process{t, store}.write("shop", event("shop", "2"))
		want(t, s, "with the store", "shop:1 shop:2")
	})
}

func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := feed.New(storetest.NewMemory())
		defer f.Close()
		counts := make(map[string]int)
		for i := range 300 {
			client := fmt.Sprint("client-", i%10)
			if i < 50 {
				client = "greedy"
			}
			_, err := f.Subscribe(client, "", everyone)
			if err == nil {
				counts[client]++
			} else if !errors.Is(err, feed.ErrFull) {
				t.Fatal(err)
			}
		}
		total := 0
		for _, n := range counts {
			total += n
		}
		if counts["greedy"] != 32 || total != 256 {
			t.Errorf("the greedy one has %d of %d", counts["greedy"], total)
		}
		f.Disconnect()
		if _, err := f.Subscribe("greedy", "", everyone); err != nil {
			t.Errorf("after all have left: %v", err)
		}
	})
}

// TestClose: it ends all subscriptions, and whoever comes later is refused.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := feed.New(storetest.NewMemory())
		f.Keep([]string{"shop"})
		s := subscribe(t, f, "")
		f.Observe(event("shop", "last"))
		f.Close()
		f.Close()
		f.Observe(event("shop", "too late"))
		want(t, s, "after Close", "shop:last END")
		s.Close()
		if _, err := f.Subscribe("", "", everyone); !errors.Is(err, feed.ErrClosed) {
			t.Errorf("Subscribe after Close: %v", err)
		}
	})
}

// TestAtRest: while nobody looks, the store is left alone.
func TestAtRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, faults := storetest.NewFaulty(storetest.NewMemory())
		f := feed.New(store)
		defer f.Close()
		f.Keep([]string{"shop"})
		other := process{t, store}
		other.write("shop", event("shop", "1"))
		subscribe(t, f, "").Close()
		time.Sleep(time.Hour)
		calls := func() int { return faults.Calls(storetest.History) + faults.Calls(storetest.Load) }
		before := calls()
		other.write("shop", event("shop", "2"))
		time.Sleep(time.Hour)
		if n := calls() - before; n != 1 {
			t.Errorf("%d calls, want the one of the other process", n)
		}
	})
}

// TestKeepWhileItBegins: names that change while the feed asks the store for
// the time are followed all the same.
func TestKeepWhileItBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, faults := storetest.NewFaulty(storetest.NewMemory())
		faults.Delay(storetest.Load, 1, time.Second)
		f := feed.New(store)
		defer f.Close()
		f.Keep([]string{"shop"})
		s := subscribe(t, f, "")
		synctest.Wait()
		f.Keep([]string{"shop", "market"})
		time.Sleep(2 * time.Second)
		process{t, store}.write("market", event("market", "of a name that came meanwhile"))
		want(t, s, "of another process", "market:of a name that came meanwhile")
	})
}

// TestManyAtOnce: where more has happened than is read of a history, subscribers
// are told.
func TestManyAtOnce(t *testing.T) {
	stores(t, func(t *testing.T, store coordinator.Store) {
		other := process{t, store}
		f := feed.New(store)
		defer f.Close()
		f.Keep([]string{"shop"})
		s := subscribe(t, f, "")
		want(t, s, "at first", "")
		other.write("shop", event("shop", "first"))
		want(t, s, "of one", "shop:first")
		var many []coordinator.Event
		var newest []string
		for i := range 30 {
			many = append(many, event("shop", fmt.Sprint(i)))
			if i >= 10 {
				newest = append(newest, fmt.Sprint("shop:", i))
			}
		}
		other.write("shop", many...)
		want(t, s, "of thirty", "GAP "+strings.Join(newest, " "))
		other.write("shop", event("shop", "last"))
		want(t, s, "in the end", "shop:last")
	})
}
