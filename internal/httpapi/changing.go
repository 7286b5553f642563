package httpapi

import (
	"net/http"
	"sync/atomic"
)

// Changing is a handler that can be replaced while it serves. Each request is
// served to its end by the one that was there when it began, so that no request
// sees the tokens of one config and the clients of another. Set it before use.
type Changing struct{ current atomic.Pointer[http.Handler] }

// Set replaces the handler.
func (c *Changing) Set(h http.Handler) { c.current.Store(&h) }

func (c *Changing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	(*c.current.Load()).ServeHTTP(w, r)
}
