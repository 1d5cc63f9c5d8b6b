package several

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

//go:generate go tool tracegen -iface Failing -fail markFailed
//go:generate go tool tracegen -iface Elsewhere -fail github.com/throughline/throughline/tracing/go/tracegen/testdata/golden/store.Fail

// Failing fails in its own way.
type Failing interface {
	Do(ctx context.Context, markFailed bool) error
}

// Elsewhere fails in the way of another package.
type Elsewhere interface {
	Do(ctx context.Context, store string) error
}

func markFailed(span trace.Span, err error) {
	span.SetAttributes(attribute.Bool("failed", true))
	span.SetStatus(codes.Error, err.Error())
}
