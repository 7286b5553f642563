// Bench measures mintonce beside its plain alternatives, in the same run, and
// writes a report with tables and plots. It starts a redis-server and processes
// of its own, uses the loopback address only, and ends within ten minutes.
//
//	go run . -out ../../docs     # everything, as "make bench" does
//	go run . -short              # each benchmark once and small, in about a minute: do they still work?
//	go run . -only hotpath,http  # some of them, printed
//
// It is a module of its own, so that the libraries it is compared with do not
// become dependencies of mintonce.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// longest bounds a run, whatever happens.
const longest = 10 * time.Minute

// benchmarks in the order in which they run and are reported.
var benchmarks = []struct {
	name string
	run  func(context.Context, *world) (*section, error)
}{
	{"hotpath", hotPath},
	{"stampede", stampede},
	{"propagation", propagation},
	{"commands", commands},
	{"group", groups},
	{"http", overHTTP},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	if err := run(ctx, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == childArgument {
		return beChild(ctx, args[1:])
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	out := flags.String("out", "", "write benchmarks.md and benchmarks/*.svg into this `folder`; default: print")
	only := flags.String("only", "", "run only these benchmarks, a comma-separated `list`")
	short := flags.Bool("short", false, "run each benchmark once and small, to see that it works")
	profiles := flags.String("profiles", "", "write CPU and heap profiles of the measured processes into this `folder`")
	source := flags.String("source", "../..", "the `folder` of mintonce's source")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := choose(*only)
	if err != nil {
		return err
	}
	w, err := newWorld(*short, *source, *profiles)
	if err != nil {
		return err
	}
	defer w.close()
	report := &report{facts: readFacts(ctx), short: *short}
	for _, b := range benchmarks {
		if !slices.Contains(chosen, b.name) {
			continue
		}
		began := time.Now()
		section, err := b.run(ctx, w)
		if err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
		section.took = time.Since(began)
		section.name = b.name
		report.sections = append(report.sections, section)
		fmt.Fprintf(os.Stderr, "%s: %s\n", b.name, section.took.Round(100*time.Millisecond))
	}
	report.facts.loadAfter = loadAverage()
	if *out == "" {
		fmt.Print(report.markdown())
		return nil
	}
	return report.write(*out)
}

// choose returns the names in list, or all.
func choose(list string) ([]string, error) {
	var all []string
	for _, b := range benchmarks {
		all = append(all, b.name)
	}
	if list == "" {
		return all, nil
	}
	chosen := strings.Split(list, ",")
	for _, name := range chosen {
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("there is no benchmark %q; there are %s", name, strings.Join(all, ", "))
		}
	}
	return chosen, nil
}
