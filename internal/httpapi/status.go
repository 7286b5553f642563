package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"

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
)

// status answers for the tokens that the caller may read, in the order of their
// names.
func (a *api) status(w http.ResponseWriter, r *http.Request) *problem {
	who, problem := a.authenticate(r)
	if problem != nil {
		return problem
	}
	names := a.names
	if c := who.client; c != nil {
		if !c.Has(config.MayRead) {
			return forbidden("the client %s has no right to read: see clients in the config", c.Name)
		}
		names = nil
		for _, name := range a.names {
			if c.MayUse(name) {
				names = append(names, name)
			}
		}
	}
	page, problem := pageOf(names, r.URL.Query())
	if problem != nil {
		return problem
	}
	ctx, cancel := context.WithTimeout(r.Context(), a.Wait)
	defer cancel()
	overview := statusview.Read(ctx, page, func(ctx context.Context, name string) (coordinator.Status, error) {
		return a.Credentials[name].Status(ctx)
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

// pageOf is the part of the sorted names that the query asks for.
func pageOf(names []string, query url.Values) ([]string, *problem) {
	limit := standardPage
	if text := query.Get("limit"); text != "" {
		var err error
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > longestPage {
			return nil, newProblem("bad-query", http.StatusBadRequest, "the query is wrong", "limit must be a number from 1 to %d", longestPage)
		}
	}
	// The name itself need not exist any more.
	at, found := slices.BinarySearch(names, query.Get("after"))
	if found {
		at++
	}
	return names[at:min(at+limit, len(names))], nil
}
