package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// guard is a rule of the protocol, and how to take it away.
type guard struct {
	name     string
	mutation string // in words
	edits    []edit
	catchers []catcher // all of them must catch the mutant; the quickest first
	short    bool      // it takes part in the short run
}

// finding is what became of a mutant.
type finding struct {
	guard    guard
	verdicts []verdict // by catcher
}

// trial takes guards away and notes who notices.
type trial struct {
	root, dir string
	log       io.Writer // of progress
	findings  []finding
}

// remove takes the guard away. It is an error if a catcher does not notice.
func (t *trial) remove(ctx context.Context, g guard) error {
	overlay, err := overlay(t.root, t.dir, g.edits)
	if err != nil {
		return fmt.Errorf("%s: %w", g.name, err)
	}
	found := finding{guard: g}
	for _, c := range g.catchers {
		fmt.Fprintf(t.log, "without %q: %s ... ", g.name, c)
		v, err := c.run(ctx, t.root, t.dir, overlay, most)
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", g.name, err)
		case !v.caught:
			return fmt.Errorf("without %q, %s passes: the guard carries no weight that it can see", g.name, c)
		}
		fmt.Fprintf(t.log, "%s\n", v.soon(c))
		found.verdicts = append(found.verdicts, v)
	}
	t.findings = append(t.findings, found)
	return nil
}

// control runs the catchers that were used without a mutation: there, they must
// pass, a simulation up to the last seed that a mutant has needed.
func (t *trial) control(ctx context.Context) error {
	overlay, err := overlay(t.root, t.dir, nil)
	if err != nil {
		return err
	}
	var all []catcher
	for _, f := range t.findings {
		all = append(all, f.guard.catchers...)
	}
	slices.SortFunc(all, func(a, b catcher) int { return cmp.Or(strings.Compare(a.pkg+a.test, b.pkg+b.test), a.seed-b.seed) })
	for _, c := range slices.Compact(all) {
		fmt.Fprintf(t.log, "with every guard: %s ... ", c)
		v, err := c.run(ctx, t.root, t.dir, overlay, t.seeds(c))
		switch {
		case err != nil:
			return fmt.Errorf("with every guard: %w", err)
		case v.caught:
			return fmt.Errorf("with every guard, %s fails: %s", c, v.said)
		}
		fmt.Fprintf(t.log, "passes (%s)\n", seconds(v.took))
	}
	return nil
}

// seeds is the last one that this catcher took.
func (t *trial) seeds(catcher catcher) int {
	n := max(1, catcher.seed)
	for _, f := range t.findings {
		for i, c := range f.guard.catchers {
			if c == catcher {
				n = max(n, f.verdicts[i].after)
			}
		}
	}
	return n
}

// soon says how soon a mutant was caught.
func (v verdict) soon(c catcher) string {
	switch c.kind {
	case explores:
		return fmt.Sprintf("%d states, %s", v.after, seconds(v.took))
	case simulates:
		if c == wholeStack {
			return fmt.Sprintf("whole stack, seed %d, %s", v.after, seconds(v.took))
		}
		return fmt.Sprintf("seed %d, %s", v.after, seconds(v.took))
	default:
		return seconds(v.took)
	}
}

func seconds(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%.2f s", d.Seconds())
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}
