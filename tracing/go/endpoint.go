package tracing

import (
	"context"
	"fmt"
	"reflect"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// Endpoint wraps next in an internal span called name. An error of next, or of a response that is a Go kit Failer,
// makes the status Error, save where [WithExpected] says that it is an answer; a panic is recorded and raised again.
func Endpoint[Q, R any](
	name string, next func(context.Context, Q) (R, error), opts ...Option,
) func(context.Context, Q) (R, error) {
	c := newCall(name, opts)
	requestAttributes := attributesFor[Q](c.requestAttributes, "request", name)
	responseAttributes := attributesFor[R](c.responseAttributes, "response", name)
	mayFail := isFailer[R]()
	return func(ctx context.Context, request Q) (response R, err error) {
		ctx, span := c.tracer.Start(ctx, name, internalKind)
		if !span.IsRecording() {
			defer span.End()
			return next(ctx, request)
		}
		if requestAttributes != nil {
			span.SetAttributes(requestAttributes(request)...)
		}
		finished := false
		defer c.end(span, &finished, &err)
		response, err = next(ctx, request)
		finished = true
		if mayFail && err == nil {
			if f, ok := any(response).(failer); ok {
				c.fail(span, f.Failed())
			}
		}
		if responseAttributes != nil && err == nil {
			span.SetAttributes(responseAttributes(response)...)
		}
		return response, err
	}
}

// EndpointMiddleware is [Endpoint] as a Go kit middleware. E is endpoint.Endpoint:
//
//	tracing.EndpointMiddleware[endpoint.Endpoint]("get article endpoint")
func EndpointMiddleware[E ~func(context.Context, any) (any, error)](name string, opts ...Option) func(E) E {
	return func(next E) E {
		return E(Endpoint[any, any](name, next, opts...))
	}
}

// Untyped adapts a typed endpoint to the type of Go kit's endpoint.Endpoint. A request of another type gives a
// *[RequestTypeError].
func Untyped[Q, R any](next func(context.Context, Q) (R, error)) func(context.Context, any) (any, error) {
	return func(ctx context.Context, request any) (any, error) {
		q, ok := request.(Q)
		if !ok {
			return nil, &RequestTypeError{Got: fmt.Sprintf("%T", request), Want: reflect.TypeFor[Q]().String()}
		}
		return next(ctx, q)
	}
}

// RequestTypeError says that an endpoint was given a request of the wrong type: a fault in the wiring.
type RequestTypeError struct{ Got, Want string }

func (e *RequestTypeError) Error() string {
	return fmt.Sprintf("endpoint request is a %s, want %s", e.Got, e.Want)
}

// Decoder wraps a function that makes a request out of the transport's message, such as Go kit's
// http.DecodeRequestFunc, in an internal span.
func Decoder[In, Out any](
	name string, next func(context.Context, In) (Out, error), opts ...Option,
) func(context.Context, In) (Out, error) {
	return Endpoint(name, next, opts...)
}

// Encoder wraps a function that writes a response to the transport, such as Go kit's http.EncodeResponseFunc, in an
// internal span.
func Encoder[W, R any](
	name string, next func(context.Context, W, R) error, opts ...Option,
) func(context.Context, W, R) error {
	c := newCall(name, opts)
	responseAttributes := attributesFor[R](c.responseAttributes, "response", name)
	return func(ctx context.Context, w W, response R) (err error) {
		ctx, span := c.tracer.Start(ctx, name, internalKind)
		if !span.IsRecording() {
			defer span.End()
			return next(ctx, w, response)
		}
		if responseAttributes != nil {
			span.SetAttributes(responseAttributes(response)...)
		}
		finished := false
		defer c.end(span, &finished, &err)
		err = next(ctx, w, response)
		finished = true
		return err
	}
}

// WithRequestAttributes sets attributes of the request on the span of [Endpoint] or [Decoder], when it is recorded. Q is
// the request type, which is checked when the endpoint is built; an endpoint of an interface type, such as Go kit's
// any, takes the function for those requests that are a Q.
func WithRequestAttributes[Q any](attributes func(Q) []attribute.KeyValue) Option {
	return func(o *options) { o.requestAttributes = typedAttributes[Q](attributes) }
}

// WithResponseAttributes is [WithRequestAttributes] for the response of [Endpoint], when there was no error, and for
// what an [Encoder] writes.
func WithResponseAttributes[R any](attributes func(R) []attribute.KeyValue) Option {
	return func(o *options) { o.responseAttributes = typedAttributes[R](attributes) }
}

// typedAttributes is a function of attributes whose type the option has forgotten.
type typedAttributes[T any] func(T) []attribute.KeyValue

// of calls the function for a value of an interface type.
func (f typedAttributes[T]) of(v any) []attribute.KeyValue {
	if t, ok := v.(T); ok {
		return f(t)
	}
	return nil
}

// attributesFor recovers the function for values of type T. It panics where the types differ, as a mistake in the
// wiring should show at the start and not as attributes that are missing.
func attributesFor[T any](attributes attributesOf, role, name string) func(T) []attribute.KeyValue {
	if attributes == nil {
		return nil
	}
	if f, ok := attributes.(typedAttributes[T]); ok {
		return f
	}
	if reflect.TypeFor[T]().Kind() == reflect.Interface {
		return func(v T) []attribute.KeyValue { return attributes.of(v) }
	}
	panic(fmt.Sprintf("tracing: %s attributes of %q are for another type: %T, not %s", role, name, attributes,
		reflect.TypeFor[T]()))
}

// attributesOf is a typedAttributes of any type.
type attributesOf interface {
	of(any) []attribute.KeyValue
}

// call is what the wrappers of functions share.
type call struct {
	*options
	tracer trace.Tracer
}

func newCall(name string, opts []Option) *call {
	if name == "" {
		panic("tracing: a span needs a name")
	}
	o := newOptions(opts)
	return &call{options: o, tracer: o.tracer()}
}

// end completes the span. It is deferred itself, not called by a deferred function: only so does recover work.
func (c *call) end(span trace.Span, finished *bool, err *error) {
	if *finished {
		defer span.End()
		c.fail(span, *err)
		return
	}
	v := recover() // nil after Goexit, which is no panic
	if v == nil {
		span.End()
		return
	}
	recordPanic(span, v)
	span.End() // not deferred: it would record the panic a second time
	panic(v)
}

func (c *call) fail(span trace.Span, err error) {
	if err != nil && (c.expected == nil || !c.expected(err)) {
		Fail(span, err)
	}
}

// failer is Go kit's endpoint.Failer: a response that carries an error of the service.
type failer interface{ Failed() error }

// isFailer reports whether values of type T can be a failer.
func isFailer[T any]() bool {
	t := reflect.TypeFor[T]()
	return t.Kind() == reflect.Interface || t.Implements(reflect.TypeFor[failer]())
}
