package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/mintonce/mintonce/redisstore"
)

const usage = `Shows what mintonce is for: several processes share one WeChat access token,
first the way today's SDKs do it, then with mintonce, through the same accidents.

Usage: go run ./cmd/demo [flags]

  --replicas N    processes that share the token, 2 to 20 (default 6)
  --rate N        API calls per second of each replica, 1 to 50 (default 2)
  --seconds N     how long each of the two sides runs, 16 to 300 (default 22)
  --redis URL     use this Redis instead of the built-in one; the demo's keys
                  in it are deleted at the end
  --keep          at the end, keep Redis until Enter is pressed, to look at it
                  with redis-cli

Examples:
  go run ./cmd/demo
  go run ./cmd/demo --keep
  go run ./cmd/demo --replicas 12 --rate 5
  go run ./cmd/demo --redis redis://127.0.0.1:6379/0

Exit code: 0; 1 if mintonce's side lost an API call, or the demo could not be
completed; 2 for wrong flags.
`

var errHelp = errors.New("help is asked for")

// settings are what the flags say, and what follows from it.
type settings struct {
	replicas int
	rate     int // calls per second and replica
	redis    string
	keep     bool
	timing
}

func parseFlags(args []string) (settings, error) {
	s := settings{}
	seconds := 0
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.IntVar(&s.replicas, "replicas", 6, "")
	flags.IntVar(&s.rate, "rate", 2, "")
	flags.IntVar(&seconds, "seconds", 22, "")
	flags.StringVar(&s.redis, "redis", "", "")
	flags.BoolVar(&s.keep, "keep", false, "")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return s, errHelp
	} else if err != nil {
		return s, err
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("%q is not a flag, and the demo takes nothing else", flags.Arg(0))
	}
	for _, f := range []struct {
		name           string
		value, low, up int
	}{
		{"replicas", s.replicas, 2, 20},
		{"rate", s.rate, 1, 50},
		{"seconds", seconds, 16, 300},
	} {
		if f.value < f.low || f.value > f.up {
			return s, fmt.Errorf("--%s is %d: it must be from %d to %d", f.name, f.value, f.low, f.up)
		}
	}
	if s.redis != "" {
		if _, err := redisstore.ParseURL(s.redis); err != nil {
			return s, fmt.Errorf("--redis: %w", err)
		}
	}
	s.timing = timingFor(time.Duration(seconds) * time.Second)
	return s, nil
}
