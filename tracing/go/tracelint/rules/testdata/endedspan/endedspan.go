package endedspan

import (
	"context"
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
)

var tracer = otel.Tracer("example.com/shop/endedspan")

var work = func(ctx context.Context) error { return nil }

func call(ctx context.Context) {
	ctx, span := tracer.Start(ctx, "call")
	defer span.End()
	go work(ctx) // want `goroutine passes ctx to work, but span "call" ends when the function returns`
}

func literal(ctx context.Context) {
	ctx, span := tracer.Start(ctx, "literal")
	defer span.End()
	go func() { // want `goroutine passes ctx to work, but span "literal" ends when the function returns`
		_ = work(ctx)
	}()
}

func argument(ctx context.Context) {
	ctx, span := tracer.Start(ctx, "argument")
	defer span.End()
	go func(ctx context.Context) { // want `but span "argument" ends`
		_ = work(ctx)
	}(ctx)
}

func startsChild(ctx context.Context) {
	ctx, span := tracer.Start(ctx, "parent")
	defer span.End()
	go func() { // want `goroutine passes ctx to tracer.Start, but span "parent" ends`
		ctx, span := tracer.Start(ctx, "child")
		defer span.End()
		_ = work(ctx)
	}()
}

func endedAtOnce(ctx context.Context) {
	ctx, span := tracer.Start(ctx, "at once")
	go func() { // want `but span "at once" ends without waiting for it`
		_ = work(ctx)
	}()
	span.End()
}

func producer(ctx context.Context) <-chan error {
	ctx, span := tracer.Start(ctx, "producer")
	defer span.End()
	out := make(chan error)
	go func() { // want `but span "producer" ends when the function returns`
		defer close(out)
		out <- work(ctx)
	}()
	return out
}

func waits(ctx context.Context) {
	ctx, span := tracer.Start(ctx, "waits")
	defer span.End()
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		_ = work(ctx)
	}()
	wg.Wait()
}

func receives(ctx context.Context) error {
	ctx, span := tracer.Start(ctx, "receives")
	defer span.End()
	done := make(chan error)
	go func() { done <- work(ctx) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func ranges(ctx context.Context) {
	ctx, span := tracer.Start(ctx, "ranges")
	defer span.End()
	out := make(chan error)
	go func() {
		defer close(out)
		out <- work(ctx)
	}()
	for range out {
	}
}

func deferredWait(ctx context.Context) {
	ctx, span := tracer.Start(ctx, "deferred wait")
	defer span.End()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {})
	go func() { _ = work(ctx) }()
}

// The goroutine's own span ends with it.
func ownSpan(ctx context.Context) {
	ctx, span := tracer.Start(ctx, "own")
	go func() {
		defer span.End()
		_ = work(ctx)
	}()
}

func linked(ctx context.Context) {
	ctx, span := tracer.Start(ctx, "linked")
	defer span.End()
	go func() {
		ctx, span := tracer.Start(ctx, "root", trace.WithNewRoot(), trace.WithLinks(trace.LinkFromContext(ctx)))
		defer span.End()
		_ = work(ctx)
	}()
}

func detached(ctx context.Context) {
	ctx, span := tracer.Start(ctx, "detached")
	defer span.End()
	go work(context.WithoutCancel(ctx))
}

// Only the end of the context is watched.
func watches(ctx context.Context, stop func()) {
	ctx, span := tracer.Start(ctx, "watches")
	defer span.End()
	go func() {
		<-ctx.Done()
		stop()
	}()
	_ = work(ctx)
}

func parentsContext(ctx context.Context) {
	spanCtx, span := tracer.Start(ctx, "parent's")
	defer span.End()
	go work(ctx)
	_ = work(spanCtx)
}

func returns(ctx context.Context) (context.Context, error) {
	ctx, span := tracer.Start(ctx, "returns")
	defer span.End()
	return ctx, work(ctx) // want `returned ctx holds span "returns", which ends when the function returns`
}

func returnsParent(ctx context.Context) (context.Context, error) {
	spanCtx, span := tracer.Start(ctx, "returns parent")
	defer span.End()
	return ctx, work(spanCtx)
}

func begins(ctx context.Context) (context.Context, func()) {
	ctx, span := tracer.Start(ctx, "begins")
	return ctx, func() { span.End() }
}
