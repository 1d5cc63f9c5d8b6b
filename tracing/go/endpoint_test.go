package tracing_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	tracing "github.com/throughline/throughline/tracing/go"
	"github.com/throughline/throughline/tracing/go/tracingtest"
)

// kitEndpoint is Go kit's endpoint.Endpoint.
type kitEndpoint func(ctx context.Context, request any) (response any, err error)

type (
	getRequest  struct{ id string }
	getResponse struct {
		title string
		err   error
	}
)

func (r getResponse) Failed() error { return r.err }

var errNotFound = errors.New("not found")

func get(_ context.Context, r getRequest) (getResponse, error) {
	switch r.id {
	case "unknown":
		return getResponse{}, errNotFound
	case "broken":
		return getResponse{}, errors.New("disk on fire")
	case "failed":
		return getResponse{err: errors.New("business rule")}, nil
	case "failed as expected":
		return getResponse{err: fmt.Errorf("looking: %w", errNotFound)}, nil
	case "cancelled":
		return getResponse{}, context.Canceled
	case "panics":
		panic("bad state")
	case "goexit":
		runtime.Goexit()
	}
	return getResponse{title: "One"}, nil
}

// TestEndpoint: every way of ending, typed and in Go kit's untyped form.
func TestEndpoint(t *testing.T) {
	for _, c := range []struct{ id, want string }{
		{"1", "internal get\n    n=3\n    request.id=1\n"},
		{"unknown", "internal get\n    request.id=unknown\n"},
		{"broken", "internal get error: disk on fire\n    error.type=*errors.errorString\n    request.id=broken\n"},
		{"failed", "internal get error: business rule\n    error.type=*errors.errorString\n    n=0\n    request.id=failed\n"},
		{"failed as expected", "internal get\n    n=0\n    request.id=failed as expected\n"},
		{"cancelled", "internal get\n    request.id=cancelled\n"},
		{"panics", "internal get error: panic: bad state\n    error.type=string\n    request.id=panics\n    event exception\n" +
			"        exception.message=bad state\n        exception.stacktrace=*\n        exception.type=string\n"},
		{"goexit", "internal get\n    request.id=goexit\n"},
	} {
		t.Run(c.id, func(t *testing.T) {
			r := tracingtest.Install(t)
			opts := []tracing.Option{
				tracing.WithExpected(func(err error) bool { return errors.Is(err, errNotFound) }),
				tracing.WithRequestAttributes(func(r getRequest) []attribute.KeyValue {
					return []attribute.KeyValue{attribute.String("request.id", r.id)}
				}),
				tracing.WithResponseAttributes(func(r getResponse) []attribute.KeyValue {
					return []attribute.KeyValue{attribute.Int("n", len(r.title))}
				}),
			}
			typed := tracing.Endpoint("get", get, opts...)
			var kit kitEndpoint = tracing.EndpointMiddleware[kitEndpoint]("get", opts...)(tracing.Untyped(get))
			for name, call := range map[string]func(context.Context){
				"typed":   func(ctx context.Context) { _, _ = typed(ctx, getRequest{c.id}) },
				"untyped": func(ctx context.Context) { _, _ = kit(ctx, getRequest{c.id}) },
			} {
				r.Reset()
				done := make(chan any)
				go func() { // Goexit ends the goroutine
					defer func() { done <- recover() }()
					call(t.Context())
				}()
				if v := <-done; (v != nil) != (c.id == "panics") {
					t.Errorf("%s: panic %v", name, v)
				}
				got := r.Tree(tracingtest.WithAttributes(), tracingtest.Mask("exception.stacktrace"))
				if got != c.want {
					t.Errorf("%s: got\n%s\nwant\n%s", name, got, c.want)
				}
			}
		})
	}
}

// TestEndpointPassesThrough: context, request, response and error are the function's own.
func TestEndpointPassesThrough(t *testing.T) {
	r := tracingtest.Install(t)
	boom := errors.New("boom")
	wrapped := tracing.Endpoint("e", func(ctx context.Context, q int) (string, error) {
		if trace.SpanContextFromContext(ctx).SpanID() == (trace.SpanID{}) {
			t.Error("no span in the context")
		}
		return fmt.Sprint(q), boom
	})
	if s, err := wrapped(t.Context(), 7); s != "7" || err != boom {
		t.Errorf("%q, %v", s, err)
	}
	unsampled := tracing.TraceContext{}.Extract(t.Context(), mapCarrier{"traceparent": remoteUnsampled})
	if s, err := wrapped(unsampled, 8); s != "8" || err != boom {
		t.Errorf("%q, %v", s, err)
	}
	if n := len(r.Spans()); n != 1 {
		t.Errorf("%d spans", n)
	}
}

func TestUntypedChecksTheRequest(t *testing.T) {
	e := tracing.Untyped(get)
	for _, request := range []any{nil, 7, &getRequest{}} {
		_, err := e(t.Context(), request)
		var typeError *tracing.RequestTypeError
		if !errors.As(err, &typeError) || !strings.Contains(err.Error(), "tracing_test.getRequest") {
			t.Errorf("request %T: error %v", request, err)
		}
	}
	if _, err := tracing.Untyped(func(context.Context, fmt.Stringer) (int, error) { return 0, nil })(t.Context(), 7); err == nil ||
		!strings.Contains(err.Error(), "fmt.Stringer") {
		t.Errorf("error %v for an interface", err)
	}
}

// TestWiringMistakesShowAtOnce: no name, or attributes of another type.
func TestWiringMistakesShowAtOnce(t *testing.T) {
	other := func(string) []attribute.KeyValue { return nil }
	for name, wire := range map[string]func(){
		"no name":  func() { tracing.Endpoint("", get) },
		"request":  func() { tracing.Endpoint("get", get, tracing.WithRequestAttributes(other)) },
		"response": func() { tracing.Endpoint("get", get, tracing.WithResponseAttributes(other)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			wire()
		}()
	}
}

// TestDecoderAndEncoder: Go kit's function types, on one level with the endpoint.
func TestDecoderAndEncoder(t *testing.T) {
	type (
		decodeFunc func(context.Context, *http.Request) (any, error)
		encodeFunc func(context.Context, http.ResponseWriter, any) error
	)
	r := tracingtest.Install(t)
	bad := errors.New("bad request")
	var decode decodeFunc = tracing.Decoder("request decoder", decodeFunc(func(_ context.Context, r *http.Request) (any, error) {
		if r == nil {
			return nil, bad
		}
		return getRequest{"1"}, nil
	}))
	var encode encodeFunc = tracing.Encoder("response encoder", encodeFunc(func(_ context.Context, _ http.ResponseWriter, v any) error {
		switch v {
		case "broken":
			return errors.New("cannot encode")
		case "panics":
			panic("bad state")
		}
		return nil
	}), tracing.WithResponseAttributes(func(r getResponse) []attribute.KeyValue {
		return []attribute.KeyValue{attribute.String("title", r.title)}
	}))
	ctx, server := r.TracerProvider().Tracer("t").Start(t.Context(), "server", trace.WithSpanKind(trace.SpanKindServer))
	request, err := decode(ctx, &http.Request{})
	if err != nil {
		t.Fatal(err)
	}
	response, _ := tracing.Endpoint("get endpoint", get)(ctx, request.(getRequest))
	if err := encode(ctx, nil, response); err != nil {
		t.Fatal(err)
	}
	if _, err := decode(ctx, nil); err != bad {
		t.Errorf("error %v", err)
	}
	if err := encode(ctx, nil, "broken"); err == nil {
		t.Error("no error")
	}
	func() {
		defer func() { _ = recover() }()
		_ = encode(ctx, nil, "panics")
	}()
	server.End()
	unsampled := tracing.TraceContext{}.Extract(t.Context(), mapCarrier{"traceparent": remoteUnsampled})
	if err := encode(unsampled, nil, response); err != nil {
		t.Error(err)
	}
	tracingtest.AssertTree(t, r, `
		server server
		  internal request decoder
		  internal get endpoint
		  internal response encoder
		      title=One
		  internal request decoder error: bad request
		  internal response encoder error: cannot encode
		  internal response encoder error: panic: bad state
		      event exception`, tracingtest.WithAttributes("title"))
}
