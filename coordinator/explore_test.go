package coordinator_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/internal/explore"
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

// TestEachGuardIsNeeded takes away one guard of the protocol at a time, and
// some of what earlier drafts did in place of one. Each time the exploration
// must find a run that breaks the promise.
func TestEachGuardIsNeeded(t *testing.T) {
	crash := explore.Scenario{Attempts: []int{1, 1, 1}, Crashes: 1}
	lost := explore.Scenario{Attempts: []int{2, 1}, Rollbacks: 1}
	tests := []struct {
		name     string
		scenario explore.Scenario
		without  func(*explore.Rules)
	}{
		{"doubt after a late commit", explore.Scenario{Attempts: []int{1, 1}}, withoutLateDoubt},
		{"order of doubt and attempt", crash, withoutDoubtOrder},
		{"doubt after an expired attempt", explore.Scenario{Attempts: []int{1, 1}, Crashes: 1}, withoutExpireDoubt},
		{"putting back what the store lost", lost, withoutForward},
		{"doubt at a fork", lost, withoutFork},
		{"reconciling before each write", lost, withoutBeforeWrite},
		{"a set of attempts instead of one", crash, withOneAttempt},
		{"lineage instead of the higher revision", lost, withRevisionOnly},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			rules := explore.Real()
			test.without(&rules)
			test.scenario.Limit, test.scenario.AnyGeneration = 1_000_000, true
			result := explore.Explore(rules, test.scenario)
			if !strings.Contains(result.Broken, "good faith") {
				t.Fatalf("%s: without this guard it must break", result)
			}
			t.Log(result)
		})
	}
}

func title(s explore.Scenario) string {
	text := fmt.Sprintf("%+v", s)
	return strings.NewReplacer("{", "", "}", "", " Limit:0", "", " AnyGeneration:false", "").Replace(text)
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
