// Package limit bounds how often callers may ask: each client by a rate of its
// own, and wrong keys by the address that they come from. What it remembers is
// bounded, too, whatever is sent.
package limit

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// smallestBurst lets a client with a low rate do two or three things in a row,
// such as to report a token and to read the next one.
const smallestBurst = 10

// Rates bounds the requests of clients, each by a token bucket with room for
// what it may send in a second. Its methods are safe for concurrent use. Its
// zero value bounds nobody.
type Rates struct {
	mu      sync.RWMutex // guards clients
	clients map[string]*rate.Limiter
}

// Set replaces the rates, in requests a second, by the clients' names. Who
// stays keeps what it has used up.
func (r *Rates) Set(perSecond map[string]float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := make(map[string]*rate.Limiter, len(perSecond))
	for name, limit := range perSecond {
		burst := max(int(limit), smallestBurst)
		bucket := r.clients[name]
		if bucket == nil {
			bucket = rate.NewLimiter(rate.Limit(limit), burst)
		} else if bucket.Limit() != rate.Limit(limit) {
			bucket.SetLimit(rate.Limit(limit))
			bucket.SetBurst(burst)
		}
		next[name] = bucket
	}
	r.clients = next
}

// Take counts a request of a client. It returns 0 if the request may go on, and
// otherwise how long the client has to wait before its next one; such a request
// is not counted.
func (r *Rates) Take(client string) time.Duration {
	r.mu.RLock()
	bucket := r.clients[client]
	r.mu.RUnlock()
	if bucket == nil {
		return 0
	}
	now := time.Now()
	if bucket.AllowN(now, 1) {
		return 0
	}
	missing := 1 - bucket.TokensAt(now)
	return max(time.Duration(missing/float64(bucket.Limit())*float64(time.Second)), time.Millisecond)
}
