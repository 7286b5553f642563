// Package tracing shows mints and the work of the store as OpenTelemetry spans.
//
//	source = tracing.Source(source, otel.GetTracerProvider())
//	store = tracing.Store(store, otel.GetTracerProvider())
//	c, err := coordinator.New("shop", source, store, coordinator.Config{})
//
// It needs the API of OpenTelemetry only; exporters and sampling are the
// application's. A mint is detached from the calls that wait for it, so its
// span is the root of a trace of its own, with the store's spans beside it.
//
// No span holds a token, a secret or a URL. Of an error it has the class, the
// provider's code and the message that mintonce made of it; of any other error,
// whose text may hold anything, the type alone.
package tracing
