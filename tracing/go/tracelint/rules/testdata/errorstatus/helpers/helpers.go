// Package helpers sets the status of spans for others.
package helpers

import (
	"context"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Fail records err on the span in ctx.
func Fail(ctx context.Context, err error) error {
	span := trace.SpanFromContext(ctx)
	span.RecordError(err)
	span.SetStatus(codes.Error, err.Error())
	return err
}

// Failed does so through another function.
func Failed(ctx context.Context, err error) error { return Fail(ctx, err) }

// Note does no such thing.
func Note(ctx context.Context, err error) error {
	trace.SpanFromContext(ctx).AddEvent(err.Error())
	return err
}

// Trace records err on span.
func Trace(span trace.Span, err error) {
	span.RecordError(err)
	span.SetStatus(codes.Error, err.Error())
}
