package simulation_test

import (
	"context"
	"time"
)

// ambush is a fault that waits for a process to come to an await.
type ambush struct {
	at    string
	pause time.Duration // 0: it dies
	down  time.Duration // until the next process starts
}

// awaits are where a mint can be hit.
var awaits = []string{
	"lock sent", "lock back", "load sent", "load back", "begin sent", "begin back", "mint sent", "mint sent", "mint back", "mint back",
	"commit sent", "commit back", "swap sent", "swap back", "release sent", "release back", "copy",
}

// ambush applies a fault that waits here, if any.
func (w *world) ambush(p *process, at string) {
	w.mu.Lock()
	var met ambush
	for i, a := range w.ambushes {
		if a.at == at {
			met = a
			w.ambushes = append(w.ambushes[:i:i], w.ambushes[i+1:]...)
			break
		}
	}
	w.mu.Unlock()
	switch {
	case met.at == "":
	case met.pause > 0:
		w.note(p, "ambushed at %s", at)
		w.disturb(time.Now().Add(met.pause))
		p.pause(met.pause)
	default:
		w.note(p, "ambushed at %s", at)
		w.disturb(time.Now().Add(met.down))
		if p.machine.take(p) != nil {
			p.kill()
			time.AfterFunc(met.down, p.machine.start)
		}
	}
}

// fault is a kind of thing that goes wrong. It returns how long it goes on,
// and how many mints more than one a lifetime it may cost.
type fault struct {
	name   string
	weight int
	strike func(w *world, d *dice) (lasts time.Duration, mints int)
}

var faults = []fault{
	{"ambush: crash", 6, func(w *world, d *dice) (time.Duration, int) {
		down := d.between(time.Second, 2*time.Minute)
		w.lay(ambush{at: pick(d, awaits...), down: down})
		w.provoke(d)
		return down, 4
	}},
	{"ambush: pause", 6, func(w *world, d *dice) (time.Duration, int) {
		pause := pick(d, d.between(time.Second, 12*time.Second), d.between(10*time.Second, 3*time.Minute))
		w.lay(ambush{at: pick(d, awaits...), pause: pause})
		w.provoke(d)
		return pause, 4
	}},
	{"crash", 2, func(w *world, d *dice) (time.Duration, int) {
		down := d.between(time.Second, 5*time.Minute)
		w.some(d).crash(down)
		return down, 2
	}},
	{"crash of all", 1, func(w *world, d *dice) (time.Duration, int) {
		down := d.between(time.Second, time.Minute)
		for _, m := range w.machines {
			m.crash(down + d.between(0, 10*time.Second))
		}
		return down + 10*time.Second, 3
	}},
	{"pause", 2, func(w *world, d *dice) (time.Duration, int) {
		pause := d.between(time.Second, 10*time.Minute)
		if p := w.some(d).current(); p != nil {
			p.pause(pause)
		}
		return pause, 2
	}},
	{"pause of all", 1, func(w *world, d *dice) (time.Duration, int) {
		w.provokeSometimes(d)
		pause := pick(d, d.between(time.Second, 12*time.Second), d.between(10*time.Second, 3*time.Minute))
		for _, m := range w.machines {
			if p := m.current(); p != nil {
				p.pause(pause + d.between(0, 100*time.Millisecond))
			}
		}
		return pause + 100*time.Millisecond, 3
	}},
	{"wire to the store", 3, func(w *world, d *dice) (time.Duration, int) {
		lasts, state := d.between(time.Second, 10*time.Minute), pick(d, lossy, tardy, cut)
		w.detail = string(state)
		w.provokeSometimes(d)
		w.each(d, func(p *process) {
			p.toStore.set(state, time.Now().Add(lasts))
			p.disturb(time.Now().Add(lasts))
			if state == cut {
				w.backend.cut(p)
			}
		})
		w.provoke(d)
		return lasts, 6
	}},
	{"wire to the provider", 3, func(w *world, d *dice) (time.Duration, int) {
		lasts, state := d.between(time.Second, 5*time.Minute), pick(d, lossy, tardy, cut)
		w.detail = string(state)
		w.each(d, func(p *process) { p.toProvider.set(state, time.Now().Add(lasts)) })
		w.provoke(d)
		return lasts + 60*time.Second, 3
	}},
	{"hints cut", 2, func(w *world, d *dice) (time.Duration, int) {
		lasts := d.between(time.Second, 10*time.Minute)
		w.each(d, func(p *process) { p.cutHints(lasts) })
		w.provoke(d)
		return lasts, 1
	}},
	{"flush", 2, func(w *world, d *dice) (time.Duration, int) {
		w.provoke(d)
		w.backend.flush()
		w.forget()
		return 0, 3
	}},
	{"failover", 4, func(w *world, d *dice) (time.Duration, int) {
		w.provoke(d)
		w.backend.failover(1 + d.upTo(5))
		w.forget()
		return 0, 3
	}},
	{"store hangs", 2, func(w *world, d *dice) (time.Duration, int) {
		lasts := pick(d, d.between(time.Second, 10*time.Second), d.between(time.Second, 20*time.Minute))
		w.provoke(d)
		w.backend.hang(lasts)
		return lasts, 3
	}},
	{"store refuses writes", 2, func(w *world, d *dice) (time.Duration, int) {
		lasts := d.between(time.Second, 10*time.Minute)
		w.provokeSometimes(d)
		w.backend.refuse(lasts)
		w.provoke(d)
		return lasts, 3
	}},
	{"store's clock jumps a little", 2, func(w *world, d *dice) (time.Duration, int) {
		w.provoke(d)
		w.skip(d.between(-2*time.Minute, 2*time.Minute))
		return 0, 3
	}},
	{"store's clock jumps far", 1, func(w *world, d *dice) (time.Duration, int) {
		w.provoke(d)
		w.skip(d.between(-time.Hour, time.Hour))
		return 0, 3
	}},
	{"provider", 5, func(w *world, d *dice) (time.Duration, int) {
		sky := pick(d, busy, broken, deaf, slow, quota, whitelist, secret, nonsense, shortLife)
		lasts := d.between(time.Second, 15*time.Minute)
		w.provider.set(sky, time.Now().Add(lasts))
		w.detail = string(sky)
		w.provoke(d)
		return lasts + map[weather]time.Duration{whitelist: 3 * time.Minute, secret: 5 * time.Minute, shortLife: 10 * time.Minute}[sky] + time.Minute, 3
	}},
	{"stranger mints", 2, func(w *world, d *dice) (time.Duration, int) {
		w.provider.mint(nil, true)
		w.note(nil, "a stranger mints")
		return 0, 3
	}},
	{"stranger keeps minting", 1, func(w *world, d *dice) (time.Duration, int) {
		n, lasts := 2+d.upTo(4), time.Duration(0)
		for range n {
			time.AfterFunc(lasts, func() {
				w.disturb(time.Now())
				w.provider.mint(nil, true)
				w.note(nil, "a stranger mints")
			})
			lasts += d.between(0, 4*time.Minute)
		}
		return lasts, 3 * n
	}},
	{"impatient callers", 2, func(w *world, d *dice) (time.Duration, int) {
		lasts, patience := d.between(time.Minute, 10*time.Minute), d.between(10*time.Millisecond, 2*time.Second)
		w.each(d, func(p *process) { p.hurry(patience, time.Now().Add(lasts)) })
		w.provoke(d)
		return lasts, 1
	}},
	{"operator rotates", 3, func(w *world, d *dice) (time.Duration, int) {
		w.rotate(d)
		return 0, 2
	}},
	{"rolling deploy", 1, func(w *world, d *dice) (time.Duration, int) {
		lasts := time.Duration(0)
		for _, m := range w.machines {
			time.AfterFunc(lasts, m.redeploy)
			lasts += d.between(0, 5*time.Second)
		}
		w.provoke(d)
		return lasts + 30*time.Second, 3
	}},
	{"false rejections", 2, func(w *world, d *dice) (time.Duration, int) {
		if d.chance(0.5) {
			w.rotate(d) // so that the token is young
			time.Sleep(d.between(0, 40*time.Second))
		}
		w.complain(d, func(p *process) string { return p.served.Value })
		return 2 * time.Second, 2
	}},
	{"late rejections", 2, func(w *world, d *dice) (time.Duration, int) {
		w.complain(d, func(p *process) string { return p.before.Value })
		return 2 * time.Second, 0
	}},
}

// burst lets a few faults strike within a few minutes, waits for their end, and
// for the fleet to be in order.
func (w *world) burst() {
	d := w.chance
	w.mu.Lock()
	if w.opening == 0 {
		w.opening = w.digest.Sum64()
	}
	w.mu.Unlock()
	before, unanswered := w.provider.minted(), w.unanswered.Load()
	allowed := 2
	for range 1 + d.upTo(4) {
		f := w.drawFault(d)
		w.mu.Lock()
		w.faults[f.name]++
		w.mu.Unlock()
		w.disturb(time.Now())
		lasts, mints := f.strike(w, d)
		w.mu.Lock()
		struck := strike{f.name, time.Now(), lasts}
		if w.detail != "" {
			struck.name, w.detail = f.name+" ("+w.detail+")", ""
		}
		w.schedule = append(w.schedule, struck)
		w.mu.Unlock()
		w.note(nil, "FAULT %s, for %s", f.name, lasts)
		w.disturb(time.Now().Add(lasts))
		allowed += mints + 1 // for what provoked it
		time.Sleep(pick(d, d.between(0, time.Second), d.between(0, 20*time.Second), d.between(0, 5*time.Minute)))
	}
	time.Sleep(time.Until(w.disturbedUntil()) + time.Millisecond)
	w.mu.Lock()
	w.ambushes = nil
	w.mu.Unlock()
	if again := time.Until(w.disturbedUntil()); again > 0 {
		time.Sleep(again + time.Millisecond)
	}
	w.converge()
	each := 1
	if w.rotating {
		each = 2 // it is retried at once, and may be given up during that
	}
	allowed += each*int(w.unanswered.Load()-unanswered) + int(w.forks.Load())
	if n := w.provider.minted() - before; n > allowed {
		w.violation(nil, "%d mints in a burst, at most %d are explained", n, allowed)
	}
}

func (w *world) drawFault(d *dice) fault {
	all, total := faults, 0
	switch {
	case w.rotating:
		all = rotatingFaults
	case w.web != nil:
		all = redisFaults
	}
	for _, f := range all {
		total += f.weight
	}
	at := d.upTo(total)
	for _, f := range all {
		if at -= f.weight; at < 0 {
			return f
		}
	}
	panic("unreachable")
}

func (w *world) lay(a ambush) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ambushes = append(w.ambushes, a)
}

func (w *world) some(d *dice) *machine { return w.machines[d.upTo(len(w.machines))] }

// each strikes one process, some, or all.
func (w *world) each(d *dice, strike func(*process)) {
	share := pick(d, 0.1, 0.5, 1)
	for _, m := range w.machines {
		if p := m.current(); p != nil && d.chance(share) {
			strike(p)
		}
	}
}

// provoke has a mint take place soon, more often than not: most faults do no
// harm at rest.
func (w *world) provoke(d *dice) {
	if !d.chance(0.7) {
		return
	}
	w.rotate(d)
	if d.chance(0.5) {
		time.Sleep(d.between(0, 2*time.Second))
	}
}

// provokeSometimes is for faults that are worst in the middle of a mint, and
// that keep one from beginning.
func (w *world) provokeSometimes(d *dice) {
	if d.chance(0.5) {
		w.rotate(d)
		time.Sleep(d.between(0, 500*time.Millisecond))
	}
}

// rotate has an operator ask for a new token.
func (w *world) rotate(d *dice) {
	p := w.some(d).current()
	if p == nil {
		return
	}
	// Soon after another mint, this ends the token before at once.
	w.disturb(time.Now())
	w.refreshSome()
	go func() {
		ctx, cancel := context.WithTimeout(p.ctx, 20*time.Second)
		defer cancel()
		p.here("rotate")
		p.mu.Lock()
		c := p.coord
		p.mu.Unlock()
		if c == nil {
			return
		}
		_, err := c.Rotate(ctx)
		w.note(p, "rotated: %v", err)
	}()
}

// refreshSome has processes look on behalf of a caller while others mint, in
// some worlds only.
func (w *world) refreshSome() {
	if w.refreshes == nil {
		return
	}
	for _, m := range w.machines {
		if p := m.current(); p != nil && w.refreshes.chance(0.5) {
			time.AfterFunc(w.refreshes.between(0, time.Second), p.refresh)
		}
	}
}

func (p *process) refresh() {
	p.here("refresh")
	p.mu.Lock()
	c := p.coord
	p.mu.Unlock()
	if c == nil {
		return
	}
	ctx, cancel := context.WithTimeout(p.ctx, 10*time.Second)
	defer cancel()
	_, err := c.Refresh(ctx)
	p.world.note(p, "refreshed: %v", err)
}

// complain has many processes report a token of their choice, which the
// provider has not rejected, within two seconds.
func (w *world) complain(d *dice, which func(*process) string) {
	for _, m := range w.machines {
		if p := m.current(); p != nil && d.chance(0.7) {
			time.AfterFunc(d.between(0, 2*time.Second), func() { p.complain(which) })
		}
	}
}

func (p *process) complain(which func(*process) string) {
	p.here("complain")
	p.mu.Lock()
	c, value := p.coord, which(p)
	p.mu.Unlock()
	if value == "" {
		return
	}
	ctx, cancel := context.WithTimeout(p.ctx, 10*time.Second)
	defer cancel()
	p.world.note(p, "complained of %s: %v", value, p.report(ctx, c, value))
}

// skip makes the store's clock jump.
func (w *world) skip(by time.Duration) {
	w.mu.Lock()
	w.jump += by
	w.jumps = append(w.jumps, time.Now())
	w.setBack = latest(w.setBack, time.Now().Add(-by))
	w.mu.Unlock()
	w.note(nil, "the store's clock jumps by %s", by)
}
