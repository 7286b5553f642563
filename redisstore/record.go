package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// streamLength is how many entries a history and the change stream keep, or a
// few more: Redis trims whole nodes.
const streamLength = 1000

// Load implements coordinator.Store as LoadAll does for many records, in one
// round trip.
func (s *Store) Load(ctx context.Context, name string) (coordinator.Record, time.Time, error) {
	if err := s.check(name); err != nil {
		return coordinator.Record{}, time.Time{}, err
	}
	all, err := s.loadAll(ctx, "load "+name, []string{name})
	if err != nil {
		return coordinator.Record{}, time.Time{}, err
	}
	return all[0].Record, all[0].Now, all[0].Err
}

// loaded reads the answer of load.lua.
func loaded(name string, reply []any) (coordinator.Record, time.Time, error) {
	now, stored, err := parseLoad(reply)
	if err != nil {
		return coordinator.Record{}, time.Time{}, explain("load "+name, err)
	}
	record, err := coordinator.ParseRecord(stored)
	if err != nil {
		return coordinator.Record{}, time.Time{}, fmt.Errorf("redisstore: load %s: %w", name, err)
	}
	return record, now, nil
}

// The outcomes of swap.lua.
const (
	outcomeConflict int64 = iota
	outcomeSwapped
	outcomeRepeated
)

// Swap implements coordinator.Store with one command. A swap with events is
// announced to the watchers; one without, such as the beginning of a mint, is no
// news.
//
// On a cluster the announcement takes two commands more, an intent before the
// swap and the news after it. If the news cannot be told, Config.Warn is told and
// Swap succeeds: watchers that have heard of the intent look a few seconds later,
// and otherwise when they next look by themselves.
func (s *Store) Swap(ctx context.Context, name string, old coordinator.Stamp, next coordinator.Record, events ...coordinator.Event) (time.Time, error) {
	if err := s.check(name); err != nil {
		return time.Time{}, err
	}
	if !next.Exists() {
		return time.Time{}, fmt.Errorf("redisstore: swap %s: the new record has no lineage: make it with Record.Child", name)
	}
	keys := []string{s.recordKey(name), s.historyKey(name)}
	apart := s.clustered() && len(events) > 0 // the announcement is for another server
	if len(events) > 0 && !apart {
		keys = append(keys, s.changesKey())
	}
	fields := next.Fields()
	if _, err := coordinator.ParseRecord(fields); err != nil {
		return time.Time{}, fmt.Errorf("redisstore: swap %s: the new record is not written, as no process could read it: %v", name, err)
	}
	if apart {
		s.intend(ctx, name, next)
	}
	reply, err := s.run(ctx, swapScript, keys, swapArgs(name, old, next, fields, events)...)
	if err != nil {
		return time.Time{}, explain("swap "+name, err)
	}
	outcome, now, err := parseSwap(reply)
	if err != nil {
		return time.Time{}, explain("swap "+name, err)
	}
	if outcome == outcomeConflict {
		return now, coordinator.ErrConflict
	}
	if apart {
		s.announce(ctx, name, next)
	}
	return now, nil
}

func swapArgs(name string, old coordinator.Stamp, next coordinator.Record, fields map[string]string, events []coordinator.Event) []any {
	expected := ""
	if old != (coordinator.Stamp{}) {
		expected = old.String()
	}
	args := []any{expected, next.Stamp().String(), streamLength, name, next.Grant.Generation}
	args = appendFields(args, fields)
	for _, e := range events {
		args = appendFields(args, e.Fields())
	}
	return args
}

// appendFields appends the number of strings and the strings; nothing for an
// event that says nothing, which a stream cannot hold.
func appendFields(args []any, fields map[string]string) []any {
	if len(fields) == 0 {
		return args
	}
	args = append(args, 2*len(fields))
	for name, value := range fields {
		args = append(args, name, value)
	}
	return args
}

// errReply says that something answers that is not Redis, or not our script.
var errReply = errors.New("unexpected reply")

func parseLoad(reply []any) (time.Time, map[string]string, error) {
	if len(reply) != 3 {
		return time.Time{}, nil, errReply
	}
	now, err := parseTime(reply[0], reply[1])
	flat, ok := reply[2].([]any)
	if err != nil || !ok || len(flat)%2 != 0 {
		return time.Time{}, nil, errReply
	}
	fields := make(map[string]string, len(flat)/2)
	for i := 0; i < len(flat); i += 2 {
		name, ok1 := flat[i].(string)
		value, ok2 := flat[i+1].(string)
		if !ok1 || !ok2 {
			return time.Time{}, nil, errReply
		}
		fields[name] = value
	}
	return now, fields, nil
}

func parseSwap(reply []any) (int64, time.Time, error) {
	if len(reply) != 3 {
		return 0, time.Time{}, errReply
	}
	outcome, ok := reply[0].(int64)
	now, err := parseTime(reply[1], reply[2])
	if !ok || err != nil || outcome < outcomeConflict || outcome > outcomeRepeated {
		return 0, time.Time{}, errReply
	}
	return outcome, now, nil
}

// parseTime reads the reply of TIME.
func parseTime(seconds, micros any) (time.Time, error) {
	s, err1 := strconv.ParseInt(fmt.Sprint(seconds), 10, 64)
	us, err2 := strconv.ParseInt(fmt.Sprint(micros), 10, 64)
	if err1 != nil || err2 != nil {
		return time.Time{}, errReply
	}
	return time.Unix(s, us*1000).UTC(), nil
}
