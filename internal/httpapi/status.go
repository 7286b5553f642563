package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/config"
	"github.com/mintonce/mintonce/internal/statusview"
)

// Every status costs the store some reads, so one answer holds a page of them:
// up to standardPage, or limit, which is at most longestPage. If there are
// more, the answer has the members total, and next for ?after=NEXT.
const (
	standardPage = 200
	longestPage  = 1000
	mostHistory  = 20 // as a coordinator.Status has it
)

// storePatience bounds how long one status may take to read. Without the store,
// the answer is what this process knows.
const storePatience = 3 * time.Second

// status answers for the tokens that the caller may read, in the order of their
// names: for all, for those that are named (?name=A&name=B), for those whose
// names contain a text (?q=TEXT), for those in trouble (?trouble). ?history=N
// limits the events of each; 20 are the most.
func (a *api) status(w http.ResponseWriter, r *http.Request) *problem {
	who, problem := a.authenticate(r)
	if problem != nil {
		return problem
	}
	names, problem := a.readable(who)
	if problem != nil {
		return problem
	}
	query := r.URL.Query()
	names = a.chosen(names, query)
	page, problem := pageOf(names, query)
	if problem != nil {
		return problem
	}
	history, problem := number(query, "history", 0, mostHistory, mostHistory)
	if problem != nil {
		return problem
	}
	ctx, cancel := context.WithTimeout(r.Context(), a.Wait)
	defer cancel()
	overview := statusview.Read(ctx, page, func(ctx context.Context, name string) (coordinator.Status, error) {
		return a.look(ctx, name, history)
	})
	if len(page) < len(names) {
		overview.Total = len(names)
		if len(page) > 0 && page[len(page)-1] != names[len(names)-1] {
			overview.Next = page[len(page)-1]
		}
	}
	writeJSON(w, jsonType, http.StatusOK, overview)
	return nil
}

// look reads a status. Where the store has none, it returns the error with what
// this process knows.
func (a *api) look(ctx context.Context, name string, history int) (coordinator.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	credential := a.Credentials[name]
	s, err := credential.Status(ctx)
	if err != nil {
		s, _ = credential.Glance()
		return s, err
	}
	s.History = s.History[:min(len(s.History), history)]
	return s, nil
}

// readable returns the tokens that the caller may read, in order.
func (a *api) readable(who caller) ([]string, *problem) {
	c := who.client
	if c == nil {
		return a.names, nil
	}
	if !c.Has(config.MayRead) {
		return nil, forbidden("the client %s has no right to read: see clients in the config", c.Name)
	}
	var names []string
	for _, name := range a.names {
		if c.MayUse(name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// chosen returns those of the names that the query asks for.
func (a *api) chosen(names []string, query url.Values) []string {
	named, text, troubled := query["name"], strings.ToLower(query.Get("q")), query.Has("trouble")
	if len(named) == 0 && text == "" && !troubled {
		return names
	}
	var facts map[string]fact
	if troubled {
		facts = a.survey().facts
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return len(named) > 0 && !slices.Contains(named, name) ||
			text != "" && !strings.Contains(strings.ToLower(name), text) ||
			troubled && facts[name].trouble == nil
	})
}

// pageOf is the part of the sorted names that the query asks for.
func pageOf(names []string, query url.Values) ([]string, *problem) {
	limit, problem := number(query, "limit", 1, longestPage, standardPage)
	if problem != nil {
		return nil, problem
	}
	// The name itself need not exist any more.
	at, found := slices.BinarySearch(names, query.Get("after"))
	if found {
		at++
	}
	return names[at:min(at+limit, len(names))], nil
}

// number is a parameter of the query, or its standard value.
func number(query url.Values, name string, low, high, standard int) (int, *problem) {
	text := query.Get(name)
	if text == "" {
		return standard, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		return 0, newProblem("bad-query", http.StatusBadRequest, "the query is wrong", "%s must be a number from %d to %d", name, low, high)
	}
	return n, nil
}
