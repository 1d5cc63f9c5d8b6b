package lostcontext

import (
	"context"
	"io"
	"log/slog"
	"net/http"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

var tracer = otel.Tracer("example.com/shop/lostcontext")

func load(ctx context.Context) error { return work(ctx, 1) }

var work = func(ctx context.Context, n int) error { return nil }

func extractUnused(w http.ResponseWriter, r *http.Request, next http.Handler) {
	otel.GetTextMapPropagator().Extract(r.Context(), propagation.HeaderCarrier(r.Header)) // want `the context that otel.GetTextMapPropagator\(\).Extract returns is thrown away`
	next.ServeHTTP(w, r)
}

func extractBlank(ctx context.Context, carrier propagation.MapCarrier) error {
	_ = propagation.TraceContext{}.Extract(ctx, carrier) // want `the context that .*Extract returns is thrown away`
	return load(ctx)
}

func extractComputed(make func() context.Context, carrier propagation.MapCarrier) {
	propagation.Baggage{}.Extract(make(), carrier) // want `is thrown away`
}

func extractNeverUsed(r *http.Request) error {
	ctx := r.Context()
	ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header)) // want `Extract returns is never used`
	return load(r.Context())
}

func baggageUnused(ctx context.Context, b baggage.Baggage) error {
	baggage.ContextWithBaggage(ctx, b) // want `the context that baggage.ContextWithBaggage returns is thrown away`
	return load(ctx)
}

func remoteUnused(ctx context.Context, sc trace.SpanContext) error {
	trace.ContextWithRemoteSpanContext(ctx, sc) // want `ContextWithRemoteSpanContext returns is thrown away`
	return load(ctx)
}

func startBlank(ctx context.Context) error {
	_, span := tracer.Start(ctx, "blank") // want `the context of span "blank" is thrown away, but load below takes its parent's`
	defer span.End()
	return load(ctx)
}

func startBlankInBlock(ctx context.Context, trace bool) error {
	if trace {
		_, span := tracer.Start(ctx, "inner") // want `the context of span "inner" is thrown away, but load below`
		defer span.End()
		if err := load(ctx); err != nil {
			return err
		}
	}
	return nil
}

// No fix: the use lies outside the block of the start.
func startBlankThenOutside(ctx context.Context, trace bool) error {
	if trace {
		_, span := tracer.Start(ctx, "outside") // want `the context of span "outside" is thrown away, but load below`
		defer span.End()
	}
	return load(ctx)
}

// No fix: after the span's end the parent is right.
func startBlankEndedEarly(ctx context.Context) error {
	_, span := tracer.Start(ctx, "early") // want `the context of span "early" is thrown away, but load below`
	err := load(ctx)
	span.End()
	if err != nil {
		return err
	}
	return load(ctx)
}

func startBlankInClosure(ctx context.Context) func() error {
	return func() error {
		_, span := tracer.Start(ctx, "closure") // want `the context of span "closure" is thrown away`
		defer span.End()
		return load(ctx)
	}
}

func startRequest(w http.ResponseWriter, r *http.Request, next http.Handler) {
	_, span := tracer.Start(r.Context(), "request") // want `the context of span "request" is thrown away, but next.ServeHTTP below`
	defer span.End()
	next.ServeHTTP(w, r)
}

func startRequestContext(r *http.Request) error {
	_, span := tracer.Start(r.Context(), "request context") // want `the context of span "request context" is thrown away, but load below`
	defer span.End()
	return load(r.Context())
}

func startHelper(ctx context.Context) error {
	span, _ := begin(ctx) // want `the context of span is thrown away, but load below`
	defer span.End()
	return load(ctx)
}

func begin(ctx context.Context) (trace.Span, context.Context) {
	ctx, span := tracer.Start(ctx, "begin")
	return span, ctx
}

type queue interface {
	send(ctx context.Context, n int) bool
}

type channel chan int

func (c channel) send(ctx context.Context, n int) bool {
	select {
	case c <- n:
		return true
	case <-ctx.Done():
		return false
	}
}

// Every queue of the package only watches the context.
func watched(ctx context.Context, q queue) bool {
	_, span := tracer.Start(ctx, "watched")
	defer span.End()
	return q.send(ctx, 1)
}

// Methods of another package's interface get no facts here.
type handler interface{ slog.Handler }

type discard struct{ slog.Handler }

func (discard) Handle(ctx context.Context, r slog.Record) error { return ctx.Err() }

var _ handler = discard{}

// The callee ends the span when it likes.
func endsElsewhere(ctx context.Context, run func(context.Context, func()) error) error {
	_, span := tracer.Start(ctx, "elsewhere")
	return run(ctx, func() { span.End() })
}

// A context given to a reader is there to stop it.
func stopped(ctx context.Context, r func(context.Context) io.Reader) io.Reader {
	_, span := tracer.Start(ctx, "stopped")
	defer span.End()
	return r(ctx)
}

func loops(ctx context.Context, items []string) error {
	for range items {
		_, span := tracer.Start(ctx, "loops")
		defer span.End()
	}
	return load(ctx)
}
