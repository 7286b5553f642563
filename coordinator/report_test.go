package coordinator_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
)

// A report that is counted stays counted if the first write of it was
// overtaken.
func TestEarlyReportIsCountedAfterAConflict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		a, faults := f.member("a")
		b, _ := f.member("b")
		tok := token(t, a)
		token(t, b)
		faults.Before(storetest.Swap, 1, func() { b.Report(context.Background(), tok.Value, nil) })
		if verdict, err := a.Reject(t.Context(), tok.Value, nil); verdict != coordinator.TooYoung || err != nil {
			t.Fatalf("%q, %v", verdict, err)
		}
		a.Report(t.Context(), tok.Value, nil)
		if n := f.record().EarlyReports; n != 2 {
			t.Errorf("%d processes are counted, want 2", n)
		}
	})
}

// A report of a young token waits for a mint that is unresolved, and not for a
// store that is away: the attempt is over by this process's own account.
func TestEarlyReportWhileTheStoreIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.provider.latency = 7 * time.Second
		a, faults := f.member("a")
		b, _ := f.member("b")
		token(t, b)
		tok := token(t, a)
		<-f.provider.arrived
		go b.Rotate(context.Background())
		<-f.provider.arrived
		a.Refresh(t.Context()) // a knows of the attempt
		counted, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		a.Report(counted, tok.Value, nil)
		away(faults)
		start := time.Now()
		a.Report(t.Context(), tok.Value, nil)
		if d := time.Since(start); d > 15*time.Second {
			t.Errorf("Report took %s", d)
		}
		f.drain(a, b)
	})
}

// MaxWait bounds all of what Report waits for: the store, and then a successor.
func TestReportWaitsForMaxWaitInAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		c, faults := f.member("a")
		tok := token(t, c)
		time.Sleep(time.Minute)
		for range 100 {
			f.provider.fail(&coordinator.SourceError{Class: coordinator.Transient, Message: "down", Refused: true})
		}
		away(faults)
		time.AfterFunc(25*time.Second, faults.Heal)
		start := time.Now()
		err := c.Report(context.Background(), tok.Value, &coordinator.RejectedError{Code: 40001})
		if d := time.Since(start); err == nil || d > 31*time.Second {
			t.Errorf("%v after %s", err, d)
		}
		f.drain(c)
	})
}
