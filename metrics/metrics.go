package metrics

import (
	"sync"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/prometheus/client_golang/prometheus"
)

// Config tunes Metrics. The zero value works.
type Config struct {
	// Detail is how many tokens have series of their own; all others share
	// those called Others. Default 200; negative means none.
	Detail int
}

// Others is the label token of all tokens beyond Config.Detail. No token can
// have that name: it holds a blank.
const Others = "all others"

// Metrics is a prometheus.Collector that is fed by coordinators. Its methods
// are safe for concurrent use.
type Metrics struct {
	events      *prometheus.CounterVec
	mints       *prometheus.CounterVec
	mintTime    *prometheus.HistogramVec
	failures    *prometheus.CounterVec
	calls       *prometheus.CounterVec
	reports     *prometheus.CounterVec
	storeTime   *prometheus.HistogramVec
	storeErrors *prometheus.CounterVec
	locks       *prometheus.CounterVec
	requests    *prometheus.CounterVec
	requestTime *prometheus.HistogramVec

	detail int

	mu       sync.Mutex // guards all below
	named    map[string]bool
	followed map[string]*coordinator.Coordinator
}

// New returns metrics that nothing is fed into yet.
func New(cfg Config) *Metrics {
	if cfg.Detail == 0 {
		cfg.Detail = 200
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	}
	return &Metrics{
		detail:   cfg.Detail,
		named:    make(map[string]bool),
		followed: make(map[string]*coordinator.Coordinator),

		events:   counter("mintonce_events_total", "Events of each kind, as in the history and the log.", "token", "event"),
		mints:    counter("mintonce_mints_total", "Mints by this process: why, and what came of them.", "token", "reason", "outcome"),
		failures: counter("mintonce_mint_failures_total", "Mints by this process that brought no token, by who can mend it.", "token", "class"),
		mintTime: histogram("mintonce_mint_seconds", "How long the provider took to answer a mint.",
			[]float64{.05, .1, .2, .3, .5, .75, 1, 1.5, 2, 3, 5, 8, 13}, "outcome"),
		calls:   counter("mintonce_token_calls_total", "Calls for a token: served locally, after waiting, or not at all.", "token", "served"),
		reports: counter("mintonce_reports_total", "Reports of rejected tokens, by verdict. Only those that acted lead to a mint.", "token", "verdict"),
		storeTime: histogram("mintonce_store_seconds", "How long the store took, by operation.",
			[]float64{.0002, .0005, .001, .002, .005, .01, .02, .05, .1, .2, .5, 1, 2}, "operation"),
		storeErrors: counter("mintonce_store_errors_total", "Operations that the store did not answer, or refused. A conflict or a held lock is none.", "operation"),
		locks:       counter("mintonce_locks_total", "Attempts to take the lock of a token: taken, held by another process, or in error.", "outcome"),
		requests:    counter("mintonce_http_requests_total", "Requests to the HTTP API, by path and status.", "path", "status"),
		requestTime: histogram("mintonce_http_seconds", "How long requests to the HTTP API took, by path.",
			[]float64{.0001, .0002, .0005, .001, .002, .005, .01, .05, .1, .5, 1, 5, 20}, "path"),
	}
}

func (m *Metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.events, m.mints, m.mintTime, m.failures, m.calls, m.reports, m.storeTime, m.storeErrors, m.locks, m.requests, m.requestTime}
}

// Describe is for prometheus.
func (m *Metrics) Describe(to chan<- *prometheus.Desc) {
	for _, c := range m.collectors() {
		c.Describe(to)
	}
	for _, g := range gauges {
		to <- g.desc
	}
	to <- tokensDesc
	to <- leastDesc
}

// Collect is for prometheus.
func (m *Metrics) Collect(to chan<- prometheus.Metric) {
	for _, c := range m.collectors() {
		c.Collect(to)
	}
	m.collectTokens(to)
}

// label is the label of a token, so that series are bounded however many tokens
// there are.
func (m *Metrics) label(name string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.named[name] {
		if len(m.named) >= m.detail {
			return Others
		}
		m.named[name] = true
	}
	return name
}
