package filestore_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
	"github.com/mintonce/mintonce/filestore"
)

func child(r coordinator.Record) coordinator.Record {
	return r.Child(coordinator.NewStamp(r, time.Now()))
}

// written returns a store in a new folder with one record.
func written(t *testing.T) (*filestore.Store, string, coordinator.Record) {
	t.Helper()
	dir := t.TempDir()
	s := open(t, dir)
	r := child(coordinator.Record{})
	r.Grant = coordinator.Grant{Value: "secret-token", Generation: 1, ExpiresAt: time.Now().Add(time.Hour)}
	if _, err := s.Swap(t.Context(), "shop", coordinator.Stamp{}, r); err != nil {
		t.Fatal(err)
	}
	return s, filepath.Join(dir, "shop.json"), r
}

// A record file that holds anything else is refused, named, and left alone.
func TestDamagedFile(t *testing.T) {
	_, path, _ := written(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"empty":         {},
		"null":          []byte("null"),
		"no field":      []byte("{}"),
		"torn":          whole[:len(whole)/2],
		"two records":   append(bytes.Clone(whole), whole...),
		"list":          []byte(`["secret-token"]`),
		"number":        bytes.Replace(whole, []byte(`"secret-token"`), []byte(`5551234`), 1),
		"binary":        {0, 1, 2, 255},
		"zeros":         make([]byte, len(whole)),
		"events":        bytes.Replace(whole, []byte("{"), []byte(`{"last_events": "secret-token",`), 1),
		"events only":   []byte(`{"last_events": "[]"}`),
		"another write": bytes.Replace(whole, []byte(`"write_id": "`), []byte(`"write_id": "1`), 1),
		"huge":          append(bytes.Clone(whole), bytes.Repeat([]byte(" "), 1<<20)...),
	} {
		t.Run(name, func(t *testing.T) {
			s, path, r := written(t)
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			_, _, loadErr := s.Load(t.Context(), "shop")
			_, swapErr := s.Swap(t.Context(), "shop", r.Stamp(), child(r))
			_, createErr := s.Swap(t.Context(), "shop", coordinator.Stamp{}, child(coordinator.Record{}))
			for _, err := range []error{loadErr, swapErr, createErr} {
				if !errors.Is(err, coordinator.ErrBadRecord) {
					t.Errorf("got error %v, want ErrBadRecord", err)
					continue
				}
				for _, part := range []string{path, "move it aside"} {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("error %q does not say %q", err, part)
					}
				}
				for _, secret := range []string{"secret", "5551234"} {
					if strings.Contains(err.Error(), secret) {
						t.Errorf("error %q holds what is in the file", err)
					}
				}
			}
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, data) {
				t.Errorf("the damaged file was changed to %q, error %v", after, err)
			}
			// What happens meanwhile is still recorded.
			if err := s.Append(t.Context(), "shop", coordinator.Event{Kind: coordinator.EventStoreAway}); err != nil {
				t.Errorf("Append: %v", err)
			}
			if entries, err := s.History(t.Context(), "shop", 5); err != nil || len(entries) != 1 {
				t.Errorf("History: %v, error %v; want one entry", entries, err)
			}
			// Moved aside, as the error advises, it is out of the way.
			if err := os.Rename(path, path+".damaged"); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Swap(t.Context(), "shop", coordinator.Stamp{}, child(coordinator.Record{})); err != nil {
				t.Errorf("after the file was moved aside: %v", err)
			}
		})
	}
}

// A file of any size costs little memory.
func TestHugeFile(t *testing.T) {
	s, path, _ := written(t)
	if err := os.Truncate(path, 1<<30); err != nil { // sparse: it takes no space
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err := s.Load(t.Context(), "shop")
	runtime.ReadMemStats(&after)
	if !errors.Is(err, coordinator.ErrBadRecord) {
		t.Errorf("error %v, want ErrBadRecord", err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 16<<20 {
		t.Errorf("reading took %d bytes of memory", took)
	}
}

// The largest record that is written can be read, and a larger one is refused
// while it is still a record and not yet a damaged file.
func TestTooLargeToWrite(t *testing.T) {
	s, path, r := written(t)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	fields := r.Fields()
	for _, field := range "abcdefghijklmnopq" {
		fields["later_"+string(field)] = strings.Repeat("x", 64<<10)
	}
	large, err := coordinator.ParseRecord(fields)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Swap(t.Context(), "shop", r.Stamp(), child(large)); err == nil || !strings.Contains(err.Error(), "bytes") {
		t.Errorf("Swap to a record of more than a megabyte: error %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, before) {
		t.Errorf("the record was changed, error %v", err)
	}
}

func TestUnreadableRecordIsNotWritten(t *testing.T) {
	s, _, r := written(t)
	next := child(r)
	next.Grant.State = strings.Repeat("s", 64<<10+1)
	_, err := s.Swap(t.Context(), "shop", r.Stamp(), next)
	if err == nil || errors.Is(err, coordinator.ErrBadRecord) || !strings.Contains(err.Error(), "source_state") {
		t.Errorf("error %.200v, want one that names the field, and is not about the record that is stored", err)
	}
	if got, _, err := s.Load(t.Context(), "shop"); err != nil || got.Stamp() != r.Stamp() {
		t.Errorf("after that, the record is %v, error %v; want %v", got.Stamp(), err, r.Stamp())
	}
}

func TestTokenThatIsNoText(t *testing.T) {
	s, _, r := written(t)
	next := child(r)
	next.Grant.Value = "secret\xff"
	_, err := s.Swap(t.Context(), "shop", r.Stamp(), next)
	if err == nil || !strings.Contains(err.Error(), "field value") || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v, want one that names the field and not the token", err)
	}
}

func TestBadName(t *testing.T) {
	s, path, _ := written(t)
	for _, name := range []string{"", ".", "..", "../" + filepath.Base(filepath.Dir(path)) + "/shop", "a/b", "a b", strings.Repeat("n", 65)} {
		_, _, loadErr := s.Load(t.Context(), name)
		_, swapErr := s.Swap(t.Context(), name, coordinator.Stamp{}, child(coordinator.Record{}))
		_, lockErr := s.Lock(t.Context(), name, "me", time.Second)
		_, historyErr := s.History(t.Context(), name, 1)
		_, holderErr := s.Holder(t.Context(), name)
		for _, err := range []error{loadErr, swapErr, lockErr, historyErr, holderErr, s.Append(t.Context(), name)} {
			if !errors.Is(err, coordinator.ErrBadName) {
				t.Errorf("name %q: error %v, want ErrBadName", name, err)
			}
		}
	}
}

// A pipe in the place of the record must not block.
func TestRecordIsNoFile(t *testing.T) {
	s, path, _ := written(t)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Load(t.Context(), "shop"); !errors.Is(err, coordinator.ErrBadRecord) {
		t.Errorf("error %v, want ErrBadRecord", err)
	}
}

// A damaged copy of a record that lives elsewhere is kept aside and made anew.
func TestDamagedCopy(t *testing.T) {
	copies, path, r := written(t)
	torn := []byte(`{"torn": "secret`)
	if err := os.WriteFile(path, torn, 0o600); err != nil {
		t.Fatal(err)
	}
	var told []coordinator.Event
	main := storetest.NewMemory()
	if _, err := main.Swap(t.Context(), "shop", coordinator.Stamp{}, r); err != nil {
		t.Fatal(err)
	}
	c, err := coordinator.New("shop", nil, main, coordinator.Config{NeverMint: true, Fallback: copies, Observer: func(e coordinator.Event) { told = append(told, e) }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Token(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again, _, err := copies.Load(t.Context(), "shop"); err != nil || again.Grant.Value != r.Grant.Value {
		t.Errorf("the copy is %v, error %v; want %v", again, err, r)
	}
	kept, err := filepath.Glob(path + ".damaged-*")
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept aside: %v, error %v", kept, err)
	}
	if data, err := os.ReadFile(kept[0]); err != nil || !bytes.Equal(data, torn) {
		t.Errorf("%s holds %q, error %v", kept[0], data, err)
	}
	if info, err := os.Stat(kept[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if last := told[len(told)-1]; !strings.Contains(last.Detail, kept[0]) || strings.Contains(last.Detail, "secret") {
		t.Errorf("told last: %v", last)
	}
}

// Quarantine touches nothing that is sound, and ends where a disk damages one
// file after another.
func TestQuarantine(t *testing.T) {
	s, path, r := written(t)
	if where, err := s.Quarantine(t.Context(), "shop"); where != "" || err != nil {
		t.Errorf("of a sound record: %q, %v", where, err)
	}
	if where, err := s.Quarantine(t.Context(), "other"); where != "" || err != nil {
		t.Errorf("of no record: %q, %v", where, err)
	}
	if got, _, err := s.Load(t.Context(), "shop"); err != nil || got.Stamp() != r.Stamp() {
		t.Errorf("afterwards: %v, %v", got, err)
	}
	for i := range 11 {
		if err := os.WriteFile(path, []byte{'0'}, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := s.Quarantine(t.Context(), "shop")
		if ended := err != nil; ended != (i == 10) {
			t.Fatalf("the damaged file number %d: %v", i+1, err)
		}
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("what could not be put aside: %v", err)
	}
}
