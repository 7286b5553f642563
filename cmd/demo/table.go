package main

import (
	"fmt"
	"strings"
)

// counts are what is compared.
type counts struct {
	calls    int // API calls that the replicas made, whatever came of them
	mints    int // tokens that the replicas had minted
	rejected int // answers that the token is not accepted
	failed   int // calls that failed for good
}

func (c counts) minus(d counts) counts {
	return counts{c.calls - d.calls, c.mints - d.mints, c.rejected - d.rejected, c.failed - d.failed}
}

func (c counts) plus(d counts) counts {
	return counts{c.calls + d.calls, c.mints + d.mints, c.rejected + d.rejected, c.failed + d.failed}
}

// outcome is what came of a phase.
type outcome struct {
	name string
	counts
	remark string
}

// result is what came of a side.
type result struct {
	outcomes     []outcome
	firstFailure string // the error of the first call that failed; empty if none
}

func (r result) total() counts {
	var sum counts
	for _, o := range r.outcomes {
		sum = sum.plus(o.counts)
	}
	return sum
}

// table sets the two sides beside each other.
func table(today, ours result) string {
	var b strings.Builder
	row := func(name string, cells ...any) {
		line := fmt.Sprintf("  %-20s  %8v %8v %8v   %8v %8v %8v", append([]any{name}, cells...)...)
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	fmt.Fprintf(&b, "  %-20s  %-26s   %s\n", "", center(todaysWay.title(), 26), center(mintonceWay.title(), 26))
	row("", "mints", "rejected", "failed", "mints", "rejected", "failed")
	line := func(name string, t, o counts) {
		row(name, t.mints, t.rejected, t.failed, o.mints, o.rejected, o.failed)
	}
	for i, o := range ours.outcomes {
		line(o.name, today.outcomes[i].counts, o.counts)
	}
	b.WriteString("  " + strings.Repeat("-", 20+2+26+3+26) + "\n")
	line("all", today.total(), ours.total())
	row("of API calls", "", "", today.total().calls, "", "", ours.total().calls)
	return b.String()
}

func center(text string, width int) string {
	left := (width - len(text)) / 2
	return strings.TrimRight(fmt.Sprintf("%*s%s", left, "", text), " ")
}

// meaning says in a sentence what the table shows.
func meaning(replicas int, today, ours result) string {
	t, o := today.total(), ours.total()
	return fmt.Sprintf("Same calls, same accidents: today's way, %d replicas minted %s and lost %s;\nwith mintonce they minted %s and lost %s.",
		replicas, plural(t.mints, "token"), lost(t.failed), plural(o.mints, "token"), lost(o.failed))
}

func lost(calls int) string {
	if calls == 0 {
		return "no call"
	}
	return plural(calls, "call")
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
