package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// most is the last seed by which the simulation has to find a mutant.
const most = 2000

// catcher is a test that may find a mutant.
type catcher struct {
	kind kind
	pkg  string
	test string // its name
	seed int    // with which a simulation begins; 0: the first
}

type kind string

const (
	explores  kind = "exploration"
	simulates kind = "simulation"
	tests     kind = "test"
)

var (
	exploration = catcher{kind: explores, pkg: "./coordinator", test: "TestEveryScheduleKeepsThePromise"}
	simulation  = catcher{kind: simulates, pkg: "./integration/simulation", test: "TestMemory"}
	// wholeStack takes some four times as long, and sees what goes on below
	// coordinator: in redisstore, go-redis, net/http and wechat.
	wholeStack = catcher{kind: simulates, pkg: "./integration/simulation", test: "TestRedis"}
	// refreshing has a provider whose refresh tokens rotate.
	refreshing = catcher{kind: simulates, pkg: "./integration/simulation", test: "TestRotating"}
)

// named is a test that takes one path to where the guard matters. It says what
// went wrong in fewer words than a simulated day, and finds it sooner.
func named(pkg, test string) catcher { return catcher{kind: tests, pkg: pkg, test: test} }

// explored is one of the larger scenarios, which exploration leaves out.
func explored(scenario string) catcher {
	return catcher{kind: explores, pkg: exploration.pkg, test: exploration.test + "/" + scenario}
}

// from begins with a seed that is known to find the mutant, rather than to
// simulate all that come before.
func (c catcher) from(seed int) catcher {
	c.seed = seed
	return c
}

func (c catcher) String() string {
	switch {
	case c.kind == tests:
		return fmt.Sprintf("%s in %s", c.test, strings.TrimPrefix(c.pkg, "./"))
	case c == wholeStack:
		return "simulation of the whole stack"
	case c.test == refreshing.test:
		return "simulation of rotating refresh tokens"
	}
	return string(c.kind)
}

// verdict is what came of a catcher.
type verdict struct {
	caught bool
	after  int // states, or the seed
	took   time.Duration
	said   string
}

// run compiles the catcher with the overlay and runs it, a simulation up to the
// last seed.
func (c catcher) run(ctx context.Context, root, dir, overlay string, last int) (verdict, error) {
	binary := filepath.Join(dir, "mutant.test")
	if err := compile(ctx, root, c.pkg, overlay, binary); err != nil {
		return verdict{}, err
	}
	first := max(1, c.seed)
	seeds := last - first + 1
	limit := time.Minute + time.Duration(seeds)*5*time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	explore := ""
	if c.kind == explores && c != exploration {
		explore = "all"
	}
	cmd := exec.CommandContext(ctx, binary, "-test.run", "^"+regexp.QuoteMeta(c.test)+"$", "-test.v", "-test.failfast", "-test.timeout", "0")
	cmd.Dir = filepath.Join(root, c.pkg)
	cmd.Env = append(os.Environ(), fmt.Sprintf("MINTONCE_SEED=%d", first), fmt.Sprintf("MINTONCE_SEEDS=%d", seeds), "MINTONCE_BUDGET=", "MINTONCE_TRACE=1", "MINTONCE_EXPLORE="+explore)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	began := time.Now()
	err := cmd.Run()
	v := verdict{took: time.Since(began)}
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return v, fmt.Errorf("%s did not end within %s: %w", c, limit, ctx.Err())
	case err == nil && !strings.Contains(output.String(), "--- PASS: "+c.test):
		return v, fmt.Errorf("%s: there is no such test, or it was skipped:\n%s", c, tail(output.String()))
	case err == nil:
		return v, nil
	case !errors.As(err, &exit):
		return v, err
	}
	v.caught = true
	v.after, v.said = c.read(output.String())
	if v.said == "" {
		return v, fmt.Errorf("%s failed for a reason that is not understood:\n%s", c, tail(output.String()))
	}
	return v, nil
}

var (
	broken    = regexp.MustCompile(`broken after (\d+) states: (.*)`)
	began     = regexp.MustCompile(`(?m)^=== RUN   Test(?:Memory|Redis|Rotating)/\d+$`)
	violation = regexp.MustCompile(`VIOLATION: (.*)`)
	failed    = regexp.MustCompile(`(?m)^ +\w+\.go:\d+: (.*)$`)
	panicked  = regexp.MustCompile(`(?m)^(panic: .*|fatal error: .*)$`)
)

// read returns how soon the catcher failed, and what it said.
func (c catcher) read(output string) (after int, said string) {
	first := func(r *regexp.Regexp) string {
		if m := r.FindStringSubmatch(output); m != nil {
			return m[len(m)-1]
		}
		return ""
	}
	switch c.kind {
	case explores:
		if m := broken.FindStringSubmatch(output); m != nil {
			after, _ = strconv.Atoi(m[1])
			return after, m[2]
		}
	case simulates:
		after = max(1, c.seed) - 1 + len(began.FindAllString(output, -1))
		if said = first(violation); said != "" {
			return after, said
		}
	default:
		if said = first(failed); said != "" {
			return after, said
		}
	}
	return after, first(panicked)
}

func tail(text string) string {
	const enough = 4000
	return text[max(0, len(text)-enough):]
}
