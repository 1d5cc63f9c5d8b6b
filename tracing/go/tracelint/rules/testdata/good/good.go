// Package good is instrumented by hand without a fault.
package good

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

const scope = "example.com/shop/good"

type Service interface {
	Get(ctx context.Context, id string) (string, error)
	List(ctx context.Context) ([]string, error)
	Close(ctx context.Context) error
}

type service struct {
	tracer trace.Tracer
	client *http.Client
	host   string
}

func New(host string) Service {
	return &service{
		tracer: otel.Tracer(scope),
		client: &http.Client{Transport: otelhttp.NewTransport(http.DefaultTransport)},
		host:   host,
	}
}

func (s *service) Get(ctx context.Context, id string) (_ string, err error) {
	ctx, span := s.tracer.Start(ctx, "Service.Get", trace.WithAttributes(attribute.String("article.id", id)))
	defer func() {
		if err != nil {
			span.RecordError(err)
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.host+"/articles/"+id, nil)
	if err != nil {
		return "", err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return "", fmt.Errorf("asking for %q: %w", id, err)
	}
	return resp.Status, resp.Body.Close()
}

func (s *service) List(ctx context.Context) ([]string, error) {
	ctx, span := s.tracer.Start(ctx, "Service.List")
	defer span.End()
	ids := []string{"a", "b"}
	out := make([]string, len(ids))
	errs := make([]error, len(ids))
	var wg sync.WaitGroup
	for i, id := range ids {
		wg.Add(1)
		go func() {
			defer wg.Done()
			out[i], errs[i] = s.Get(ctx, id)
		}()
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
		return nil, err
	}
	return out, nil
}

func (s *service) Close(context.Context) error { return nil }

// Middleware continues the caller's trace.
func Middleware(next http.Handler, tracer trace.Tracer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := otel.GetTextMapPropagator().Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		ctx, span := tracer.Start(ctx, r.Method, trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		r = r.WithContext(ctx)
		next.ServeHTTP(w, r)
		if r.Pattern != "" {
			span.SetName(r.Method + " " + r.Pattern)
		}
	})
}

// Parse is a leaf: its span needs no context.
func Parse(ctx context.Context, tracer trace.Tracer, text string) int {
	_, span := tracer.Start(ctx, "parse")
	defer span.End()
	if ctx.Err() != nil {
		return 0
	}
	trace.SpanFromContext(ctx).AddEvent("parsing")
	return len(text)
}

// Steps are siblings, one after the other.
func Steps(ctx context.Context, tracer trace.Tracer, step func(context.Context)) {
	first, span := tracer.Start(ctx, "first")
	step(first)
	span.End()

	second, span := tracer.Start(ctx, "second")
	step(second)
	span.End()

	step(ctx)
}

// Each gives every item its own span.
func Each(ctx context.Context, tracer trace.Tracer, items []string, do func(context.Context)) {
	for range items {
		ctx, span := tracer.Start(ctx, "item")
		do(ctx)
		span.End()
	}
	do(ctx)
}

// Later goes on when the request is done, in a trace of its own.
func Later(ctx context.Context, tracer trace.Tracer, do func(context.Context)) {
	ctx, span := tracer.Start(ctx, "request")
	defer span.End()
	link := trace.LinkFromContext(ctx)
	after := context.WithoutCancel(ctx)
	go func() {
		ctx, span := tracer.Start(after, "later", trace.WithNewRoot(), trace.WithLinks(link))
		defer span.End()
		do(ctx)
	}()
}

// RoundTrip is a transport that injects the trace context by hand.
type RoundTrip struct{ Base http.RoundTripper }

func (t RoundTrip) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, span := otel.Tracer(scope).Start(r.Context(), r.Method, trace.WithSpanKind(trace.SpanKindClient))
	defer span.End()
	r = r.Clone(ctx)
	otel.GetTextMapPropagator().Inject(ctx, propagation.HeaderCarrier(r.Header))
	resp, err := t.Base.RoundTrip(r)
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	return resp, err
}

// Handed gives the span and its parent to the same function.
func Handed(ctx context.Context, tracer trace.Tracer, do, after func(context.Context, trace.Span)) {
	spanCtx, span := tracer.Start(ctx, "handed")
	do(spanCtx, span)
	after(ctx, span)
	span.End()
}
