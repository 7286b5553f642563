package main

import (
	"context"
	"log/slog"
	"regexp"
	"sync"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/plain"
)

// eventLog writes the events of one token to a log. Trouble that lasts is
// logged when it begins and when it changes, not at every try.
type eventLog struct {
	log  *slog.Logger
	most slog.Level // no event is logged at a higher level

	mu      sync.Mutex
	trouble map[coordinator.EventKind]string // what was logged last; guarded by mu
}

func newEventLog(log *slog.Logger, name string, most slog.Level) *eventLog {
	return &eventLog{log: log.With("token", name), most: most, trouble: make(map[coordinator.EventKind]string)}
}

// observe is a coordinator.Config.Observer.
func (l *eventLog) observe(e coordinator.Event) {
	level := min(levelOf(e), l.most)
	if l.known(e) {
		level = slog.LevelDebug
	}
	attrs := []slog.Attr{}
	add := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	if e.Generation > 0 {
		attrs = append(attrs, slog.Int64("generation", e.Generation))
	}
	add("by", e.By)
	add("reason", e.Reason)
	add("class", string(e.Class))
	if e.Code != 0 {
		attrs = append(attrs, slog.Int("code", e.Code))
	}
	if e.Took > 0 {
		attrs = append(attrs, slog.Duration("took", e.Took.Round(time.Millisecond)))
	}
	add("attempt", e.Attempt)
	add("detail", plain.Clean(e.Detail))
	l.log.LogAttrs(context.Background(), level, string(e.Kind), attrs...)
}

// requestID is new in every answer of the provider.
var requestID = regexp.MustCompile(`,? rid:? ?[0-9A-Za-z-]+`)

// known reports whether the same trouble was logged last. A mint that succeeds
// ends all trouble with the provider.
func (l *eventLog) known(e coordinator.Event) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch e.Kind {
	case coordinator.EventMinted, coordinator.EventConfirmed:
		clear(l.trouble)
		return false
	case coordinator.EventFailed, coordinator.EventUnanswered, coordinator.EventCopyFailed, coordinator.EventUnsaved:
		if levelOf(e) == slog.LevelDebug {
			return false
		}
		what := requestID.ReplaceAllString(e.Detail, "")
		before, met := l.trouble[e.Kind]
		l.trouble[e.Kind] = what
		return met && before == what
	default:
		return false
	}
}

// levelOf: a warning heals by itself, an error needs somebody.
func levelOf(e coordinator.Event) slog.Level {
	switch e.Kind {
	case coordinator.EventFailed, coordinator.EventUnanswered:
		switch {
		case e.Class == "": // a failure's aftermath: the attempt was taken back
			return slog.LevelDebug
		case e.Class.Temporary():
			return slog.LevelWarn
		}
		return slog.LevelError
	case coordinator.EventMismatch, coordinator.EventUnreadable, coordinator.EventCopyFailed:
		return slog.LevelError
	case coordinator.EventOverlapped, coordinator.EventExpired, coordinator.EventForked, coordinator.EventBudget,
		coordinator.EventLockLost, coordinator.EventUnsaved, coordinator.EventStoreAway:
		return slog.LevelWarn
	default:
		return slog.LevelInfo
	}
}
