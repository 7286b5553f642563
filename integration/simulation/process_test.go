package simulation_test

import (
	"context"
	"errors"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

var errDead = errors.New("the process is dead")

// process is one life of a coordinator. All that reaches the world outside
// passes through here, at both ends of each await. A paused process waits
// there. The goroutines of a dead one end there; their deferred calls run into
// the same wall.
type process struct {
	world      *world
	machine    *machine
	name       string
	dice       *dice
	ear        *dice // of hints
	toStore    *wire
	toProvider *wire
	ask        asking
	calling    atomic.Pointer[minting] // what it asks for, over HTTP
	ctx        context.Context         // ends with the process
	end        context.CancelFunc
	dead       chan struct{}

	mu         sync.Mutex // guards all below
	died       bool
	paused     chan struct{} // closed when the pause ends; nil if there is none
	disturbed  time.Time     // the end of the last disturbance of its own
	seen       coordinator.Record
	heard      coordinator.Record   // of that, what the store has told or taken
	saw        map[string]time.Time // when the store first told it of a token
	announced  *minting             // the last that was begun
	answers    []*minting
	refreshing refreshing     // of the mint that begins
	stops      map[int]func() // of its watches
	watches    int
	deaf       time.Time // hints are kept back until then
	missed     bool
	notifies   map[int]func()
	served     coordinator.Token // the last that a caller got
	before     coordinator.Token // and the one before that
	reported   map[string]bool   // the tokens that it has reported
	lease      <-chan struct{}   // closed when the lock that it took last is lost
	patience   time.Duration     // of its callers, until hurried
	hurried    time.Time
	forks      int // of the world, when it was served
	stopping   bool
	coord      *coordinator.Coordinator
	runStopped chan struct{}
}

// here is one end of an await. It reports whether the process was paused.
func (p *process) here(at string) (paused bool) {
	p.world.ambush(p, at)
	for {
		p.mu.Lock()
		died, pause := p.died, p.paused
		p.mu.Unlock()
		switch {
		case died:
			runtime.Goexit()
		case pause == nil:
			return paused
		}
		paused = true
		select {
		case <-pause:
		case <-p.dead:
		}
	}
}

// wait stands still while the process is paused.
func (p *process) wait() {
	for {
		p.mu.Lock()
		pause := p.paused
		p.mu.Unlock()
		if pause == nil || !p.alive() {
			return
		}
		select {
		case <-pause:
		case <-p.dead:
			return
		}
	}
}

// still reports whether the process is neither dead nor paused.
func (p *process) still() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.died && p.paused == nil
}

func (p *process) alive() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.died
}

// kill ends the process at once. What it knew is gone.
func (p *process) kill() {
	p.mu.Lock()
	if p.died {
		p.mu.Unlock()
		return
	}
	p.died = true
	close(p.dead)
	stops := p.stops
	p.stops, p.notifies = nil, nil
	p.mu.Unlock()
	p.world.note(p, "dies")
	p.world.spell(p, "")
	p.end()
	p.world.backend.died(p)
	if p.world.web != nil {
		p.world.web.lines.died(p)
	}
	for _, id := range slices.Sorted(maps.Keys(stops)) {
		go stops[id]()
	}
	p.world.forget()
}

// pause stops the process for a while.
func (p *process) pause(d time.Duration) {
	p.mu.Lock()
	if p.died || p.paused != nil {
		p.mu.Unlock()
		return
	}
	pause := make(chan struct{})
	p.paused = pause
	p.disturbed = latest(p.disturbed, time.Now().Add(d))
	p.mu.Unlock()
	p.world.note(p, "paused for %s", d)
	p.world.backend.paused(p)
	time.AfterFunc(d, func() {
		p.mu.Lock()
		p.paused = nil
		p.mu.Unlock()
		close(pause)
		p.world.note(p, "resumed")
		p.catchUp()
	})
}

// hurry gives its callers little patience for a while.
func (p *process) hurry(patience time.Duration, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.patience, p.hurried = patience, until
	p.disturbed = latest(p.disturbed, until)
}

func (p *process) waits() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Now().Before(p.hurried) {
		return p.patience
	}
	return 10 * time.Second
}

// report is what each report of a token goes through, for the judge to know.
func (p *process) report(ctx context.Context, c *coordinator.Coordinator, value string) error {
	p.mu.Lock()
	p.reported[value] = true
	p.mu.Unlock()
	return c.Report(ctx, value, &coordinator.RejectedError{Code: 40001})
}

// disturb notes until when the process is not on its own to blame.
func (p *process) disturb(until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.disturbed = latest(p.disturbed, until)
}

func (p *process) disturbedUntil() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.disturbed
}

// cutHints keeps hints back for a while. Then comes one, as when a store has
// connected again.
func (p *process) cutHints(d time.Duration) {
	p.mu.Lock()
	p.deaf = time.Now().Add(d)
	p.missed = true
	p.disturbed = latest(p.disturbed, p.deaf)
	p.mu.Unlock()
	time.AfterFunc(d, p.catchUp)
}

// catchUp gives the hint that makes up for those that were kept back.
func (p *process) catchUp() {
	p.mu.Lock()
	var missed []func()
	if p.missed && p.paused == nil && !time.Now().Before(p.deaf) {
		p.missed = false
		for _, id := range slices.Sorted(maps.Keys(p.notifies)) {
			missed = append(missed, p.notifies[id])
		}
	}
	p.mu.Unlock()
	for _, notify := range missed {
		notify()
	}
}

// hint passes one on to a watch that goes on, or keeps it back.
func (p *process) hint(watch int) {
	p.mu.Lock()
	keep := p.died || p.paused != nil || time.Now().Before(p.deaf)
	p.missed = p.missed || keep
	notify := p.notifies[watch]
	p.mu.Unlock()
	if !keep && notify != nil {
		notify()
	}
}

// remember notes what the process knows for certain: that is what it would put
// back.
func (p *process) remember(r coordinator.Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if coordinator.Relate(p.seen, r) == coordinator.Level {
		p.seen = r
	}
}

func (p *process) knows() coordinator.Record {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}

// minting returns the mint that the process has announced, or one without an
// attempt.
func (p *process) minting() *minting {
	p.mu.Lock()
	defer p.mu.Unlock()
	call := p.announced
	p.announced = nil
	if call == nil {
		call = &minting{process: p}
	}
	call.refresh = p.refreshing
	p.answers = append(p.answers, call)
	return call
}
