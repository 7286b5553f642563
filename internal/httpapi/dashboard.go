package httpapi

import (
	"net/http"

	"github.com/mintonce/mintonce/internal/dashboard"
)

// dashboard serves the page and its parts. They hold nothing of the tokens, so
// no key is needed: what the page shows, it asks for with the key of whoever
// looks.
func (a *api) dashboard(w http.ResponseWriter, r *http.Request) *problem {
	if !dashboard.Serve(w, r) {
		return notFound()
	}
	return nil
}
