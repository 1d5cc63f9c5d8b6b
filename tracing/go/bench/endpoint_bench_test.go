package bench

import (
	"context"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	tracing "github.com/throughline/throughline/tracing/go"
)

// BenchmarkEndpoint is a typed endpoint with its span, beside the same span made by hand.
func BenchmarkEndpoint(b *testing.B) {
	next := func(_ context.Context, q int) (int, error) { return q, nil }
	for _, m := range modes[:2] {
		p := sdktrace.NewTracerProvider(sdktrace.WithSampler(m.sampler), sdktrace.WithSpanProcessor(discard{}))
		wrapped := tracing.Endpoint("e", next, tracing.WithTracerProvider(p))
		tracer := p.Tracer(tracing.ScopeName)
		byHand := func(ctx context.Context, q int) (int, error) {
			ctx, span := tracer.Start(ctx, "e", trace.WithSpanKind(trace.SpanKindInternal))
			defer span.End()
			r, err := next(ctx, q)
			if err != nil {
				span.SetStatus(codes.Error, err.Error())
			}
			return r, err
		}
		for name, e := range map[string]func(context.Context, int) (int, error){"tracing": wrapped, "by-hand": byHand} {
			b.Run(m.name+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					_, _ = e(b.Context(), 1)
				}
			})
		}
		b.Run(m.name+"/ratio", func(b *testing.B) {
			ctx := b.Context()
			ratio(b, func() { _, _ = wrapped(ctx, 1) }, func() { _, _ = byHand(ctx, 1) })
		})
	}
}
