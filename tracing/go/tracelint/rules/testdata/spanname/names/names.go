// Package names starts spans for others.
package names

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
)

var tracer = otel.Tracer("example.com/shop/spanname/names")

// Begin starts a span whose name begins with the area.
func Begin(ctx context.Context, area, name string) (context.Context, trace.Span) {
	return tracer.Start(ctx, area+"."+name)
}

// In runs f in a span.
func In(ctx context.Context, name string, f func(context.Context)) {
	ctx, span := Begin(ctx, "in", name)
	defer span.End()
	f(ctx)
}
