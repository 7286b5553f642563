package tracing

import (
	"context"

	"github.com/mintonce/mintonce/coordinator"
	"go.opentelemetry.io/otel/trace"
)

// Source returns a Source whose mints are spans called "mintonce.mint" and
// "mintonce.rotate". It can do what source can do.
func Source(source coordinator.Source, provider trace.TracerProvider) coordinator.Source {
	traced := tracedSource{source, provider.Tracer(scope)}
	if rotator, ok := source.(coordinator.Rotator); ok {
		return tracedRotator{traced, rotator}
	}
	return traced
}

type tracedSource struct {
	coordinator.Source
	tracer trace.Tracer
}

// Check is that of the Source, if it has one.
func (s tracedSource) Check() error {
	if checker, ok := s.Source.(coordinator.Checker); ok {
		return checker.Check()
	}
	return nil
}

func (s tracedSource) Mint(ctx context.Context, prev coordinator.Token) (coordinator.Token, error) {
	ctx, span := start(ctx, s.tracer, "mintonce.mint", attributeGeneration.Int64(prev.Generation))
	token, err := s.Source.Mint(ctx, prev)
	end(span, err)
	return token, err
}

// tracedRotator is for a Source with a separate way to force a new token.
type tracedRotator struct {
	tracedSource
	rotator coordinator.Rotator
}

func (s tracedRotator) Rotate(ctx context.Context, prev coordinator.Token) (coordinator.Token, error) {
	ctx, span := start(ctx, s.tracer, "mintonce.rotate", attributeGeneration.Int64(prev.Generation))
	token, err := s.rotator.Rotate(ctx, prev)
	end(span, err)
	return token, err
}
