package coordinator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Coordinator keeps one credential for all the goroutines of this process,
// together with the coordinators of the same name in other processes. All of
// its methods are safe for concurrent use.
type Coordinator struct {
	name   string
	source Source // nil only with cfg.NeverMint
	cfg    *common
	traits Traits
	epoch  time.Time // where the durations in served count from

	current atomic.Pointer[served]

	mu       sync.Mutex // guards all below; never held during I/O
	memory   memory     // the last record that this process saw or wrote
	ahead    bool       // memory has writes that the store has not acknowledged
	clock    storeClock
	idle     []string  // own attempts that minted nothing and could not be abandoned yet
	underWay string    // the own attempt whose outcome is not written yet
	flight   *flight   // the work under way, or nil
	news     signal    // sent at every hint
	fresh    signal    // sent when a token is published
	quiet    time.Time // no work of its own accord before this
	obstacle error     // why the last flight did not settle
	away     bool      // the store did not answer the last time
	missed   bool      // the last look failed: what it was for is still to be found out
	told     bool      // of news that no look has taken in yet
	rotation *rotation // asked for and not begun
	withheld *served   // of a token that is not served before it is saved
	early    int64     // the generation for which an early report was counted
	running  int       // calls of Run

	watching watching
	copying  *copying // nil without a fallback
}

// common is what all coordinators of a Group share.
type common struct {
	Config
	store  Store
	hints  Watcher           // usually the store; nil if it tells no changes
	landed func(name string) // if set, is told when a flight has ended
}

// served is what Token returns without looking any further.
type served struct {
	fine   atomic.Int64 // since epoch: until then, Token need not look at anything else
	token  Token
	more   more
	look   time.Duration // since epoch: from then on, look whether there is something to do
	end    time.Duration // since epoch: from then on, the token is not served
	byWall bool          // end was reckoned from the wall clock and a copy
	apart  time.Duration // of this machine's clocks when end was reckoned; see sleep.go
	commit int64         // the revision at which the token was committed
}

// of reports whether s was made of r's token. Its end may be told anew since, on
// a clock that was set.
func (s *served) of(r Record) bool {
	return s != nil && s.token.Value == r.Grant.Value && s.commit == r.CommittedAt
}

// New returns the coordinator of the credential called name, which must be of
// the form NamePattern. It contacts neither store nor provider.
func New(name string, source Source, store Store, config Config) (*Coordinator, error) {
	if store == nil {
		return nil, errors.New("mintonce: New needs a Store")
	}
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	hints, _ := As[Watcher](store)
	c := new(Coordinator)
	if err := c.init(name, source, &common{Config: config, store: store, hints: hints}); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Coordinator) init(name string, source Source, cfg *common) error {
	if err := CheckName(name); err != nil {
		return err
	}
	if source == nil && !cfg.NeverMint {
		return errors.New("mintonce: New needs a Source, or Config.NeverMint")
	}
	if checker, ok := source.(Checker); ok {
		if err := checker.Check(); err != nil {
			return err
		}
	}
	c.name, c.source, c.cfg, c.epoch, c.clock = name, source, cfg, time.Now(), guessClock()
	if source != nil {
		c.traits = source.Traits()
	}
	if cfg.Fallback != nil {
		c.copying = new(copying)
	}
	return nil
}

// Name returns the credential's name.
func (c *Coordinator) Name() string { return c.name }

// Format makes every verb of package fmt print the name only.
func (c *Coordinator) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "coordinator of %s", c.name) }

// Instance returns the name of this process in records and locks.
func (c *Coordinator) Instance() string { return c.cfg.Instance }

// Token returns a token that is valid now. While this process holds one, that
// takes nanoseconds, and a refresh that is due goes on in the background.
//
// Without one, Token waits for a mint, by this process or another, until ctx
// ends, for at most Config.MaxWait. It then returns an error that matches
// ErrNoToken and says what is in the way. Failures that time alone does not
// heal, such as a wrong secret, are returned at once.
func (c *Coordinator) Token(ctx context.Context) (Token, error) {
	if s := c.current.Load(); s != nil && int64(time.Since(c.epoch)) < s.fine.Load() {
		return s.token, nil
	}
	return c.tokenSlowly(ctx)
}

func (c *Coordinator) tokenSlowly(ctx context.Context) (Token, error) {
	if token, ok := c.wakeful(); ok {
		return token, nil
	}
	if token, ok := c.usable(); ok {
		c.fly()
		return token, nil
	}
	if err := c.hopeless(); err != nil {
		return Token{}, fmt.Errorf("%w: %w", ErrNoToken, err)
	}
	err := c.settle(ctx, nil, func() bool { _, ok := c.usable(); return ok })
	if token, ok := c.usable(); ok {
		return token, nil
	}
	if err == nil {
		err = errors.New("the provider's token was too short-lived to be served")
	}
	return Token{}, fmt.Errorf("%w: %w", ErrNoToken, err)
}

// usable returns the token that this process may serve now.
func (c *Coordinator) usable() (Token, bool) {
	s := c.current.Load()
	if s == nil || c.over(s) {
		return Token{}, false
	}
	return s.token, true
}

// remember takes r, as it stands in the store, for the truth. The caller holds
// mu.
func (c *Coordinator) remember(r Record, clock storeClock) {
	if r.Credential == c.traits.Credential {
		r.Credential = c.traits.Credential // one text in memory instead of two
	}
	c.memory, c.clock, c.ahead = memorize(r), clock, false
	c.publish()
}

// adopt takes w for the truth though the store has not acknowledged it. The
// next look writes it back.
func (c *Coordinator) adopt(w written) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.memory, c.clock, c.ahead = memorize(w.record), w.clock, true
	c.publish()
}

// publish makes the memory's token the one that Token returns. The caller
// holds mu.
func (c *Coordinator) publish() {
	r, now := c.memory.record(), time.Now()
	g := r.Grant
	if g.Value == "" {
		return // what is served ends by itself
	}
	s := &served{commit: r.CommittedAt, apart: c.clock.apart, byWall: c.clock.byWall, end: c.clock.until(g.ExpiresAt).Sub(c.epoch)}
	// Should the store's clock jump back, the same token must not live longer.
	if old := c.reckoned(r); old.of(r) && (!old.byWall || s.byWall) {
		s.end = min(s.end, old.end)
	}
	s.look = min(s.end, c.nextLook(now).Sub(c.epoch))
	s.more.expiresAt = c.epoch.Add(s.end)
	s.token = Token{Value: g.Value, Generation: g.Generation, more: &s.more}
	c.withheld = nil
	if c.ahead && c.traits.Kind == Rotating && !c.copying.holds(r) {
		c.withheld = s // a lost refresh token cannot be replaced: first the disk, then the callers
		return
	}
	c.current.Store(s)
	c.fresh.send()
}

// reckoned is what was made of r's token, served or not. The caller holds mu.
func (c *Coordinator) reckoned(r Record) *served {
	if c.withheld.of(r) {
		return c.withheld
	}
	return c.current.Load()
}

// nextLook is when this process has to look again of its own accord. The
// caller holds mu.
func (c *Coordinator) nextLook(now time.Time) time.Time {
	next := now
	if plan := c.planAt(now, nil); plan.Action != Mint && !c.ahead && !c.missed {
		next = c.clock.passed(plan.At)
		if s := c.current.Load(); s.of(c.memory.record()) && !c.over(s) && c.epoch.Add(s.end).Before(next) {
			next = c.epoch.Add(s.end) // the store's clock was set back since
		}
	}
	if recheck := now.Add(c.cfg.Recheck); !c.hinted() && recheck.Before(next) {
		next = recheck
	}
	if next.Before(c.quiet) {
		next = c.quiet
	}
	return next
}

// hinted reports whether this process is told of changes, so that it need not
// look from time to time. The caller holds mu.
func (c *Coordinator) hinted() bool {
	return c.cfg.hints != nil && c.running > 0
}

// publication returns a channel that is closed when the next token, or the
// next news of the same one, is published.
func (c *Coordinator) publication() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fresh.wait()
}

// hopeless returns the failure that was met a moment ago, if waiting is no use
// against it, so that a storm of calls does not become a storm of looks.
func (c *Coordinator) hopeless() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	fresh := (c.flight == nil || c.flight.futile) && time.Now().Before(c.quiet)
	if fresh && c.obstacle != nil && lasting(c.obstacle) {
		return c.obstacle
	}
	return nil
}

// emit tells the observer. It must not be called with mu held.
func (c *Coordinator) emit(events ...Event) {
	if c.cfg.Observer != nil {
		for _, e := range events {
			c.cfg.Observer(e)
		}
	}
}

// event returns an event of this process with the store's time now.
func (c *Coordinator) event(kind EventKind, now time.Time) Event {
	return Event{Kind: kind, Name: c.name, At: now, By: c.cfg.Instance}
}

// eventNow is event at the present, for what happens beside the store.
func (c *Coordinator) eventNow(kind EventKind) Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.event(kind, c.clock.at(time.Now()))
	e.Generation = c.memory.record().Grant.Generation
	return e
}
