package filestore_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/filestore"
)

func detail(text string) coordinator.Event {
	return coordinator.Event{Kind: coordinator.EventMinted, Name: "shop", Detail: text}
}

func wantDetails(t *testing.T, s *filestore.Store, n int, want ...string) {
	t.Helper()
	entries, err := s.History(t.Context(), "shop", n)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{}
	for _, e := range entries {
		got = append(got, e.Detail)
	}
	if !slices.Equal(got, want) {
		t.Errorf("history is %q, want %q", got, want)
	}
}

// A process is killed after the record was renamed and before its events were
// in the history. All see them at once, and the next write files them.
func TestEventsAreCommittedWithTheRecord(t *testing.T) {
	for _, next := range []string{"Swap", "Append", "repeated Swap"} {
		t.Run(next, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir)
			log := filepath.Join(dir, "shop.history")
			one := child(coordinator.Record{})
			two := child(one)
			if _, err := s.Swap(t.Context(), "shop", coordinator.Stamp{}, one, detail("a")); err != nil {
				t.Fatal(err)
			}
			before, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Swap(t.Context(), "shop", one.Stamp(), two, detail("b"), detail("c")); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(log, before, 0o600); err != nil {
				t.Fatal(err)
			}
			wantDetails(t, s, 9, "c", "b", "a")
			want := []string{"c", "b", "a"}
			switch next {
			case "Swap":
				_, err = s.Swap(t.Context(), "shop", two.Stamp(), child(two), detail("d"))
				want = append([]string{"d"}, want...)
			case "Append":
				err = s.Append(t.Context(), "shop", detail("d"))
				want = append([]string{"d"}, want...)
			case "repeated Swap":
				_, err = s.Swap(t.Context(), "shop", one.Stamp(), two, detail("b"), detail("c"))
			}
			if err != nil {
				t.Fatal(err)
			}
			wantDetails(t, s, 9, want...)
			// And once more, now that the events of the last write are filed.
			if err := s.Append(t.Context(), "shop", detail("e")); err != nil {
				t.Fatal(err)
			}
			wantDetails(t, s, 9, append([]string{"e"}, want...)...)
		})
	}
}

func TestTornHistory(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := s.Append(t.Context(), "shop", detail("a"), detail("b")); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, "shop.history")
	whole, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(log, int64(len(whole)-5)); err != nil {
		t.Fatal(err)
	}
	wantDetails(t, s, 9, "a")
	if err := s.Append(t.Context(), "shop", detail("c")); err != nil {
		t.Fatal(err)
	}
	wantDetails(t, s, 9, "c", "a")
}

// The history keeps its newest entries, and does not grow without end.
func TestHistoryIsCapped(t *testing.T) {
	const limit = 5
	dir := t.TempDir()
	s, err := filestore.New(dir, filestore.Config{History: limit})
	if err != nil {
		t.Fatal(err)
	}
	var r coordinator.Record
	var cut bool // to the limit at once, so that not each write is a rewrite
	for i := range 40 {
		text := fmt.Sprint("event ", i)
		if i%3 == 0 {
			next := child(r)
			_, err = s.Swap(t.Context(), "shop", r.Stamp(), next, detail(text))
			r = next
		} else {
			err = s.Append(t.Context(), "shop", detail(text))
		}
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for n := i; n >= 0 && len(want) < limit; n-- {
			want = append(want, fmt.Sprint("event ", n))
		}
		wantDetails(t, s, 100, want...)
		data, err := os.ReadFile(filepath.Join(dir, "shop.history"))
		if err != nil {
			t.Fatal(err)
		}
		lines := bytes.Count(data, []byte("\n"))
		if lines > 2*limit {
			t.Fatalf("the file has %d lines, want at most %d", lines, 2*limit)
		}
		cut = cut || i > limit && lines == limit
	}
	if !cut {
		t.Errorf("the file was never cut to %d lines", limit)
	}
}

func TestHistoryOfManyEventsAtOnce(t *testing.T) {
	s, err := filestore.New(t.TempDir(), filestore.Config{History: 2})
	if err != nil {
		t.Fatal(err)
	}
	var events []coordinator.Event
	for i := range 9 {
		events = append(events, detail(fmt.Sprint(i)))
	}
	for range 2 {
		if err := s.Append(t.Context(), "shop", events...); err != nil {
			t.Fatal(err)
		}
		wantDetails(t, s, 9, "8", "7")
	}
}

func TestNoHistory(t *testing.T) {
	dir := t.TempDir()
	s, err := filestore.New(dir, filestore.Config{History: -1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Swap(t.Context(), "shop", coordinator.Stamp{}, child(coordinator.Record{}), detail("a")); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(t.Context(), "shop", detail("b")); err != nil {
		t.Fatal(err)
	}
	wantDetails(t, s, 9)
	data, err := os.ReadFile(filepath.Join(dir, "shop.json"))
	if err != nil || bytes.Contains(data, []byte("last_events")) {
		t.Errorf("the record holds events: %s, error %v", data, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "shop.history")); err == nil {
		t.Error("there is a history file")
	}
}

// A history that is longer than what is read of it is read at its end, and cut,
// though it has fewer entries than are to be kept.
func TestHugeHistory(t *testing.T) {
	dir := t.TempDir()
	s, err := filestore.New(dir, filestore.Config{History: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	line := `{"detail":"old","padding":"` + strings.Repeat("x", 16<<10) + `"}` + "\n"
	data := strings.Repeat(line, 300) + `{"detail":"new"}` + "\n"
	log := filepath.Join(dir, "shop.history")
	if err := os.WriteFile(log, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	entries, err := s.History(t.Context(), "shop", 10_000)
	if err != nil || len(entries) < 200 || len(entries) > 256 {
		t.Errorf("History of %d bytes: %d entries, error %v; want those of the last 4 MiB", len(data), len(entries), err)
	}
	if err := s.Append(t.Context(), "shop", detail("newest")); err != nil {
		t.Fatal(err)
	}
	wantDetails(t, s, 3, "newest", "new", "old")
	if info, err := os.Stat(log); err != nil || info.Size() > 2<<20+1000 || info.Size() < 1<<20 {
		t.Errorf("the history has %d bytes, error %v; want about 2 MiB", info.Size(), err)
	}
}

// Both files are for people: one fact per line, one event per line, no token in
// the history.
func TestFilesAreReadable(t *testing.T) {
	s, path, r := written(t)
	next := child(r)
	next.DoubtReason = "rejected <by> the provider & found"
	if _, err := s.Swap(t.Context(), "shop", r.Stamp(), next, detail("a")); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	if !slices.IsSorted(lines[1:len(lines)-1]) || len(lines) < 8 {
		t.Errorf("record is not one sorted fact per line:\n%s", data)
	}
	for _, want := range []string{`  "value": "secret-token"`, `  "doubt_reason": "rejected <by> the provider & found"`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("record has no line %s:\n%s", want, data)
		}
	}
	data, err = os.ReadFile(filepath.Join(filepath.Dir(path), "shop.history"))
	var fields map[string]string
	if err != nil || json.Unmarshal(data, &fields) != nil || fields["detail"] != "a" || strings.Contains(string(data), "secret-token") {
		t.Errorf("history is %s, error %v; want one line of one event, without the token", data, err)
	}
}
