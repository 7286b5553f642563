package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// section is what a benchmark reports.
type section struct {
	name   string // as in -only
	title  string
	text   string // what was measured, and how
	aims   []aim
	tables []table
	plots  []picture
	notes  []string
	took   time.Duration
}

// aim is a figure with a bound.
type aim struct {
	what    string
	bound   string
	reached string
	ok      bool
}

type table struct {
	caption string
	head    []string
	rows    [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// picture is a plot in a file of its own.
type picture struct {
	file string // without folder
	alt  string
	svg  []byte
}

// report is all sections of a run.
type report struct {
	facts    facts
	short    bool
	sections []*section
}

// write puts the report into a folder: benchmarks.md, and the plots below it.
func (r *report) write(folder string) error {
	plots := filepath.Join(folder, "benchmarks")
	if err := os.MkdirAll(plots, 0o755); err != nil {
		return err
	}
	for _, s := range r.sections {
		for _, p := range s.plots {
			if err := os.WriteFile(filepath.Join(plots, p.file), p.svg, 0o644); err != nil {
				return err
			}
		}
	}
	return os.WriteFile(filepath.Join(folder, "benchmarks.md"), []byte(r.markdown()), 0o644)
}

func (r *report) markdown() string {
	var b strings.Builder
	b.WriteString("# Benchmarks\n\n")
	b.WriteString("Written by `make bench`. Each figure stands beside an alternative that was measured in the same run, on the same machine, with the\n" +
		"ratio of the two: absolute figures differ from machine to machine, ratios much less.\n\n")
	if r.short {
		b.WriteString("**This was a short run (`-short`), which shows that the benchmarks work. Its figures mean little.**\n\n")
	}
	r.facts.markdown(&b)
	r.summary(&b)
	for _, s := range r.sections {
		s.markdown(&b)
	}
	b.WriteString("## What dominated\n\n" +
		"[What the profiles showed, and what was done about it](benchmarks-notes.md), for the aims that were missed too.\n\n")
	b.WriteString("## How to repeat this\n\n" +
		"```sh\nmake bench                                         # all of it, under ten minutes; writes this page\n" +
		"cd integration/bench\n" +
		"go run . -only hotpath,http                        # some of it, printed\n" +
		"go run . -only propagation -profiles profiles/     # with a CPU profile of each measured process\n" +
		"go run . -short                                    # each benchmark once and small, in about a minute\n```\n\n" +
		"It needs Go, `redis-server` and `redis-benchmark`, starts servers and processes of its own on the loopback address, and removes\n" +
		"them when it ends. Quiet machines give better figures: look at the load above.\n")
	return b.String()
}

// summary lists all aims, the missed ones too.
func (r *report) summary(b *strings.Builder) {
	t := table{head: []string{"", "aim", "measured", ""}}
	for _, s := range r.sections {
		for _, a := range s.aims {
			verdict := "reached"
			if !a.ok {
				verdict = "**missed**"
			}
			t.add(a.what, a.bound, a.reached, verdict)
		}
	}
	if len(t.rows) > 0 {
		b.WriteString("## Aims\n\n")
		t.markdown(b)
	}
}

func (s *section) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "## %s\n\n%s\n\n", s.title, strings.TrimSpace(s.text))
	for _, t := range s.tables {
		t.markdown(b)
	}
	for _, p := range s.plots {
		fmt.Fprintf(b, "![%s](benchmarks/%s)\n\n", p.alt, p.file)
	}
	for _, note := range s.notes {
		fmt.Fprintf(b, "%s\n\n", note)
	}
}

// markdown writes the table. All columns but the first hold figures.
func (t *table) markdown(b *strings.Builder) {
	if t.caption != "" {
		fmt.Fprintf(b, "%s\n\n", t.caption)
	}
	row := func(cells []string) { fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | ")) }
	row(t.head)
	rule := make([]string, len(t.head))
	for i := range rule {
		rule[i] = "---:"
	}
	rule[0] = "---"
	row(rule)
	for _, cells := range t.rows {
		row(cells)
	}
	b.WriteString("\n")
}
