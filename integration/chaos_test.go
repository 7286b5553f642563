package integration_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Chaos: rounds of faults on real processes over a real Redis, under steady API
// calls to a provider that is strict. After every round the fleet has to be in
// order again. See chaos_lane_test.go for a round, chaos_faults_test.go for
// what goes wrong in it.
//
//	make chaos ROUNDS=500        # writes docs/chaos.md
//	MINTONCE_CHAOS_ROUNDS=500    # how many rounds; by default each kind of fault once; 0 only writes the report
//	MINTONCE_CHAOS_SEED=4711     # the seed of the first round; each round prints its own
//	MINTONCE_CHAOS_KINDS=kill    # only kinds of faults that fit this pattern
//	MINTONCE_CHAOS_LANES=4       # fleets at the same time
//	MINTONCE_CHAOS_LOG=FILE      # a line of JSON for each round is added, so that a soak may take several turns
//	MINTONCE_CHAOS_REPORT=FILE   # the table, of all rounds in the log
//
// A seed determines all that a round chooses: the fault, its moment, its victim,
// how long it lasts. What the processes do meanwhile depends on the machine, so
// run a failing seed a few times: MINTONCE_CHAOS_SEED=SEED MINTONCE_CHAOS_ROUNDS=1.
type chaos struct {
	t      *testing.T
	first  uint64 // seed
	rounds int
	fits   *regexp.Regexp // names of kinds
	lanes  int
	began  time.Time

	mu      sync.Mutex
	results []result
	told    time.Time // when progress was told last
}

// firstSeed is that of the share that every run of the tests takes.
const firstSeed = 1

func newChaos(t *testing.T) *chaos {
	c := &chaos{t: t, first: firstSeed, lanes: 4, began: time.Now(), fits: regexp.MustCompile(os.Getenv("MINTONCE_CHAOS_KINDS"))}
	for _, k := range kinds {
		if c.fits.MatchString(k.name) {
			c.rounds++
		}
	}
	if c.rounds == 0 {
		t.Fatalf("MINTONCE_CHAOS_KINDS: no kind of fault fits %q", c.fits)
	}
	for variable, value := range map[string]*int{"MINTONCE_CHAOS_ROUNDS": &c.rounds, "MINTONCE_CHAOS_LANES": &c.lanes} {
		if text := os.Getenv(variable); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil || n < 0 {
				t.Fatalf("%s is %q: it must be a number from 0", variable, text)
			}
			*value = n
		}
	}
	if text := os.Getenv("MINTONCE_CHAOS_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("MINTONCE_CHAOS_SEED is %q: it must be a number from 0", text)
		}
		c.first = seed
	}
	return c
}

func TestChaos(t *testing.T) {
	t.Parallel() // mostly waiting
	c := newChaos(t)
	queues := c.queues()
	var lanes sync.WaitGroup
	for s, seeds := range queues {
		n := 1 // a failover by sentinels and a move in a cluster are one world's affair
		if s == behindProxy {
			n = min(max(1, c.lanes), len(seeds))
		}
		for i := range n {
			lanes.Go(func() {
				t.Run(fmt.Sprintf("%s %d", s, i+1), func(t *testing.T) { c.lane(t, s, seeds) })
			})
		}
	}
	lanes.Wait()
	c.report()
}

// queues are the seeds for each setting. The kind of a round is its seed's turn
// in the list of kinds, so that all come up equally often; seeds of kinds that
// are not wanted are left out.
func (c *chaos) queues() map[setting]chan uint64 {
	queues := make(map[setting]chan uint64)
	for seed, n := c.first, 0; n < c.rounds; seed++ {
		k := kindOf(seed)
		if !c.fits.MatchString(k.name) {
			continue
		}
		n++
		if queues[k.setting] == nil {
			queues[k.setting] = make(chan uint64, c.rounds)
		}
		queues[k.setting] <- seed
	}
	for _, seeds := range queues {
		close(seeds)
	}
	return queues
}

func kindOf(seed uint64) kind { return kinds[seed%uint64(len(kinds))] }

// lane plays rounds in one world after another: the books of a world are
// audited at its end, and that takes the longer the more has happened.
func (c *chaos) lane(t *testing.T, s setting, seeds <-chan uint64) {
	const perWorld = 40
	for world, more := 1, true; more && !t.Failed(); world++ {
		t.Run(fmt.Sprintf("world %d", world), func(t *testing.T) {
			var l *lane
			for range perWorld {
				seed, ok := <-seeds
				if more = ok; !ok || t.Failed() {
					return
				}
				if l == nil {
					l = newLane(t, s)
				}
				c.note(l.round(seed, kindOf(seed)))
			}
		})
	}
}

// dice are what a round chooses with.
type dice struct{ *rand.Rand }

func newDice(seed uint64) dice { return dice{rand.New(rand.NewPCG(seed, 0))} }

func (d dice) between(low, high time.Duration) time.Duration {
	return low + time.Duration(d.Int64N(int64(high-low)))
}

func (d dice) chance(p float64) bool { return d.Float64() < p }

func pick[T any](d dice, from ...T) T { return from[d.IntN(len(from))] }
