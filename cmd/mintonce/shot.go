package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/redisstore"
)

// shot is the work of a command that is about one token.
type shot struct {
	name        string
	session     *session
	source      coordinator.Source // nil if the token is not configured
	coordinator *coordinator.Coordinator

	mu  sync.Mutex
	did coordinator.EventKind // what this process's mint led to; guarded by mu
	why string                // its reason; guarded by mu
}

func (s *shot) observe(e coordinator.Event) {
	switch e.Kind {
	case coordinator.EventMinted, coordinator.EventConfirmed, coordinator.EventOverlapped:
		s.mu.Lock()
		defer s.mu.Unlock()
		s.did, s.why = e.Kind, e.Reason
	}
}

// outcome is what this process's mint led to and why, or nothing.
func (s *shot) outcome() (coordinator.EventKind, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.did, s.why
}

// status reads the status of the token.
func (s *shot) status(ctx context.Context) (coordinator.Status, error) {
	var traits coordinator.Traits
	if s.source != nil {
		traits = s.source.Traits()
	}
	return coordinator.ReadStatus(ctx, s.session.store.Store, s.name, traits)
}

// configured is an error for work that needs to know where the token comes from.
func (s *shot) configured(command string) error {
	if s.source != nil {
		return nil
	}
	others := s.session.cfg.Names()
	if len(others) == 0 {
		return misused("%s needs to know where %s comes from: list it in the config file, or add --wechat-appid", command, s.name)
	}
	return misused("%s needs to know where %s comes from, and flags and config describe %s only: name that, or add %s to the config file", command, s.name, few(others), s.name)
}

// few are the first of some names.
func few(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + ", ..."
}

// explain says what the command's user can do about err.
func (s *shot) explain(err error, timeout time.Duration) error {
	var usage *usageError
	var redis *redisstore.Error
	var broken *coordinator.SourceError
	switch {
	case err == nil, errors.As(err, &usage):
		return err
	case errors.Is(err, context.Canceled) && !errors.As(err, &broken): // not by the end of a lease
		return fmt.Errorf("%s: interrupted", s.name)
	case errors.Is(err, coordinator.ErrNeverMint):
		return fmt.Errorf("%s: no usable token in %s, and no other process made one within %s: run mintonce serve for it, or say where it comes from (--config, or --wechat-appid)", s.name, s.session.url, timeout)
	case errors.Is(err, coordinator.ErrCredentialMismatch), errors.Is(err, coordinator.ErrNewerRecord), errors.Is(err, coordinator.ErrSealed):
		return err // says what to do
	case errors.Is(err, coordinator.ErrBadRecord):
		return fmt.Errorf("%s in %s: %w: see mintonce doctor", s.name, s.session.url, err)
	case errors.As(err, &redis):
		return s.session.explain(err)
	default:
		return fmt.Errorf("%s: %w", s.name, err)
	}
}

// left is how long a token is still valid, in words.
func left(t coordinator.Token) string {
	return "valid for " + time.Until(t.ExpiresAt()).Truncate(time.Second).String()
}
