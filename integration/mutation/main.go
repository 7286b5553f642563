package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "mutation:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	out := flag.String("out", "", "the `file` for the table; default: stdout")
	only := flag.String("only", "", "only the guards whose name matches the `regexp`")
	short := flag.Bool("short", false, "a few guards, each with its quickest catcher")
	flag.Parse()
	match, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	root, err := repository(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "mintonce-mutation-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	t := &trial{root: root, dir: dir, log: os.Stderr}
	var failures []error
	tried := 0
	for _, g := range slices.Concat(guards, rotating) {
		if !match.MatchString(g.name) || *short && !g.short {
			continue
		}
		if *short {
			g.catchers = g.catchers[:1]
		}
		tried++
		if err := t.remove(ctx, g); err != nil {
			fmt.Fprintln(t.log, err)
			failures = append(failures, err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if tried == 0 {
		return fmt.Errorf("no guard has a name that matches %q", *only)
	}
	failures = append(failures, t.control(ctx))
	if err := errors.Join(failures...); err != nil {
		return err
	}
	if *out == "" {
		return t.report(os.Stdout)
	}
	var text strings.Builder
	if err := t.report(&text); err != nil {
		return err
	}
	return os.WriteFile(*out, []byte(text.String()), 0o644)
}

// repository is the folder that the go command calls the main module's.
func repository(ctx context.Context) (string, error) {
	output, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	file := strings.TrimSpace(string(output))
	if filepath.Base(file) != "go.mod" {
		return "", fmt.Errorf("run it inside the repository")
	}
	return filepath.Dir(file), nil
}
