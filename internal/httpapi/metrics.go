package httpapi

import (
	"net/http"
	"time"

	"github.com/mintonce/mintonce/internal/config"
)

// metrics tells of all tokens, so a client must be allowed to read all of them.
func (a *api) metrics(w http.ResponseWriter, r *http.Request) *problem {
	who, problem := a.authenticate(r)
	if problem != nil {
		return problem
	}
	if c := who.client; c != nil && !(c.Has(config.MayRead) && c.MayUseAll()) {
		return forbidden("the metrics tell of all tokens: the client %s needs the right read and tokens: ['*'] in the config", c.Name)
	}
	a.Metrics.ServeHTTP(w, r)
	return nil
}

// counted tells Config.Observe of each request.
func (a *api) counted(next http.Handler) http.Handler {
	if a.Observe == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began, answer := time.Now(), recorder{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(&answer, r)
		pattern := r.Pattern
		if pattern == "" {
			pattern = "refused" // it was not let in
		}
		a.Observe(pattern, answer.status, time.Since(began))
	})
}
