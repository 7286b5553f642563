package filestore_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// FuzzRecordFile: whatever a record file holds, it is a record that bears
// further writes, or it is refused and left as it is.
func FuzzRecordFile(f *testing.F) {
	folder := f.TempDir()
	seed := open(f, folder)
	r := child(coordinator.Record{})
	r.Grant = coordinator.Grant{Value: "secret-token", State: "secret-state", Generation: 7, ExpiresAt: time.Now().Add(time.Hour)}
	if _, err := seed.Swap(f.Context(), "shop", coordinator.Stamp{}, r, coordinator.Event{Kind: coordinator.EventMinted, By: "me"}); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(filepath.Join(folder, "shop.json"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add(bytes.Replace(whole, []byte(`"format": "1"`), []byte(`"format": "2"`), 1))
	f.Add(bytes.Replace(whole, []byte("{"), []byte(`{"colour": "blue",`), 1))
	f.Add([]byte(`{"last_events":"[null]"}`))
	f.Add([]byte{})

	dir := f.TempDir()
	s := open(f, dir)
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(dir, "shop.json")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		r, _, err := s.Load(t.Context(), "shop")
		if err != nil {
			if !errors.Is(err, coordinator.ErrBadRecord) && !errors.Is(err, coordinator.ErrNewerRecord) {
				t.Fatalf("Load: %v matches no error of a record", err)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Fatalf("the error holds what is in the file: %v", err)
			}
			if _, err := s.Swap(t.Context(), "shop", coordinator.Stamp{}, child(coordinator.Record{})); err == nil {
				t.Fatal("a record that cannot be read was replaced")
			}
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, data) {
				t.Fatalf("the file was changed to %q, %v", after, err)
			}
			return
		}
		next := child(r)
		if _, err := s.Swap(t.Context(), "shop", r.Stamp(), next); err != nil {
			t.Fatalf("a record that was read bears no further write: %v", err)
		}
		if got, _, err := s.Load(t.Context(), "shop"); err != nil || got.Stamp() != next.Stamp() || got.Grant != r.Grant {
			t.Fatalf("written and read again: %v, %v", got, err)
		}
	})
}

// FuzzHistoryFile: whatever a history file holds, it is read within bounds and
// can be added to.
func FuzzHistoryFile(f *testing.F) {
	f.Add([]byte(`{"event":"minted","by":"me","at":"2026-03-14T00:00:00Z","write":"1.00"}` + "\n"))
	f.Add([]byte("{\"event\":\"minted\"}\n{\"torn"))
	f.Add([]byte("null\n[]\n\n\x00\xff"))
	dir := f.TempDir()
	s := open(f, dir)
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, "shop.history"), data, 0o600); err != nil {
			t.Fatal(err)
		}
		before, err := s.History(t.Context(), "shop", 5)
		if err != nil || len(before) > 5 {
			t.Fatalf("History: %d entries, %v", len(before), err)
		}
		if err := s.Append(t.Context(), "shop", coordinator.Event{Kind: coordinator.EventStoreAway, By: "me"}); err != nil {
			t.Fatal(err)
		}
		after, err := s.History(t.Context(), "shop", 1)
		if err != nil || len(after) != 1 || after[0].Kind != coordinator.EventStoreAway || after[0].By != "me" {
			t.Fatalf("what was appended reads %+v, %v", after, err)
		}
	})
}
