// Package httpapi is the HTTP API of "mintonce serve": it hands out tokens to
// applications in any language. It answers in JSON, and with RFC 9457 problem
// details where something is wrong. No token is ever logged.
package httpapi

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/internal/config"
	"github.com/mintonce/mintonce/internal/dashboard"
	"github.com/mintonce/mintonce/internal/feed"
	"github.com/mintonce/mintonce/internal/wechatapi"
)

// Credential is one token, as *coordinator.Coordinator keeps it.
type Credential interface {
	Token(ctx context.Context) (coordinator.Token, error)
	Peek() (coordinator.Token, error)
	KeepUntil(coordinator.Token) time.Time
	Glance() (coordinator.Status, error)
	Reject(ctx context.Context, value string, cause error) (coordinator.Verdict, error)
	Rotate(ctx context.Context) (coordinator.Token, error)
	Status(ctx context.Context) (coordinator.Status, error)
}

// Config is what an API serves.
type Config struct {
	// Credentials are the tokens by name.
	Credentials map[string]Credential
	// Clients, if there are any, are the only ones who may use the API. Without
	// them, everybody on this machine may, and nobody else.
	Clients []config.Client
	// Limits are what callers have used up of what they may do. Give the same to
	// each API that takes the place of another. Nil: none were used up so far.
	Limits *Limits
	// Instance is how this process calls itself.
	Instance string
	// Roster, if set, knows the processes that are alive.
	Roster coordinator.Roster
	// Feed, if set, is streamed to those who look.
	Feed *feed.Feed
	// Rejection says whether an errcode means that a token was rejected. A
	// report with another code changes nothing. Nil: every code does.
	Rejection func(errcode int) bool
	// Wait bounds how long a request waits for a token. Default 20 s, at most
	// 30 s.
	Wait time.Duration
	// WeChat is what the paths below /cgi-bin/ serve. Who may use them and what
	// they log is as for all other paths.
	WeChat wechatapi.Config
	// Metrics, if set, answers at /metrics.
	Metrics http.Handler
	// Observe, if set, is told of each request: the pattern of its path, its
	// status, and how long it took. It must not block.
	Observe func(pattern string, status int, took time.Duration)
	// Log gets an access log at level debug. Default: none.
	Log *slog.Logger
}

// The limits of a server.
const (
	defaultWait = 20 * time.Second
	longestWait = 30 * time.Second
	maxBody     = 64 << 10
	maxHeader   = 16 << 10
)

// api is the handler.
type api struct {
	Config
	names  []string // sorted
	keys   *config.Keys
	certs  map[string]*config.Client // by the names of their certificates
	mux    *http.ServeMux
	cross  http.CrossOriginProtection
	wechat *wechatapi.Handler

	surveying sync.Mutex // guards surveyed
	surveyed  *survey
}

// New returns the handler of the API.
func New(cfg Config) http.Handler {
	if cfg.Wait <= 0 {
		cfg.Wait = defaultWait
	}
	cfg.Wait = min(cfg.Wait, longestWait)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Rejection == nil {
		cfg.Rejection = func(int) bool { return true }
	}
	if cfg.Limits == nil {
		cfg.Limits = new(Limits)
	}
	a := &api{Config: cfg, names: slices.Sorted(maps.Keys(cfg.Credentials)), keys: config.NewKeys(cfg.Clients), mux: http.NewServeMux(), certs: make(map[string]*config.Client)}
	a.Limits.set(cfg.Clients)
	for i := range cfg.Clients {
		if c := &cfg.Clients[i]; c.CertName != "" {
			a.certs[c.CertName] = c
		}
	}
	a.wechat = a.newWeChat()
	a.routes()
	return a.logged(a.counted(a.guarded(a.mux)))
}

// routes says what there is. A path that is added here is guarded, logged and
// bounded like the others.
func (a *api) routes() {
	a.handle("/{$}", map[string]endpoint{http.MethodGet: a.dashboard})
	a.handle(dashboard.Folder+"{part}", map[string]endpoint{http.MethodGet: a.dashboard})
	a.handle("/healthz", map[string]endpoint{http.MethodGet: a.healthz})
	a.handle("/readyz", map[string]endpoint{http.MethodGet: a.readyz})
	a.handle("/v1/me", map[string]endpoint{http.MethodGet: a.me})
	a.handle("/v1/events", map[string]endpoint{http.MethodGet: a.events})
	a.handle("/v1/overview", map[string]endpoint{http.MethodGet: a.overview})
	if a.Metrics != nil {
		a.handle("/metrics", map[string]endpoint{http.MethodGet: a.metrics})
	}
	a.handle("/v1/status", map[string]endpoint{http.MethodGet: a.status})
	a.handle("/v1/tokens/{name}", map[string]endpoint{http.MethodGet: a.token})
	a.handle("/v1/tokens/{name}/report", map[string]endpoint{http.MethodPost: a.report})
	a.handle("/v1/tokens/{name}/rotate", map[string]endpoint{http.MethodPost: a.rotate})
	a.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { notFound().write(w) })
}

// endpoint answers a request, or returns what is wrong with it.
type endpoint func(w http.ResponseWriter, r *http.Request) *problem

// handle registers the methods of a path. ServeMux could tell methods apart,
// but would answer a wrong one in plain text.
func (a *api) handle(pattern string, methods map[string]endpoint) {
	if get, ok := methods[http.MethodGet]; ok {
		methods[http.MethodHead] = get
	}
	a.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		serve, ok := methods[r.Method]
		if !ok {
			wrongMethod(slices.Sorted(maps.Keys(methods))).write(w)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		if problem := serve(w, r); problem != nil {
			problem.write(w)
		}
	})
}

// NewServer returns a server for the handler with bounds on everything that a
// client may stretch. The caller sets its address and starts it.
func NewServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      longestWait + 10*time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}
