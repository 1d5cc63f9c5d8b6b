package errorstatus

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
)

var own trace.Tracer = otel.Tracer("example.com/shop/errorstatus/own")

func addsImport(ctx context.Context, text string) error {
	ctx, span := own.Start(ctx, "adds import") // want `span "adds import" stays unset when an error is returned \(line 16\)`
	defer span.End()
	if err := save(ctx, text); err != nil {
		return err
	}
	return nil
}

func sharesImport(ctx context.Context, text string) error {
	ctx, span := own.Start(ctx, "shares import") // want `span "shares import" stays unset when an error is returned \(line 25\)`
	defer span.End()
	if err := save(ctx, text); err != nil {
		return err
	}
	return nil
}
