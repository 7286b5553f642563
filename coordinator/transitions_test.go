package coordinator_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

func TestBeginAnnouncesAndCounts(t *testing.T) {
	r := minted(t, "one", day, 2*time.Hour, lastWins)
	at := day.Add(time.Hour)
	next := r.Child(stamp(at)).Begin(coordinator.Attempt{ID: "a", By: "host-2", Reason: coordinator.ReasonRotate, Deadline: at.Add(10 * time.Second)}, at, lastWins)

	want := coordinator.Attempt{ID: "a", By: "host-2", Reason: coordinator.ReasonRotate, BeganAt: at.UnixMilli(), Deadline: at.Add(10 * time.Second), From: 1}
	if len(next.Attempts) != 1 || next.Attempts[0] != want {
		t.Errorf("attempts are %+v, want one %+v", next.Attempts, want)
	}
	if b := next.Budget; b.Day != "2026-03-14" || b.Mints != 2 || b.Rotations != 1 || !b.RotatedAt.Equal(at) {
		t.Errorf("budget is %+v, want the second mint and the first rotation of the day", b)
	}
	if len(r.Attempts) != 0 || r.Budget.Mints != 1 {
		t.Error("Begin changed the record that it was given")
	}
}

func TestCommit(t *testing.T) {
	idempotent := coordinator.Traits{Kind: coordinator.Idempotent, Overlap: 5 * time.Minute}
	began, late := day.Add(time.Hour), day.Add(time.Hour+5*time.Second)

	// What stood when the attempt "a" of this test began, and what happened to
	// it until it is committed five seconds later.
	inTime := func(r coordinator.Record, p coordinator.Traits) coordinator.Record { return announce(r, "a", began, p) }
	overtaken := func(value string) func(coordinator.Record, coordinator.Traits) coordinator.Record {
		return func(r coordinator.Record, p coordinator.Traits) coordinator.Record {
			r = announce(announce(r, "a", began, p), "b", began.Add(time.Second), p)
			r, _ = r.Child(stamp(began.Add(2*time.Second))).Commit("b", grantOf(value, began.Add(time.Second), 2*time.Hour), p)
			return r
		}
	}
	brief := func(r coordinator.Record, p coordinator.Traits) coordinator.Record {
		r = announce(announce(r, "a", began, p), "b", began.Add(time.Second), p)
		r, _ = r.Child(stamp(began.Add(2*time.Second))).Commit("b", grantOf("other", began.Add(time.Second), 2*time.Second), p)
		return r
	}
	givenUp := func(r coordinator.Record, p coordinator.Traits) coordinator.Record {
		r, expired := announce(r, "a", began.Add(-time.Minute), p).Child(stamp(began)).Expire(began)
		if len(expired) != 1 {
			t.Fatalf("gave up %v, want the attempt a", expired)
		}
		return r
	}
	doubtedBefore := func(r coordinator.Record, p coordinator.Traits) coordinator.Record {
		return announce(r.Child(stamp(began.Add(-time.Second))).Doubt("test"), "a", began, p)
	}
	doubtedWith := func(r coordinator.Record, p coordinator.Traits) coordinator.Record {
		return r.Child(stamp(began)).Doubt("test").Begin(coordinator.Attempt{ID: "a", Deadline: late}, began, p)
	}
	doubtedAfter := func(r coordinator.Record, p coordinator.Traits) coordinator.Record {
		return announce(r, "a", began, p).Child(stamp(began.Add(time.Second))).Doubt("test")
	}

	tests := []struct {
		name       string
		traits     coordinator.Traits
		life       time.Duration // of the token that stood
		before     func(coordinator.Record, coordinator.Traits) coordinator.Record
		value      string // that the attempt a brings
		kind       coordinator.EventKind
		serves     string
		generation int64
		doubt      bool
	}{
		{"in time", lastWins, 2 * time.Hour, inTime, "new", coordinator.EventMinted, "new", 2, false},
		{"in time, the same token", lastWins, 2 * time.Hour, inTime, "old", coordinator.EventConfirmed, "old", 1, false},
		{"in time, settles older doubt", lastWins, 2 * time.Hour, doubtedBefore, "new", coordinator.EventMinted, "new", 2, false},
		{"in time, settles doubt of its own write", lastWins, 2 * time.Hour, doubtedWith, "new", coordinator.EventMinted, "new", 2, false},
		{"in time, keeps newer doubt", lastWins, 2 * time.Hour, doubtedAfter, "new", coordinator.EventMinted, "new", 2, true},
		{"late, another token is usable", lastWins, 2 * time.Hour, overtaken("other"), "new", coordinator.EventOverlapped, "other", 2, true},
		{"late, the same token, last mint wins", lastWins, 2 * time.Hour, overtaken("new"), "new", coordinator.EventOverlapped, "new", 2, true},
		{"late, the same token, idempotent", idempotent, 2 * time.Hour, overtaken("new"), "new", coordinator.EventConfirmed, "new", 2, false},
		{"late, another token, idempotent", idempotent, 2 * time.Hour, overtaken("other"), "new", coordinator.EventOverlapped, "other", 2, true},
		{"late, the other token has expired", lastWins, 2 * time.Hour, brief, "new", coordinator.EventOverlapped, "new", 3, true},
		{"given up, a token is usable", lastWins, 2 * time.Hour, givenUp, "new", coordinator.EventOverlapped, "old", 1, true},
		{"given up, no token is usable", lastWins, time.Minute, givenUp, "new", coordinator.EventOverlapped, "new", 2, true},
		{"given up, the same token, idempotent", idempotent, 2 * time.Hour, givenUp, "old", coordinator.EventConfirmed, "old", 1, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := test.before(minted(t, "old", day, test.life, test.traits), test.traits)
			next, kind := r.Child(stamp(late)).Commit("a", grantOf(test.value, began, 2*time.Hour), test.traits)
			if kind != test.kind {
				t.Errorf("the event is %q, want %q", kind, test.kind)
			}
			if next.Grant.Value != test.serves || next.Grant.Generation != test.generation {
				t.Errorf("serves %q generation %d, want %q generation %d", next.Grant.Value, next.Grant.Generation, test.serves, test.generation)
			}
			if (next.DoubtAt != 0) != test.doubt || (next.DoubtReason != "") != test.doubt {
				t.Errorf("doubt is at %d (%q), want doubt: %v", next.DoubtAt, next.DoubtReason, test.doubt)
			}
			if len(next.Attempts) != 0 {
				t.Errorf("the attempt is still there: %+v", next.Attempts)
			}
		})
	}
}

func TestCommitRemembersTheTokenBefore(t *testing.T) {
	began := day.Add(time.Hour)
	tests := []struct {
		name  string
		life  time.Duration
		until time.Time
	}{
		{"overlap ends first", 2 * time.Hour, began.Add(5 * time.Minute)},
		{"life ends first", time.Hour + time.Minute, day.Add(time.Hour + time.Minute)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := announce(minted(t, "old", day, test.life, lastWins), "a", began, lastWins)
			r, _ = r.Child(stamp(began.Add(time.Second))).Commit("a", grantOf("new", began, 2*time.Hour), lastWins)
			want := coordinator.Previous{Fingerprint: coordinator.Fingerprint("old"), Generation: 1, Until: test.until}
			if r.Previous != want {
				t.Errorf("previous is %+v, want %+v", r.Previous, want)
			}
		})
	}
}

func TestConfirmingKeepsWhoMintedTheToken(t *testing.T) {
	r := minted(t, "one", day, 2*time.Hour, lastWins).ReportedEarly().Fail(coordinator.Failure{Message: "busy"})
	began := day.Add(time.Hour)
	answer := coordinator.Grant{Value: "one", IssuedAt: began, ExpiresAt: began.Add(59 * time.Minute), MintedBy: "host-2", Reason: coordinator.ReasonDoubt}
	next, _ := announce(r, "a", began, lastWins).Child(stamp(began.Add(time.Second))).Commit("a", answer, lastWins)

	want := r.Grant
	want.ExpiresAt = answer.ExpiresAt
	if !reflect.DeepEqual(next.Grant, want) || next.Grant.IssuedAt != day {
		t.Errorf("minted at %v by %s for %q, want what was known before, and the new expiry", next.Grant.IssuedAt, next.Grant.MintedBy, next.Grant.Reason)
	}
	if next.Failure != (coordinator.Failure{}) || next.EarlyReports != 0 {
		t.Errorf("failure %+v and %d early reports outlived a mint", next.Failure, next.EarlyReports)
	}
	if next.Previous != (coordinator.Previous{}) {
		t.Errorf("a token became its own predecessor: %+v", next.Previous)
	}
}

func TestAbandonLeavesNoDoubt(t *testing.T) {
	r := announce(minted(t, "one", day, 2*time.Hour, lastWins), "a", day.Add(time.Hour), lastWins)
	next := r.Abandon("a")
	if len(next.Attempts) != 0 || next.DoubtAt != 0 || len(r.Attempts) != 1 {
		t.Errorf("attempts %v, doubt at %d; before %v", next.Attempts, next.DoubtAt, r.Attempts)
	}
	if again := next.Abandon("a"); !reflect.DeepEqual(again, next) {
		t.Error("abandoning twice is not the same as once")
	}
}

func TestFailCountsAndKeepsTheAttempt(t *testing.T) {
	r := announce(minted(t, "one", day, 2*time.Hour, lastWins), "a", day.Add(time.Hour), lastWins)
	next := r.Fail(coordinator.Failure{Message: "busy"}).Fail(coordinator.Failure{Message: "busy still"})
	if next.Failure.Count != 2 || next.Failure.Message != "busy still" || len(next.Attempts) != 1 {
		t.Errorf("failure %+v with attempts %v, want the second one and the attempt", next.Failure, next.Attempts)
	}
	if !next.Usable(day.Add(time.Hour)) {
		t.Error("a failed mint took away a usable token")
	}
}

func TestExpireAtTheDeadline(t *testing.T) {
	r := announce(minted(t, "one", day, 2*time.Hour, lastWins), "a", day.Add(time.Hour), lastWins)
	r = announce(r, "b", day.Add(time.Hour+time.Minute), lastWins)
	over := r.Attempts[0].Deadline.Add(coordinator.Slack)
	for _, by := range around {
		now := over.Add(by)
		next, expired := r.Child(stamp(now)).Expire(now)
		if by < 0 {
			if len(expired) != 0 || next.DoubtAt != 0 {
				t.Errorf("%v: gave up %v", by, expired)
			}
			continue
		}
		if len(expired) != 1 || expired[0].ID != "a" || len(next.Attempts) != 1 || next.Attempts[0].ID != "b" {
			t.Errorf("%v: gave up %v and kept %v, want a and b", by, expired, next.Attempts)
		}
		if next.DoubtAt != now.UnixMilli() {
			t.Errorf("%v: doubt at %d, want %d", by, next.DoubtAt, now.UnixMilli())
		}
	}
}

func TestJudge(t *testing.T) {
	const minimumAge = 30 * time.Second
	began := day.Add(time.Hour)
	r, _ := announce(minted(t, "old", day, 2*time.Hour, lastWins), "a", began, lastWins).Child(stamp(began)).Commit("a", grantOf("new", began, 2*time.Hour), lastWins)
	old := began.Add(minimumAge)
	tests := []struct {
		name   string
		record coordinator.Record
		value  string
		now    time.Time
		want   coordinator.Verdict
	}{
		{"current, a millisecond too young", r, "new", old.Add(-time.Millisecond), coordinator.TooYoung},
		{"current, too young, and in doubt already", r.Doubt("mints overlapped"), "new", old.Add(-time.Millisecond), coordinator.Acted},
		{"current, just old enough", r, "new", old, coordinator.Acted},
		{"current, older", r, "new", old.Add(time.Millisecond), coordinator.Acted},
		{"current, expired", r, "new", began.Add(3 * time.Hour), coordinator.Acted},
		{"previous", r, "old", began, coordinator.Late},
		{"previous, after its overlap", r, "old", began.Add(time.Hour), coordinator.Late},
		{"never seen", r, "foreign", old, coordinator.Unknown},
		{"empty", r, "", old, coordinator.Unknown},
		{"empty, without a token", coordinator.Record{}, "", old, coordinator.Unknown},
		{"without a token", coordinator.Record{}, "new", old, coordinator.Unknown},
	}
	for _, test := range tests {
		if got := test.record.Judge(test.value, test.now, minimumAge); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	if got := r.Judge("new", began, 0); got != coordinator.Acted {
		t.Errorf("without a minimum age: %q, want %q", got, coordinator.Acted)
	}
}

// TestTransitionsLeaveTheirRecordAlone: a process goes on using what it
// remembers while it tries a change that the store may refuse.
func TestTransitionsLeaveTheirRecordAlone(t *testing.T) {
	base := announce(minted(t, "one", day, 2*time.Hour, lastWins), "a", day.Add(time.Hour), lastWins)
	child := base.Child(stamp(day.Add(2 * time.Hour)))
	before, text := child.Fields(), base.Fields()

	child.Begin(coordinator.Attempt{ID: "b"}, day, lastWins)
	child.Commit("a", grantOf("two", day, time.Hour), lastWins)
	child.Abandon("a")
	child.Expire(day.Add(24 * time.Hour))
	child.Doubt("test")
	child.Fail(coordinator.Failure{Message: "busy"})
	child.ReportedEarly()
	child.Child(stamp(day.Add(3 * time.Hour)))

	if !reflect.DeepEqual(child.Fields(), before) || !reflect.DeepEqual(base.Fields(), text) {
		t.Error("a transition changed the record that it was given")
	}
}

// A report that comes while a mint is under way is settled by that mint: the
// token that was rejected is the one that it replaces.
func TestReportDuringAMintCostsNoOther(t *testing.T) {
	for _, traits := range []coordinator.Traits{{Kind: coordinator.LastMintWins}, {Kind: coordinator.Idempotent}} {
		r := minted(t, "one", day, 2*time.Hour, traits)
		begun := announce(r, "next", day.Add(time.Hour), traits)
		at := day.Add(time.Hour + time.Second)
		reported := begun.Child(stamp(at)).Reported("web-1", at, traits)
		value := "two"
		if traits.Kind == coordinator.Idempotent {
			value = r.Grant.Value // the provider may return the very token that was rejected
		}
		after, _ := reported.Child(stamp(at.Add(time.Second))).Commit("next", grantOf(value, at, 2*time.Hour), traits)
		if doubted := after.DoubtAt != 0; doubted != (traits.Kind == coordinator.Idempotent) {
			t.Errorf("%v: doubt at %d after the commit", traits.Kind, after.DoubtAt)
		}
	}
}

// Replicas that went with the side of a fork that is given up must not see the
// generation go back.
func TestForkRaisesTheGeneration(t *testing.T) {
	root := minted(t, "root", day, 2*time.Hour, lastWins)
	commit := func(r coordinator.Record, value string, at time.Time) coordinator.Record {
		r, _ = announce(r, value, at, lastWins).Child(stamp(at.Add(time.Second))).Commit(value, grantOf(value, at, 2*time.Hour), lastWins)
		return r
	}
	memory := commit(commit(root, "a", day.Add(time.Hour)), "b", day.Add(2*time.Hour))
	record := commit(root, "c", day.Add(3*time.Hour))
	joined, relation := coordinator.Reconcile(memory, record, stamp(day.Add(4*time.Hour)))
	if relation != coordinator.Forked || joined.Grant.Value != record.Grant.Value || joined.Grant.Generation <= memory.Grant.Generation {
		t.Errorf("relation %d, joined %v; memory had %v", relation, joined.Grant, memory.Grant)
	}
}
