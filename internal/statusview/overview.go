// Package statusview shows the status of tokens: as JSON, and as text for a
// terminal of 80 columns. Neither ever holds a token.
package statusview

import (
	"context"
	"encoding/json"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/plain"
	"golang.org/x/sync/errgroup"
)

// Overview is what "mintonce status --json" and GET /v1/status answer.
type Overview struct {
	Tokens []Entry `json:"tokens"`
	Total  int     `json:"total,omitempty"` // how many tokens there are, if these are not all
	Next   string  `json:"next,omitempty"`  // the name after which the rest begins
}

// Entry is one token. With an Err, the Status is what was known before, or
// nothing.
type Entry struct {
	Name   string
	Status coordinator.Status
	Err    error // why there is no status, or none of now
}

// MarshalJSON writes the status, the error and the trouble. Without a status,
// that is the name and the error.
func (e Entry) MarshalJSON() ([]byte, error) {
	trouble, text := Judge(e.Status, e.Err), plain.Text(e.Err)
	if e.Err == nil || e.Status.Generation > 0 {
		return json.Marshal(struct {
			coordinator.Status
			Trouble *Trouble `json:"trouble,omitempty"`
			Error   string   `json:"error,omitempty"`
		}{e.Status, trouble, text})
	}
	return json.Marshal(struct {
		Name    string   `json:"name"`
		State   string   `json:"state"`
		Trouble *Trouble `json:"trouble"`
		Error   string   `json:"error"`
	}{e.Name, "unknown", trouble, text})
}

// readers bounds how many statuses Read reads at once.
const readers = 8

// Read reads the status of each name.
func Read(ctx context.Context, names []string, status func(context.Context, string) (coordinator.Status, error)) Overview {
	o := Overview{Tokens: make([]Entry, len(names))}
	var group errgroup.Group
	group.SetLimit(readers)
	for i, name := range names {
		group.Go(func() error {
			s, err := status(ctx, name)
			o.Tokens[i] = Entry{name, s, err}
			return nil
		})
	}
	_ = group.Wait() // the errors are in the entries
	return o
}

// Err is the error of the first token that has one.
func (o Overview) Err() error {
	for _, e := range o.Tokens {
		if e.Err != nil {
			return e.Err
		}
	}
	return nil
}
