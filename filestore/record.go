package filestore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"unicode/utf8"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/atomicfile"
)

// maxFileSize bounds a record file, so that one that is not ours cannot fill
// the memory. A record is a few kilobytes.
const maxFileSize = 1 << 20

// eventsField is the one field of a record file that is not one of the record:
// the events of the write that made it.
const eventsField = "last_events"

// content is what a record file holds.
type content struct {
	record coordinator.Record
	events []coordinator.Event
}

// read returns the content of the record file of name, which is empty if there
// is none.
func (s *Store) read(name string) (content, error) {
	path := s.path(name, recordFile)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		// No record is one thing, no folder is another: a disk that is not
		// mounted must not look like a store that was emptied.
		if _, err := os.Stat(s.dir); err != nil {
			return content{}, s.explain("read the folder", err)
		}
		return content{}, nil
	}
	if err != nil {
		return content{}, s.explain("read the record", err)
	}
	if !info.Mode().IsRegular() { // a pipe would block
		return content{}, damaged(path, "is not a regular file")
	}
	data, err := readUpTo(path, maxFileSize+1)
	if err != nil {
		return content{}, s.explain("read the record", err)
	}
	if len(data) > maxFileSize {
		return content{}, damaged(path, fmt.Sprintf("has more than %d bytes", maxFileSize))
	}
	return parse(path, data)
}

func readUpTo(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

func parse(path string, data []byte) (content, error) {
	var fields map[string]string
	// The error of package json may quote what it has read: a token.
	if err := json.Unmarshal(data, &fields); err != nil {
		return content{}, damaged(path, "is not a JSON object of text fields")
	}
	var c content
	if text := fields[eventsField]; text != "" {
		var events []map[string]string
		if err := json.Unmarshal([]byte(text), &events); err != nil {
			return content{}, damaged(path, "field "+eventsField+" is not a JSON list")
		}
		for _, e := range events {
			c.events = append(c.events, coordinator.ParseEvent(e))
		}
	}
	delete(fields, eventsField)
	var err error
	c.record, err = coordinator.ParseRecord(fields)
	switch {
	case errors.Is(err, coordinator.ErrBadRecord):
		return content{}, fmt.Errorf("filestore: %s: %w; %s", path, err, remedyDamaged)
	case err != nil:
		return content{}, fmt.Errorf("filestore: %s: %w", path, err)
	case !c.record.Exists():
		return content{}, damaged(path, "holds no record")
	}
	return c, nil
}

const remedyDamaged = "it is left as it is, and nothing is written until you put back a good copy, or move it aside to begin anew with the next mint"

func damaged(path, problem string) error {
	return fmt.Errorf("filestore: %s: %w: %s; %s", path, coordinator.ErrBadRecord, problem, remedyDamaged)
}

// write replaces the record file. The guard is held.
func (s *Store) write(name string, c content) error {
	fields := c.record.Fields()
	if _, err := coordinator.ParseRecord(fields); err != nil {
		return fmt.Errorf("filestore: record of %s: is not written, as it could not be read again: %v", name, err)
	}
	if len(c.events) > 0 {
		events := make([]map[string]string, len(c.events))
		for i, e := range c.events {
			events[i] = e.Fields()
		}
		fields[eventsField] = string(encode(events, ""))
	}
	for field, value := range fields {
		if !utf8.ValidString(value) {
			return fmt.Errorf("filestore: record of %s: field %s is not UTF-8 text, which a file of JSON cannot hold; use another store", name, field)
		}
	}
	data := encode(fields, "  ")
	if len(data) > maxFileSize {
		return fmt.Errorf("filestore: record of %s: would have %d bytes, more than the %d that are read; use a shorter source state", name, len(data), maxFileSize)
	}
	if err := atomicfile.Write(s.path(name, recordFile), data); err != nil {
		return s.explain("write the record of "+name, err)
	}
	return nil
}

// encode returns value, which is made of texts, maps and lists, as JSON with
// sorted keys and a line end.
func encode(value any, indent string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	e.Encode(value) // cannot fail for such a value and such a writer
	return b.Bytes()
}
