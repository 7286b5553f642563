package main

import (
	"context"
	"log/slog"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/plain"
)

// eventLog writes the events of tokens to a log. Trouble that lasts is logged
// when it begins and when it changes, not at every try; and that of the store,
// which all tokens meet at once, for the first of them only.
type eventLog struct {
	log  *slog.Logger
	most slog.Level // no event is logged at a higher level

	store *outage

	mu      sync.Mutex         // guards trouble
	trouble map[trouble]string // what was logged last
}

// trouble is what lasts.
type trouble struct {
	name string // of the token
	kind coordinator.EventKind
}

// lasting are the kinds of trouble with the provider, or with the copy.
var lasting = []coordinator.EventKind{coordinator.EventFailed, coordinator.EventUnanswered, coordinator.EventCopyFailed, coordinator.EventUnsaved}

func newEventLog(log *slog.Logger, most slog.Level) *eventLog {
	return &eventLog{log: log, most: most, store: newOutage(log, min(slog.LevelWarn, most)), trouble: make(map[trouble]string)}
}

// forget ends the trouble of a token.
func (l *eventLog) forget(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end(name)
}

// end is forget for a caller that holds mu.
func (l *eventLog) end(name string) {
	for _, kind := range lasting {
		delete(l.trouble, trouble{name, kind})
	}
}

// observe is a coordinator.Config.Observer.
func (l *eventLog) observe(e coordinator.Event) {
	switch e.Kind {
	case coordinator.EventStoreAway:
		l.store.away(plain.Clean(e.Detail))
		return
	case coordinator.EventStoreBack:
		l.store.back()
		return
	}
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
	add("token", e.Name)
	if e.Generation > 0 {
		attrs = append(attrs, slog.Int64("generation", e.Generation))
	}
	add("by", e.By)
	add("reason", e.Reason)
	add("actor", e.Actor)
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
	switch {
	case e.Kind == coordinator.EventMinted || e.Kind == coordinator.EventConfirmed:
		l.end(e.Name)
	case slices.Contains(lasting, e.Kind) && levelOf(e) != slog.LevelDebug:
		what := requestID.ReplaceAllString(e.Detail, "")
		key := trouble{e.Name, e.Kind}
		before, met := l.trouble[key]
		l.trouble[key] = what
		return met && before == what
	}
	return false
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
	case coordinator.EventMismatch, coordinator.EventUnreadable, coordinator.EventCopyFailed, coordinator.EventForeign:
		return slog.LevelError
	case coordinator.EventOverlapped, coordinator.EventExpired, coordinator.EventForked, coordinator.EventBudget,
		coordinator.EventLockLost, coordinator.EventUnsaved:
		return slog.LevelWarn
	case coordinator.EventMinted, coordinator.EventConfirmed:
		if e.Detail == coordinator.DetailUnlocked {
			return slog.LevelWarn
		}
		return slog.LevelInfo
	default:
		return slog.LevelInfo
	}
}
