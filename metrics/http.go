package metrics

import (
	"strconv"
	"time"
)

// Request counts a request to an HTTP API. path must be one of few, such as the
// pattern that matched, and never what a client has sent.
func (m *Metrics) Request(path string, status int, took time.Duration) {
	m.requests.WithLabelValues(path, strconv.Itoa(status)).Inc()
	m.requestTime.WithLabelValues(path).Observe(took.Seconds())
}
