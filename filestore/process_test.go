package filestore_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"github.com/mintonce/mintonce/filestore"
)

// Each write of one of the processes wins once, and no two hold the lock.
func TestProcessesContend(t *testing.T) {
	const processes = 3
	dir := t.TempDir()
	var children []*process
	for range processes {
		children = append(children, start(t, "contend", dir))
	}
	for _, p := range children {
		p.wait(t)
	}
	s := open(t, dir)
	r, _, err := s.Load(t.Context(), "shop")
	if err != nil || r.EarlyReports != processes*turns {
		t.Errorf("the record counts %d writes, error %v; want %d", r.EarlyReports, err, processes*turns)
	}
	entries, err := s.History(t.Context(), "shop", 1000)
	if err != nil || len(entries) != processes*turns {
		t.Errorf("the history has %d entries, error %v; want %d", len(entries), err, processes*turns)
	}
	for i, e := range entries {
		if want := int64(processes*turns - i); e.Generation != want {
			t.Errorf("entry %d is of write %d, want %d", i, e.Generation, want)
		}
	}
	if n, err := readCounter(filepath.Join(dir, "counter")); err != nil || n != processes*turns {
		t.Errorf("under the lock, the file was counted to %d, error %v; want %d", n, err, processes*turns)
	}
}

// A writer that is killed at any moment leaves a whole record, not older than
// the last that it reported, with its event; and no litter.
func TestKilledWriter(t *testing.T) {
	dir := t.TempDir()
	for range 15 {
		p := start(t, "write", dir)
		last := p.line(t)
		time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond) // any moment
		if line := p.kill(t); line != "" {
			last = line
		}
		s := open(t, dir)
		r, _, err := s.Load(t.Context(), "shop")
		if err != nil {
			t.Fatalf("after kill -9: %v", err)
		}
		written := false
		for _, stamp := range r.Lineage {
			written = written || stamp.String() == last
		}
		if !written {
			t.Errorf("the record descends from %v, not from %s, which was reported as written", r.Lineage, last)
		}
		entries, err := s.History(t.Context(), "shop", 3)
		if err != nil || len(entries) == 0 || entries[0].Detail != r.Stamp().String() {
			t.Fatalf("the last entry of the history is %v, error %v; want that of %v", entries, err, r.Stamp())
		}
		for i, e := range entries {
			if want := r.Lineage[len(r.Lineage)-1-i].String(); e.Detail != want {
				t.Errorf("entry %d of the history is %s, want %s: none lost, none twice", i, e.Detail, want)
			}
		}
		wantNoLitter(t, dir)
	}
}

func wantNoLitter(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if strings.Contains(entry.Name(), ".tmp-") {
			t.Errorf("%s was left over", entry.Name())
		}
	}
}

// The leftovers of a killed writer are removed by New, but not the temporary
// file of a writer that is alive, and nothing that is not ours.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	writer := flock.New(filepath.Join(dir, "busy.guard"))
	if err := writer.Lock(); err != nil {
		t.Fatal(err)
	}
	defer writer.Unlock()
	for name, stays := range map[string]bool{
		"busy.json.tmp-1":      true, // its writer is alive
		"shop.json.tmp-123":    false,
		"shop.history.tmp-4":   false,
		"shop.json.tmp-1.json": true, // the record of a name that is allowed
		"shop.json.tmp-x":      true,
		"notes.txt.tmp-1":      true,
		"a b.json.tmp-1":       true,
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(`{"torn`), 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, dir)
		if r, _, err := s.Load(t.Context(), "shop"); err != nil || r.Exists() {
			t.Errorf("with %s: record exists %t, error %v; want none", name, r.Exists(), err)
		}
		if _, err := os.Stat(path); (err == nil) != stays {
			t.Errorf("after New, %s: %v; want it to stay: %t", name, err, stays)
		}
	}
}

func TestConfig(t *testing.T) {
	for _, c := range []struct {
		history int
		good    bool
	}{{-2, false}, {-1, true}, {0, true}, {1, true}, {10_000, true}, {10_001, false}} {
		_, err := filestore.New(t.TempDir(), filestore.Config{History: c.history})
		if (err == nil) != c.good || err != nil && !strings.Contains(err.Error(), "Config.History") {
			t.Errorf("History %d: error %v, want one: %t", c.history, err, !c.good)
		}
	}
	if _, err := filestore.New("", filestore.Config{}); err == nil {
		t.Error("New without a folder succeeded")
	}
}
