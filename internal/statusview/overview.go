// Package statusview shows the status of tokens: as JSON, and as text for a
// terminal of 80 columns. Neither ever holds a token.
package statusview

import (
	"context"
	"encoding/json"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/plain"
)

// Overview is what "mintonce status --json" and GET /v1/status answer.
type Overview struct {
	Tokens []Entry `json:"tokens"`
	Total  int     `json:"total,omitempty"` // how many tokens there are, if these are not all
	Next   string  `json:"next,omitempty"`  // the name after which the rest begins
}

// Entry is one token. It has a Status unless it has an Err.
type Entry struct {
	Name   string
	Status coordinator.Status
	Err    error // why there is no status
}

// MarshalJSON writes the status, or the name and the error.
func (e Entry) MarshalJSON() ([]byte, error) {
	if e.Err == nil {
		return json.Marshal(e.Status)
	}
	return json.Marshal(struct {
		Name  string `json:"name"`
		State string `json:"state"`
		Error string `json:"error"`
	}{e.Name, "unknown", plain.Text(e.Err)})
}

// Read reads the status of each name.
func Read(ctx context.Context, names []string, status func(context.Context, string) (coordinator.Status, error)) Overview {
	o := Overview{Tokens: []Entry{}}
	for _, name := range names {
		s, err := status(ctx, name)
		o.Tokens = append(o.Tokens, Entry{name, s, err})
	}
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
