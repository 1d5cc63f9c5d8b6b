package parentcontext

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
)

var tracer = otel.Tracer("example.com/shop/parentcontext")

var load = func(ctx context.Context) error { return nil }

func otherName(ctx context.Context) error {
	spanCtx, span := tracer.Start(ctx, "other") // the context
	defer span.End()
	if err := load(spanCtx); err != nil {
		return err
	}
	if err := load(ctx); err != nil { // want `load takes ctx, but the context with span "other" is spanCtx`
		return err
	}
	return load(ctx)
}

func request(w http.ResponseWriter, r *http.Request, next http.Handler) {
	ctx, span := tracer.Start(r.Context(), "request")
	defer span.End()
	_ = load(ctx)
	next.ServeHTTP(w, r) // want `next.ServeHTTP takes r, but the context with span "request" is ctx`
}

func requestContext(r *http.Request) error {
	ctx, span := tracer.Start(r.Context(), "request")
	defer span.End()
	if err := load(ctx); err != nil {
		return err
	}
	return load(r.Context()) // want `load takes r.Context\(\), but the context with span "request" is ctx`
}

func extracted(r *http.Request) error {
	ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	_ = load(ctx)
	_, span := tracer.Start(r.Context(), "root") // want `tracer.Start takes r.Context\(\), but the context that .*Extract returned is ctx`
	defer span.End()
	return nil
}

// No fix: the context with the span cannot be named any more.
func shadowed(ctx context.Context, trace bool) error {
	if trace {
		ctx, span := tracer.Start(ctx, "shadow")
		defer span.End()
		_ = load(ctx)
	}
	return load(ctx) // want `load takes ctx without the open span "shadow": the context with it is a variable of an inner block`
}

func literal(ctx context.Context, each func(func() error) error) error {
	spanCtx, span := tracer.Start(ctx, "literal")
	defer span.End()
	_ = load(spanCtx)
	return each(func() error {
		return load(ctx) // want `load takes ctx, but`
	})
}

func timeout(ctx context.Context) error {
	spanCtx, span := tracer.Start(ctx, "timeout")
	defer span.End()
	_ = load(spanCtx)
	ctx, cancel := context.WithCancel(ctx) // want `context.WithCancel takes ctx, but`
	defer cancel()
	return load(ctx)
}
