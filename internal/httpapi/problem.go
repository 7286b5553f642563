package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/plain"
	"github.com/mintonce/mintonce/internal/wechatapi"
)

// problem is an answer that says what went wrong.
// https://www.rfc-editor.org/rfc/rfc9457
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	Code   int    `json:"errcode,omitempty"` // the provider's

	retryAfter time.Duration
	header     [2]string // one more header
}

// newProblem makes a problem of the kind that its URN names. Programs tell
// kinds apart by it; titles and details are for people.
func newProblem(kind string, status int, title, detail string, args ...any) *problem {
	return &problem{Type: "urn:mintonce:problem:" + kind, Title: title, Status: status, Detail: fmt.Sprintf(detail, args...)}
}

func (p *problem) write(w http.ResponseWriter) {
	if p.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(p.retryAfter.Seconds()))))
	}
	if p.header[0] != "" {
		w.Header().Set(p.header[0], p.header[1])
	}
	writeJSON(w, "application/problem+json", p.Status, p)
}

func writeJSON(w http.ResponseWriter, contentType string, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil { // no type of this package gets here
		status, body = http.StatusInternalServerError, []byte("{}")
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // a client that has left is not our problem
}

func notFound() *problem {
	return newProblem("not-found", http.StatusNotFound, "no such path", "the paths are /v1/tokens/{name}, POST /v1/tokens/{name}/report and /v1/tokens/{name}/rotate, /v1/status, /v1/overview, /v1/events, /v1/me, /metrics, /healthz and /readyz, for people the dashboard at /, and for SDKs those of WeChat below /cgi-bin/")
}

func unknownToken(name string) *problem {
	return newProblem("unknown-token", http.StatusNotFound, "no such token", "this server has no token called %.64q: see its config", name)
}

func wrongMethod(allowed []string) *problem {
	p := newProblem("method", http.StatusMethodNotAllowed, "wrong method", "use %s", strings.Join(allowed, " or "))
	p.header = [2]string{"Allow", strings.Join(allowed, ", ")}
	return p
}

func forbidden(detail string, args ...any) *problem {
	return newProblem("forbidden", http.StatusForbidden, "not allowed", detail, args...)
}

func badBody(detail string, args ...any) *problem {
	return newProblem("bad-body", http.StatusBadRequest, "the body is not what is expected", detail, args...)
}

// failed is the problem that err makes of a request.
func failed(err error) *problem {
	p := newProblem("no-token", http.StatusServiceUnavailable, "no usable token", "%s", plain.Text(err))
	var backoff *coordinator.BackoffError
	var budget *coordinator.BudgetError
	var source *coordinator.SourceError
	var foreign *coordinator.ForeignMinterError
	var rejected *wechatapi.RejectedError
	switch {
	case errors.As(err, &foreign):
		p.Type, p.Title = "urn:mintonce:problem:foreign-minter", "somebody else seems to mint with this credential"
		p.retryAfter = foreign.RetryAfter
	case errors.As(err, &budget):
		p.Type, p.Title = "urn:mintonce:problem:budget", "the budget is spent"
		p.retryAfter = budget.RetryAfter
	case errors.As(err, &backoff):
		p.Type, p.Title = "urn:mintonce:problem:provider", "the provider refused, or was not reached"
		p.Code, p.retryAfter = backoff.Failure.Code, backoff.RetryAfter
	case errors.As(err, &source):
		p.Type, p.Title = "urn:mintonce:problem:provider", "the provider refused, or was not reached"
		p.Code, p.retryAfter = source.Code, source.After
	case errors.Is(err, coordinator.ErrCredentialMismatch), errors.Is(err, coordinator.ErrNewerRecord), errors.Is(err, coordinator.ErrBadRecord), errors.Is(err, coordinator.ErrSealed):
		p.Type, p.Title = "urn:mintonce:problem:record", "the stored record cannot be used"
	case errors.Is(err, coordinator.ErrStoreUnavailable):
		p.Type, p.Title, p.retryAfter = "urn:mintonce:problem:store", "the store is unavailable", time.Second
	case errors.As(err, &rejected):
		p.Type, p.Title = "urn:mintonce:problem:rejected", "the provider rejects the current token"
	default:
		p.retryAfter = time.Second
	}
	if errors.As(err, &rejected) {
		p.retryAfter = max(p.retryAfter, rejected.RetryAfter, time.Second)
	}
	return p
}
