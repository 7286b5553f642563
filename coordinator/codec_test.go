package coordinator_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// fullRecord has a value in every field.
func fullRecord(t testing.TB) coordinator.Record {
	traits := coordinator.Traits{Credential: "wechat:wx1#aa", Overlap: 5 * time.Minute, DayOffset: 8 * time.Hour}
	at := day.Add(time.Hour)
	r := announce(minted(t, "one", day, 2*time.Hour, traits), "a", at, traits)
	grant := grantOf("two", at, 2*time.Hour)
	grant.State = "refresh"
	r, _ = r.Child(stamp(at.Add(time.Second))).Commit("a", grant, traits)
	at = at.Add(time.Hour)
	r = r.Child(stamp(at)).Begin(coordinator.Attempt{ID: "b", By: "host-2", Reason: coordinator.ReasonRotate, Deadline: at.Add(10 * time.Second)}, at, traits)
	r = r.Fail(coordinator.Failure{At: at, By: "host-1", Class: coordinator.Transient, Code: -1, Message: "busy", Credential: "wechat:wx1#aa", RetryAfter: at.Add(time.Second)})
	r = r.Doubt("test").ReportedEarly()
	r.Spares, r.Spent, r.Failure.Refused = []string{"refresh-2"}, []string{coordinator.Fingerprint("refresh-0")}, 1
	r.Unanswered = []string{coordinator.Fingerprint("refresh-2")}
	r.Foreign = coordinator.Foreign{Count: 2, At: at, By: "web-1", Generation: 1, Vouched: 1, Until: at.Add(time.Minute)}
	return r
}

func TestRecordRoundTrip(t *testing.T) {
	full := fullRecord(t)
	value := reflect.ValueOf(full)
	for i := range value.NumField() {
		if f := value.Type().Field(i); f.IsExported() && value.Field(i).IsZero() {
			t.Errorf("the record of this test has no %s", f.Name)
		}
	}
	for name, r := range map[string]coordinator.Record{
		"none": {}, "first write": coordinator.Record{}.Child(stamp(day)), "full": full, "full lineage": written(full, day.Add(4*time.Hour), 40),
	} {
		if !r.Exists() {
			continue
		}
		got, err := coordinator.ParseRecord(r.Fields())
		if err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%s: %v\n got %v\nwant %v", name, err, got.Fields(), r.Fields())
		}
	}
	if r, err := coordinator.ParseRecord(nil); err != nil || r.Exists() {
		t.Errorf("no fields are %v, %v", r, err)
	}
}

// TestRandomHistoriesRoundTrip applies transitions at random and writes each
// result down.
func TestRandomHistoriesRoundTrip(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 0))
		var r coordinator.Record
		now := day
		for i := range 200 {
			now = now.Add(time.Duration(random.IntN(3_000_000)) * time.Millisecond)
			r = r.Child(coordinator.NewStamp(r, now))
			r, _ = r.Expire(now)
			id := strconv.Itoa(i)
			switch random.IntN(6) {
			case 0:
				r = r.Doubt("test").ReportedEarly()
			case 1:
				r = r.Fail(coordinator.Failure{At: now, Message: "busy", RetryAfter: now.Add(time.Second)})
			case 2:
				r = r.Abandon(strconv.Itoa(i - 1))
			case 3:
				r, _ = r.Commit(strconv.Itoa(i-1), grantOf("token-"+id, now, time.Hour), lastWins)
			default:
				r = r.Begin(coordinator.Attempt{ID: id, By: "host", Deadline: now.Add(10 * time.Second)}, now, lastWins)
			}
			got, err := coordinator.ParseRecord(r.Fields())
			if err != nil || !reflect.DeepEqual(got.Fields(), r.Fields()) {
				t.Fatalf("seed %d, write %d: %v\n got %v\nwant %v", seed, i, err, got.Fields(), r.Fields())
			}
		}
	}
}

func TestFieldsForPeople(t *testing.T) {
	want := map[string]string{
		"format": "1", "value": "two", "generation": "2", "issued_at": "2026-03-14T13:00:00.000Z", "expires_at": "2026-03-14T15:00:00.000Z",
		"minted_by": "host-1", "state": "minting", "failure_code": "-1", "mints_today": "3", "budget_day": "2026-03-14", "previous_generation": "1",
	}
	got := fullRecord(t).Fields()
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s is %q, want %q", name, got[name], value)
		}
	}
}

func TestState(t *testing.T) {
	at := day.Add(time.Hour)
	live := minted(t, "one", day, 2*time.Hour, lastWins)
	expired := minted(t, "one", day, time.Minute, lastWins)
	failed := coordinator.Failure{Message: "busy"}
	tests := []struct {
		want   string
		record coordinator.Record
	}{
		{"missing", coordinator.Record{}.Child(stamp(at))},
		{"failing", coordinator.Record{}.Child(stamp(at)).Fail(failed)},
		{"live", live.Child(stamp(at))},
		{"failing", live.Child(stamp(at)).Fail(failed)},
		{"doubted", live.Child(stamp(at)).Doubt("test")},
		{"expired", expired.Child(stamp(at))},
		{"minting", announce(live, "a", at, lastWins)},
	}
	for _, test := range tests {
		if got := test.record.Fields()["state"]; got != test.want {
			t.Errorf("state is %q, want %q", got, test.want)
		}
	}
}

func TestUnknownFieldsAreKept(t *testing.T) {
	fields := fullRecord(t).Fields()
	fields["colour"], fields["empty"] = "blue", ""
	r, err := coordinator.ParseRecord(fields)
	if err != nil {
		t.Fatal(err)
	}
	next, _ := r.Child(stamp(day.Add(5*time.Hour))).Commit("b", grantOf("three", day.Add(5*time.Hour), time.Hour), lastWins)
	got := next.Fields()
	if _, there := got["empty"]; got["colour"] != "blue" || !there {
		t.Errorf("after a commit by an older version: %v", got)
	}
	if joined, _ := coordinator.Reconcile(r, coordinator.Record{}, stamp(day.Add(6*time.Hour))); joined.Fields()["colour"] != "blue" {
		t.Error("putting a record back lost a field")
	}
}

// TestManyUnknownFieldsCanBeWrittenBack: what was read must be readable again
// after a write, or an upgrade locks everybody out.
func TestManyUnknownFieldsCanBeWrittenBack(t *testing.T) {
	fields := coordinator.Record{}.Child(stamp(day)).Fields()
	for i := len(fields); i < 64; i++ {
		fields[fmt.Sprintf("field-%d", i)] = "x"
	}
	r, err := coordinator.ParseRecord(fields)
	if err != nil {
		t.Fatal(err)
	}
	r, _ = r.Child(stamp(day.Add(time.Second))).Commit("a", grantOf("one", day, time.Hour), lastWins)
	if _, err := coordinator.ParseRecord(r.Fields()); err != nil {
		t.Errorf("after one more write: %v", err)
	}
}

func TestANewerFormatIsRefused(t *testing.T) {
	fields := fullRecord(t).Fields()
	fields["format"] = strconv.Itoa(coordinator.Format + 1)
	fields["lineage"] = "as the newer version likes it"
	if _, err := coordinator.ParseRecord(fields); !errors.Is(err, coordinator.ErrNewerRecord) || errors.Is(err, coordinator.ErrBadRecord) {
		t.Errorf("%v, want %v", err, coordinator.ErrNewerRecord)
	}
}

func TestADamagedFieldIsNamed(t *testing.T) {
	tests := []struct{ field, value, named string }{
		{"format", "one", "format"},
		{"revision", "-1", "revision"},
		{"revision", "12", "lineage"},
		{"revision", "9223372036854775808", "revision"},
		{"write_id", "xyz", "write_id"},
		{"write_id", "", "write_id"},
		{"lineage", "", "lineage"},
		{"lineage", "5.01 4.02", "lineage"},
		{"lineage", "0.01", "lineage"},
		{"lineage", "5", "lineage"},
		{"lineage", strings.Repeat("5.01 ", 33), "lineage"},
		{"value", strings.Repeat("x", 64<<10+1), "value"},
		{"expires_at", "", "expires_at"},
		{"expires_at", "tomorrow", "expires_at"},
		{"expires_at", "1969-12-31T23:59:59Z", "expires_at"},
		{"issued_at", "10000-01-01T00:00:00Z", "issued_at"},
		{"refresh_at", "1780000000", "refresh_at"},
		{"generation", "1.5", "generation"},
		{"generation", "-1", "generation"},
		{"committed_at", "0x10", "committed_at"},
		{"doubt_at", "yes", "doubt_at"},
		{"attempts", "{}", "attempts"},
		{"attempts", `[{"by":"host"}]`, "attempts"},
		{"attempts", `[{"id":"a","began_at":1,"deadline":"0001-01-01T00:00:00Z"}]`, "attempts"},
		{"attempts", `[{"id":"a","began_at":0,"deadline":"2026-03-14T00:00:00Z"}]`, "attempts"},
		{"attempts", "[" + strings.Repeat(`{"id":"a","began_at":1,"deadline":"2026-03-14T00:00:00Z"},`, 64) + `{"id":"a","began_at":1,"deadline":"2026-03-14T00:00:00Z"}]`, "attempts"},
		{"mints_today", "many", "mints_today"},
		{"failures", "-3", "failures"},
		{"retry_after", "soon", "retry_after"},
	}
	for _, test := range tests {
		fields := fullRecord(t).Fields()
		fields[test.field] = test.value
		r, err := coordinator.ParseRecord(fields)
		if !errors.Is(err, coordinator.ErrBadRecord) || !strings.Contains(err.Error(), "field "+test.named+" ") {
			t.Errorf("%s = %.40q: %v, want the field %s named", test.field, test.value, err, test.named)
		}
		if r.Exists() || err != nil && strings.Contains(err.Error(), test.value) && len(test.value) > 6 {
			t.Errorf("%s = %.40q: returned %v with %v", test.field, test.value, r, err)
		}
	}
	many := fullRecord(t).Fields()
	for i := range 100 {
		many[fmt.Sprintf("field-%d", i)] = "x"
	}
	if _, err := coordinator.ParseRecord(many); !errors.Is(err, coordinator.ErrBadRecord) {
		t.Errorf("a hundred fields: %v", err)
	}
}

// TestMomentsAfterTheRecordAreDamage: a commit or a doubt of the future would
// make every mint a late one, or one that settles nothing, for ever.
func TestMomentsAfterTheRecordAreDamage(t *testing.T) {
	for _, field := range []string{"committed_at", "doubt_at"} {
		fields := fullRecord(t).Fields()
		fields[field] = strconv.FormatInt(fullRecord(t).Revision()+1, 10)
		if _, err := coordinator.ParseRecord(fields); !errors.Is(err, coordinator.ErrBadRecord) || !strings.Contains(err.Error(), field) {
			t.Errorf("%s is after the revision: %v", field, err)
		}
	}
}

func TestParsingLeavesItsInputAlone(t *testing.T) {
	fields := fullRecord(t).Fields()
	before := maps.Clone(fields)
	if _, err := coordinator.ParseRecord(fields); err != nil || !maps.Equal(fields, before) {
		t.Errorf("%v, or ParseRecord changed the map that it was given", err)
	}
}

// FuzzParseRecord damages one field, and adds one. Whatever is accepted must
// come back the same when it is written and read, and bear another write.
func FuzzParseRecord(f *testing.F) {
	f.Add("colour", "blue")
	for name, value := range fullRecord(f).Fields() {
		f.Add(name, value)
		f.Add(name, value+"0")
		f.Add(name, "9223372036854775807")
	}
	f.Add("attempts", "null")
	f.Add("attempts", `[{"id":"\ufffd","began_at":1,"deadline":"2026-03-14T00:00:00.0001+01:00"}]`)
	f.Fuzz(func(t *testing.T, name, value string) {
		fields := fullRecord(t).Fields()
		fields[name] = value
		r, err := coordinator.ParseRecord(fields)
		if err != nil {
			if !errors.Is(err, coordinator.ErrBadRecord) && !errors.Is(err, coordinator.ErrNewerRecord) {
				t.Fatalf("%q = %q: %v matches no error of this package", name, value, err)
			}
			return
		}
		once := r.Fields()
		again, err := coordinator.ParseRecord(once)
		if err != nil || !maps.Equal(again.Fields(), once) {
			t.Fatalf("%q = %q: written and read again: %v\n got %v\nwant %v", name, value, err, again.Fields(), once)
		}
		next := r.Child(coordinator.NewStamp(r, day)).Begin(coordinator.Attempt{ID: "next", Deadline: day}, day, lastWins)
		if _, err := coordinator.ParseRecord(next.Fields()); err != nil {
			t.Fatalf("%q = %q: bears no further write: %v", name, value, err)
		}
	})
}
