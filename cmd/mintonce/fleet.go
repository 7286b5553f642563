package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/config"
	"github.com/mintonce/mintonce/internal/feed"
	"github.com/mintonce/mintonce/internal/httpapi"
	"github.com/mintonce/mintonce/internal/wechatapi"
	"github.com/mintonce/mintonce/wechat"
)

// fleet is the tokens that serve keeps fresh. They change with the config.
type fleet struct {
	log     *slog.Logger
	session *session
	group   *coordinator.Group
	events  *eventLog
	meter   *meter
	feed    *feed.Feed
	api     httpapi.Changing
	given   wechatapi.Memory // what SDKs were given
	limits  httpapi.Limits   // of the API's callers

	config  *config.Config          // that is in use
	held    map[string]config.Token // as they are in use: of tokens that are not as config says
	known   map[string]identity     // the tokens that are kept
	told    map[string]bool         // what was said of the config before
	retired sync.WaitGroup          // for mints of tokens that were dropped

	mu      sync.Mutex // guards opening
	opening map[string]config.Source
}

// identity is a hash of config.Identity.
type identity [16]byte

func identify(c *config.Config, name string, source config.Source) identity {
	sum := sha256.Sum256([]byte(c.Identity(name, source)))
	return identity(sum[:])
}

func (a *app) newFleet(s *session) (*fleet, error) {
	f := &fleet{
		log: a.log, session: s, events: newEventLog(a.log, slog.LevelError), meter: newMeter(), feed: feed.New(s.store.Store),
		known: make(map[string]identity), told: make(map[string]bool),
	}
	f.events.store = s.outage
	var err error
	f.group, err = coordinator.NewGroup(f.meter.Store(s.store.Store), f.open, coordinator.GroupConfig{Config: coordinator.Config{
		Instance: s.cfg.Instance, MaxWait: tokenWait, Observer: f.observe, Fallback: s.fallback,
	}})
	return f, err
}

// observe tells those who follow the events of all tokens.
func (f *fleet) observe(e coordinator.Event) {
	f.events.observe(e)
	f.meter.Observe(e)
	f.feed.Observe(e)
}

// open gives the group the source of a name while a config is put in use: to
// several at once, if a ticket needs its token in that moment.
func (f *fleet) open(name string) (coordinator.Source, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	source, ok := f.opening[name]
	if !ok {
		return nil, errors.New("it is not in the config")
	}
	return source, nil
}

// opens sets what open gives.
func (f *fleet) opens(sources map[string]config.Source) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.opening = sources
}

// tokens are those of a name, for the source of a ticket.
func (f *fleet) tokens(name string) wechat.TokenSource { return memberTokens{f.group, name} }

// memberTokens are those of a member of a group. It is looked up each time,
// because a config may have put another one in its place.
type memberTokens struct {
	group *coordinator.Group
	name  string
}

func (m memberTokens) Token(ctx context.Context) (coordinator.Token, error) {
	return m.group.Token(ctx, m.name)
}

func (m memberTokens) Report(ctx context.Context, value string, cause error) error {
	c, err := m.group.Get(m.name)
	if err != nil {
		return err
	}
	return c.Report(ctx, value, cause)
}

// change is the difference that a config makes.
type change struct {
	added, removed, changed []string

	known    map[string]identity
	sources  map[string]config.Source // of the added and the changed
	held     map[string]config.Token  // those that stay as they were
	warnings []string
	problems []error // of those, and of tokens that cannot be added
}

func (d *change) none() bool { return len(d.added)+len(d.removed)+len(d.changed) == 0 }

// inUse returns what the config that is in use now said of each token when that
// was last put in use.
func (f *fleet) inUse() func(name string) config.Token {
	c, held := f.config, f.held
	return func(name string) config.Token {
		if t, ok := held[name]; ok {
			return t
		}
		return c.Tokens[name]
	}
}

// compare reads the secrets of all tokens and finds what a config changes. A
// secret that cannot be read is an error; in a token file, which must not spoil
// the others, it is a problem of that token.
func (f *fleet) compare(c *config.Config) (*change, error) {
	d := &change{known: make(map[string]identity, len(c.Tokens)), sources: make(map[string]config.Source), held: make(map[string]config.Token), problems: slices.Clone(c.Refused)}
	said := f.inUse()
	for _, name := range c.Names() {
		before, had := f.known[name]
		source, warning, err := c.Source(name, f.tokens)
		if err != nil && !c.InTokenFile(name) {
			return nil, err
		}
		if warning != "" {
			d.warnings = append(d.warnings, warning)
		}
		if err != nil {
			d.problems = append(d.problems, err)
			if had {
				d.known[name], d.held[name] = before, said(name)
			}
			continue
		}
		now := identify(c, name, source)
		d.known[name] = now
		switch {
		case !had:
			d.added = append(d.added, name)
		case before != now:
			d.changed = append(d.changed, name)
		default:
			continue
		}
		d.sources[name] = source
	}
	for _, name := range slices.Sorted(maps.Keys(f.known)) {
		if _, stays := d.known[name]; !stays {
			d.removed = append(d.removed, name)
		}
	}
	return d, nil
}

// apply makes the difference. The HTTP API hands out the new tokens from then
// on.
func (f *fleet) apply(ctx context.Context, c *config.Config, d *change) error {
	if err := f.hold(ctx, d); err != nil {
		return err
	}
	f.opens(d.sources)
	defer f.opens(nil)
	f.drop(ctx, slices.Concat(d.removed, d.changed))
	if err := f.group.Keep(slices.Concat(d.added, d.changed)...); err != nil {
		return err // of a programming mistake: all that can be wrong was checked
	}
	f.config, f.known, f.held = c, d.known, d.held
	credentials := make(map[string]httpapi.Credential, len(f.known))
	for name := range f.known {
		member, err := f.group.Get(name)
		if err != nil {
			return err
		}
		f.meter.Follow(member)
		credentials[name] = f.meter.Count(member)
	}
	f.feed.Keep(slices.Collect(maps.Keys(f.known)))
	roster, _ := coordinator.As[coordinator.Roster](f.session.store.Store)
	f.api.Set(httpapi.New(httpapi.Config{
		Credentials: credentials, Clients: c.Clients, WeChat: f.wechat(), Limits: &f.limits, Instance: f.instance(), Roster: roster, Feed: f.feed,
		Rejection: wechat.IsRejected, Wait: tokenWait, Log: f.log,
		Metrics: f.meter.handler, Observe: f.meter.Request,
	}))
	f.feed.Disconnect() // those who look come back with the rights that they have now
	const very = 10_000
	if len(f.known) > very {
		debug.FreeOSMemory() // reading so many takes ten times the memory of keeping them
	}
	return nil
}

// hold leaves a changed token as it was whose record cannot be read: what this
// process remembers of it may be all that there is. If the store does not answer,
// that is every one of them, and the config waits.
func (f *fleet) hold(ctx context.Context, d *change) error {
	const batch = 500
	said := f.inUse()
	var readable []string
	for names := range slices.Chunk(d.changed, batch) {
		answers, cancel := context.WithTimeout(ctx, storeAnswers)
		loaded, err := coordinator.LoadAll(answers, f.session.store.Store, names)
		cancel()
		if err != nil {
			return &storeMissing{err}
		}
		for i, name := range names {
			switch err := loaded[i].Err; {
			case err == nil:
				readable = append(readable, name)
			case unreadable(err):
				d.problems = append(d.problems, fmt.Errorf("%s has changed, and its record cannot be read: %w; mend it (mintonce status %s tells more), then send SIGHUP", name, err, name))
				d.known[name], d.held[name] = f.known[name], said(name)
				delete(d.sources, name)
			default:
				return &storeMissing{err}
			}
		}
	}
	d.changed = readable
	return nil
}

// unreadable reports whether the store has answered, with something that this
// process cannot read.
func unreadable(err error) bool {
	return errors.Is(err, coordinator.ErrBadRecord) || errors.Is(err, coordinator.ErrNewerRecord) || errors.Is(err, coordinator.ErrSealed)
}

// storeMissing says that a config waits for the store.
type storeMissing struct{ err error }

func (e *storeMissing) Error() string { return e.err.Error() }
func (e *storeMissing) Unwrap() error { return e.err }

// drop forgets tokens. A mint under way is finished.
func (f *fleet) drop(ctx context.Context, names []string) {
	var dropped []*coordinator.Coordinator
	for _, name := range names {
		if c, err := f.group.Get(name); err == nil {
			dropped = append(dropped, c)
		}
		f.events.forget(name)
	}
	f.meter.Forget(names...)
	f.group.Drop(names...)
	f.retired.Go(func() { finish(ctx, dropped...) })
}

// finish lets all mints under way come to their end.
func (f *fleet) finish(ctx context.Context) {
	var all []*coordinator.Coordinator
	for _, name := range f.group.Names() {
		if c, err := f.group.Get(name); err == nil {
			all = append(all, c)
		}
	}
	f.given.Close()
	finish(ctx, all...)
	f.retired.Wait()
}

// instance is how this process calls itself.
func (f *fleet) instance() string {
	for name := range f.known {
		if c, err := f.group.Get(name); err == nil {
			return c.Instance()
		}
	}
	return ""
}
