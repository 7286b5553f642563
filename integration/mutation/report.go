package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

const introduction = `# Each guard carries weight

The mint protocol (told in [coordinator](../coordinator/doc.go)) rests on a number of guards. Here, each of them was taken away, one at a time, in the code
that ships, and everything that is to notice it did: the [exploration](../coordinator/internal/explore) of every schedule of a few processes, the
[simulation](simulation.md) of days of faults, or a test. For the simulation, the table tells the number of seeds, each a simulated day, until the first broken
promise, from seed 1 on; where the guard lies below the coordinator, it is the simulation of the whole stack, of redisstore, go-redis, net/http and wechat, three
hours a seed. For the exploration, the table tells how many states it took. A dash: not asked, because it cannot see that or takes longer than another.

Without mutations, the same checks pass, the simulation with %d seeds, that of the whole stack with %d, and that of rotating refresh tokens with %d.

Written by ` + "`make guards`" + `; the mutations are in [guards.go](../integration/mutation/guards.go).

`

const ofRotating = `
## Where refresh tokens rotate

A mint spends a refresh token and issues the next, and a provider may take the use of one that was spent before for theft, which ends the login. What that needs beyond
the guards above was taken away here; the simulation is that of such a provider. One of its seeds, 1191, is simulated without those before it. Where it took more than ten
thousand states, it is a larger scenario of the exploration.

`

// report writes the table, and what the catchers said.
func (t *trial) report(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, introduction, t.seeds(simulation), t.seeds(wholeStack), t.seeds(refreshing))
	t.table(&b, func(f finding) bool { return !f.rotating() })
	fmt.Fprint(&b, ofRotating)
	t.table(&b, finding.rotating)
	fmt.Fprint(&b, "\n## What they said\n")
	for _, f := range t.findings {
		fmt.Fprintf(&b, "\n**Without %q:**\n", f.guard.name)
		for i, c := range f.guard.catchers {
			fmt.Fprintf(&b, "- %s: %s\n", c, strings.ReplaceAll(f.verdicts[i].said, "|", `\|`))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// rotating reports whether only rotating refresh tokens need the guard.
func (f finding) rotating() bool {
	return slices.ContainsFunc(rotating, func(g guard) bool { return g.name == f.guard.name })
}

// table has a row for each guard of a kind.
func (t *trial) table(w io.Writer, of func(finding) bool) {
	fmt.Fprintln(w, "| guard | mutation | exploration | simulation | test |\n|---|---|---|---|---|")
	for _, f := range t.findings {
		if of(f) {
			fmt.Fprintf(w, "| %s | %s | %s | %s | %s |\n", f.guard.name, f.guard.mutation, f.cell(explores), f.cell(simulates), f.cell(tests))
		}
	}
}

// cell says how soon the catcher of this kind noticed.
func (f finding) cell(k kind) string {
	i := slices.IndexFunc(f.guard.catchers, func(c catcher) bool { return c.kind == k })
	if i < 0 {
		return "–"
	}
	c := f.guard.catchers[i]
	if k == tests {
		return fmt.Sprintf("`%s`, %s", c.test, f.verdicts[i].soon(c))
	}
	return f.verdicts[i].soon(c)
}
