package filestore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/atomicfile"
)

// maxHistorySize bounds what is read of a history file: its end. A file that is
// longer is cut at the next write.
const maxHistorySize = 4 << 20

// writeField is the field of a history line that says which write of the record
// it came with or after. It tells whether the events in a record file are in
// the history already.
const writeField = "write"

// History implements [coordinator.Historian]. It takes no lock.
func (s *Store) History(ctx context.Context, name string, n int) ([]coordinator.Event, error) {
	if err := begin(ctx, name); err != nil {
		return nil, err
	}
	// The record first: if it is replaced meanwhile, its events are in the
	// history by then.
	stored, err := s.read(name)
	if err != nil && !unusable(err) {
		return nil, err
	}
	lines, err := s.readHistory(name)
	if err != nil {
		return nil, err
	}
	var entries []coordinator.Event
	for _, line := range lines {
		entries = append(entries, coordinator.ParseEvent(line.fields))
	}
	if s.history > 0 && !logged(lines, stored) {
		for _, e := range stored.events {
			entries = append(entries, coordinator.ParseEvent(e.Fields()))
		}
	}
	slices.Reverse(entries)
	return entries[:max(0, min(n, s.history, len(entries)))], nil
}

// Append implements [coordinator.Historian].
func (s *Store) Append(ctx context.Context, name string, events ...coordinator.Event) error {
	if err := begin(ctx, name); err != nil {
		return err
	}
	unlock, err := s.guard(ctx, name)
	if err != nil {
		return err
	}
	defer unlock()
	// What happens while the record is damaged is worth keeping, too.
	stored, err := s.read(name)
	if err != nil && !unusable(err) {
		return err
	}
	return s.log(name, stored, events...)
}

// unusable reports whether err says that there is a record, but not for us.
func unusable(err error) bool {
	return errors.Is(err, coordinator.ErrBadRecord) || errors.Is(err, coordinator.ErrNewerRecord)
}

// log makes sure that the events of the record's own write are in the history,
// and adds more. The guard is held.
func (s *Store) log(name string, stored content, more ...coordinator.Event) error {
	if s.history == 0 || len(stored.events)+len(more) == 0 {
		return nil
	}
	lines, err := s.readHistory(name)
	if err != nil {
		return err
	}
	if !logged(lines, stored) {
		more = slices.Concat(stored.events, more)
	}
	if len(more) == 0 {
		return nil
	}
	if err := s.extend(name, lines, stored.record.Stamp(), more); err != nil {
		return s.explain("write the history of "+name, err)
	}
	return nil
}

// historyLine is one line, as it is and parsed.
type historyLine struct {
	text   []byte
	fields map[string]string
}

// logged reports whether the events of the record's own write are in the
// history. As they come before all other lines of that write, any will tell.
func logged(lines []historyLine, stored content) bool {
	stamp := stored.record.Stamp().String()
	return len(stored.events) == 0 || slices.ContainsFunc(lines, func(l historyLine) bool { return l.fields[writeField] == stamp })
}

// readHistory returns the lines of the history that can be read, the oldest
// first.
func (s *Store) readHistory(name string) ([]historyLine, error) {
	f, err := os.Open(s.path(name, historyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, s.explain("read the history of "+name, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, s.explain("read the history of "+name, err)
	}
	start := max(0, info.Size()-maxHistorySize)
	data, err := io.ReadAll(io.NewSectionReader(f, start, maxHistorySize))
	if err != nil {
		return nil, s.explain("read the history of "+name, err)
	}
	var lines []historyLine
	for text := range bytes.Lines(data) {
		line := historyLine{text: text}
		// A line that was torn, or cut by the bound above, is left out.
		if json.Unmarshal(text, &line.fields) == nil && len(line.fields) > 0 {
			lines = append(lines, line)
		}
	}
	return lines, nil
}

// extend adds events to the history, which has these lines, and cuts it when it
// has grown to twice its limit.
func (s *Store) extend(name string, lines []historyLine, write coordinator.Stamp, events []coordinator.Event) error {
	var added []byte
	for _, e := range events {
		fields := e.Fields()
		fields[writeField] = write.String()
		added = append(added, encode(fields, "")...)
	}
	path := s.path(name, historyFile)
	info, err := os.Stat(path)
	if err != nil || len(lines)+len(events) <= 2*s.history && info.Size() <= maxHistorySize {
		return appendTo(path, added) // there, a missing file is made and other errors are told
	}
	var kept []byte
	for _, line := range newest(lines, s.history-len(events), maxHistorySize/2) {
		kept = append(append(kept, bytes.TrimSuffix(line.text, []byte("\n"))...), '\n')
	}
	return atomicfile.Write(path, append(kept, added...))
}

// newest returns the last lines, up to n of them and up to size bytes.
func newest(lines []historyLine, n, size int) []historyLine {
	first := len(lines)
	for first > 0 && n > 0 && size >= len(lines[first-1].text) {
		first--
		n--
		size -= len(lines[first].text)
	}
	return lines[first:]
}

// appendTo adds lines to a file, all of them or none. It ends a torn line that
// a power failure left at the end.
func appendTo(path string, lines []byte) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	size := info.Size()
	last := []byte{'\n'}
	if size > 0 {
		if _, err := f.ReadAt(last, size-1); err != nil {
			return err
		}
	}
	if last[0] != '\n' {
		lines = append([]byte{'\n'}, lines...)
	}
	if _, err = f.Write(lines); err == nil {
		err = f.Sync()
	}
	if err != nil {
		f.Truncate(size)
	}
	return err
}
