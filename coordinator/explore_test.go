package coordinator_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/internal/explore"
)

const (
	idempotent = coordinator.Idempotent
	rotating   = coordinator.Rotating
)

// TestEveryScheduleKeepsThePromise runs the transitions through every state of
// scenarios that are small enough for any test run. With MINTONCE_EXPLORE=all
// it takes larger ones too, of up to some millions of states, which need a
// minute or two and 2 GB.
func TestEveryScheduleKeepsThePromise(t *testing.T) {
	scenarios := []explore.Scenario{
		{Attempts: []int{1, 1}, Fresh: true, Crashes: 1},
		{Attempts: []int{2, 1}, Crashes: 1},
		{Attempts: []int{1, 1}, Fresh: true, Timeouts: 1, Reports: 1},
		{Attempts: []int{1, 1}, Reports: 1, Lapses: 1},
		{Attempts: []int{1, 1}, Rollbacks: 1},
		{Attempts: []int{1, 1}, Fresh: true, Rollbacks: 1, FrozenClock: true},
		{Attempts: []int{1, 1}, Flushes: 1, Reports: 1},
		{Attempts: []int{1, 1}, Fresh: true, Flushes: 1, FrozenClock: true},

		{Kind: idempotent, Attempts: []int{1, 1}, Fresh: true, Renewals: 1, Lapses: 1},
		{Kind: idempotent, Attempts: []int{2, 1}, Rotations: 1, Renewals: 1},
		{Kind: idempotent, Attempts: []int{1, 1}, Rotations: 2, Crashes: 1},
		{Kind: idempotent, Attempts: []int{2, 1}, Rotations: 1, Crashes: 1, Reports: 1},
		{Kind: idempotent, Attempts: []int{1, 1}, Rotations: 1, Timeouts: 1, Lapses: 1},
		{Kind: idempotent, Attempts: []int{1, 1}, Rotations: 1, Rollbacks: 1},
		{Kind: idempotent, Attempts: []int{1, 1}, Rotations: 1, Flushes: 1, FrozenClock: true},

		{Kind: rotating, Attempts: []int{1, 1}, Crashes: 1},
		{Kind: rotating, Attempts: []int{2, 1}},
		{Kind: rotating, Attempts: []int{1, 1}, Timeouts: 1, Lapses: 1},
		{Kind: rotating, Attempts: []int{1, 1}, Rollbacks: 1},
		{Kind: rotating, Attempts: []int{1, 1}, Flushes: 1},
		{Kind: rotating, Forks: true, Attempts: []int{2, 1}, Crashes: 1},
		{Kind: rotating, Forks: true, Attempts: []int{1, 1}, Timeouts: 1, Reports: 1},
		{Kind: rotating, Forks: true, Attempts: []int{1, 1}, Rollbacks: 1},
		{Kind: rotating, Attempts: []int{2, 1}, Timeouts: 1, Graces: 1},
		{Kind: rotating, Attempts: []int{1, 1}, Rollbacks: 1, Graces: 1},
		{Kind: rotating, Overlapped: true, Attempts: []int{2, 1}, Crashes: 1, Graces: 1},
		{Kind: rotating, Forks: true, Overlapped: true, Attempts: []int{1, 1}, Timeouts: 1, Crashes: 1, Graces: 1},
		{Kind: rotating, Forks: true, Overlapped: true, Attempts: []int{1, 1}, Timeouts: 1, Rollbacks: 1, Graces: 1},
	}
	if os.Getenv("MINTONCE_EXPLORE") == "all" {
		scenarios = append(scenarios,
			explore.Scenario{Attempts: []int{1, 1, 1}, Crashes: 1},
			explore.Scenario{Attempts: []int{3, 3}},
			explore.Scenario{Attempts: []int{2, 2}, Rollbacks: 1},
			explore.Scenario{Attempts: []int{2, 2}, Flushes: 1},
			explore.Scenario{Attempts: []int{2, 1}, Fresh: true, Crashes: 1, Timeouts: 1, Reports: 1, Lapses: 1},
			explore.Scenario{Attempts: []int{2, 1}, Rollbacks: 1, FrozenClock: true, Reports: 1},
			explore.Scenario{Attempts: []int{1, 1}, Rollbacks: 1, Flushes: 1, Lapses: 1},
			explore.Scenario{Attempts: []int{1, 1, 1}, Fresh: true, Timeouts: 1},

			explore.Scenario{Kind: idempotent, Attempts: []int{1, 1, 1}, Rotations: 1, Crashes: 1},
			explore.Scenario{Kind: idempotent, Attempts: []int{2, 2}, Rotations: 2, Renewals: 1},
			explore.Scenario{Kind: idempotent, Attempts: []int{2, 1}, Rotations: 1, Rollbacks: 1},
			explore.Scenario{Kind: idempotent, Attempts: []int{2, 1}, Rotations: 1, Flushes: 1, FrozenClock: true},
			explore.Scenario{Kind: idempotent, Attempts: []int{2, 1}, Fresh: true, Rotations: 1, Renewals: 1, Timeouts: 1, Reports: 1, Lapses: 1},

			explore.Scenario{Kind: rotating, Attempts: []int{1, 1, 1}, Crashes: 1},
			explore.Scenario{Kind: rotating, Attempts: []int{3, 2}},
			explore.Scenario{Kind: rotating, Attempts: []int{2, 1}, Rollbacks: 1},
			explore.Scenario{Kind: rotating, Attempts: []int{2, 1}, Flushes: 1, Reports: 1, Lapses: 1},
			explore.Scenario{Kind: rotating, Attempts: []int{2, 2}, Timeouts: 1, Crashes: 1},
			explore.Scenario{Kind: rotating, Forks: true, Attempts: []int{1, 1, 1}, Crashes: 1},
			explore.Scenario{Kind: rotating, Forks: true, Attempts: []int{2, 1}, Rollbacks: 1, Reports: 1},
			explore.Scenario{Kind: rotating, Forks: true, Attempts: []int{2, 2}, Timeouts: 1},
			explore.Scenario{Kind: rotating, Attempts: []int{2, 1}, Rollbacks: 1, Graces: 1},
			explore.Scenario{Kind: rotating, Attempts: []int{2, 1}, Flushes: 1, Graces: 1},
			explore.Scenario{Kind: rotating, Attempts: []int{2, 2}, Timeouts: 1, Graces: 1},
			explore.Scenario{Kind: rotating, Overlapped: true, Attempts: []int{2, 2}, Timeouts: 1, Crashes: 1, Graces: 1},
			explore.Scenario{Kind: rotating, Forks: true, Overlapped: true, Attempts: []int{2, 1}, Timeouts: 1, Graces: 1},
			explore.Scenario{Kind: rotating, Forks: true, Overlapped: true, Attempts: []int{2, 1}, Timeouts: 1, Rollbacks: 1, Graces: 1},
		)
	}
	for _, scenario := range scenarios {
		t.Run(title(scenario), func(t *testing.T) {
			scenario.Limit = 4_000_000
			began := time.Now()
			result := explore.Explore(explore.Real(), scenario)
			if result.Broken != "" || !result.Whole {
				t.Fatal(result)
			}
			t.Logf("%v, %s", result, time.Since(began).Round(time.Millisecond))
		})
	}
}

// What an exploration says of a promise that does not hold.
const (
	inGoodFaith  = "in good faith"
	neverComes   = "a mint that is needed never comes"
	notNeeded    = "a mint begins though none is needed"
	lateReport   = "a token that was replaced costs a mint"
	isLost       = "the refresh token is lost"
	isNotSettled = "an undisturbed mint does not settle the doubt"
	isTheft      = "was spent, and is used though there is another"
)

// TestEachGuardIsNeeded takes away one guard of the protocol at a time, and
// some of what earlier drafts did in place of one. Each time the exploration
// must find a run that breaks the promise.
func TestEachGuardIsNeeded(t *testing.T) {
	two := explore.Scenario{Attempts: []int{1, 1}}
	crash := explore.Scenario{Attempts: []int{1, 1, 1}, Crashes: 1}
	lost := explore.Scenario{Attempts: []int{2, 1}, Rollbacks: 1}
	forced := explore.Scenario{Kind: idempotent, Attempts: []int{1, 1}, Rotations: 1}
	forcedAndLost := explore.Scenario{Kind: idempotent, Attempts: []int{1, 1}, Rotations: 1, Rollbacks: 1}
	rotated := explore.Scenario{Kind: rotating, Attempts: []int{2, 1}}
	joined := explore.Scenario{Kind: rotating, Attempts: []int{2, 1}, Rollbacks: 1, Graces: 1}
	overlapped := explore.Scenario{Kind: rotating, Forks: true, Overlapped: true, Attempts: []int{1, 1}, Timeouts: 1, Graces: 1}
	overlappedAndLost := overlapped
	overlappedAndLost.Attempts, overlappedAndLost.Rollbacks = []int{2, 1}, 1
	tests := []struct {
		name     string
		scenario explore.Scenario
		breaks   string
		without  func(*explore.Rules)
	}{
		{"look again after locking", two, notNeeded, withoutLookingAgain},
		{"attempts before sending", two, inGoodFaith, withoutAnnouncing},
		{"doubt after a late commit", two, inGoodFaith, withoutLateDoubt},
		{"doubt after a late commit, idempotent", forced, inGoodFaith, withoutLateDoubt},
		{"order of doubt and attempt", crash, inGoodFaith, withoutDoubtOrder},
		{"doubt after an expired attempt", explore.Scenario{Attempts: []int{1, 1}, Crashes: 1}, neverComes, withoutExpireDoubt},
		{"putting back what the store lost", lost, inGoodFaith, withoutForward},
		{"doubt at a fork", lost, inGoodFaith, withoutFork},
		{"doubt at a fork, idempotent", forcedAndLost, inGoodFaith, withoutForkDoubtOfOneSide},
		{"reconciling before each write", lost, inGoodFaith, withoutBeforeWrite},
		{"a set of attempts instead of one", crash, inGoodFaith, withOneAttempt},
		{"lineage instead of the higher revision", lost, inGoodFaith, withRevisionOnly},
		{"scoped report", explore.Scenario{Attempts: []int{1, 1}, Reports: 1}, lateReport, withoutScope},
		{"refresh token of a late commit kept", rotated, isLost, withoutSpares},
		{"refresh tokens joined at a fork", explore.Scenario{Kind: rotating, Attempts: []int{1, 1}, Flushes: 1}, isLost, withoutJoiningSpares},
		{"turning to another refresh token", rotated, isNotSettled, withoutTurning},
		{"what was spent is known", explore.Scenario{Kind: rotating, Attempts: []int{2, 1}, Timeouts: 1, Graces: 1}, isTheft, withoutSpending},
		{"what one side of a fork has spent", joined, isTheft, withoutJoiningSpent},
		{"what is perhaps spent comes last", overlapped, isTheft, withoutTurningFromUnanswered},
		{"what is perhaps spent is known at a fork", overlappedAndLost, isTheft, withoutUnanswered},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			rules := explore.Real()
			test.without(&rules)
			test.scenario.Limit, test.scenario.AnyGeneration = 1_000_000, true
			result := explore.Explore(rules, test.scenario)
			if !strings.Contains(result.Broken, test.breaks) {
				t.Fatalf("%s: without this guard it must break", result)
			}
			t.Log(result)
		})
	}
}

func title(s explore.Scenario) string {
	return strings.Trim(unset.ReplaceAllString(fmt.Sprintf("%+v", s), ""), "{} ")
}

// unset are the bounds of a scenario that allow nothing.
var unset = regexp.MustCompile(` \w+:(0|false)\b`)

func withoutLookingAgain(rules *explore.Rules) { rules.LooksAgain = false }

// withoutAnnouncing writes an attempt down only together with its outcome.
func withoutAnnouncing(rules *explore.Rules) {
	begin, commit := rules.Begin, rules.Commit
	rules.Begin = func(r coordinator.Record, _ coordinator.Attempt, _ time.Time, _ coordinator.Traits) coordinator.Record {
		return r
	}
	rules.Commit = func(r coordinator.Record, id string, g coordinator.Grant, t coordinator.Traits) (coordinator.Record, coordinator.EventKind) {
		return commit(begin(r, coordinator.Attempt{ID: id}, g.IssuedAt, t), id, g, t)
	}
}

func withoutLateDoubt(rules *explore.Rules) {
	commit := rules.Commit
	rules.Commit = func(r coordinator.Record, id string, g coordinator.Grant, t coordinator.Traits) (coordinator.Record, coordinator.EventKind) {
		next, kind := commit(r, id, g, t)
		if kind == coordinator.EventOverlapped {
			next.DoubtAt = r.DoubtAt
		}
		return next, kind
	}
}

func withoutDoubtOrder(rules *explore.Rules) {
	commit := rules.Commit
	rules.Commit = func(r coordinator.Record, id string, g coordinator.Grant, t coordinator.Traits) (coordinator.Record, coordinator.EventKind) {
		next, kind := commit(r, id, g, t)
		if kind != coordinator.EventOverlapped {
			next.DoubtAt = 0
		}
		return next, kind
	}
}

func withoutExpireDoubt(rules *explore.Rules) {
	expire := rules.Expire
	rules.Expire = func(r coordinator.Record, now time.Time) (coordinator.Record, []coordinator.Attempt) {
		next, expired := expire(r, now)
		next.DoubtAt = r.DoubtAt
		return next, expired
	}
}

// without makes Reconcile and BeforeWrite ignore one relation.
func without(rules *explore.Rules, ignored coordinator.Relation) {
	rules.Reconcile = func(memory, record coordinator.Record, at coordinator.Stamp) (coordinator.Record, coordinator.Relation) {
		base, relation := coordinator.Reconcile(memory, record, at)
		if relation == ignored {
			return record, coordinator.Level
		}
		return base, relation
	}
	rules.BeforeWrite = rules.Reconcile
}

func withoutForward(rules *explore.Rules) { without(rules, coordinator.Behind) }
func withoutFork(rules *explore.Rules)    { without(rules, coordinator.Forked) }

func withoutBeforeWrite(rules *explore.Rules) {
	rules.BeforeWrite = func(_, record coordinator.Record, _ coordinator.Stamp) (coordinator.Record, coordinator.Relation) {
		return record, coordinator.Level
	}
}

func withOneAttempt(rules *explore.Rules) {
	begin := rules.Begin
	rules.Begin = func(r coordinator.Record, a coordinator.Attempt, now time.Time, t coordinator.Traits) coordinator.Record {
		r.Attempts = nil
		return begin(r, a, now, t)
	}
}

func withRevisionOnly(rules *explore.Rules) {
	rules.Reconcile = func(memory, record coordinator.Record, at coordinator.Stamp) (coordinator.Record, coordinator.Relation) {
		if memory.Revision() > record.Revision() {
			return memory.Child(at), coordinator.Behind
		}
		return record, coordinator.Level
	}
	rules.BeforeWrite = rules.Reconcile
}

// withoutForkDoubtOfOneSide is what an earlier draft did: at an idempotent
// source, the side of a fork that does not doubt the token settled the matter.
func withoutForkDoubtOfOneSide(rules *explore.Rules) {
	rules.Settled = func(joined, memory, record coordinator.Record, _ coordinator.Traits) coordinator.Record {
		if memory.Grant.Value == record.Grant.Value && (memory.DoubtAt == 0 || record.DoubtAt == 0) {
			joined.DoubtAt = 0
		}
		return joined
	}
}

func withoutScope(rules *explore.Rules) {
	rules.Judge = func(coordinator.Record, string, time.Time, time.Duration) coordinator.Verdict {
		return coordinator.Acted
	}
}

// withoutSpares drops the refresh token of a late mint.
func withoutSpares(rules *explore.Rules) {
	commit := rules.Commit
	rules.Commit = func(r coordinator.Record, id string, g coordinator.Grant, t coordinator.Traits) (coordinator.Record, coordinator.EventKind) {
		next, kind := commit(r, id, g, t)
		if kind == coordinator.EventOverlapped {
			next.Grant.State, next.Spares = r.Grant.State, r.Spares
		}
		return next, kind
	}
}

func withoutJoiningSpares(rules *explore.Rules) {
	rules.Reconcile = func(memory, record coordinator.Record, at coordinator.Stamp) (coordinator.Record, coordinator.Relation) {
		joined, relation := coordinator.Reconcile(memory, record, at)
		if relation == coordinator.Forked {
			joined.Spares = nil
		}
		return joined, relation
	}
	rules.BeforeWrite = rules.Reconcile
}

func withoutTurning(rules *explore.Rules) {
	rules.Refused = func(r coordinator.Record, id string) (coordinator.Record, bool) { return r.Abandon(id), false }
}

func withoutSpending(rules *explore.Rules) {
	rules.Spend = func(r coordinator.Record, _, _ string) coordinator.Record { return r }
}

// withoutJoiningSpent forgets at a fork what either side has spent.
func withoutJoiningSpent(rules *explore.Rules) {
	rules.Reconcile = func(memory, record coordinator.Record, at coordinator.Stamp) (coordinator.Record, coordinator.Relation) {
		if coordinator.Relate(memory, record) == coordinator.Forked {
			memory.Spent, record.Spent = nil, nil
		}
		return coordinator.Reconcile(memory, record, at)
	}
	rules.BeforeWrite = rules.Reconcile
}

func withoutTurningFromUnanswered(rules *explore.Rules) {
	expire := rules.Expire
	rules.Expire = func(r coordinator.Record, now time.Time) (coordinator.Record, []coordinator.Attempt) {
		next, expired := expire(r, now)
		next.Grant.State, next.Spares = r.Grant.State, r.Spares
		return next, expired
	}
}

// withoutUnanswered forgets of which refresh tokens a use got no answer.
func withoutUnanswered(rules *explore.Rules) {
	expire := rules.Expire
	rules.Expire = func(r coordinator.Record, now time.Time) (coordinator.Record, []coordinator.Attempt) {
		next, expired := expire(r, now)
		next.Unanswered = nil
		return next, expired
	}
}

// TestGenerationsGoBackOnlyWhereHistoriesJoin: without putting back what the
// store has lost, a process would go back to the token before.
func TestGenerationsGoBackOnlyWhereHistoriesJoin(t *testing.T) {
	rules := explore.Real()
	withoutForward(&rules)
	result := explore.Explore(rules, explore.Scenario{Attempts: []int{2, 1}, Rollbacks: 1, Limit: 1_000_000})
	if !strings.Contains(result.Broken, "older generation") {
		t.Fatal(result)
	}
}

// TestAnExplorationExplainsItself: a run that breaks the promise is of use
// only if it can be read.
func TestAnExplorationExplainsItself(t *testing.T) {
	rules := explore.Real()
	withoutLateDoubt(&rules)
	result := explore.Explore(rules, explore.Scenario{Attempts: []int{1, 1}, Limit: 1_000_000})
	for _, line := range []string{"process 0 begins 1", "the provider processes 2", "process 1 commits, late, 2"} {
		if !slices.Contains(result.Run, line) {
			t.Errorf("the run does not say %q:\n%v", line, result)
		}
	}
	if capped := explore.Explore(explore.Real(), explore.Scenario{Attempts: []int{1, 1}, Limit: 100}); capped.Whole || capped.States < 100 {
		t.Errorf("an exploration that is cut short says %q", capped)
	}
}
