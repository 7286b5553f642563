package httpapi

import (
	"net/http"

	"github.com/mintonce/mintonce/internal/config"
	"github.com/mintonce/mintonce/internal/plain"
)

// healthz answers while the process lives. A refresher whose provider or store
// is away must not be restarted for that.
func (a *api) healthz(w http.ResponseWriter, _ *http.Request) *problem {
	writeJSON(w, jsonType, http.StatusOK, map[string]string{"status": "ok"})
	return nil
}

// reasonsShown bounds how many names readyz explains.
const reasonsShown = 20

// readiness is the answer of readyz.
type readiness struct {
	Ready  bool              `json:"ready"`
	Usable int               `json:"usable"`
	Tokens int               `json:"tokens"`
	Why    map[string]string `json:"why,omitempty"` // by name, for the first of those that are not usable
}

// readyz says whether this process holds a usable token of every name. It asks
// nobody, so it costs microseconds for a few tokens and milliseconds for very
// many. Probes have no key: without one, the answer holds no name and no reason
// where clients are set.
func (a *api) readyz(w http.ResponseWriter, r *http.Request) *problem {
	who, denied := a.authenticate(r)
	told := func(name string) bool {
		return denied == nil && (who.client == nil || who.client.Has(config.MayRead) && who.client.MayUse(name))
	}
	answer := readiness{Tokens: len(a.names), Why: map[string]string{}}
	for _, name := range a.names {
		if _, err := a.Credentials[name].Peek(); err == nil {
			answer.Usable++
		} else if len(answer.Why) < reasonsShown && told(name) {
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
