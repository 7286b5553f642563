package main

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// TestEveryMutationApplies: who moves or changes a guard has to look at its
// mutation too.
func TestEveryMutationApplies(t *testing.T) {
	names := make(map[string]bool)
	for _, g := range slices.Concat(guards, rotating) {
		if _, err := apply(root, g.edits); err != nil {
			t.Errorf("%s: %v", g.name, err)
		}
		if names[g.name] || g.name == "" || g.mutation == "" || len(g.edits) == 0 || len(g.catchers) == 0 {
			t.Errorf("guard %q is not whole, or there are two of it", g.name)
		}
		names[g.name] = true
	}
}

// TestAMutationThatDoesNotApply: neither a text that is gone nor one that
// occurs twice is passed over.
func TestAMutationThatDoesNotApply(t *testing.T) {
	for _, text := range []string{"a guard that has moved", "return"} {
		_, err := apply(root, []edit{{transitions, text, ""}})
		if err == nil || !strings.Contains(err.Error(), "must occur once") || !strings.Contains(err.Error(), transitions) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestAMutantThatDoesNotCompile is an error of the mutation, not a catch.
func TestAMutantThatDoesNotCompile(t *testing.T) {
	verdict, err := try(t, guard{name: "x", edits: []edit{{transitions, "return TooYoung", "return nothing"}}})
	if !errors.Is(err, errNotCompiled) || !strings.Contains(err.Error(), "undefined: nothing") || verdict.caught {
		t.Errorf("%+v, %v", verdict, err)
	}
}

// TestAMutantThatSurvives: an edit that changes nothing is not caught, and that
// is an error.
func TestAMutantThatSurvives(t *testing.T) {
	g := guard{name: "x", edits: []edit{{transitions, "package coordinator\n", "package coordinator // unchanged\n"}}, catchers: []catcher{judge}}
	if verdict, err := try(t, g); err != nil || verdict.caught {
		t.Errorf("%+v, %v", verdict, err)
	}
	if err := newTrial(t).remove(t.Context(), g); err == nil || !strings.Contains(err.Error(), "carries no weight") {
		t.Errorf("a mutant that survives: %v", err)
	}
}

// TestAMutantThatIsCaught, and a catcher that does not exist.
func TestAMutantThatIsCaught(t *testing.T) {
	g := guard{name: "x", edits: []edit{{transitions, "return TooYoung", "return Acted"}}, catchers: []catcher{judge}}
	tr := newTrial(t)
	if err := tr.remove(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	if v := tr.findings[0].verdicts[0]; !v.caught || !strings.Contains(v.said, "too young") {
		t.Errorf("%+v", v)
	}
	g.catchers = []catcher{named("./coordinator", "TestThatIsNotThere")}
	if err := tr.remove(t.Context(), g); err == nil || !strings.Contains(err.Error(), "no such test") {
		t.Errorf("a catcher that does not exist: %v", err)
	}
}

// TestSeedsAreThoseOfTheSimulation: a catcher that begins with a later seed
// tells that seed, and not how many it took.
func TestSeedsAreThoseOfTheSimulation(t *testing.T) {
	output := "=== RUN   TestRotating\n=== RUN   TestRotating/7\n=== RUN   TestRotating/8\n  01 10:00:00.000 m0.1   VIOLATION: sends twice\n"
	after, said := refreshing.from(7).read(output)
	if after != 8 || said != "sends twice" {
		t.Errorf("seed %d: %q", after, said)
	}
	tr := newTrial(t)
	tr.findings = []finding{{guard{catchers: []catcher{refreshing.from(7), refreshing}}, []verdict{{after: 8}, {after: 3}}}}
	if n := tr.seeds(refreshing.from(7)); n != 8 {
		t.Errorf("the simulation that begins with seed 7 ends with %d", n)
	}
	if n := tr.seeds(refreshing); n != 3 {
		t.Errorf("the one that begins with the first ends with %d", n)
	}
}

var judge = named("./coordinator", "TestJudge")

func newTrial(t *testing.T) *trial {
	absolute, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	return &trial{root: absolute, dir: t.TempDir(), log: t.Output()}
}

func try(t *testing.T, g guard) (verdict, error) {
	tr := newTrial(t)
	file, err := overlay(tr.root, tr.dir, g.edits)
	if err != nil {
		t.Fatal(err)
	}
	return judge.run(context.Background(), tr.root, tr.dir, file, 1)
}
