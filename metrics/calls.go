package metrics

import (
	"context"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/prometheus/client_golang/prometheus"
)

// Counted is a Coordinator whose calls are counted. A call costs one atomic
// addition more, which goroutines on many processors contend for; the
// Coordinator itself counts nothing.
type Counted struct {
	*coordinator.Coordinator
	m *Metrics

	local, waited, none prometheus.Counter
}

// Count returns c with its calls counted.
func (m *Metrics) Count(c *coordinator.Coordinator) *Counted {
	served := func(how string) prometheus.Counter { return m.calls.WithLabelValues(m.label(c.Name()), how) }
	return &Counted{Coordinator: c, m: m, local: served("locally"), waited: served("after waiting"), none: served("not at all")}
}

// Token is that of the Coordinator. It was served locally if this process held
// a token when it was called.
func (c *Counted) Token(ctx context.Context) (coordinator.Token, error) {
	_, missing := c.Coordinator.Peek()
	token, err := c.Coordinator.Token(ctx)
	switch {
	case err != nil:
		c.none.Inc()
	case missing != nil:
		c.waited.Inc()
	default:
		c.local.Inc()
	}
	return token, err
}

// Report is that of the Coordinator.
func (c *Counted) Report(ctx context.Context, value string, cause error) error {
	_, err := c.Reject(ctx, value, cause)
	return err
}

// Reject is that of the Coordinator.
func (c *Counted) Reject(ctx context.Context, value string, cause error) (coordinator.Verdict, error) {
	verdict, err := c.Coordinator.Reject(ctx, value, cause)
	label := string(verdict)
	if label == "" {
		label = "not judged" // the store did not answer
	}
	c.m.reports.WithLabelValues(c.m.label(c.Name()), label).Inc()
	return verdict, err
}
