package simulation_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// total sums up many runs.
type total struct {
	setting                                           setting
	first, seeds, broken                              int
	calls, failed, rejected, unhealed, minted, forked int64
	simulated, took                                   time.Duration
	slowest, excused                                  time.Duration
	faults, losses                                    map[string]int
	logins                                            int
	violations                                        []string
}

func (sum *total) add(w *world) {
	sum.seeds++
	sum.simulated += w.day
	sum.calls, sum.failed = sum.calls+w.calls.Load(), sum.failed+w.failed.Load()
	sum.rejected, sum.unhealed = sum.rejected+w.rejected.Load(), sum.unhealed+w.unhealed.Load()
	sum.minted += int64(w.provider.minted())
	sum.forked += w.forks.Load()
	sum.slowest, sum.excused = max(sum.slowest, w.slowest), max(sum.excused, w.slowestExc)
	for name, n := range w.faults {
		sum.faults[name] += n
	}
	for cause, n := range w.losses {
		sum.losses[cause] += n
	}
	sum.logins += w.logins
	if len(w.violations) > 0 {
		sum.broken++
		sum.violations = append(sum.violations, fmt.Sprintf("seed %d: %s", w.seed, strings.Join(strings.Fields(w.violations[0]), " ")))
	}
}

// report is a page of Markdown.
func (sum *total) report() string {
	var b strings.Builder
	days := sum.simulated.Hours() / 24
	fmt.Fprintf(&b, "## Simulation over %s\n\n", sum.setting.over)
	fmt.Fprintf(&b, "%d seeds in %s, %.2f seeds/second, %d with a violation\n\n", sum.seeds, sum.took.Round(time.Second), float64(sum.seeds)/sum.took.Seconds(), sum.broken)
	fmt.Fprint(&b, "| figure | value |\n|---|---|\n")
	row := func(figure, format string, args ...any) {
		fmt.Fprintf(&b, "| %s | %s |\n", figure, fmt.Sprintf(format, args...))
	}
	row("seeds", "%d to %d, each of %s", sum.first, sum.first+sum.seeds-1, sum.setting.day)
	row("simulated days", "%.1f", days)
	row("calls of Token", "%d, %d without a token", sum.calls, sum.failed)
	row("tokens rejected", "%d, %d of them also after the one retry", sum.rejected, sum.unhealed)
	row("mints", "%d, %.1f a day; histories joined %d times", sum.minted, float64(sum.minted)/max(days, 1e-9), sum.forked)
	row("worst convergence after a burst of faults", "%s", sum.slowest.Round(time.Second))
	row("the same where only a report heals", "%s", sum.excused.Round(time.Second))
	if sum.setting.rotating {
		row("logins after the refresh token was lost", "%d, one in %.1f days", sum.logins, days/max(1, float64(sum.logins)))
		fmt.Fprint(&b, "\n| why it was lost | times |\n|---|---|\n")
		for _, cause := range slices.Sorted(maps.Keys(sum.losses)) {
			fmt.Fprintf(&b, "| %s | %d |\n", cause, sum.losses[cause])
		}
	}
	fmt.Fprint(&b, "\n| fault | times |\n|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(sum.faults)) {
		fmt.Fprintf(&b, "| %s | %d |\n", name, sum.faults[name])
	}
	for _, v := range sum.violations {
		fmt.Fprintf(&b, "\nVIOLATION %s; again: `MINTONCE_SEED=%s go test -run '^%s$' -v ./integration/simulation`\n", v, v[len("seed "):strings.IndexByte(v, ':')], sum.setting.test)
	}
	return b.String()
}

// append adds the report to a file, which may hold that of another setting.
func (sum *total) append(file string) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(sum.report() + "\n")
	return errors.Join(err, f.Close())
}
