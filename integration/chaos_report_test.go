package integration_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// result is what came of a round.
type result struct {
	Seed      uint64        `json:"seed"`
	Kind      string        `json:"kind"`
	Setting   string        `json:"setting"`
	Struck    time.Duration `json:"struck"`    // how long the fault went on
	Converged time.Duration `json:"converged"` // after it, until everything was in order
	Mints     int           `json:"mints"`
	Extra     int           `json:"extra"`    // mints beside the one that was asked for
	Calls     int           `json:"calls"`    // that the provider accepted
	Rejected  int           `json:"rejected"` // calls that were rejected and sent again
	Failed    int           `json:"failed"`   // calls that failed
	Back      int           `json:"back"`     // how often a generation went back
}

// note keeps a result, and tells of progress.
func (c *chaos) note(r result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.results = append(c.results, r)
	if path := os.Getenv("MINTONCE_CHAOS_LOG"); path != "" {
		line, _ := json.Marshal(r) // numbers and texts always marshal
		if err := appendLine(path, line); err != nil {
			c.t.Error(err)
		}
	}
	const often = 5 * time.Second
	if done := len(c.results); time.Since(c.told) > often || done == c.rounds {
		c.told = time.Now()
		mints, rejected, failed, worst := 0, 0, 0, time.Duration(0)
		for _, r := range c.results {
			mints, rejected, failed, worst = mints+r.Mints, rejected+r.Rejected, failed+r.Failed, max(worst, r.Converged)
		}
		fmt.Printf("chaos: %d of %d rounds in %s, %d mints, %d calls healed, %d failed, worst convergence %.1fs; last seed %d, %s\n",
			done, c.rounds, time.Since(c.began).Round(time.Second), mints, rejected, failed, worst.Seconds(), r.Seed, r.Kind)
	}
}

func appendLine(path string, line []byte) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.Write(append(line, '\n'))
	return err
}

// report writes the table, of the rounds in the log if there is one.
func (c *chaos) report() {
	results := c.results
	if path := os.Getenv("MINTONCE_CHAOS_LOG"); path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			c.t.Fatal(err)
		}
		results = nil
		lines := bufio.NewScanner(bytes.NewReader(data))
		for lines.Scan() {
			var r result
			if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
				c.t.Fatalf("%s: %v", path, err)
			}
			results = append(results, r)
		}
	}
	text := chaosReport(results)
	c.t.Logf("\n%s", text)
	if path := os.Getenv("MINTONCE_CHAOS_REPORT"); path != "" {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			c.t.Fatal(err)
		}
	}
}

// row adds up the rounds of a kind.
type row struct {
	rounds, mints, extra, mostExtra, calls, rejected, failed, back int
	worst, sum                                                     time.Duration
}

func (w *row) add(r result) {
	w.rounds++
	w.mints += r.Mints
	w.extra += r.Extra
	w.mostExtra = max(w.mostExtra, r.Extra)
	w.calls += r.Calls
	w.rejected += r.Rejected
	w.failed += r.Failed
	w.back += r.Back
	w.worst = max(w.worst, r.Converged)
	w.sum += r.Converged
}

func (w *row) print(to *bytes.Buffer, name string, bound string) {
	fmt.Fprintf(to, "| %s | %d | %d (at most %d, bound %s) | %.1f s | %.1f s | %d | %d |\n",
		name, w.rounds, w.extra, w.mostExtra, bound, w.sum.Seconds()/float64(w.rounds), w.worst.Seconds(), w.rejected, w.failed)
}

func chaosReport(results []result) string {
	byKind, all := make(map[string]*row), &row{}
	for _, r := range results {
		if byKind[r.Kind] == nil {
			byKind[r.Kind] = &row{}
		}
		byKind[r.Kind].add(r)
		all.add(r)
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, chaosIntroduction, all.rounds, all.calls, all.mints, all.rejected, all.failed, all.back,
		chaosFleet, chaosCalls.Milliseconds(), chaosOverlap.Seconds(), kind{}.limit().Seconds())
	fmt.Fprintln(&text, "| fault | rounds | extra mints | converged, mean | worst | calls rejected and healed | calls failed |")
	fmt.Fprintln(&text, "|---|---:|---:|---:|---:|---:|---:|")
	for _, k := range kinds {
		if w := byKind[k.name]; w != nil {
			w.print(&text, k.name, fmt.Sprint(k.extra))
		}
	}
	fmt.Fprintf(&text, "| **all** | %d | %d | %.1f s | %.1f s | %d | %d |\n", all.rounds, all.extra, all.sum.Seconds()/float64(max(1, all.rounds)), all.worst.Seconds(), all.rejected, all.failed)
	text.WriteString(chaosNotes)
	return text.String()
}

const chaosIntroduction = `# Chaos on a real Redis

%d rounds of faults, %d API calls, %d mints: %d calls were rejected and healed by the one retry of ` + "`wechat.Transport`" + `, **%d failed**, and the
generation that a process serves went back %d times.

` + "`make chaos ROUNDS=500`" + ` writes this page. Nothing in it is simulated: real ` + "`redis-server`" + ` processes, real processes that embed the
library (%d at a time, each with an API call every %d ms), SIGKILL, SIGSTOP, a bad network between them and Redis. Only the provider is a fake, and
a strict one: a mint ends the token before it after %.0f s, and the one before that at once. A round asks for one mint, as an operator does; the fault strikes
while that mint is at some point of its way, or when nothing is under way. The fleet must then be in order within %.0f s: no attempt open, no doubt,
and the record and every process with the token that the provider has minted last. Moments, victims, durations and which replies are lost
are drawn from a seed for each round.

`

const chaosNotes = `
*Extra mints* are those beside the one that was asked for: one that nobody knows of because its process died or slept, and one to make sure. *Converged*
counts from the end of the fault. Where it takes seconds, that is waiting until an attempt without an answer is given up, which takes 4 s here and 11 s with the
defaults; meanwhile the usable token is served. After failovers and moves, processes also have to find the new primary or node before they hear of a change;
between their attempts they pause for up to 5 s.

*Kill and flush at once* is what the protocol does not promise: the attempt is lost together with the only process that knows of it, so the
record may be wrong without saying so. Then the provider ends the token that is served when the overlap is over, and the first call that it
rejects heals it.

A round takes a seed: ` + "`MINTONCE_CHAOS_SEED=4711 MINTONCE_CHAOS_ROUNDS=1 go test -v -run TestChaos ./integration`" + ` plays one again. Every run of the tests plays each kind once.
`
