package coordinator_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// stable is a provider like WeChat's /cgi-bin/stable_token.
var stable = coordinator.Traits{Kind: coordinator.Idempotent, Credential: "wechat:wx1#aa", Overlap: 5 * time.Minute, RenewsWithin: 5 * time.Minute}

// reject reports the current token at the moment.
func reject(r coordinator.Record, by string, at time.Time, t coordinator.Traits) coordinator.Record {
	return r.Child(stamp(at)).Reported(by, at, t)
}

// heal mints a successor, in a second.
func heal(tb testing.TB, r coordinator.Record, value string, at time.Time, t coordinator.Traits) coordinator.Record {
	tb.Helper()
	r, kind := announce(r, "heal", at, t).Child(stamp(at.Add(time.Second))).Commit("heal", grantOf(value, at, 2*time.Hour), t)
	if kind == coordinator.EventOverlapped {
		tb.Fatal("the mint overlapped")
	}
	return r
}

// TestWhatPointsToAForeignMinter: only a rejection that no mint of ours may
// explain.
func TestWhatPointsToAForeignMinter(t *testing.T) {
	young := day.Add(time.Minute)
	tests := []struct {
		name   string
		before func(coordinator.Record) coordinator.Record
		at     func(coordinator.Record) time.Time
		count  int
	}{
		{"young and current", nil, nil, 1},
		{"just before its refresh", nil, func(r coordinator.Record) time.Time { return r.RefreshAt.Add(-time.Millisecond) }, 1},
		{"at its refresh", nil, func(r coordinator.Record) time.Time { return r.RefreshAt }, 0},
		{"after its end", nil, func(r coordinator.Record) time.Time { return r.Grant.ExpiresAt }, 0},
		{"in doubt already", func(r coordinator.Record) coordinator.Record { return r.Doubt("mints overlapped") }, nil, 0},
		{"a mint is under way", func(r coordinator.Record) coordinator.Record { return announce(r, "a", young, lastWins) }, nil, 0},
		{"an attempt was given up", func(r coordinator.Record) coordinator.Record {
			r, _ = announce(r, "a", day.Add(2*time.Second), lastWins).Child(stamp(young)).Expire(young)
			return r
		}, nil, 0},
		{"an attempt minted nothing", func(r coordinator.Record) coordinator.Record { return announce(r, "a", young, lastWins).Abandon("a") }, nil, 1},
		{"rejected from the start, says one", func(r coordinator.Record) coordinator.Record { return r.ReportedEarly() }, nil, 1},
		{"rejected from the start, say several", func(r coordinator.Record) coordinator.Record { return r.ReportedEarly().ReportedEarly() }, nil, 2},
	}
	for _, test := range tests {
		r := minted(t, "one", day, 2*time.Hour, lastWins)
		at := young.Add(time.Minute)
		if test.at != nil {
			at = test.at(r)
		}
		if test.before != nil {
			r = test.before(r)
		}
		next := reject(r, "web-1", at, lastWins)
		if next.Foreign.Count != test.count || next.Foreign.Named() != (test.count > 1) {
			t.Errorf("%s: %+v, want a count of %d", test.name, next.Foreign, test.count)
		}
		if next.DoubtAt == 0 {
			t.Errorf("%s: the token is not in doubt", test.name)
		}
		if test.count == 1 && (!next.Foreign.At.Equal(at) || next.Foreign.By != "web-1" || next.Foreign.Generation != 1) {
			t.Errorf("%s: %+v", test.name, next.Foreign)
		}
	}
}

// TestSpacing: the first rejection is healed at once. With each further one in
// a row, the time from mint to mint doubles, up to a bound.
func TestSpacing(t *testing.T) {
	long := lastWins
	long.Overlap = 20 * time.Minute
	for _, tc := range []struct {
		traits coordinator.Traits
		want   []time.Duration
	}{
		{lastWins, []time.Duration{0, 1, 2, 4, 5, 5, 5}},
		{long, []time.Duration{0, 1, 2, 4, 8, 16, 20, 20}},
		{coordinator.Traits{}, []time.Duration{0, 1, 2, 4, 5, 5}},
	} {
		at := day
		r := minted(t, "token-0", at, 2*time.Hour, tc.traits)
		for i, minutes := range tc.want {
			spaced := time.UnixMilli(r.CommittedAt).UTC().Add(minutes * time.Minute)
			reported := at.Add(40 * time.Second)
			r = reject(r, "web-1", reported, tc.traits)
			for _, by := range around {
				now := spaced.Add(by)
				if now.Before(reported) {
					now = reported
				}
				plan := r.Plan(now, tc.traits, false)
				if now.Before(spaced) {
					wantSpaced(t, plan, i+1, spaced, now)
				} else if plan.Action != coordinator.Mint || plan.Reason != coordinator.ReasonDoubt {
					t.Errorf("rejection %d, %v from the end of the spacing: %+v", i+1, by, plan)
				}
			}
			if plan := r.Plan(reported, tc.traits, true); plan.Action != coordinator.Mint {
				t.Errorf("rejection %d: an operator has to wait: %+v", i+1, plan)
			}
			at = reported
			if at.Before(spaced) {
				at = spaced
			}
			r = heal(t, r, fmt.Sprint("token-", i+1), at, tc.traits)
			if plan := r.Plan(at.Add(time.Second), tc.traits, false); plan.Action != coordinator.Rest {
				t.Errorf("after heal %d: %+v", i+1, plan)
			}
		}
	}
}

func wantSpaced(t *testing.T, plan coordinator.Plan, count int, until, now time.Time) {
	t.Helper()
	var foreign *coordinator.ForeignMinterError
	if plan.Action != coordinator.Blocked || !plan.At.Equal(until) || !errors.As(plan.Err, &foreign) || !errors.Is(plan.Err, coordinator.ErrForeignMinter) {
		t.Fatalf("rejection %d: %+v, want blocked until %v", count, plan, until)
	}
	if foreign.Count != count || foreign.RetryAfter != until.Sub(now) || foreign.By != "web-1" || !strings.Contains(foreign.Error(), foreign.Advice) || foreign.Advice == "" {
		t.Errorf("rejection %d: the error says %+v", count, foreign)
	}
}

// TestTheSpacingIsTakenBack: a stranger who comes seldom is healed at once, every
// time, though it is named.
func TestTheSpacingIsTakenBack(t *testing.T) {
	fight, _ := fought(t, lastWins)
	for _, tc := range []struct{ quiet, want time.Duration }{
		{10*time.Minute - time.Second, 5}, {10 * time.Minute, 4}, {20 * time.Minute, 2}, {30 * time.Minute, 1}, {40 * time.Minute, 0}, {2 * time.Hour, 0},
	} {
		// Quiet counts from the last rejection, spacing from the last mint.
		at := fight.Foreign.At.Add(tc.quiet)
		r := fight
		r.CommittedAt, r.RefreshAt, r.Grant.ExpiresAt = at.UnixMilli(), at.Add(time.Hour), at.Add(2*time.Hour)
		r = reject(r, "web-1", at, lastWins)
		until := time.Time{}
		if tc.want > 0 {
			until = at.Add(tc.want * time.Minute)
		}
		if !r.Foreign.Until.Equal(until) || r.Foreign.Count != 9 {
			t.Errorf("%v after the last rejection of a fight: %+v, want it spaced by %d minutes", tc.quiet, r.Foreign, tc.want)
		}
	}
}

// fought is a record at the height of a fight: the next rejection is spaced out
// until five minutes after its commit.
func fought(t *testing.T, traits coordinator.Traits) (coordinator.Record, time.Time) {
	t.Helper()
	at := day
	r := minted(t, "token-0", at, 2*time.Hour, traits)
	for i := range 8 {
		at = at.Add(5 * time.Minute)
		r = heal(t, reject(r, "web-1", at, traits), fmt.Sprint("token-", i+1), at, traits)
	}
	return r, at.Add(time.Second)
}

// TestWhatIsNotSpacedOut: the spacing is for mints that a rejection alone asks
// for.
func TestWhatIsNotSpacedOut(t *testing.T) {
	fight, committed := fought(t, lastWins)
	at := committed.Add(time.Minute)
	rejected := reject(fight, "web-1", at, lastWins)
	if plan := rejected.Plan(at, lastWins, false); plan.Action != coordinator.Blocked {
		t.Fatalf("a rejection in a fight: %+v", plan)
	}
	brief := fight
	brief.Grant.ExpiresAt, brief.RefreshAt = at.Add(3*time.Minute), at.Add(2*time.Minute)
	brief = reject(brief, "web-1", at, lastWins)
	setBack := at.Add(-12 * time.Hour)
	tests := []struct {
		name   string
		record coordinator.Record
		now    time.Time
	}{
		{"doubt of ours", fight.Child(stamp(at)).Doubt("mints overlapped"), at},
		{"doubt of ours after a rejection", rejected.Child(stamp(at.Add(time.Second))).Doubt("mints overlapped"), at.Add(time.Second)},
		{"a refresh that is due", brief, at.Add(2 * time.Minute)},
		{"a token that has expired", brief, at.Add(3 * time.Minute)},
		{"the store's clock was set back", rejected, setBack},
	}
	for _, test := range tests {
		if plan := test.record.Plan(test.now, lastWins, false); plan.Action != coordinator.Mint {
			t.Errorf("%s: %+v", test.name, plan)
		}
	}
	if plan := brief.Plan(at, lastWins, false); plan.Action != coordinator.Blocked || !plan.At.Equal(brief.RefreshAt) {
		t.Errorf("a rejection short before the refresh: %+v, want blocked until that", plan)
	}
}

// TestTheSuspicionEnds: after six quiet hours the next rejection is a first one
// again.
func TestTheSuspicionEnds(t *testing.T) {
	const quiet = 6 * time.Hour
	r, _ := fought(t, lastWins)
	last := r.Foreign.At
	r = heal(t, r, "peace", last.Add(5*time.Hour+50*time.Minute), lastWins)
	for _, by := range around {
		at := last.Add(quiet + by)
		want := 1
		if by < 0 {
			want = 9
		}
		got := reject(r, "web-2", at, lastWins).Foreign
		if got.Count != want || got.Named() != (want > 1) {
			t.Errorf("%v from the end of the quiet: %+v, want a count of %d", by, got, want)
		}
		if want == 1 && (got.By != "web-2" || !got.Until.IsZero()) {
			t.Errorf("a first rejection: %+v", got)
		}
		if want > 1 && got.By != "several reporters" {
			t.Errorf("reported by two: %+v", got)
		}
	}
}

// TestAnIdempotentSourceVouches: asked because of a rejection, it gives out the
// very token that was rejected. Then there is no foreign minter, and asking
// again at every call that is rejected would be a loop.
func TestAnIdempotentSourceVouches(t *testing.T) {
	const minimumAge = 30 * time.Second
	at := day
	r := minted(t, "one", at, 2*time.Hour, stable)
	for i, minutes := range []time.Duration{1, 2, 4, 5, 5} {
		at = at.Add(minimumAge + 30*time.Minute/time.Duration(i+1))
		if got := r.Judge("one", at, minimumAge); got != coordinator.Acted {
			t.Fatalf("rejection %d is %q, want it acted on", i+1, got)
		}
		r = reject(r, "web-1", at, stable)
		if plan := r.Plan(at, stable, false); plan.Action != coordinator.Mint {
			t.Fatalf("rejection %d: %+v, want the source to be asked", i+1, plan)
		}
		r = heal(t, r, "one", at, stable)
		if r.DoubtAt != 0 || r.Foreign.Count != 0 || r.Foreign.Vouched != i+1 {
			t.Errorf("after it vouched %d times: doubt at %d, %+v", i+1, r.DoubtAt, r.Foreign)
		}
		committed := time.UnixMilli(r.CommittedAt)
		for _, by := range around {
			want := coordinator.Acted
			if by < 0 {
				want = coordinator.Vouched
			}
			if got := r.Judge("one", committed.Add(minutes*time.Minute+by), minimumAge); got != want {
				t.Errorf("after it vouched %d times, %v from the end of the wait: %q, want %q", i+1, by, got, want)
			}
		}
		at = committed.Add(minutes * time.Minute)
	}
	if got := r.Judge("one", day.Add(24*time.Hour), minimumAge); got != coordinator.Acted {
		t.Errorf("a day later: %q", got)
	}
}

// TestForcedFromOutside: another token than the one that was rejected, before
// its time, was forced by somebody else.
func TestForcedFromOutside(t *testing.T) {
	at := day
	r := minted(t, "token-0", at, 2*time.Hour, stable)
	for i := range 3 {
		at = at.Add(time.Minute)
		r = reject(r, "web-1", at, stable)
		if plan := r.Plan(at, stable, false); plan.Action != coordinator.Mint {
			t.Fatalf("rejection %d: %+v; asking does no harm, so it must not wait", i+1, plan)
		}
		r = heal(t, r, fmt.Sprint("token-", i+1), at, stable)
		if r.Foreign.Count != i+1 || r.Foreign.Named() != (i > 0) {
			t.Errorf("forced %d times: %+v", i+1, r.Foreign)
		}
	}
	// One that is vouched for in between neither counts nor ends the suspicion.
	at = at.Add(time.Minute)
	r = heal(t, reject(r, "web-1", at, stable), "token-3", at, stable)
	if r.Foreign.Count != 3 || r.Foreign.Vouched != 1 {
		t.Errorf("vouched for in a fight: %+v", r.Foreign)
	}
}

// TestAForkKeepsTheSuspicion: the side that knows of the fight may be the one
// that is given up.
func TestAForkKeepsTheSuspicion(t *testing.T) {
	root, committed := fought(t, lastWins)
	at := committed.Add(20 * time.Minute)
	rejected := reject(root, "web-1", at, lastWins)
	other := heal(t, root, "other", at.Add(time.Second), lastWins)
	for _, sides := range [][2]coordinator.Record{{rejected, other}, {other, rejected}} {
		joined, relation := coordinator.Reconcile(sides[0], sides[1], stamp(at.Add(time.Minute)))
		if relation != coordinator.Forked || joined.Foreign != rejected.Foreign {
			t.Errorf("relation %d, %+v, want %+v", relation, joined.Foreign, rejected.Foreign)
		}
	}
}
