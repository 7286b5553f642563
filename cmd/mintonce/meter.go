package main

import (
	"net/http"

	"github.com/mintonce/mintonce/metrics"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// meter is the metrics of serve, with what Prometheus tells of every process.
type meter struct {
	*metrics.Metrics
	handler http.Handler
}

func newMeter() *meter {
	m := &meter{Metrics: metrics.New(metrics.Config{})}
	registry := prometheus.NewRegistry()
	registry.MustRegister(m.Metrics,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewBuildInfoCollector(),
	)
	const scrapes = 4 // at the same time
	m.handler = promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: scrapes})
	return m
}
