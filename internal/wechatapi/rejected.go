package wechatapi

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/plain"
)

// believed is for how long a rejection is believed beyond the moment at which
// there may be another token. It is renewed by every probe that says the same;
// one that was WeChat's mistake must not stand until the token's end where
// nobody asks any more who has it tried.
const believed = 30 * time.Second

// RejectedError says that WeChat has refused exactly the current token when it
// was tried, and that there is no other yet. To hand it out would only have the
// caller come back: some SDKs do so without end.
type RejectedError struct {
	Code       int           // WeChat's
	RetryAfter time.Duration // until there may be another; 0 if that is not known
	Err        error         // why there is no other; nil if one is on its way
}

func (e *RejectedError) Error() string {
	text := fmt.Sprintf("WeChat rejects the current token (errcode %d)", e.Code)
	if e.Err == nil {
		return text + ", and another is on its way: ask again in a moment"
	}
	return fmt.Sprintf("%s: ask again in %s, for there is no other yet: %s", text, max(e.RetryAfter, time.Second).Round(time.Second), plain.Text(e.Err))
}

// Unwrap returns why there is no other.
func (e *RejectedError) Unwrap() error { return e.Err }

// rejections is what probes found out about tokens that are still the current
// ones: at most one for each that is kept.
type rejections struct {
	mu     sync.Mutex // guards latest
	latest map[string]rejection
}

type rejection struct {
	fingerprint string
	code        int
	err         error     // why there is no other token
	until       time.Time // of err
	ends        time.Time // it says nothing any more
}

// remember notes that a token was refused, and why there is no other.
func (x *rejections) remember(name string, token coordinator.Token, code int, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := time.Now()
	const few = 64
	if len(x.latest) >= few { // tokens that are no longer kept
		for name, old := range x.latest {
			if !now.Before(old.ends) {
				delete(x.latest, name)
			}
		}
	}
	if x.latest == nil {
		x.latest = make(map[string]rejection)
	}
	until := now.Add(waitIn(err))
	x.latest[name] = rejection{token.Fingerprint(), code, err, until, until.Add(believed)}
}

// forget notes that the token of this name is accepted, or was replaced.
func (x *rejections) forget(name string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.latest, name)
}

// of returns what stands against handing the token out, or nil.
func (x *rejections) of(name string, token coordinator.Token) error {
	x.mu.Lock()
	found, ok := x.latest[name]
	x.mu.Unlock()
	now := time.Now()
	if !ok || !now.Before(found.ends) || found.fingerprint != token.Fingerprint() {
		return nil
	}
	left := found.until.Sub(now)
	if left <= 0 {
		return &RejectedError{Code: found.code}
	}
	return &RejectedError{Code: found.code, RetryAfter: left, Err: after(found.err, left)}
}

// waitIn is the time that has to pass before there may be another token, or 0.
func waitIn(err error) time.Duration {
	var foreign *coordinator.ForeignMinterError
	var backoff *coordinator.BackoffError
	var budget *coordinator.BudgetError
	var young *youngError
	switch {
	case errors.As(err, &foreign):
		return foreign.RetryAfter
	case errors.As(err, &backoff):
		return backoff.RetryAfter
	case errors.As(err, &budget):
		return budget.RetryAfter
	case errors.As(err, &young):
		return young.wait
	case err != nil:
		return forcedSpacing // it is tried again then
	}
	return 0
}

// after is the error as it reads when so much of its wait is left.
func after(err error, left time.Duration) error {
	var foreign *coordinator.ForeignMinterError
	var backoff *coordinator.BackoffError
	var young *youngError
	switch {
	case errors.As(err, &foreign):
		now := *foreign
		now.RetryAfter = left
		return &now
	case errors.As(err, &backoff):
		now := *backoff
		now.RetryAfter = left
		return &now
	case errors.As(err, &young):
		return &youngError{left}
	}
	return err
}

// youngError says that the token was minted a moment ago.
type youngError struct{ wait time.Duration }

func (e *youngError) Error() string {
	return fmt.Sprintf("it is too young to be replaced already, and is tried again in %s", e.wait.Round(time.Second))
}

// Rejected returns a *RejectedError if WeChat has refused exactly this token of
// that name when it was tried, and nil for any other, one in doubt included.
func (h *Handler) Rejected(name string, token coordinator.Token) error {
	return h.Memory.rejections.of(name, token)
}
