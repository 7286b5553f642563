// Command demo shows in under a minute what mintonce is for. It runs several
// replicas of one app, as real processes, against a fake WeChat: first the way
// today's SDKs share a token, then with mintonce. Both sides go through the
// same calls and the same accidents, and a table compares what came of it.
//
//	go run ./cmd/demo
//
// It needs nothing but Go: a Redis is built in. Everything listens on loopback
// addresses only, and ends with the demo.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/redis/go-redis/v9"
)

func main() {
	redis.SetLogger(silent{})
	if os.Getenv(replicaVariable) != "" {
		os.Exit(runReplica(os.Stdin, os.Stdout, os.Stderr))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the demo at once, and its replicas notice
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// silent takes what go-redis logs. All of it comes back as an error as well.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// run is the whole command. It returns the exit code: 0, 1 if the demo failed
// or mintonce lost a call, 2 for wrong usage.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	s, err := parseFlags(args)
	switch {
	case errors.Is(err, errHelp):
		fmt.Fprint(stdout, usage)
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "demo: %v\nTry: go run ./cmd/demo --help\n", err)
		return 2
	}
	_, err = demonstrate(ctx, s, stdin, stdout)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "demo: interrupted; all of its processes are gone")
		return 1
	case err != nil:
		fmt.Fprintf(stderr, "demo: %v\n", err)
		return 1
	}
	return 0
}

// demonstrate starts what both sides need, plays them and shows the table. It
// returns what came of today's way, and of mintonce.
func demonstrate(ctx context.Context, s settings, stdin io.Reader, stdout io.Writer) (results [2]result, err error) {
	store, err := startRedis(ctx, s.redis)
	if err != nil {
		return results, err
	}
	defer store.close()
	screen := newScreen(stdout)
	screen.header(s, store)

	for i, way := range []way{todaysWay, mintonceWay} {
		if results[i], err = newStage(s, way, store, screen).play(ctx); err != nil {
			return results, fmt.Errorf("%s: %w", way.title(), err)
		}
	}
	screen.verdict(s, results[0], results[1])
	if s.keep {
		keepRedis(ctx, store, stdin, screen)
	}
	return results, shortfall(results[1])
}

// shortfall is the error for a side that must not lose calls.
func shortfall(ours result) error {
	if failed := ours.total().failed; failed > 0 {
		return fmt.Errorf("mintonce lost %s, where it should lose none; the first: %s", plural(failed, "API call"), ours.firstFailure)
	}
	return nil
}

// keepRedis waits for Enter, the end of the input or ctx.
func keepRedis(ctx context.Context, store *demoRedis, stdin io.Reader, screen *screen) {
	screen.invitation(store)
	enter := make(chan struct{})
	go func() { // ends with the process, if nobody presses Enter
		defer close(enter)
		_, _ = bufio.NewReader(stdin).ReadString('\n')
	}()
	select {
	case <-enter:
	case <-ctx.Done():
	}
}
