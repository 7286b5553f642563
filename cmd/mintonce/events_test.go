package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/redisstore"
)

// lines is what a log at level info shows of events.
func lines(most slog.Level, events ...coordinator.Event) []string {
	var out bytes.Buffer
	l := newEventLog(slog.New(slog.NewTextHandler(&out, nil)), most)
	for _, e := range events {
		if e.Name == "" {
			e.Name = "shop"
		}
		l.observe(e)
	}
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

func failure(class coordinator.Class, detail string) coordinator.Event {
	return coordinator.Event{Kind: coordinator.EventFailed, Class: class, Detail: detail}
}

func TestTroubleIsLoggedWhenItChanges(t *testing.T) {
	wrong := func(rid int) coordinator.Event {
		return failure(coordinator.Configuration, fmt.Sprintf("the AppSecret is wrong, rid 6141b79a-%d (code 40125): check it", rid))
	}
	got := lines(slog.LevelError,
		wrong(1), wrong(2), wrong(3), // the same, but for the request's id
		failure(coordinator.Transient, "WeChat is busy"), failure(coordinator.Transient, "WeChat is busy"),
		wrong(4),
		coordinator.Event{Kind: coordinator.EventMinted},
		wrong(5), // anew
	)
	want := []string{"level=ERROR msg=failed", "level=WARN msg=failed", "level=ERROR msg=failed", "level=INFO msg=minted", "level=ERROR msg=failed"}
	if len(got) != len(want) {
		t.Fatalf("%d lines, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
	for i := range want {
		if !strings.Contains(got[i], want[i]) {
			t.Errorf("line %d is %s, want %s", i+1, got[i], want[i])
		}
	}
}

func TestTroubleOfTheStoreIsLoggedOnce(t *testing.T) {
	event := func(kind coordinator.EventKind, name string) coordinator.Event {
		return coordinator.Event{Kind: kind, Name: name}
	}
	got := strings.Join(lines(slog.LevelError,
		event(coordinator.EventStoreAway, "a"), event(coordinator.EventStoreAway, "b"), event(coordinator.EventStoreAway, "c"),
		event(coordinator.EventStoreBack, "b"), event(coordinator.EventStoreBack, "a"),
		event(coordinator.EventStoreAway, "c"),
	), "\n")
	if strings.Count(got, "\n") != 2 || strings.Count(got, `level=WARN msg="the store does not answer"`) != 2 || strings.Count(got, `level=INFO msg="the store answers again" after=1s`) != 1 {
		t.Errorf("got\n%s", got)
	}
}

func TestMintWithoutTheStoreIsAWarning(t *testing.T) {
	got := lines(slog.LevelError, coordinator.Event{Kind: coordinator.EventMinted, Detail: coordinator.DetailUnlocked})
	if len(got) != 1 || !strings.Contains(got[0], "level=WARN msg=minted") {
		t.Errorf("got %q", got)
	}
}

// TestOutageOfAStoreAtRest: nobody calls the store, and yet its outage is told
// with its end, when the connection that follows changes breaks.
func TestOutageOfAStoreAtRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		o := newOutage(slog.New(slog.NewTextHandler(&out, nil)), slog.LevelWarn)
		defer o.close()
		ends := time.Now().Add(20 * time.Second)
		o.ping = func(context.Context) error {
			if time.Now().Before(ends) {
				return errors.New("refused")
			}
			return nil
		}
		lost := &redisstore.Error{Op: "follow the changes", Problem: "the connection broke"}
		o.warn(lost)
		o.warn(lost)
		time.Sleep(time.Minute)
		synctest.Wait()
		got := out.String()
		if strings.Count(got, "\n") != 2 || !strings.Contains(got, `level=WARN msg="the store does not answer" detail="follow the changes: the connection broke"`) || !strings.Contains(got, `level=INFO msg="the store answers again" after=20s`) {
			t.Errorf("an outage:\n%s", got)
		}
		out.Reset()
		o.warn(lost)
		o.warn(errors.New("redisstore: something else"))
		synctest.Wait()
		if got := out.String(); strings.Count(got, "level=WARN") != 2 || strings.Contains(got, "does not answer") || strings.Contains(got, "redisstore") {
			t.Errorf("a connection that broke, and something else:\n%s", got)
		}
	})
}

func TestTroubleIsThatOfOneToken(t *testing.T) {
	a, b := failure(coordinator.Transient, "WeChat is busy"), failure(coordinator.Transient, "WeChat is busy")
	b.Name = "other"
	if got := lines(slog.LevelError, a, b, coordinator.Event{Kind: coordinator.EventMinted}, b, a); len(got) != 4 {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

func TestLevels(t *testing.T) {
	for kind, want := range map[coordinator.EventKind]string{
		coordinator.EventMinted:     "INFO",
		coordinator.EventRestored:   "INFO",
		coordinator.EventRotating:   "INFO",
		coordinator.EventStoreBack:  "INFO",
		coordinator.EventStoreAway:  "WARN",
		coordinator.EventLockLost:   "WARN",
		coordinator.EventForked:     "WARN",
		coordinator.EventMismatch:   "ERROR",
		coordinator.EventForeign:    "ERROR",
		coordinator.EventUnreadable: "ERROR",
	} {
		events := []coordinator.Event{{Kind: kind}}
		if kind == coordinator.EventStoreBack {
			events = []coordinator.Event{{Kind: coordinator.EventStoreAway}, {Kind: kind}}
		}
		if got := lines(slog.LevelError, events...)[len(events)-1]; !strings.Contains(got, "level="+want) {
			t.Errorf("%s: %s, want %s", kind, got, want)
		}
		// A single command tells its failure in one line of its own.
		if got := lines(slog.LevelInfo, events...)[len(events)-1]; !strings.Contains(got, "level=INFO") {
			t.Errorf("%s: %s, want INFO at most", kind, got)
		}
	}
}

func TestOneLineSaysWhoMintedAndWhy(t *testing.T) {
	got := lines(slog.LevelError, coordinator.Event{Kind: coordinator.EventMinted, Generation: 7, By: "web-1", Reason: "due", Actor: "client a", Took: 123_456_789, Detail: "mintonce: one\ntwo"})
	if want := `level=INFO msg=minted token=shop generation=7 by=web-1 reason=due actor="client a" took=123ms detail="one; two"`; len(got) != 1 || !strings.HasSuffix(got[0], want) {
		t.Errorf("got %q, want %s", got, want)
	}
}
