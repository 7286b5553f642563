// Package metrics counts what coordinators do, for Prometheus.
//
//	m := metrics.New(metrics.Config{})
//	prometheus.MustRegister(m)
//	c, err := coordinator.New("shop", source, m.Store(store), coordinator.Config{Observer: m.Observe})
//	m.Follow(c)
//	client := &http.Client{Transport: wechat.NewTransport(m.Count(c), nil)}
//
// Each of the four is of use without the others: Observe counts mints, failures
// and all other events; Store measures the store; Follow tells the state of
// each token at every scrape; Count counts what callers ask for.
//
// A scrape asks nobody: what it tells of a token is what this process remembers
// of it. No metric holds a token, a secret or a fingerprint.
//
// # Very many tokens
//
// Only the first Config.Detail tokens that are heard of have series of their
// own. All others share series whose label token is Others, and are told of in
// mintonce_tokens and mintonce_least_seconds_left, which cover all tokens.
//
// All metrics are listed in docs/metrics.md.
package metrics
