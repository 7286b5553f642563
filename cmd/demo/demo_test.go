package main

import (
	"bytes"
	"context"
	"regexp"
	"strings"
	"testing"
	"time"
)

// short is the smallest scale at which a killed replica's lock still lapses
// soon enough for the schedule.
var short = settings{
	replicas: 4, rate: 5,
	timing: timing{life: 3 * time.Second, overlap: 750 * time.Millisecond, latency: 150 * time.Millisecond},
}

func TestDemo(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	var out bytes.Buffer
	s := short
	s.keep = true
	results, err := demonstrate(ctx, s, strings.NewReader("\n"), &out)
	if err != nil {
		t.Fatalf("the demo failed: %v\n%s", err, out.String())
	}
	t.Log("\n" + out.String())
	checkOutput(t, out.String())
	checkResults(t, results)
}

func checkOutput(t *testing.T, out string) {
	t.Helper()
	for _, pattern := range []string{
		`redis-cli -p \d+ +\(built in, gone at the end\)`,
		`(?m)^today's SDKs: .*\n  fake WeChat http://127\.0\.0\.1:\d+, replicas' pids \d+ \d+ \d+ \d+$`,
		`(?m)^mintonce: .*\n  fake WeChat http://127\.0\.0\.1:\d+, replicas' pids \d+ \d+ \d+ \d+$`,
		// Today's way goes on minting after a cold start on a busy machine, and
		// may have nothing to mint when it is to be killed.
		`(?ms)^today's SDKs: .*(killed replica \d, pid \d+|nobody minted).*^mintonce: .*killed replica \d, pid \d+`,
		`(?m)^  redis-cli -p \d+ HGETALL 'mintonce:\{shop\}'$`,
		`(?m)^  redis-cli -p \d+ XREVRANGE 'mintonce:\{shop\}:history' \+ - COUNT 5$`,
	} {
		if !regexp.MustCompile(pattern).MatchString(out) {
			t.Errorf("the output has nothing like %s", pattern)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Error("the output has control sequences, though it is no terminal")
	}
}

// checkResults checks what holds however busy the machine is.
func checkResults(t *testing.T, results [2]result) {
	t.Helper()
	today, ours := results[0].total(), results[1].total()
	if ours.failed != 0 {
		t.Errorf("mintonce lost %d calls: %s", ours.failed, results[1].firstFailure)
	}
	if cold := results[1].outcomes[0]; cold.mints > 1 { // on a busy machine, the part may end before the mint
		t.Errorf("mintonce minted %d times at the cold start, want once", cold.mints)
	}
	if ours.mints > today.mints || today.mints == 0 {
		t.Errorf("mintonce minted %d times, today's way %d times", ours.mints, today.mints)
	}
	// Rate times length, less what one killed replica missed.
	planned := int(short.at(endAt).Seconds() * float64(short.rate*short.replicas))
	for i, total := range []counts{today, ours} {
		if total.calls < planned*8/10 || total.calls > planned+short.replicas {
			t.Errorf("side %d made %d calls, planned were %d", i, total.calls, planned)
		}
	}
}
