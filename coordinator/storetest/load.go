package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

func loadAbsent(t testing.TB, f Fixture) {
	r, now := load(t, f.Open(t), name)
	wantSame(t, r, coordinator.Record{}, "that was never written")
	if now.IsZero() {
		t.Error("Load of an absent record returned no clock")
	}
}

func loadEveryField(t testing.TB, f Fixture) {
	s, other := f.Open(t), f.Open(t)
	_, now := load(t, s, name)
	want := full(t, now)
	swap(t, s, name, coordinator.Record{}, want)
	for _, handle := range []coordinator.Store{s, other} {
		got, _ := load(t, handle, name)
		wantSame(t, got, want, "after a round trip")
		if got.Fields()["added_by_a_later_version"] == "" {
			t.Error("a field of a later version was not kept")
		}
	}
}

func loadOwned(t testing.TB, f Fixture) {
	s := f.Open(t)
	_, now := load(t, s, name)
	want := full(t, now)
	swap(t, s, name, coordinator.Record{}, want)
	got, _ := load(t, s, name)
	scribble(got)
	again, _ := load(t, s, name)
	wantSame(t, again, want, "after the caller wrote into what Load returned")
}

// scribble writes into the memory that a record shares with its copies.
func scribble(r coordinator.Record) {
	for i := range r.Lineage {
		r.Lineage[i] = coordinator.Stamp{Revision: int64(i + 1), ID: 1}
	}
	for i := range r.Attempts {
		r.Attempts[i] = coordinator.Attempt{ID: "scribbled"}
	}
}

func loadClock(t testing.TB, f Fixture) {
	s, other := f.Open(t), f.Open(t)
	r, last := load(t, s, name)
	if last.Year() < 1990 || last.Year() > 9999 {
		t.Errorf("the store's clock is %v", last)
	}
	later := func(now time.Time, after string) {
		t.Helper()
		if now.Before(last) {
			t.Errorf("the store's clock went back from %v to %v, after %s", last, now, after)
		}
		last = now
	}
	for range 20 {
		child := next(r, last, "clock")
		later(swap(t, other, name, r, child), "Swap by another handle")
		r = child
		var now time.Time
		_, now = load(t, s, name)
		later(now, "Load")
		later(swap(t, other, name, coordinator.Record{}, child), "a repeated Swap")
		_, now = load(t, other, name)
		later(now, "Load by another handle")
	}
	before := last
	pause(t, 25*time.Millisecond)
	if _, now := load(t, s, name); !now.After(before) {
		t.Errorf("the store's clock stands at %v: it must tell milliseconds, which revisions are made of", now)
	}
}

func loadNewer(t testing.TB, f Fixture) {
	newer := full(t, time.Now()).Fields()
	newer["format"] = "99"
	newer["lineage"] = "a form that this version cannot read"
	refused(t, f, newer, coordinator.ErrNewerRecord)
}

func loadDamaged(t testing.TB, f Fixture) {
	whole := full(t, time.Now()).Fields()
	damage := []struct{ name, field, value string }{
		{"no revision", "revision", ""},
		{"no write id", "write_id", ""},
		{"bad revision", "revision", "x"},
		{"lineage of another write", "lineage", "17.00000000000000ff"},
		{"bad time", "expires_at", "tomorrow"},
	}
	for _, d := range damage {
		fields := make(map[string]string)
		for key, value := range whole {
			fields[key] = value
		}
		fields[d.field] = d.value
		if d.value == "" {
			delete(fields, d.field)
		}
		refused(t, f, fields, coordinator.ErrBadRecord)
	}
	refused(t, f, map[string]string{"unexpected": "x"}, coordinator.ErrBadRecord)
}

// refused writes raw fields, and expects that no handle uses or replaces them.
func refused(t testing.TB, f Fixture, fields map[string]string, want error) {
	t.Helper()
	if f.WriteRaw == nil {
		t.Skip("Fixture.WriteRaw is not set")
	}
	s := f.Open(t)
	f.WriteRaw(t, name, fields)
	wantRefused := func(when string) {
		t.Helper()
		r, _, err := s.Load(t.Context(), name)
		if !errors.Is(err, want) {
			t.Errorf("Load %s: got error %v, want %v", when, err, want)
		}
		wantSame(t, r, coordinator.Record{}, "with an error")
	}
	wantRefused("of raw fields")
	fresh := first(time.Now())
	for _, old := range []coordinator.Stamp{{}, {Revision: 1, ID: 2}} {
		_, err := s.Swap(t.Context(), name, old, fresh)
		if err == nil {
			t.Errorf("Swap from %v over a record that must not be used succeeded", old)
		}
	}
	wantRefused("after Swap was refused")
}

// pause waits for d. It is for checks of time itself only.
func pause(t testing.TB, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}
}
