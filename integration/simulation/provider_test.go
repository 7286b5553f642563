package simulation_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// provider is strict, and its own judge: the last mint that it processes wins,
// the token before lives on for the overlap, any older one dies at once. The
// idempotent kind gives out the same token until the last part of its life.
type provider struct {
	world  *world
	traits coordinator.Traits
	life   time.Duration
	dice   *dice

	mu      sync.Mutex
	tokens  []*issued
	index   map[string]int
	weather weather
	until   time.Time // the end of the weather
	// families are set where refresh tokens rotate.
	families *families
}

// issued is a token, with what the judge needs to know of its mint.
type issued struct {
	value   string
	at, end time.Time
	foreign bool          // minted by a stranger
	call    *minting      // nil for a stranger's
	refresh *refreshToken // that came with it; nil where there are none
}

// minting is one call of Source.Mint.
type minting struct {
	process  *process
	attempt  coordinator.Attempt // zero for one without a lock
	begun    coordinator.Stamp   // the write that announced it
	late     atomic.Bool         // it arrived when the fleet had given the attempt up
	answered atomic.Bool         // the coordinator has the token
	since    atomic.Int64        // from then on, in nanoseconds
	saved    atomic.Bool         // and has written something since
	requests atomic.Int32        // that the provider has got of it
	lost     atomic.Bool         // nobody remembers any more that it was announced
	over     atomic.Bool         // nobody waits for an answer any more
	refresh  refreshing          // where refresh tokens rotate
}

// untold returns why the fleet cannot know of the mint, if it cannot: the cases
// that coordinator's doc names under "What it does not do". Only a report of
// the rejected token heals those.
func (t *issued) untold() string {
	switch {
	case t.foreign:
		return "a stranger minted it"
	case t.call.lost.Load():
		return "the store lost the attempt together with every process that remembered it"
	case t.call.late.Load() && !t.call.saved.Load() && (!t.call.answered.Load() || !t.call.process.alive()):
		return "it was minted past its attempt's deadline, by a process that has no answer"
	}
	return ""
}

// weather is what a provider may be like.
type weather string

const (
	fair      weather = "fair"
	busy      weather = "busy"       // refuses: certainly not minted
	broken    weather = "broken"     // an error of some gateway: minted or not
	deaf      weather = "deaf"       // does not answer, minted or not
	slow      weather = "slow"       // answers late, some too late
	quota     weather = "quota"      // refuses for a while
	whitelist weather = "whitelist"  // an operator has to act
	secret    weather = "secret"     // a configuration is wrong
	nonsense  weather = "nonsense"   // mints, and answers with something unusable
	shortLife weather = "short life" // mints a token that expires soon
)

func newProvider(w *world) *provider {
	d := w.dice("provider")
	p := &provider{world: w, dice: d, life: pick(d, 2*time.Hour, 2*time.Hour, 40*time.Minute), index: make(map[string]int), weather: fair}
	p.traits = coordinator.Traits{
		Overlap: 5 * time.Minute, Credential: "simulated:1", DailyMints: pick(d, 1800, 1800, 1800, 150), RotationSpacing: 30 * time.Second,
	}
	if tight := w.dice("budget"); tight.chance(0.1) {
		p.traits.DailyMints = 5 + tight.upTo(16) // a day takes some sixty
	}
	if w.idempotent {
		p.traits.Kind, p.traits.RenewsWithin, p.traits.DailyRotations, p.traits.DailyMints = coordinator.Idempotent, 5*time.Minute, 18, 0
	}
	if w.rotating {
		p.families = newFamilies(p)
	}
	return p
}

func (p *provider) set(now weather, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.weather, p.until = now, until
}

// sky returns the weather of this moment.
func (p *provider) sky() weather {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !time.Now().Before(p.until) {
		p.weather = fair
	}
	return p.weather
}

// mint processes one request.
func (p *provider) mint(call *minting, force bool) *issued {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if n := len(p.tokens); n > 0 && p.tokens[n-1].untold() != "" {
		// Until now, nobody could know that there had been another mint. The
		// token before it ends within the overlap, or at this very moment.
		p.world.disturb(now)
	}
	if n := len(p.tokens); n > 0 && p.traits.Kind == coordinator.Idempotent && !force {
		if last := p.tokens[n-1]; now.Before(last.end.Add(-p.traits.RenewsWithin)) {
			return last
		}
	}
	t := &issued{value: fmt.Sprintf("token-%d", len(p.tokens)+1), at: now, end: now.Add(p.life), foreign: call == nil, call: call}
	if p.weather == shortLife && now.Before(p.until) {
		t.end = now.Add(p.dice.between(time.Minute, 10*time.Minute))
	}
	if p.families != nil && !p.families.exchange(t) {
		return nil
	}
	p.index[t.value] = len(p.tokens)
	p.tokens = append(p.tokens, t)
	return t
}

// refused returns since when the provider refuses the token, or the moment from
// which it will.
func (p *provider) refused(value string) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	i, ok := p.index[value]
	if !ok {
		return time.Time{}
	}
	if p.families != nil {
		return p.families.refused(p.tokens[i])
	}
	end := p.tokens[i].end
	if i+1 < len(p.tokens) {
		end = earliest(end, p.tokens[i+1].at.Add(p.traits.Overlap))
	}
	if i+2 < len(p.tokens) {
		end = earliest(end, p.tokens[i+2].at)
	}
	return end
}

// token is what was issued with this value; nil if there is none.
func (p *provider) token(value string) *issued {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i, ok := p.index[value]; ok {
		return p.tokens[i]
	}
	return nil
}

func (p *provider) accepts(value string) bool { return time.Now().Before(p.refused(value)) }

// live is the token of the last mint; nil if there was none.
func (p *provider) live() *issued {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.tokens) == 0 {
		return nil
	}
	return p.tokens[len(p.tokens)-1]
}

func (p *provider) minted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.tokens)
}

// all are the tokens that were issued, in their order.
func (p *provider) all() []*issued {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.tokens)
}

// unsaved is the token that the process has minted last and could not write
// down yet; nil if there is none.
func (p *provider) unsaved(by *process) *issued {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range slices.Backward(p.tokens) {
		if c := t.call; c != nil && c.process == by && c.answered.Load() && !c.saved.Load() {
			return t
		}
	}
	return nil
}

// ours is how many of the mints were not a stranger's.
func (p *provider) ours() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, t := range p.tokens {
		if !t.foreign {
			n++
		}
	}
	return n
}

// source is the provider as one process reaches it.
type source struct{ process *process }

// rotator is a source with a way to force a new token.
type rotator struct{ source }

func (s rotator) Rotate(ctx context.Context, _ coordinator.Token) (coordinator.Token, error) {
	return s.mint(ctx, true)
}

func (s source) Traits() coordinator.Traits { return s.process.world.provider.traits }

func (s source) Mint(ctx context.Context, _ coordinator.Token) (coordinator.Token, error) {
	return s.mint(ctx, false)
}

func (s source) mint(ctx context.Context, force bool) (coordinator.Token, error) {
	p := s.process
	call := p.minting()
	defer call.over.Store(true)
	p.world.judgeSending(p)
	p.world.judgeAnnounced(p, call, force)
	paused := p.here("mint sent")
	p.world.judgeBreakingOff(ctx, p)
	if ctx.Err() != nil && !(paused && p.dice.chance(0.7)) {
		return coordinator.Token{}, ctx.Err() // else it had looked before it was paused
	}
	p.world.note(p, "mint sent %s", call.attempt.ID)
	token, err := p.ask(ctx, call, force)
	p.world.judgeBreakingOff(ctx, p)
	p.here("mint back")
	if err != nil {
		p.world.unanswered.Add(1)
		p.world.note(p, "mint failed: %v", err)
		return coordinator.Token{}, err
	}
	call.since.Store(time.Now().UnixNano())
	call.answered.Store(token.Value != "") // nonsense is none
	return token, nil
}

// asking is how a process asks the provider, over whatever lies between them.
type asking func(ctx context.Context, call *minting, force bool) (coordinator.Token, error)

// asks is the way without HTTP.
func (p *provider) asks(by *process) asking {
	return func(ctx context.Context, call *minting, force bool) (coordinator.Token, error) {
		sent := time.Now()
		var token coordinator.Token
		err := by.toProvider.call(ctx, func() (time.Duration, error) {
			delay, reply, err := p.serve(call, force)
			if reply != nil {
				token = coordinator.NewToken(reply.value, sent.Add(time.Until(reply.end))).WithState(reply.state())
			}
			return delay, err
		})
		if err != nil {
			return coordinator.Token{}, err
		}
		return token, nil
	}
}

// serve processes a request that has arrived.
func (p *provider) serve(call *minting, force bool) (time.Duration, *issued, error) {
	call.late.Store(call.attempt.ID != "" && p.world.storeTime().After(call.attempt.Deadline.Add(coordinator.Slack)))
	delay, reply, err := p.reply(call, force)
	if reply != nil {
		p.world.note(call.process, "provider minted %s late=%v", reply.value, call.late.Load())
	}
	return delay, reply, err
}

var errGateway = errors.New("502 from some gateway")

// answer processes a request, and returns what to answer and after how long.
func (p *provider) answer(call *minting, force bool) (time.Duration, *issued, error) {
	refuse := func(class coordinator.Class, after time.Duration) error {
		return &coordinator.SourceError{Class: class, Message: "simulated", After: after, Refused: true}
	}
	delay := p.dice.between(50*time.Millisecond, 400*time.Millisecond)
	switch p.sky() {
	case busy:
		return delay, nil, refuse(coordinator.Transient, 0)
	case quota:
		return delay, nil, refuse(coordinator.Quota, time.Minute)
	case whitelist:
		return delay, nil, refuse(coordinator.Operator, 3*time.Minute)
	case secret:
		return delay, nil, refuse(coordinator.Configuration, 5*time.Minute)
	case broken:
		if p.dice.chance(0.5) {
			p.mint(call, force)
		}
		return delay, nil, errGateway
	case deaf:
		if p.dice.chance(0.5) {
			p.mint(call, force)
		}
		return never, nil, nil
	case slow:
		return p.dice.between(time.Second, 12*time.Second), p.mint(call, force), nil
	case nonsense, shortLife:
		p.world.unanswered.Add(1) // of no use, or not for long
	}
	if p.sky() == nonsense {
		p.mint(call, force)
		return delay, nil, nil // a Token without a value
	}
	return delay, p.mint(call, force), nil
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func latest(all ...time.Time) time.Time {
	var last time.Time
	for _, t := range all {
		if t.After(last) {
			last = t
		}
	}
	return last
}
