package metrics

import (
	"context"
	"errors"
	"time"

	"github.com/mintonce/mintonce/coordinator"
)

// Store returns a store that measures another one and leaves the rest to it.
func (m *Metrics) Store(store coordinator.Store) coordinator.Store {
	return &measured{store, m}
}

// measured is a coordinator.Wrapper. What it does not measure is found past it.
type measured struct {
	coordinator.Store
	m *Metrics
}

// Unwrap makes it a coordinator.Wrapper.
func (s *measured) Unwrap() coordinator.Store { return s.Store }

func (s *measured) Load(ctx context.Context, name string) (coordinator.Record, time.Time, error) {
	began := time.Now()
	record, now, err := s.Store.Load(ctx, name)
	s.m.measure("load", began, err)
	return record, now, err
}

func (s *measured) LoadAll(ctx context.Context, names []string) ([]coordinator.Loaded, error) {
	began := time.Now()
	all, err := coordinator.LoadAll(ctx, s.Store, names)
	s.m.measure("load many", began, err)
	return all, err
}

func (s *measured) Swap(ctx context.Context, name string, old coordinator.Stamp, next coordinator.Record, events ...coordinator.Event) (time.Time, error) {
	began := time.Now()
	now, err := s.Store.Swap(ctx, name, old, next, events...)
	s.m.measure("swap", began, err)
	return now, err
}

func (s *measured) Lock(ctx context.Context, name, holder string, ttl time.Duration) (coordinator.Lease, error) {
	began := time.Now()
	lease, err := s.Store.Lock(ctx, name, holder, ttl)
	s.m.measure("lock", began, err)
	outcome := "taken"
	switch {
	case errors.Is(err, coordinator.ErrLocked):
		outcome = "held"
	case err != nil:
		outcome = "error"
	}
	s.m.locks.WithLabelValues(outcome).Inc()
	return lease, err
}

// measure takes a verdict of the store, such as a conflict, for an answer.
func (m *Metrics) measure(operation string, began time.Time, err error) {
	m.storeTime.WithLabelValues(operation).Observe(time.Since(began).Seconds())
	failed := m.storeErrors.WithLabelValues(operation) // with 0 from the first operation on
	if err == nil || errors.Is(err, coordinator.ErrConflict) || errors.Is(err, coordinator.ErrLocked) {
		return
	}
	failed.Inc()
}
