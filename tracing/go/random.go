package tracing

import (
	"context"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/embedded"
)

// randomProvider sets the "random" flag of W3C Trace Context level 2 on the traces that start here: the SDK makes
// random ids and does not say so. A root takes its flags from its parent, so it is given a parent of nothing else.
// A trace that comes from elsewhere keeps the flag it has. Spans with [trace.WithNewRoot] do not get it.
type randomProvider struct {
	embedded.TracerProvider
	sdk *sdktrace.TracerProvider
}

func (p randomProvider) Tracer(name string, opts ...trace.TracerOption) trace.Tracer {
	return &randomTracer{inner: p.sdk.Tracer(name, opts...)}
}

type randomTracer struct {
	embedded.Tracer
	inner trace.Tracer
}

var randomFlag = trace.NewSpanContext(trace.SpanContextConfig{TraceFlags: trace.FlagsRandom})

func (t *randomTracer) Start(ctx context.Context, name string, opts ...trace.SpanStartOption) (context.Context, trace.Span) {
	if ctx == nil {
		ctx = context.Background()
	}
	if !trace.SpanContextFromContext(ctx).TraceID().IsValid() {
		ctx = trace.ContextWithSpanContext(ctx, randomFlag)
	}
	return t.inner.Start(ctx, name, opts...)
}
