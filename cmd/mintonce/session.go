package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/config"
	"github.com/mintonce/mintonce/internal/plain"
	"github.com/mintonce/mintonce/internal/storeurl"
	"github.com/mintonce/mintonce/redisstore"
	"github.com/mintonce/mintonce/sealedstore"
	"github.com/mintonce/mintonce/wechat"
	"github.com/redis/go-redis/v9"
	"github.com/spf13/cobra"
)

// passwordVariable holds the password of Redis where the URL does not.
const passwordVariable = "MINTONCE_STORE_PASSWORD"

// session is the store in use, with what is needed for coordinators on it.
type session struct {
	cfg      *config.Config
	log      *slog.Logger
	url      storeurl.URL
	store    storeurl.Opened
	fallback coordinator.Store        // nil without one
	sealed   []*sealedstore.Store     // store and fallback, if their tokens are sealed
	outage   *outage                  // of the store
	behind   *coordinator.Coordinator // of the token with which a ticket is got; nil without one
}

// open opens the stores of the config. What is amiss with them but stops nobody
// is logged at that level: who runs for long tells of each outage.
func (a *app) open(c *config.Config, amiss slog.Level) (*session, error) {
	url, err := storeOf(c)
	if err != nil {
		return nil, err
	}
	redis.SetLogger(clientLog{a.log}) // by itself it would write to stderr
	s := &session{cfg: c, log: a.log, url: url, outage: newOutage(a.log, amiss)}
	options := storeurl.Options{Prefix: c.Prefix, Password: getenv(passwordVariable), Warn: s.outage.warn}
	if c.Fallback != "" {
		fallback, err := storeurl.Parse(c.Fallback)
		if err != nil {
			return nil, err // Check has parsed it before
		}
		opened, err := fallback.Open(options)
		if err != nil {
			return nil, fmt.Errorf("fallback: %w", err)
		}
		s.fallback = opened.Store
	}
	if s.store, err = url.Open(options); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := s.seal(); err != nil {
		s.close()
		return nil, err
	}
	if names := c.Names(); len(names) > 0 && amiss >= slog.LevelWarn {
		s.outage.ping = func(ctx context.Context) error {
			_, _, err := s.store.Load(ctx, names[0])
			return err
		}
	}
	return s, nil
}

// storeOf is the store of the config, or that of the user's state folder.
func storeOf(c *config.Config) (storeurl.URL, error) {
	if c.Store != "" {
		return storeurl.Parse(c.Store)
	}
	url, err := storeurl.StateDir()
	if err != nil {
		return storeurl.URL{}, &config.Error{Key: "--store", Problem: err.Error()}
	}
	return url, nil
}

// clientLog is for go-redis, whose remarks repeat what the store says.
type clientLog struct{ log *slog.Logger }

func (l clientLog) Printf(ctx context.Context, format string, args ...any) {
	l.log.DebugContext(ctx, plain.Line(fmt.Sprintf(format, args...)))
}

// explain names the store in an error of Redis, and where its password is set.
func (s *session) explain(err error) error {
	if text := advice(err); text != "" {
		return &storeError{fmt.Sprintf("store %s: %s", s.url, text), err}
	}
	return err
}

// advise is explain where the store is named already.
func (s *session) advise(err error) error {
	if text := advice(err); text != "" {
		return &storeError{text, err}
	}
	return err
}

// advice is what an error of Redis says, with where its password is set; of any
// other error it is empty.
func advice(err error) string {
	var problem *redisstore.Error
	if !errors.As(err, &problem) {
		return ""
	}
	text := problem.Problem
	if problem.Remedy != "" {
		text += ": " + problem.Remedy
	}
	for _, refusal := range []string{"NOAUTH", "WRONGPASS", "ERR invalid password", "ERR AUTH"} {
		if redis.HasErrorPrefix(problem.Err, refusal) {
			text += " (as part of --store, or in " + passwordVariable + ")"
		}
	}
	return text
}

// storeError is an error in the words of the command.
type storeError struct {
	text string
	err  error
}

func (e *storeError) Error() string { return e.text }
func (e *storeError) Unwrap() error { return e.err }

func (s *session) close() {
	s.outage.close()
	_ = s.store.Close() // there is nobody left to tell
}

// source is that of a configured token; nil for any other.
func (s *session) source(name string) (coordinator.Source, error) {
	if _, known := s.cfg.Tokens[name]; !known {
		for _, err := range s.cfg.Refused { // it may stand there
			s.log.Warn("a token file is left out", "problem", plain.Text(err))
		}
		return nil, nil
	}
	var problem error
	source, warning, err := s.cfg.Source(name, func(of string) wechat.TokenSource {
		s.behind, problem = s.tokens(of)
		return s.behind
	})
	if err := cmp.Or(err, problem); err != nil {
		return nil, err
	}
	if warning != "" {
		s.log.Warn(warning)
	}
	return source, nil
}

// tokens returns the coordinator with whose token a ticket is got.
func (s *session) tokens(name string) (*coordinator.Coordinator, error) {
	source, err := s.source(name)
	if err != nil {
		return nil, err
	}
	return s.coordinator(name, source, tokenWait, newEventLog(s.log, slog.LevelInfo).observe)
}

// coordinator returns that of a token. Without a source, it never mints: it
// reads what a refresher keeps fresh.
func (s *session) coordinator(name string, source coordinator.Source, wait time.Duration, observer func(coordinator.Event)) (*coordinator.Coordinator, error) {
	cfg := coordinator.Config{
		Instance: s.cfg.Instance, MaxWait: wait, Observer: observer,
		NeverMint: source == nil, Fallback: s.fallback,
	}
	return coordinator.New(name, source, s.store.Store, cfg)
}

// oneShot runs work with the coordinator of one token, for at most timeout. A
// mint that work has begun is finished before oneShot returns.
func (a *app) oneShot(cmd *cobra.Command, args []string, timeout time.Duration, work func(context.Context, *shot) error) error {
	if timeout < time.Millisecond || timeout > time.Hour {
		return misused("--timeout is %s: it must be from 1ms to 1h", timeout)
	}
	first := ""
	if len(args) == 1 {
		first = args[0]
	}
	c, err := a.settings(first)
	if err != nil {
		return err
	}
	name, err := a.nameOf(cmd, args, c)
	if err != nil {
		return err
	}
	if err := a.ready(c, slog.LevelWarn); err != nil {
		return err
	}
	a.begun = true
	s, err := a.open(c, slog.LevelDebug)
	if err != nil {
		return err
	}
	defer s.close()
	source, err := s.source(name)
	if err != nil {
		return err
	}
	sh := &shot{name: name, session: s, source: source}
	events := newEventLog(a.log, slog.LevelInfo)
	sh.coordinator, err = s.coordinator(name, source, timeout, func(e coordinator.Event) {
		events.observe(e)
		sh.observe(e)
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
	defer cancel()
	if s.fallback == nil {
		// Where the source allows it, a coordinator mints without its store.
		// For one call, that would only hide that the store is not there.
		if _, _, err := s.store.Load(ctx, name); err != nil {
			return sh.explain(err, timeout)
		}
	}
	err = work(ctx, sh)
	finish(ctx, sh.coordinator)
	if s.behind != nil {
		finish(ctx, s.behind)
	}
	return sh.explain(err, timeout)
}

// mintEnds is longer than a mint and its commit may take.
const mintEnds = 20 * time.Second

// finish lets mints under way come to their end. Otherwise the next process
// would have to find out what became of them.
func finish(ctx context.Context, coordinators ...*coordinator.Coordinator) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), mintEnds)
	defer cancel()
	for _, c := range coordinators {
		_ = c.Drain(ctx)
	}
}
