package tracing_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mintonce/mintonce/coordinator"
	"github.com/mintonce/mintonce/coordinator/storetest"
	"github.com/mintonce/mintonce/tracing"
	"github.com/mintonce/mintonce/wechat"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

const secret = "a-secret-that-no-span-may-hold"

// source mints, or fails as it is told.
type source struct{ err error }

func (s source) Mint(context.Context, coordinator.Token) (coordinator.Token, error) {
	return coordinator.NewToken(secret, time.Now().Add(2*time.Hour)), s.err
}

func (source) Traits() coordinator.Traits { return coordinator.Traits{Credential: "test:1"} }

// forced is a source with a separate way to force a token.
type forced struct{ source }

func (forced) Rotate(context.Context, coordinator.Token) (coordinator.Token, error) {
	return coordinator.NewToken(secret+"-2", time.Now().Add(2*time.Hour)), nil
}

func recorder() (*tracetest.SpanRecorder, *sdk.TracerProvider) {
	spans := tracetest.NewSpanRecorder()
	return spans, sdk.NewTracerProvider(sdk.WithSpanProcessor(spans))
}

// TestMintsAndStoreAreSpans follows one mint and one rotation.
func TestMintsAndStoreAreSpans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spans, provider := recorder()
		store := tracing.Store(storetest.NewMemory(), provider)
		c, err := coordinator.New("shop", tracing.Source(forced{}, provider), store, coordinator.Config{Instance: "me"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Token(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		var names []string
		for _, span := range spans.Ended() {
			names = append(names, span.Name())
			if text := fmt.Sprintf("%+v", tracetest.SpanStubFromReadOnlySpan(span)); strings.Contains(text, secret) {
				t.Errorf("a span holds the token: %s", text)
			}
		}
		for _, want := range []string{"mintonce.load", "mintonce.lock", "mintonce.swap", "mintonce.mint", "mintonce.rotate"} {
			if !slices.Contains(names, want) {
				t.Errorf("no span is called %s: %q", want, names)
			}
		}
	})
}

// TestErrorsAreToldWithCare: only texts that mintonce made itself are told.
func TestErrorsAreToldWithCare(t *testing.T) {
	leaky := &url.Error{Op: "Get", URL: "https://host/token?secret=" + secret, Err: errors.New(secret)}
	tests := []struct {
		err  error
		want string
	}{
		{leaky, "an error of type *url.Error"},
		{fmt.Errorf("send: %w", context.DeadlineExceeded), "no answer in time"},
		{&coordinator.SourceError{Class: coordinator.Operator, Code: 40164, Message: "1.2.3.4 is not on the whitelist", Err: leaky}, "1.2.3.4 is not on the whitelist (code 40164)"},
	}
	for _, test := range tests {
		spans, provider := recorder()
		_, err := tracing.Source(source{test.err}, provider).Mint(t.Context(), coordinator.Token{})
		if err != test.err {
			t.Errorf("the error became %v", err)
		}
		span := spans.Ended()[0]
		if status := span.Status(); status.Code != codes.Error || status.Description != test.want {
			t.Errorf("the span says %+v, want %q", status, test.want)
		}
		if text := fmt.Sprintf("%+v", tracetest.SpanStubFromReadOnlySpan(span)); strings.Contains(text, secret) {
			t.Errorf("a span holds a secret: %s", text)
		}
	}
}

// TestATracedSourceCanDoTheSame: a coordinator must not take a source that
// forces tokens for one that does not, nor the other way round.
func TestATracedSourceCanDoTheSame(t *testing.T) {
	_, provider := recorder()
	if _, ok := tracing.Source(source{}, provider).(coordinator.Rotator); ok {
		t.Error("tracing makes a Rotator of a source that is none")
	}
	if _, ok := tracing.Source(forced{}, provider).(coordinator.Rotator); !ok {
		t.Error("tracing hides a Rotator")
	}
	bad := tracing.Source(wechat.NewStableToken("", "", wechat.Config{}), provider)
	if checker, ok := bad.(coordinator.Checker); !ok || checker.Check() == nil {
		t.Error("tracing hides a source's Check")
	}
}

// TestConformance: a traced store is a store as before, with all that it can
// do.
func TestConformance(t *testing.T) {
	storetest.RunWithin(t, synctest.Test, func(testing.TB) storetest.Fixture {
		_, provider := recorder()
		memory := storetest.NewMemory()
		store := tracing.Store(memory, provider)
		return storetest.Fixture{
			Open:     func(testing.TB) coordinator.Store { return store },
			WriteRaw: func(_ testing.TB, name string, fields map[string]string) { memory.WriteRaw(name, fields) },
			Flush:    func(testing.TB) { memory.Flush() },
			DropLock: func(_ testing.TB, name string) { memory.DropLock(name) },
		}
	})
}
