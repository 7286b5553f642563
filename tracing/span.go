package tracing

import (
	"context"
	"errors"
	"fmt"

	"github.com/mintonce/mintonce/coordinator"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

const scope = "github.com/mintonce/mintonce/tracing"

// The attributes of spans.
const (
	attributeName       = attribute.Key("mintonce.name")       // of the credential
	attributeGeneration = attribute.Key("mintonce.generation") // of the token that a mint sets out to replace
	attributeHolder     = attribute.Key("mintonce.lock.holder")
	attributeOutcome    = attribute.Key("mintonce.outcome") // a verdict that is no error: conflict, locked
	attributeEvents     = attribute.Key("mintonce.events")  // that a swap carries
	attributeRecords    = attribute.Key("mintonce.records") // of a bulk load
	attributeClass      = attribute.Key("mintonce.failure.class")
	attributeCode       = attribute.Key("mintonce.failure.code")
)

func start(ctx context.Context, t trace.Tracer, name string, attributes ...attribute.KeyValue) (context.Context, trace.Span) {
	return t.Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attributes...))
}

// end ends a span with what is safe to tell of err.
func end(span trace.Span, err error) {
	defer span.End()
	var source *coordinator.SourceError
	switch {
	case err == nil:
		return
	case errors.Is(err, coordinator.ErrConflict):
		span.SetAttributes(attributeOutcome.String("conflict"))
	case errors.Is(err, coordinator.ErrLocked):
		span.SetAttributes(attributeOutcome.String("locked"))
	case errors.As(err, &source):
		span.SetAttributes(attributeClass.String(string(source.Class)), attributeCode.Int(source.Code))
		span.SetStatus(codes.Error, source.Error())
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		span.SetStatus(codes.Error, "no answer in time")
	default:
		span.SetStatus(codes.Error, fmt.Sprintf("an error of type %T", err))
	}
}
