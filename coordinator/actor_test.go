package coordinator_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
)

// history returns the events of a kind that the store keeps, the newest first.
func (f *fleet) history(kind coordinator.EventKind) []coordinator.Event {
	f.t.Helper()
	all, err := f.memory.History(context.Background(), "shop", 100)
	if err != nil {
		f.t.Fatal(err)
	}
	var found []coordinator.Event
	for _, e := range all {
		if e.Kind == kind {
			found = append(found, e)
		}
	}
	return found
}

// TestHistoryTellsWhoAsked: of a rotation, also of one that fails, and of a
// report; and of nothing that the process does by itself.
func TestHistoryTellsWhoAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		c, _ := f.member("web-1")
		tok := token(t, c)
		oncall, php := coordinator.WithActor(t.Context(), "client oncall"), coordinator.WithActor(t.Context(), "client php")
		if _, err := c.Rotate(oncall); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Reject(coordinator.WithActor(t.Context(), "client late"), tok.Value, nil); err != nil {
			t.Fatal(err)
		}
		current := token(t, c)
		if v, err := c.Reject(php, current.Value, nil); v != coordinator.TooYoung || err != nil {
			t.Fatal(v, err)
		}
		time.Sleep(time.Minute)
		if v, err := c.Reject(php, current.Value, nil); v != coordinator.Acted || err != nil {
			t.Fatal(v, err)
		}
		time.Sleep(time.Minute)
		f.provider.fail(&coordinator.SourceError{Class: coordinator.Transient, Code: -1, Message: "busy", Refused: true})
		if _, err := c.Rotate(php); err == nil {
			t.Fatal("the rotation did not fail")
		}
		time.Sleep(time.Minute)
		if _, err := c.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		for kind, want := range map[coordinator.EventKind]string{
			coordinator.EventRotating: ";client php;client oncall", coordinator.EventReported: "client php", coordinator.EventReportKept: "client php", coordinator.EventMinted: ";;;",
		} {
			var actors []string
			for _, e := range f.history(kind) {
				actors = append(actors, e.Actor)
				if e.By != "web-1" {
					t.Errorf("%s by %q", kind, e.By)
				}
			}
			if got := strings.Join(actors, ";"); got != want {
				t.Errorf("%s was asked by %q, want %q", kind, got, want)
			}
		}
		f.drain(c)
	})
}

// TestOneRotationForTwo: one mint fulfils the wishes of two operators, and the
// history names both.
func TestOneRotationForTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		c, faults := f.member("web-1")
		token(t, c)
		locked, resume := make(chan struct{}), make(chan struct{})
		faults.Before(storetest.Lock, 1, func() { close(locked); <-resume })
		var both sync.WaitGroup
		rotate := func(actor string) {
			both.Go(func() {
				if tok, err := c.Rotate(coordinator.WithActor(t.Context(), actor)); err != nil || tok.Generation != 2 {
					t.Errorf("%s: %v, %v", actor, tok, err)
				}
			})
		}
		rotate("client a")
		<-locked
		rotate("client b")
		synctest.Wait()
		close(resume)
		both.Wait()
		if asked := f.history(coordinator.EventRotating); len(asked) != 1 || asked[0].Actor != "client a, client b" {
			t.Errorf("asked: %+v", asked)
		}
		f.drain(c)
	})
}

// TestActorsAreCleaned: what a caller calls itself cannot spoil a history.
func TestActorsAreCleaned(t *testing.T) {
	for actor, want := range map[string]string{
		"":                             "",
		"client oncall":                "client oncall",
		"user  \x1b[31malice\n\tfake ": "user [31malice fake",
		"user \xff\u202eevil":          "user ? evil",
		"用户 小明":                        "用户 小明",
		strings.Repeat("x", 200):       strings.Repeat("x", 100),
		strings.Repeat("明", 50):        strings.Repeat("明", 33),
	} {
		synctest.Test(t, func(t *testing.T) {
			f := newFleet(t)
			c, _ := f.member("web-1")
			if _, err := c.Rotate(coordinator.WithActor(t.Context(), actor)); err != nil {
				t.Fatal(err)
			}
			for _, e := range append(f.history(coordinator.EventRotating), coordinator.ParseEvent(f.history(coordinator.EventRotating)[0].Fields())) {
				if e.Actor != want {
					t.Errorf("%q is kept as %q, want %q", actor, e.Actor, want)
				}
			}
			f.drain(c)
		})
	}
}
