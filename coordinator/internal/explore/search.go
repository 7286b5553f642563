package explore

import (
	"fmt"
	"slices"
	"strings"
)

// Result is what an exploration found.
type Result struct {
	States int
	Whole  bool     // every reachable state was visited
	Broken string   // the promise that does not hold; empty if all do
	Run    []string // the shortest run that breaks it
}

// String describes the result in lines for people.
func (r Result) String() string {
	if r.Broken != "" {
		return fmt.Sprintf("broken after %d states: %s\n  %s", r.States, r.Broken, strings.Join(r.Run, "\n  "))
	}
	if !r.Whole {
		return fmt.Sprintf("holds in the first %d states", r.States)
	}
	return fmt.Sprintf("holds in all %d states", r.States)
}

type visit struct {
	state state
	from  int32
	by    move
}

// Explore visits the states of the scenario, those that fewer moves lead to
// first, until a promise is broken.
func Explore(rules Rules, scenario Scenario) Result {
	w := newWorld(rules, scenario)
	first := w.start()
	visits := []visit{{state: first, from: -1}}
	seen := map[state]struct{}{first: {}}
	for i := 0; i < len(visits); i++ {
		s := visits[i].state
		if broken := w.check(s); broken != "" {
			return Result{States: len(visits), Broken: broken, Run: run(visits, i)}
		}
		if len(visits) >= scenario.Limit {
			return Result{States: len(visits)}
		}
		w.emit = func(m move, to state) {
			if w.broken != "" {
				return
			}
			if _, known := seen[to]; !known {
				seen[to] = struct{}{}
				visits = append(visits, visit{to, int32(i), m})
			}
		}
		w.moves(s)
		if w.broken != "" {
			return Result{States: len(visits), Broken: w.broken, Run: run(visits, i)}
		}
	}
	return Result{States: len(visits), Whole: true}
}

func run(visits []visit, i int) []string {
	var words []string
	for ; visits[i].from >= 0; i = int(visits[i].from) {
		words = append(words, visits[i].by.String())
	}
	slices.Reverse(words)
	return words
}

// String says what happened, as in "process 1 begins 2".
func (m move) String() string {
	text := m.what
	if m.who != nobody {
		text = fmt.Sprintf("process %d %s", m.who, text)
	}
	if m.n != 0 {
		text = fmt.Sprintf("%s %d", text, m.n)
	}
	return text
}
