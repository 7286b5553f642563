package coordinator_test

import (
	"errors"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

func TestUsableUntilItExpires(t *testing.T) {
	r := minted(t, "one", day, time.Hour, lastWins)
	for _, by := range around {
		if got, want := r.Usable(day.Add(time.Hour+by)), by < 0; got != want {
			t.Errorf("%v from the end: usable is %v, want %v", by, got, want)
		}
	}
	if (coordinator.Record{}).Usable(day) {
		t.Error("a record that does not exist is usable")
	}
}

func TestPlanOfANeed(t *testing.T) {
	r := minted(t, "one", day, 2*time.Hour, lastWins)
	tests := []struct {
		name   string
		record coordinator.Record
		now    time.Time
		rotate bool
		action coordinator.Action
		reason string
	}{
		{"no record", coordinator.Record{}, day, false, coordinator.Mint, coordinator.ReasonMissing},
		{"just before it is due", r, r.RefreshAt.Add(-time.Millisecond), false, coordinator.Rest, ""},
		{"due", r, r.RefreshAt, false, coordinator.Mint, coordinator.ReasonDue},
		{"due a moment ago", r, r.RefreshAt.Add(time.Millisecond), false, coordinator.Mint, coordinator.ReasonDue},
		{"just before it expires", r, r.Grant.ExpiresAt.Add(-time.Millisecond), false, coordinator.Mint, coordinator.ReasonDue},
		{"expired", r, r.Grant.ExpiresAt, false, coordinator.Mint, coordinator.ReasonExpired},
		{"in doubt", r.Child(stamp(day.Add(time.Minute))).Doubt("test"), day.Add(time.Minute), false, coordinator.Mint, coordinator.ReasonDoubt},
		{"rotate a good one", r, day.Add(time.Minute), true, coordinator.Mint, coordinator.ReasonRotate},
	}
	for _, test := range tests {
		plan := test.record.Plan(test.now, lastWins, test.rotate)
		if plan.Action != test.action || plan.Reason != test.reason {
			t.Errorf("%s: action %d for %q, want %d for %q", test.name, plan.Action, plan.Reason, test.action, test.reason)
		}
		if plan.Action == coordinator.Rest && !plan.At.Equal(r.RefreshAt) {
			t.Errorf("%s: rests until %v, want %v", test.name, plan.At, r.RefreshAt)
		}
	}
}

func TestPlanWithAnAttemptUnresolved(t *testing.T) {
	began := day.Add(time.Hour)
	over := began.Add(10*time.Second + coordinator.Slack)
	rotating := coordinator.Traits{Kind: coordinator.Rotating, Overlap: 5 * time.Second}
	two := func(r coordinator.Record) coordinator.Record {
		return announce(r, "b", began.Add(time.Second), rotating)
	}
	due := 61 * time.Minute // a life that is due for renewal when the attempts begin
	tests := []struct {
		name   string
		traits coordinator.Traits
		life   time.Duration
		more   func(coordinator.Record) coordinator.Record
		now    time.Time
		action coordinator.Action
		at     time.Time
	}{
		{"not due: rest until it can be given up", lastWins, 4 * time.Hour, nil, began, coordinator.Rest, over},
		{"due: wait for it", lastWins, due, nil, began, coordinator.Await, over},
		{"expired: do not wait", lastWins, time.Minute, nil, began, coordinator.Mint, time.Time{}},
		{"rotating, inside the grace: once more", rotating, due, nil, began.Add(5*time.Second - time.Millisecond), coordinator.Mint, time.Time{}},
		{"rotating, the grace is over", rotating, due, nil, began.Add(5 * time.Second), coordinator.Await, over},
		{"rotating, twice already", rotating, due, two, began.Add(time.Second), coordinator.Await, over},
	}
	for _, test := range tests {
		r := announce(minted(t, "one", day, test.life, test.traits), "a", began, test.traits)
		if test.more != nil {
			r = test.more(r)
		}
		plan := r.Plan(test.now, test.traits, false)
		if plan.Action != test.action || !plan.At.Equal(test.at) {
			t.Errorf("%s: action %d at %v, want %d at %v", test.name, plan.Action, plan.At, test.action, test.at)
		}
	}
}

func TestBackOffHoldsOnlyTheSameCredential(t *testing.T) {
	now := day.Add(110 * time.Minute)
	retry := now.Add(time.Minute)
	r := minted(t, "one", day, 2*time.Hour, lastWins)
	r = r.Fail(coordinator.Failure{Message: "busy", Credential: lastWins.Credential, RetryAfter: retry})
	other := lastWins
	other.Credential = "wechat:wx1#bb"

	for _, by := range around {
		plan := r.Plan(retry.Add(by), lastWins, false)
		var backoff *coordinator.BackoffError
		if blocked := plan.Action == coordinator.Blocked && errors.As(plan.Err, &backoff) && plan.At.Equal(retry); blocked != (by < 0) {
			t.Errorf("%v from the end of the back-off: %+v", by, plan)
		}
		if by < 0 && backoff.RetryAfter != -by {
			t.Errorf("retry after %v, want %v", backoff.RetryAfter, -by)
		}
	}
	if plan := r.Plan(now, other, false); plan.Action != coordinator.Mint {
		t.Errorf("a process with another secret has to wait: %+v", plan)
	}
	if plan := r.Plan(now, lastWins, true); plan.Action != coordinator.Mint {
		t.Errorf("an operator has to wait: %+v", plan)
	}
}

func TestDailyBudgetStartsAnewAtTheProvidersMidnight(t *testing.T) {
	tests := []struct {
		name     string
		offset   time.Duration
		midnight time.Time
	}{
		{"Beijing", 8 * time.Hour, time.Date(2026, 3, 14, 16, 0, 0, 0, time.UTC)},
		{"Greenwich", 0, time.Date(2026, 3, 15, 0, 0, 0, 0, time.UTC)},
		{"New York", -5 * time.Hour, time.Date(2026, 3, 15, 5, 0, 0, 0, time.UTC)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			traits := coordinator.Traits{DailyMints: 1, DayOffset: test.offset}
			r := minted(t, "one", day, time.Minute, traits)
			for _, by := range around {
				now := test.midnight.Add(by)
				plan := r.Plan(now, traits, false)
				var budget *coordinator.BudgetError
				if by >= 0 {
					if plan.Action != coordinator.Mint {
						t.Errorf("%v from midnight: %+v", by, plan)
					}
					if next := announce(r, "a", now, traits); next.Budget.Mints != 1 {
						t.Errorf("%v from midnight: mint %d of the new day", by, next.Budget.Mints)
					}
					continue
				}
				if plan.Action != coordinator.Blocked || !plan.At.Equal(test.midnight) || !errors.As(plan.Err, &budget) || !errors.Is(plan.Err, coordinator.ErrBudget) {
					t.Fatalf("%v from midnight: %+v, want blocked until %v", by, plan, test.midnight)
				}
				if budget.Spent != 1 || budget.Limit != 1 || !budget.Until.Equal(test.midnight) || budget.RetryAfter != -by {
					t.Errorf("the error says %+v", budget)
				}
			}
		})
	}
}

func TestRotationsAreRationed(t *testing.T) {
	traits := coordinator.Traits{DailyRotations: 2, RotationSpacing: 30 * time.Second}
	rotate := func(r coordinator.Record, at time.Time) coordinator.Record {
		r = r.Child(stamp(at)).Begin(coordinator.Attempt{ID: "r", Reason: coordinator.ReasonRotate, Deadline: at.Add(time.Second)}, at, traits)
		r, _ = r.Child(stamp(at.Add(time.Millisecond))).Commit("r", grantOf("rotated "+at.String(), at, 2*time.Hour), traits)
		return r
	}
	first := day.Add(time.Minute)
	once := rotate(minted(t, "one", day, 2*time.Hour, traits), first)
	for _, by := range around {
		now := first.Add(30*time.Second + by)
		plan := once.Plan(now, traits, true)
		if blocked := plan.Action == coordinator.Blocked && errors.Is(plan.Err, coordinator.ErrBudget) && plan.At.Equal(first.Add(30*time.Second)); blocked != (by < 0) {
			t.Errorf("%v from the end of the spacing: %+v", by, plan)
		}
	}
	twice := rotate(once, first.Add(time.Minute))
	if plan := twice.Plan(first.Add(time.Hour), traits, true); plan.Action != coordinator.Blocked || !plan.At.Equal(day.Add(12*time.Hour)) {
		t.Errorf("the third rotation of the day: %+v", plan)
	}
	if plan := twice.Plan(twice.Grant.ExpiresAt, traits, false); plan.Action != coordinator.Mint {
		t.Errorf("spent rotations hold up a plain mint: %+v", plan)
	}
	if plan := twice.Plan(day.Add(12*time.Hour), traits, true); plan.Action != coordinator.Mint {
		t.Errorf("a rotation on the next day: %+v", plan)
	}
	atMidnight := rotate(twice, day.Add(12*time.Hour-time.Second))
	if plan := atMidnight.Plan(day.Add(12*time.Hour), traits, true); plan.Action != coordinator.Blocked || !plan.At.Equal(day.Add(12*time.Hour+29*time.Second)) {
		t.Errorf("midnight ends the spacing: %+v", plan)
	}
}

// TestRefreshWindow commits with the lowest and the highest random number, and
// looks where between them the fleet would refresh.
func TestRefreshWindow(t *testing.T) {
	early := coordinator.Traits{Kind: coordinator.Idempotent, RenewsWithin: 5 * time.Minute}
	tests := []struct {
		name        string
		traits      coordinator.Traits
		life        time.Duration
		first, last time.Duration // after the commit, which is when it was issued
	}{
		{"two hours", lastWins, 7200 * time.Second, 5400 * time.Second, 6900 * time.Second},
		{"a minute", lastWins, time.Minute, 45 * time.Second, 52500 * time.Millisecond},
		{"a second", lastWins, time.Second, 750 * time.Millisecond, 875 * time.Millisecond},
		{"renewed late, two hours", early, 7200 * time.Second, 6915 * time.Second, 7050 * time.Second},
		{"renewed late, 345 s", early, 345 * time.Second, 60 * time.Second, 195 * time.Second},
		{"renewed late, 300 s", early, 300 * time.Second, 37500 * time.Millisecond, 150 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, random := range []uint64{0, 1 << 15, 1<<16 - 1} {
				at := coordinator.Stamp{Revision: day.UnixMilli(), ID: random}
				r, _ := coordinator.Record{}.Child(at).Commit("late", grantOf("one", day, test.life), test.traits)
				want := day.Add(test.first + time.Duration(float64(test.last-test.first)*float64(random)/(1<<16)))
				if off := r.RefreshAt.Sub(want).Abs(); off > time.Millisecond {
					t.Errorf("random %d: refresh after %v, want %v", random, r.RefreshAt.Sub(day), want.Sub(day))
				}
			}
		})
	}
}

// TestATokenGivenOutAgainIsNotDueAtOnce: asked in vain, a provider must not be
// asked again in a loop.
func TestATokenGivenOutAgainIsNotDueAtOnce(t *testing.T) {
	early := coordinator.Traits{Kind: coordinator.Idempotent, RenewsWithin: 5 * time.Minute}
	for _, traits := range []coordinator.Traits{lastWins, early} {
		for _, left := range []time.Duration{time.Second, 10 * time.Second, time.Minute, 300 * time.Second, 301 * time.Second, 345 * time.Second, time.Hour} {
			now := day.Add(2*time.Hour - left)
			begun := announce(minted(t, "one", day, 2*time.Hour, traits), "a", now.Add(-time.Second), traits)
			var turns []time.Time
			for _, random := range []uint64{0, 1<<16 - 1} {
				at := coordinator.Stamp{Revision: now.UnixMilli(), ID: random}
				r, kind := begun.Child(at).Commit("a", grantOf("one", now, left), traits)
				if kind != coordinator.EventConfirmed {
					t.Fatalf("%v, %v left: the event is %q", traits.Kind, left, kind)
				}
				plan := r.Plan(now, traits, false)
				if plan.Action != coordinator.Rest || plan.At.Sub(now) < left/9 || plan.At.After(r.Grant.ExpiresAt) {
					t.Errorf("%v, %v left: action %d after %v", traits.Kind, left, plan.Action, plan.At.Sub(now))
				}
				turns = append(turns, plan.At)
			}
			if turns[1].Sub(turns[0]) < min(left/10, 2*time.Minute) {
				t.Errorf("%v, %v left: everybody asks between %v and %v from now", traits.Kind, left, turns[0].Sub(now), turns[1].Sub(now))
			}
		}
	}
}

// Revisions run ahead of a store's clock that was set back, and of a replica
// with a slow clock that took over.
func mintedOnAClockThatWentBack() coordinator.Record {
	ahead := coordinator.Stamp{Revision: day.Add(24 * time.Hour).UnixMilli(), ID: 7}
	r, _ := announce(coordinator.Record{}, "a", day, lastWins).Child(ahead).Commit("a", grantOf("one", day, 2*time.Hour), lastWins)
	return r
}

func TestRefreshIsBeforeTheEndWhereTheClockWentBack(t *testing.T) {
	r := mintedOnAClockThatWentBack()
	if latest := r.Grant.ExpiresAt.Add(-5 * time.Minute); r.RefreshAt.After(latest) {
		t.Errorf("refresh at %v, which is after %v, five minutes before the end", r.RefreshAt, latest)
	}
}

func TestReportsAreHeardWhereTheClockWentBack(t *testing.T) {
	if got := mintedOnAClockThatWentBack().Judge("one", day.Add(time.Hour), 30*time.Second); got != coordinator.Acted {
		t.Errorf("a report of a token that is an hour old is %q, want %q", got, coordinator.Acted)
	}
}

// A dead holder's attempt is waited for while there is a token to serve, and
// no longer than that.
func TestAwaitEndsWithTheToken(t *testing.T) {
	r := minted(t, "one", day, 2*time.Hour, lastWins)
	end := r.Grant.ExpiresAt
	begun := announce(r, "dead", end.Add(-time.Second), lastWins)
	at := end.Add(-500 * time.Millisecond)
	if plan := begun.Plan(at, lastWins, false); plan.Action != coordinator.Await || !plan.At.Equal(end) {
		t.Errorf("with a usable token: action %d until %v, want to wait until %v", plan.Action, plan.At, end)
	}
	if plan := begun.Plan(end, lastWins, false); plan.Action != coordinator.Mint {
		t.Errorf("without: action %d, want to mint", plan.Action)
	}
	reported := begun.Child(stamp(at)).Reported("web-1", at, lastWins)
	if plan := reported.Plan(at, lastWins, false); plan.Action != coordinator.Mint {
		t.Errorf("with a token that the provider has rejected: action %d, want to mint", plan.Action)
	}
}

// An attempt whose deadline lies far ahead is from before the store's clock was
// set back. Waiting for it would be waiting for hours.
func TestAttemptOfTheFutureIsGivenUp(t *testing.T) {
	r := minted(t, "one", day, 2*time.Hour, lastWins)
	begun := announce(r, "dead", day.Add(time.Hour), lastWins)
	for _, test := range []struct {
		back time.Duration
		want int
	}{{0, 0}, {4 * time.Minute, 0}, {30 * time.Minute, 1}} {
		now := day.Add(time.Hour - test.back)
		after, expired := begun.Child(stamp(now)).Expire(now)
		if len(expired) != test.want || (after.DoubtAt != 0) != (test.want > 0) {
			t.Errorf("clock %v back: %d attempts given up, doubt at %d", test.back, len(expired), after.DoubtAt)
		}
	}
}

// TestFailureOfTheFutureHoldsNothingUp: the store's clock was set back since.
func TestFailureOfTheFutureHoldsNothingUp(t *testing.T) {
	failed := day.Add(110 * time.Minute)
	r := minted(t, "one", day, 2*time.Hour, lastWins).Doubt("a test")
	r = r.Fail(coordinator.Failure{At: failed, Credential: lastWins.Credential, RetryAfter: failed.Add(30 * time.Second)})
	for _, test := range []struct {
		back time.Duration
		want coordinator.Action
	}{{0, coordinator.Blocked}, {time.Minute, coordinator.Blocked}, {time.Minute + time.Nanosecond, coordinator.Mint}, {time.Hour, coordinator.Mint}} {
		if plan := r.Plan(failed.Add(-test.back), lastWins, false); plan.Action != test.want {
			t.Errorf("clock %v back: %+v", test.back, plan)
		}
	}
}
