package simulation_test

import (
	"context"
	"fmt"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
)

// machine runs one process after another.
type machine struct {
	world    *world
	number   int
	dice     *dice
	runs     bool          // whether its processes use Run
	recheck  time.Duration // of those that do not
	interval time.Duration // between calls at the provider, on average
	far      time.Duration // the longest way to the store
	copy     *storetest.Memory
	lives    int

	process *process // guarded by world.mu; nil while it is down
}

func newMachine(w *world, number int) *machine {
	d := w.dice(fmt.Sprintf("machine %d", number))
	m := &machine{world: w, number: number, dice: d, runs: d.chance(0.85), recheck: pick(d, 30*time.Second, time.Minute), interval: d.between(15*time.Second, 2*time.Minute), far: 2 * time.Millisecond}
	if w.refreshes != nil {
		m.far = pick(w.refreshes, m.far, 200*time.Millisecond) // the store is in another country
	}
	if d.chance(0.4) {
		m.copy = storetest.NewMemory()
	}
	return m
}

// start begins a new life.
func (m *machine) start() {
	w := m.world
	w.mu.Lock()
	if w.over || m.process != nil {
		w.mu.Unlock()
		return
	}
	m.lives++
	label := fmt.Sprintf("m%d.%d", m.number, m.lives)
	p := &process{
		world: w, machine: m, name: label, dice: w.dice(label), ear: w.dice(label + " hears"), dead: make(chan struct{}), disturbed: time.Now(),
		stops: make(map[int]func()), saw: make(map[string]time.Time), reported: make(map[string]bool), notifies: make(map[int]func()), runStopped: make(chan struct{}),
	}
	m.process = p
	w.mu.Unlock()
	p.ctx, p.end = context.WithCancel(context.Background())
	p.toStore = &wire{process: p, dice: w.dice(label + " to the store"), far: m.far}
	p.toProvider = &wire{process: p, dice: w.dice(label + " to the provider"), far: 100 * time.Millisecond}
	p.ask = w.provider.asks(p)
	if w.web != nil {
		p.ask = w.web.asks(p)
	}

	cfg := coordinator.Config{Instance: label, Recheck: m.recheck, Observer: func(e coordinator.Event) { w.observe(p, e) }}
	if m.copy != nil {
		cfg.Fallback = disk{p, m.copy}
	}
	var from coordinator.Source = source{p}
	switch {
	case w.idempotent:
		from = rotator{source{p}}
	case w.rotating:
		from = refresher{source{p}}
	}
	c, err := coordinator.New(name, from, gate{p, w.backend.connect(p)}, cfg)
	if err != nil {
		panic(err)
	}
	p.mu.Lock()
	p.coord = c
	p.mu.Unlock()
	w.note(p, "starts, run=%v copy=%v", m.runs, m.copy != nil)
	go func() {
		defer close(p.runStopped)
		if m.runs {
			c.Run(p.ctx)
		}
	}()
	go p.calls(c)
}

// crash kills the process; another one starts after the downtime.
func (m *machine) crash(down time.Duration) {
	if p := m.take(nil); p != nil {
		p.kill()
	}
	time.AfterFunc(down, m.start)
}

// take removes the process, if it is the given one or any.
func (m *machine) take(which *process) *process {
	m.world.mu.Lock()
	defer m.world.mu.Unlock()
	p := m.process
	if p == nil || which != nil && p != which {
		return nil
	}
	m.process = nil
	return p
}

// current is the process that runs, or nil.
func (m *machine) current() *process {
	m.world.mu.Lock()
	defer m.world.mu.Unlock()
	return m.process
}

// redeploy stops the process in the orderly way and starts the next.
func (m *machine) redeploy() {
	p := m.current()
	if p == nil {
		return
	}
	p.mu.Lock()
	p.stopping = true
	p.mu.Unlock()
	p.world.note(p, "is told to stop")
	p.end()
	select {
	case <-p.runStopped:
	case <-time.After(30 * time.Second):
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	p.coord.Drain(ctx)
	if m.take(p) != nil {
		p.kill()
	}
	m.start()
}

// calls is what the process is for: it calls the provider at a steady rate, and
// treats rejections as wechat.Transport does.
func (p *process) calls(c *coordinator.Coordinator) {
	for {
		timer := time.NewTimer(p.dice.between(p.machine.interval/2, p.machine.interval*3/2))
		select {
		case <-timer.C:
		case <-p.ctx.Done():
			timer.Stop()
			return
		}
		p.here("call")
		p.callProvider(c)
	}
}

func (p *process) callProvider(c *coordinator.Coordinator) {
	ctx, cancel := context.WithTimeout(p.ctx, p.waits())
	defer cancel()
	token, err := c.Token(ctx)
	if !p.world.judge(p, token, err) || err != nil || p.world.provider.accepts(token.Value) {
		return
	}
	p.world.rejected.Add(1)
	p.world.mark(p, false)
	if p.dice.chance(0.2) {
		time.Sleep(p.dice.between(0, 3*time.Second)) // a late report
	}
	err = p.report(ctx, c, token.Value)
	p.world.note(p, "rejected %s generation %d, reported: %v", token.Value, token.Generation, err)
	again, err := c.Token(ctx)
	if err != nil || !p.world.provider.accepts(again.Value) {
		p.world.unhealed.Add(1)
	}
}
