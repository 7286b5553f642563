package metrics

import (
	"maps"
	"slices"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/prometheus/client_golang/prometheus"
)

// gauge is one figure of a token, read at each scrape. ok is false where there
// is nothing to tell.
type gauge struct {
	desc *prometheus.Desc
	read func(coordinator.Status) (value float64, ok bool)
	more []string // the values of further labels
}

var gauges = []gauge{
	tokenGauge("mintonce_token_seconds_left", "Seconds until the token ends; 0 if there is none that may be served.",
		func(s coordinator.Status) (float64, bool) { return float64(s.ExpiresIn), true }),
	tokenGauge("mintonce_token_refresh_seconds", "Seconds until the token is due to be replaced; negative if that is overdue.",
		func(s coordinator.Status) (float64, bool) {
			return s.RefreshAt.Sub(s.Now).Round(time.Second).Seconds(), !s.RefreshAt.IsZero()
		}),
	tokenGauge("mintonce_token_generation", "The token's generation, which grows by one with each new token.",
		func(s coordinator.Status) (float64, bool) { return float64(s.Generation), true }),
	tokenGauge("mintonce_token_doubted", "1 while it is in doubt whether the provider accepts the token.",
		func(s coordinator.Status) (float64, bool) { return truth(s.Doubt != ""), true }),
	tokenGauge("mintonce_token_attempts", "Mints that were announced and are not resolved, by any process.",
		func(s coordinator.Status) (float64, bool) { return float64(len(s.Attempts)), true }),
	tokenGauge("mintonce_token_failures", "Failed mints in a row, by any process, since the last that succeeded.",
		func(s coordinator.Status) (float64, bool) {
			if s.Failure == nil {
				return 0, true
			}
			return float64(s.Failure.Count), true
		}),
	tokenGauge("mintonce_token_foreign_minter", "1 while somebody else seems to mint with the credential, 0.5 while that is no more than suspected.",
		func(s coordinator.Status) (float64, bool) {
			switch {
			case s.Foreign == nil || s.Foreign.Count == 0:
				return 0, true
			case s.Foreign.Named:
				return 1, true
			default:
				return 0.5, true
			}
		}),
	tokenGauge("mintonce_token_mints_today", "Mints of the provider's day so far, by all processes together.",
		func(s coordinator.Status) (float64, bool) { return float64(s.Budget.Mints), true }),
	budgetGauge("mints", func(b coordinator.BudgetStatus) (int, int) { return b.MintLimit, b.Mints }),
	budgetGauge("rotations", func(b coordinator.BudgetStatus) (int, int) { return b.RotationLimit, b.Rotations }),
}

var (
	tokensDesc = prometheus.NewDesc("mintonce_tokens", "Tokens that this process keeps, by state.", []string{"state"}, nil)
	leastDesc  = prometheus.NewDesc("mintonce_least_seconds_left", "Seconds until the first of the tokens of this process ends; 0 if one has ended or is missing.", nil, nil)
	budgetDesc = prometheus.NewDesc("mintonce_token_budget_left", "What is left of the daily budget of mints, and of forced rotations; only where there is a limit.", []string{"token", "of"}, nil)
)

func tokenGauge(name, help string, read func(coordinator.Status) (float64, bool)) gauge {
	return gauge{desc: prometheus.NewDesc(name, help, []string{"token"}, nil), read: read}
}

func budgetGauge(of string, read func(coordinator.BudgetStatus) (limit, spent int)) gauge {
	return gauge{desc: budgetDesc, more: []string{of}, read: func(s coordinator.Status) (float64, bool) {
		limit, spent := read(s.Budget)
		return float64(max(0, limit-spent)), limit > 0
	}}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// Follow tells the state of these tokens from now on. One of the same name as
// another takes its place.
func (m *Metrics) Follow(coordinators ...*coordinator.Coordinator) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range coordinators {
		m.followed[c.Name()] = c
	}
}

// Forget ends Follow for these names, and the series of their own that they
// have.
func (m *Metrics) Forget(names ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range names {
		delete(m.followed, name)
		if !m.named[name] {
			continue
		}
		delete(m.named, name)
		for _, vec := range []*prometheus.CounterVec{m.events, m.mints, m.failures, m.calls, m.reports} {
			vec.DeletePartialMatch(prometheus.Labels{"token": name})
		}
	}
}

// states are all that coordinator.Status.State can be, so that a scrape shows
// zeros rather than nothing.
var states = []string{"live", "doubted", "minting", "missing", "expired", "failing"}

func (m *Metrics) collectTokens(to chan<- prometheus.Metric) {
	m.mu.Lock()
	followed := slices.Collect(maps.Values(m.followed))
	m.mu.Unlock()

	count := make(map[string]int)
	for _, state := range states {
		count[state] = 0
	}
	least := -1.0
	for _, c := range followed {
		s, _ := c.Glance() // why this process may not know better is told by the store
		count[s.State]++
		if left := float64(s.ExpiresIn); least < 0 || left < least {
			least = left
		}
		if label := m.label(s.Name); label != Others {
			collectToken(to, label, s)
		}
	}
	for state, n := range count {
		to <- prometheus.MustNewConstMetric(tokensDesc, prometheus.GaugeValue, float64(n), state)
	}
	if least >= 0 {
		to <- prometheus.MustNewConstMetric(leastDesc, prometheus.GaugeValue, least)
	}
}

func collectToken(to chan<- prometheus.Metric, label string, s coordinator.Status) {
	for _, g := range gauges {
		if value, ok := g.read(s); ok {
			to <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, value, append([]string{label}, g.more...)...)
		}
	}
}
