package storetest

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// sentinels must not be matched by the error of a store that does not answer.
var sentinels = []error{
	coordinator.ErrConflict, coordinator.ErrLocked, coordinator.ErrLockLost, coordinator.ErrNewerRecord, coordinator.ErrBadRecord,
	coordinator.ErrCredentialMismatch, coordinator.ErrStoreUnavailable, coordinator.ErrNoToken, coordinator.ErrBudget,
	coordinator.ErrNeverMint, coordinator.ErrUnsaved, coordinator.ErrBadName,
}

// first returns a small record that descends from nothing.
func first(now time.Time) coordinator.Record {
	return coordinator.Record{}.Child(coordinator.NewStamp(coordinator.Record{}, now))
}

// next returns a child of r that says what, so that it can be told from others.
func next(r coordinator.Record, now time.Time, what string) coordinator.Record {
	child := r.Child(coordinator.NewStamp(r, now))
	child.DoubtReason = what
	return child
}

// full returns a record in which every field is set, and one that this version
// does not know.
func full(t testing.TB, now time.Time) coordinator.Record {
	t.Helper()
	now = now.UTC().Truncate(time.Millisecond)
	at := func(d time.Duration) time.Time { return now.Add(d) }
	r := first(now.Add(-time.Minute))
	r = r.Child(coordinator.NewStamp(r, now))
	r.Credential = "wechat:wx12ab#5d41402abc4b2a76"
	r.Grant = coordinator.Grant{
		Value: "token \"quoted\"\nnext line \x00 \u00e9\u4e2d\u6587 {} $x %s", State: "refresh-1", Generation: 7,
		IssuedAt: at(-time.Second), ExpiresAt: at(2 * time.Hour), MintedBy: "host-1", Reason: coordinator.ReasonDue,
	}
	r.CommittedAt = r.Revision()
	r.RefreshAt = at(time.Hour)
	r.Attempts = []coordinator.Attempt{
		{ID: "a1", By: "host-1", Reason: coordinator.ReasonDoubt, BeganAt: r.Revision(), Deadline: at(10 * time.Second), From: 7, With: coordinator.Fingerprint("refresh-1")},
		{ID: "a2", By: "host-2", Reason: coordinator.ReasonRotate, BeganAt: r.Revision(), Deadline: at(11 * time.Second), From: 7},
	}
	r.DoubtAt, r.DoubtReason = r.Revision(), "the provider rejected it"
	r.Previous = coordinator.Previous{Fingerprint: coordinator.Fingerprint("token-6"), Generation: 6, Until: at(5 * time.Minute)}
	r.Failure = coordinator.Failure{
		At: at(-2 * time.Second), By: "host-3", Class: coordinator.Transient, Code: -1, Message: "system busy",
		Credential: "wechat:wx12ab#0000", Count: 3, Refused: 1, RetryAfter: at(4 * time.Second),
	}
	r.Budget = coordinator.Budget{Day: now.Format(time.DateOnly), Mints: 12, Rotations: 2, RotatedAt: at(-3 * time.Second)}
	r.EarlyReports = 2
	r.Spares = []string{"refresh-2", "refresh \"3\""}
	r.Spent, r.Unanswered = []string{coordinator.Fingerprint("refresh-0")}, []string{coordinator.Fingerprint("refresh-1")}
	r.Foreign = coordinator.Foreign{Count: 3, At: at(-4 * time.Second), By: "host-2", Generation: 6, Vouched: 1, Until: at(4 * time.Minute)}
	everyFieldSet(t, reflect.ValueOf(r), "Record")

	fields := r.Fields()
	fields["added_by_a_later_version"] = "kept as it is"
	r, err := coordinator.ParseRecord(fields)
	if err != nil {
		t.Fatalf("storetest: sample record: %v", err)
	}
	return r
}

// everyFieldSet makes sure that a field that is added to Record is added to
// the sample too.
func everyFieldSet(t testing.TB, v reflect.Value, path string) {
	t.Helper()
	if v.IsZero() {
		t.Fatalf("storetest: sample record has no %s", path)
	}
	if _, isTime := v.Interface().(time.Time); v.Kind() != reflect.Struct || isTime {
		return
	}
	for i := range v.NumField() {
		if field := v.Type().Field(i); field.IsExported() {
			everyFieldSet(t, v.Field(i), path+"."+field.Name)
		}
	}
}

// event returns an event in which every field is set.
func event(now time.Time, detail string) coordinator.Event {
	return coordinator.Event{
		Kind: coordinator.EventFailed, Name: name, At: now.UTC().Truncate(time.Millisecond), By: "host-1", Generation: 7, Attempt: "a1",
		Reason: coordinator.ReasonDue, Actor: "client oncall", Class: coordinator.Quota, Code: 45009, Detail: detail, Took: 1500 * time.Millisecond,
	}
}

// load returns the record and the store's clock, or ends the check.
func load(t testing.TB, s coordinator.Store, name string) (coordinator.Record, time.Time) {
	t.Helper()
	r, now, err := s.Load(t.Context(), name)
	if err != nil {
		t.Fatalf("Load(%q): %v", name, err)
	}
	return r, now
}

// swap replaces the record by next, or ends the check.
func swap(t testing.TB, s coordinator.Store, name string, old, next coordinator.Record, events ...coordinator.Event) time.Time {
	t.Helper()
	now, err := s.Swap(t.Context(), name, old.Stamp(), next, events...)
	if err != nil {
		t.Fatalf("Swap(%q, %v, %v): %v", name, old.Stamp(), next.Stamp(), err)
	}
	return now
}

// wantConflict swaps, and expects that nothing is written.
func wantConflict(t testing.TB, s coordinator.Store, old coordinator.Stamp, next coordinator.Record, why string) {
	t.Helper()
	before, _ := load(t, s, name)
	_, err := s.Swap(t.Context(), name, old, next, event(time.Now(), "must not be kept"))
	if !errors.Is(err, coordinator.ErrConflict) {
		t.Errorf("Swap, %s: got error %v, want ErrConflict", why, err)
	}
	after, _ := load(t, s, name)
	wantSame(t, after, before, "after a conflict, "+why)
}

// wantSame compares records by all their fields.
func wantSame(t testing.TB, got, want coordinator.Record, when string) {
	t.Helper()
	g, w := got.Fields(), want.Fields()
	if got.Exists() == want.Exists() && maps.Equal(g, w) {
		return
	}
	var diff string
	for key := range maps.Keys(w) {
		if g[key] != w[key] {
			diff += fmt.Sprintf("\n  %s: got %q, want %q", key, g[key], w[key])
		}
	}
	for key := range g {
		if _, ok := w[key]; !ok {
			diff += fmt.Sprintf("\n  %s: got %q, want none", key, g[key])
		}
	}
	t.Errorf("record %s: exists %t, want %t%s", when, got.Exists(), want.Exists(), diff)
}
