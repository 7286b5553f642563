package storetest_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
)

var errTest = errors.New("test fault")

func record() coordinator.Record {
	return coordinator.Record{}.Child(coordinator.NewStamp(coordinator.Record{}, time.Now()))
}

func exists(t *testing.T, s coordinator.Store) bool {
	t.Helper()
	r, _, err := s.Load(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	return r.Exists()
}

func TestFaultyPassesTheSuite(t *testing.T) {
	storetest.RunWithin(t, synctest.Test, func(t testing.TB) storetest.Fixture {
		f := memoryFixture(t)
		open := f.Open
		f.Open = func(t testing.TB) coordinator.Store {
			s, _ := storetest.NewFaulty(open(t))
			return s
		}
		return f
	})
}

func TestFaultyHasTheInterfacesOfItsStore(t *testing.T) {
	type (
		store = coordinator.Store
		w     = coordinator.Watcher
		h     = coordinator.Historian
		l     = coordinator.LockInspector
	)
	m := storetest.NewMemory()
	for _, inner := range []store{
		struct{ store }{m},
		struct {
			store
			w
		}{m, m},
		struct {
			store
			h
		}{m, m},
		struct {
			store
			l
		}{m, m},
		struct {
			store
			w
			h
		}{m, m, m},
		struct {
			store
			w
			l
		}{m, m, m},
		struct {
			store
			h
			l
		}{m, m, m},
		m,
	} {
		outer, _ := storetest.NewFaulty(inner)
		_, wIn := inner.(w)
		_, hIn := inner.(h)
		_, lIn := inner.(l)
		_, wOut := outer.(w)
		_, hOut := outer.(h)
		_, lOut := outer.(l)
		if wIn != wOut || hIn != hOut || lIn != lOut {
			t.Errorf("store with Watcher %t, Historian %t, LockInspector %t: wrapped has %t, %t, %t", wIn, hIn, lIn, wOut, hOut, lOut)
		}
	}
}

func TestFail(t *testing.T) {
	m := storetest.NewMemory()
	s, faults := storetest.NewFaulty(m)
	faults.Fail(storetest.Swap, 2, errTest)
	for i, want := range []error{errTest, errTest, nil} {
		_, err := s.Swap(t.Context(), "shop", coordinator.Stamp{}, record())
		if !errors.Is(err, want) {
			t.Errorf("call %d: error %v, want %v", i, err, want)
		}
		if got, want := exists(t, m), want == nil; got != want {
			t.Errorf("call %d: reached the store %t, want %t", i, got, want)
		}
	}
	faults.Fail(storetest.Any, storetest.Always, nil)
	for range 3 {
		if _, _, err := s.Load(t.Context(), "shop"); !errors.Is(err, storetest.ErrInjected) {
			t.Errorf("Load: error %v, want ErrInjected", err)
		}
	}
	faults.Heal()
	exists(t, s)
	for op, want := range map[storetest.Op]int{storetest.Swap: 3, storetest.Load: 4, storetest.Any: 7, storetest.Lock: 0} {
		if got := faults.Calls(op); got != want {
			t.Errorf("Calls(%s) is %d, want %d", op, got, want)
		}
	}
}

func TestDropReply(t *testing.T) {
	m := storetest.NewMemory()
	s, faults := storetest.NewFaulty(m)
	faults.DropReply(storetest.Swap, 1, errTest)
	r := record()
	if _, err := s.Swap(t.Context(), "shop", coordinator.Stamp{}, r); !errors.Is(err, errTest) {
		t.Errorf("error %v, want the fault", err)
	}
	if !exists(t, m) {
		t.Error("the swap did not reach the store")
	}
	if _, err := s.Swap(t.Context(), "shop", coordinator.Stamp{}, r); err != nil {
		t.Errorf("repeated: %v", err)
	}
}

func TestDropReplyOfLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := storetest.NewMemory()
		s, faults := storetest.NewFaulty(m)
		faults.DropReply(storetest.Lock, 1, errTest)
		if _, err := s.Lock(t.Context(), "shop", "alpha", time.Second); !errors.Is(err, errTest) {
			t.Errorf("error %v, want the fault", err)
		}
		time.Sleep(time.Second - 1)
		if _, err := s.Lock(t.Context(), "shop", "beta", time.Second); !errors.Is(err, coordinator.ErrLocked) {
			t.Errorf("before the orphan lapsed: %v, want ErrLocked", err)
		}
		time.Sleep(time.Nanosecond)
		if _, err := s.Lock(t.Context(), "shop", "beta", time.Second); err != nil {
			t.Errorf("after the orphan lapsed: %v", err)
		}
	})
}

func TestHangAndDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := storetest.NewMemory()
		s, faults := storetest.NewFaulty(m)
		call := func(timeout time.Duration) (took time.Duration, err error) {
			ctx, cancel := context.WithTimeout(t.Context(), timeout)
			defer cancel()
			began := time.Now()
			_, err = s.Swap(ctx, "shop", coordinator.Stamp{}, record())
			return time.Since(began), err
		}
		faults.Hang(storetest.Swap, 1)
		if took, err := call(3 * time.Second); took != 3*time.Second || !errors.Is(err, context.DeadlineExceeded) || exists(t, m) {
			t.Errorf("hung: took %s, error %v, reached the store %t", took, err, exists(t, m))
		}
		faults.Hang(storetest.Swap, 1)
		time.AfterFunc(time.Second, faults.Heal)
		if took, err := call(3 * time.Second); took != time.Second || !errors.Is(err, storetest.ErrInjected) {
			t.Errorf("hung until Heal: took %s, error %v", took, err)
		}
		faults.Delay(storetest.Swap, 2, 2*time.Second)
		if took, err := call(time.Second); took != time.Second || !errors.Is(err, context.DeadlineExceeded) || !exists(t, m) {
			t.Errorf("delayed past the context: took %s, error %v, reached the store %t", took, err, exists(t, m))
		}
		m.Flush()
		if took, err := call(3 * time.Second); took != 2*time.Second || err != nil {
			t.Errorf("delayed: took %s, error %v", took, err)
		}
	})
}

func TestBefore(t *testing.T) {
	m := storetest.NewMemory()
	s, faults := storetest.NewFaulty(m)
	faults.Before(storetest.Swap, 1, func() { m.Swap(t.Context(), "shop", coordinator.Stamp{}, record()) })
	if _, err := s.Swap(t.Context(), "shop", coordinator.Stamp{}, record()); !errors.Is(err, coordinator.ErrConflict) {
		t.Errorf("error %v, want ErrConflict: another was to write first", err)
	}
}

func TestCutHints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := storetest.NewMemory()
		s, faults := storetest.NewFaulty(m)
		var hints int
		stop := s.(coordinator.Watcher).Watch("shop", func() { hints++ })
		want := func(n int, when string) {
			t.Helper()
			synctest.Wait()
			if hints != n {
				t.Errorf("%d hints %s, want %d", hints, when, n)
			}
		}
		want(1, "at first")
		faults.CutHints()
		m.Flush()
		want(1, "while cut")
		faults.PassHints()
		want(2, "after they pass again")
		faults.PassHints()
		want(2, "after nothing was cut")
		m.Flush()
		want(3, "after another change")
		stop()
		m.Flush()
		faults.CutHints()
		faults.PassHints()
		want(3, "after stop")
	})
}
