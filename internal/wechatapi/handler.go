package wechatapi

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/config"
)

// Credential is a token or a ticket, as *coordinator.Coordinator keeps it.
type Credential interface {
	Token(ctx context.Context) (coordinator.Token, error)
	Peek() (coordinator.Token, error)
	Reject(ctx context.Context, value string, cause error) (coordinator.Verdict, error)
}

// Config is what a Handler serves.
type Config struct {
	// Accounts are the tokens of each AppID, in the order in which they are
	// preferred among those of one mode.
	Accounts map[string][]Account
	// Tickets are the names of tickets by AppID and type.
	Tickets map[string]map[string]string
	// Credential returns the token or ticket of a name, or nil.
	Credential func(name string) Credential
	// Identify finds the client that a key belongs to. Without clients it
	// returns nil and nil: everybody is served whom it was asked about.
	Identify func(r *http.Request, key string) (*config.Client, *Denial)
	// Probe asks the provider whether it accepts a token of this name. It
	// returns a *coordinator.RejectedError if it does not, and another error if
	// it cannot tell. Nil: nothing is probed, and so nothing reported.
	Probe func(ctx context.Context, name, token string) error
	// Memory is what clients were given. Give the same to each Handler that
	// takes the place of another. Nil: nothing was given so far.
	Memory *Memory
	// Wait bounds how long a request waits for a token, Patience how long it
	// waits for the outcome of a probe. Defaults: 2.5 s and 1.5 s. Some SDKs
	// give up after 3 s.
	Wait, Patience time.Duration
	// Log is told at level debug what was refused. Default: none.
	Log *slog.Logger
}

// Account is one of the tokens of an AppID.
type Account struct {
	Name    string // of the token
	Classic bool   // minted at /cgi-bin/token, not at stable_token
}

// Denial says why somebody is not served.
type Denial struct {
	Reason Reason
	After  time.Duration // when it makes sense to try again; 0 for later
}

// Reason is the reason of a Denial.
type Reason int

// The reasons.
const (
	NoKey Reason = iota
	WrongKey
	TooQuickly
)

// Handler answers below /cgi-bin/.
type Handler struct {
	Config
	index index
}

const (
	tokenPath  = "/cgi-bin/token"
	stablePath = "/cgi-bin/stable_token"
	ticketPath = "/cgi-bin/ticket/getticket"
	prefix     = "/cgi-bin/"

	defaultWait     = 2500 * time.Millisecond
	defaultPatience = 1500 * time.Millisecond
	maxBody         = 16 << 10
)

// New returns a Handler.
func New(cfg Config) *Handler {
	if cfg.Wait <= 0 {
		cfg.Wait = defaultWait
	}
	if cfg.Patience <= 0 {
		cfg.Patience = defaultPatience
	}
	if cfg.Memory == nil {
		cfg.Memory = new(Memory)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Handler{Config: cfg}
}

// Covers reports whether a request is one that an SDK meant for WeChat, so that
// WeChat's form is the one to answer in, even where it is refused. The path is
// taken as a server would that tidies it up: no trick with dots and slashes
// gets an answer in another form.
func Covers(r *http.Request) bool {
	if strings.HasPrefix(r.URL.Path, prefix) {
		return true
	}
	if strings.HasPrefix(r.URL.Path, "/v1/") { // the usual case
		return false
	}
	tidy := path.Clean("/" + strings.ReplaceAll(r.URL.Path, `\`, "/"))
	return strings.HasPrefix(tidy+"/", prefix)
}

// ServeHTTP serves what Covers covers. It sets the request's pattern, and the
// path value "name" to the name of the token, for the access log.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	var refused *refusal
	switch r.URL.Path {
	case tokenPath:
		r.Pattern = tokenPath
		refused = h.classic(w, r)
	case stablePath:
		r.Pattern = stablePath
		refused = h.stable(w, r)
	case ticketPath:
		r.Pattern = ticketPath
		refused = h.ticket(w, r)
	default:
		r.Pattern = prefix
		refused = refuse(invalidURL)
	}
	if refused != nil {
		h.refuse(w, r, refused)
	}
}

// Outside answers a request that Covers covers and that is not let in, for a
// reason that people are told.
func (h *Handler) Outside(w http.ResponseWriter, r *http.Request, reason string) {
	r.Pattern = prefix
	h.refuse(w, r, unauthorized.because("%s", reason))
}

// classic answers /cgi-bin/token.
func (h *Handler) classic(w http.ResponseWriter, r *http.Request) *refusal {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return refuse(needsGET)
	}
	query := r.URL.Query()
	return h.token(w, r, asking{
		GrantType: query.Get("grant_type"), AppID: query.Get("appid"), Secret: query.Get("secret"), classic: true,
	})
}

// stable answers /cgi-bin/stable_token.
func (h *Handler) stable(w http.ResponseWriter, r *http.Request) *refusal {
	if r.Method != http.MethodPost {
		return refuse(needsPOST)
	}
	ask, refused := readAsking(r)
	if refused != nil {
		return refused
	}
	return h.token(w, r, ask)
}

// contentType is that of WeChat's answers. It is shared, and not changed.
var contentType = []string{"application/json; encoding=utf-8"}

// write sends an answer as WeChat does.
func write(w http.ResponseWriter, answer any) {
	body, err := json.Marshal(answer)
	if err != nil { // no type of this package gets here
		body = []byte(`{"errcode":-1,"errmsg":"system error"}`)
	}
	w.Header()["Content-Type"] = contentType
	_, _ = w.Write(body) // a client that has left is not our problem
}
