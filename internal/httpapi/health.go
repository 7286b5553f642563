package httpapi

import (
	"context"
	"net/http"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/config"
	"github.com/mintonce/mintonce/internal/plain"
	"github.com/mintonce/mintonce/internal/statusview"
)

// healthz answers while the process lives. A refresher whose provider or store
// is away must not be restarted for that.
func (a *api) healthz(w http.ResponseWriter, _ *http.Request) *problem {
	writeJSON(w, jsonType, http.StatusOK, map[string]string{"status": "ok"})
	return nil
}

// readiness is the answer of readyz.
type readiness struct {
	Ready  bool              `json:"ready"`
	Usable int               `json:"usable"`
	Tokens int               `json:"tokens"`
	Why    map[string]string `json:"why,omitempty"` // by name, for those that are not usable
}

// readyz says whether every token is usable. Probes have no key: without one,
// the answer holds no name and no reason where clients are set.
func (a *api) readyz(w http.ResponseWriter, r *http.Request) *problem {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	who, denied := a.authenticate(r)
	told := func(name string) bool {
		return denied == nil && (who.client == nil || who.client.Has(config.MayRead) && who.client.MayUse(name))
	}
	answer := readiness{Tokens: len(a.names), Why: map[string]string{}}
	for _, name := range a.names {
		if _, err := a.Credentials[name].Token(ctx); err == nil {
			answer.Usable++
		} else if told(name) {
			answer.Why[name] = plain.Text(err)
		}
	}
	status := http.StatusOK
	if answer.Ready = answer.Usable == answer.Tokens; !answer.Ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, jsonType, status, answer)
	return nil
}

// status answers for the tokens that the caller may read.
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
	ctx, cancel := context.WithTimeout(r.Context(), a.Wait)
	defer cancel()
	writeJSON(w, jsonType, http.StatusOK, statusview.Read(ctx, names, func(ctx context.Context, name string) (coordinator.Status, error) {
		return a.Credentials[name].Status(ctx)
	}))
	return nil
}
