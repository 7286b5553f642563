package simulation_test

import (
	"encoding/binary"
	"fmt"
	"hash"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// world is one run.
type world struct {
	seed       uint64
	test       string // its name, for the report of a violation
	idempotent bool
	rotating   bool
	day        time.Duration
	provider   *provider
	web        *web // nil: processes reach the provider without HTTP
	backend    backend
	machines   []*machine
	chance     *dice // of the schedule of faults
	refreshes  *dice // of who looks, and from how far, while others mint; nil: nobody

	calls, failed, rejected, unhealed, unanswered, forks atomic.Int64

	mu         sync.Mutex // guards all below
	over       bool
	began      time.Time
	jump       time.Duration // of the store's clock
	jumps      []time.Time   // when it jumped
	disturbed  time.Time
	setBack    time.Time // until then, the store's clock shows times that it has shown before
	ambushes   []ambush
	attempts   []*minting
	trace      []line
	schedule   []strike
	detail     string      // of the fault that strikes now
	digest     hash.Hash64 // of the whole trace
	opening    uint64      // the digest at the first fault
	violations []string
	faults     map[string]int
	budget     coordinator.Budget // as last stored
	budgetDays int                // on how many days of the store's clock
	generation int64              // as last stored
	renewed    time.Time          // when that changed
	forgotten  int                // mints that nobody remembers to have counted
	spells     []spell            // who served what, for the picture
	marks      []mark             // what callers met
	unrest     []span             // when it was disturbed
	losses     map[string]int     // of refresh tokens, by cause
	logins     int                // that made up for them
	alerted    bool               // an operator looks after it
	slowest    time.Duration
	slowestExc time.Duration
}

// line is an entry of the trace, formatted only when it is shown.
type line struct {
	at     time.Time
	who    string
	format string
	args   []any
}

func (l line) String() string {
	return fmt.Sprintf("%s %-6s %s", l.at.UTC().Format("02 15:04:05.000"), l.who, fmt.Sprintf(l.format, l.args...))
}

func newWorld(seed uint64, s setting) *world {
	w := &world{seed: seed, test: s.test, rotating: s.rotating, day: s.day, began: time.Now(), faults: make(map[string]int), losses: make(map[string]int), digest: fnv.New64a()}
	w.chance = w.dice("schedule")
	w.idempotent = w.chance.chance(0.25) && !w.rotating
	if d := w.dice("refreshes"); d.chance(0.125) {
		w.refreshes = d
	}
	w.provider = newProvider(w)
	if s.http {
		w.web = newWeb(w)
	}
	w.backend = s.connect(w)
	sizes := []int{2, 3, 3, 4}
	if s.day >= 24*time.Hour {
		sizes = []int{2, 2, 3, 3, 3, 4, 4, 5, 6, 8, 12, 36}
	}
	for i := range pick(w.chance, sizes...) {
		w.machines = append(w.machines, newMachine(w, i))
	}
	return w
}

func (w *world) dice(purpose string) *dice {
	if w.rotating {
		purpose = "rotating, " + purpose // days of their own
	}
	return newDice(w.seed, purpose)
}

// run is a simulated day: bursts of faults, and between them a fleet that is
// in order and at rest.
func (w *world) run() {
	for _, m := range w.machines {
		time.AfterFunc(w.chance.between(0, 2*time.Second), m.start)
	}
	w.disturb(time.Now().Add(2 * time.Second))
	time.Sleep(3 * time.Second)
	w.converge()
	for time.Since(w.began) < w.day && !w.stopped() {
		w.rest(w.chance.between(5*time.Minute, max(10*time.Minute, w.day/24)))
		if !w.stopped() {
			w.burst()
		}
	}
	w.judgeBudget()
	w.close()
}

// rest checks that nothing goes on where nothing goes wrong.
func (w *world) rest(d time.Duration) {
	// A process whose pause ends at this very moment may have a mint on its
	// way, which costs one more to settle (seed 981).
	time.Sleep(time.Minute)
	w.converge()
	before, live := w.provider.minted(), w.provider.live()
	short := live != nil && live.end.Sub(live.at) < w.provider.life // see shortLife
	w.note(nil, "rest for %s", d)
	time.Sleep(d)
	allowed := 1 + int(d/(w.provider.life*7/10))
	if short {
		allowed++
	}
	if n := w.provider.minted() - before; n > allowed {
		w.violation(nil, "%d mints in %s of rest, at most %d are needed", n, d, allowed)
	}
}

// close ends the day. Goroutines of dead processes end at their next await.
func (w *world) close() {
	w.mu.Lock()
	w.over = true
	w.mu.Unlock()
	for _, m := range w.machines {
		if p := m.take(nil); p != nil {
			p.kill()
		}
	}
	time.Sleep(3 * time.Minute)
	w.backend.close()
	if w.web != nil {
		w.web.server.Close()
	}
}

func (w *world) stopped() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.violations) > 0
}

// note adds to the trace.
func (w *world) note(p *process, format string, args ...any) {
	who := ""
	if p != nil {
		who = p.name
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	const kept = 4000
	if len(w.trace) >= 2*kept {
		w.trace = slices.Delete(w.trace, 0, kept)
	}
	w.trace = append(w.trace, line{time.Now(), who, format, args})
	w.digest.Write(binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixNano())))
	w.digest.Write([]byte(who))
	w.digest.Write([]byte(format))
}

// violation notes that a promise was broken. The first one ends the run.
func (w *world) violation(p *process, format string, args ...any) {
	w.note(p, "VIOLATION: "+format, args...)
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.over && len(w.violations) == 0 {
		w.violations = append(w.violations, w.trace[len(w.trace)-1].String())
	}
}

func (w *world) observe(p *process, e coordinator.Event) {
	if !p.alive() {
		return
	}
	if e.Kind == coordinator.EventForked {
		w.forks.Add(1)
	}
	w.note(p, "%s generation=%d attempt=%.6s %s %s", e.Kind, e.Generation, e.Attempt, e.Reason, e.Detail)
}

// storeTime is the store's clock.
func (w *world) storeTime() time.Time { return time.Now().Add(w.jumped()) }

func (w *world) jumped() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.jump
}

// jumpedSince reports whether the store's clock jumped after t, or a little
// earlier.
func (w *world) jumpedSince(t time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.jumps, func(at time.Time) bool { return at.After(t.Add(-20 * time.Second)) })
}

func (w *world) disturb(until time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.disturbed = latest(w.disturbed, until)
	w.unsettle(until)
}

func (w *world) disturbedUntil() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.disturbed
}

func (w *world) worst(d time.Duration, excused bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if excused {
		w.slowestExc = max(w.slowestExc, d)
	} else {
		w.slowest = max(w.slowest, d)
	}
}

// begun notes an attempt that is about to be announced.
func (w *world) begun(call *minting) {
	w.mu.Lock()
	defer w.mu.Unlock()
	const recent = 50
	w.attempts = append(w.attempts, call)
	w.attempts = w.attempts[max(0, len(w.attempts)-recent):]
}

// strike is a fault that struck.
type strike struct {
	name  string
	at    time.Time
	lasts time.Duration
}

func (s strike) String() string {
	return fmt.Sprintf("%s %s, for %s", s.at.UTC().Format("02 15:04:05.000"), s.name, s.lasts)
}

// mark is what a caller of a machine met: a rejected token, or none at all.
type mark struct {
	machine int
	at      time.Time
	failed  bool
}

func (w *world) mark(p *process, failed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.marks = append(w.marks, mark{p.machine.number, time.Now(), failed})
}

// spell is the time from which on a machine served a token; none: it is down.
type spell struct {
	machine int
	token   string
	at      time.Time
}

func (w *world) spell(p *process, token string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.spells = append(w.spells, spell{p.machine.number, token, time.Now()})
}

// written notes that a swap of p has taken effect.
func (w *world) written(p *process, next coordinator.Record) {
	w.mu.Lock()
	if next.Budget.Day != w.budget.Day {
		w.budgetDays++
	}
	w.budget = next.Budget
	if next.Grant.Generation != w.generation {
		w.generation, w.renewed = next.Grant.Generation, time.Now()
		time.AfterFunc(told+time.Millisecond, w.judgeNews)
	}
	w.mu.Unlock()
	w.writtenDown(next)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, call := range p.answers {
		if call.answered.Load() {
			call.saved.Store(true)
		}
	}
	p.answers = slices.DeleteFunc(p.answers, func(c *minting) bool { return c.saved.Load() })
}

// forget finds out, after the store or a process has lost something, which
// attempts nobody remembers any more.
func (w *world) forget() {
	w.forgetTokens(storeLost)
	known := []coordinator.Record{w.backend.record()}
	for _, m := range w.machines {
		if p := m.current(); p != nil && p.alive() {
			known = append(known, p.knows())
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.renewed = time.Now()
	most := 0
	for _, r := range known {
		if r.Budget.Day == w.budget.Day {
			most = max(most, r.Budget.Mints)
		}
	}
	w.forgotten += max(0, w.budget.Mints-most)
	w.budget.Mints = min(w.budget.Mints, most)
	for _, call := range w.attempts {
		if !slices.ContainsFunc(known, func(r coordinator.Record) bool { return descends(r, call.begun) }) {
			call.lost.Store(true)
		}
	}
}

// descends reports whether the record comes after the write, as far as its
// lineage tells.
func descends(r coordinator.Record, write coordinator.Stamp) bool {
	return slices.Contains(r.Lineage, write) || len(r.Lineage) == 32 && write.Revision < r.Lineage[0].Revision
}

// report is what a failed run prints.
func (w *world) report(minutes int) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, %s, %d machines, life %s\n", w.seed, w.kind(), len(w.machines), w.provider.life)
	for _, v := range w.violations {
		fmt.Fprintln(&b, v)
	}
	fmt.Fprintf(&b, "again, a few times: MINTONCE_SEED=%d MINTONCE_TRACE=60 go test -run '^%s$' -v ./integration/simulation\n", w.seed, w.test)
	fmt.Fprintln(&b, "faults:")
	for _, l := range w.schedule[max(0, len(w.schedule)-25):] {
		fmt.Fprintln(&b, " ", l)
	}
	fmt.Fprintln(&b, "trace:")
	end := w.began.Add(w.day)
	for _, l := range w.trace {
		if strings.HasPrefix(l.format, "VIOLATION") {
			end = l.at
			break
		}
	}
	for _, l := range w.trace {
		if l.at.After(end.Add(-time.Duration(minutes)*time.Minute)) && !l.at.After(end) {
			fmt.Fprintln(&b, " ", l)
		}
	}
	return b.String()
}
