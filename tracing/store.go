package tracing

import (
	"context"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"go.opentelemetry.io/otel/trace"
)

// Store returns a Store whose operations are spans, called "mintonce.load",
// "mintonce.swap" and so on. What else store can do is found past it.
func Store(store coordinator.Store, provider trace.TracerProvider) coordinator.Store {
	return &tracedStore{store, provider.Tracer(scope)}
}

// tracedStore is a coordinator.Wrapper.
type tracedStore struct {
	coordinator.Store
	tracer trace.Tracer
}

// Unwrap makes it a coordinator.Wrapper.
func (s *tracedStore) Unwrap() coordinator.Store { return s.Store }

func (s *tracedStore) Load(ctx context.Context, name string) (coordinator.Record, time.Time, error) {
	ctx, span := start(ctx, s.tracer, "mintonce.load", attributeName.String(name))
	record, now, err := s.Store.Load(ctx, name)
	end(span, err)
	return record, now, err
}

func (s *tracedStore) LoadAll(ctx context.Context, names []string) ([]coordinator.Loaded, error) {
	ctx, span := start(ctx, s.tracer, "mintonce.load_all", attributeRecords.Int(len(names)))
	all, err := coordinator.LoadAll(ctx, s.Store, names)
	end(span, err)
	return all, err
}

func (s *tracedStore) Swap(ctx context.Context, name string, old coordinator.Stamp, next coordinator.Record, events ...coordinator.Event) (time.Time, error) {
	kinds := make([]string, len(events))
	for i, e := range events {
		kinds[i] = string(e.Kind)
	}
	ctx, span := start(ctx, s.tracer, "mintonce.swap", attributeName.String(name), attributeEvents.StringSlice(kinds))
	now, err := s.Store.Swap(ctx, name, old, next, events...)
	end(span, err)
	return now, err
}

func (s *tracedStore) Lock(ctx context.Context, name, holder string, ttl time.Duration) (coordinator.Lease, error) {
	ctx, span := start(ctx, s.tracer, "mintonce.lock", attributeName.String(name), attributeHolder.String(holder))
	lease, err := s.Store.Lock(ctx, name, holder, ttl)
	end(span, err)
	return lease, err
}
