package main

import (
	"fmt"
	"io"
	"os"
)

// screen is what the demo shows. It is used by one goroutine at a time.
type screen struct {
	out      io.Writer
	terminal bool // lines may be written over
}

func newScreen(out io.Writer) *screen {
	s := &screen{out: out}
	if file, ok := out.(*os.File); ok {
		info, err := file.Stat()
		s.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
	}
	return s
}

// header says what is started, and where, and at which scale. All lines fit 80
// columns.
func (s *screen) header(set settings, store *demoRedis) {
	kind := "built in, gone at the end"
	if store.embedded == nil {
		kind = "yours; keys " + store.prefix + "*"
	}
	fmt.Fprintf(s.out, `mintonce demo: %d replicas of an app share one WeChat access token.

  Redis     %s   (%s)
  WeChat    a fake one, where the last mint wins: a new token ends the one
            before it after an overlap, and the one before that at once
  scale     a token lives %s instead of 2 h, the overlap is %s instead of
            5 min; a mint takes %s, as over the internet
  load      %s a second from each replica
  rejected  an answer such as 40001: that token is dead
  failed    a call lost for good, after the one retry that both sides make

Both sides go through the same, %s each.
`, set.replicas, store.cli, kind, set.life, set.overlap, set.latency, plural(set.rate, "API call"), set.at(endAt))
}

// side is the title of one side.
func (s *screen) side(w way, provider, pids string) {
	about := "a shared cache, no lock, a blind refresh after 40001 (naive.go)"
	if w == mintonceWay {
		about = "a Coordinator and its Transport (mintonce.go)"
	}
	fmt.Fprintf(s.out, "\n%s: %s\n  fake WeChat http://%s, replicas' pids %s\n", w.title(), about, provider, pids)
}

// underWay shows a phase that goes on, where it can be written over.
func (s *screen) underWay(o outcome) {
	if s.terminal {
		fmt.Fprintf(s.out, "\r\x1b[K%s ...", o)
	}
}

// ended shows a phase for good.
func (s *screen) ended(o outcome) {
	start := ""
	if s.terminal {
		start = "\r\x1b[K"
	}
	fmt.Fprintf(s.out, "%s%s\n", start, o)
}

func (o outcome) String() string {
	text := fmt.Sprintf("  %-20s %4d minted  %4d rejected  %4d failed", o.name, o.mints, o.rejected, o.failed)
	if o.remark != "" {
		text += "   " + o.remark
	}
	return text
}

// verdict shows the table, what it means, and what to try next.
func (s *screen) verdict(set settings, today, ours result) {
	fmt.Fprintf(s.out, "\n%s\n%s\n\n", table(today, ours), meaning(set.replicas, today, ours))
	const stormy = 5
	if set.rate < stormy {
		fmt.Fprintf(s.out, "Try --rate %d: from some load on, today's way no longer comes to rest by itself.\n", stormy)
	}
	if !set.keep {
		fmt.Fprintf(s.out, "Try --keep, to look at what is in Redis.\n")
	}
}

// invitation shows how to look at Redis.
func (s *screen) invitation(store *demoRedis) {
	fmt.Fprintf(s.out, "Redis is still there. In another terminal, try:\n")
	for _, command := range store.commands() {
		fmt.Fprintf(s.out, "  %s\n", command)
	}
	fmt.Fprintf(s.out, "Press Enter to end.\n")
}
