package tracing

import (
	"net/http"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Option changes what one of the wrappers does. An option that does not concern a wrapper is ignored by it.
type Option func(*options)

type options struct {
	provider           trace.TracerProvider
	propagator         propagation.TextMapPropagator
	filter             func(*http.Request) bool
	public             func(*http.Request) bool
	route              func(*http.Request) string
	serverTiming       bool
	expected           func(error) bool
	requestAttributes  attributesOf
	responseAttributes attributesOf
}

func newOptions(opts []Option) *options {
	o := &options{}
	for _, opt := range opts {
		opt(o)
	}
	return o
}

// tracer returns the package's tracer. Without [WithTracerProvider] it is the global provider's, also of one that is
// set after this call.
func (o *options) tracer() trace.Tracer {
	provider := o.provider
	if provider == nil {
		provider = otel.GetTracerProvider()
	}
	return provider.Tracer(ScopeName, trace.WithInstrumentationVersion(Version))
}

// propagators returns the propagator of the options or the global one.
func (o *options) propagators() propagation.TextMapPropagator {
	if o.propagator != nil {
		return o.propagator
	}
	return otel.GetTextMapPropagator()
}

// WithTracerProvider makes the spans with p instead of the global provider.
func WithTracerProvider(p trace.TracerProvider) Option {
	return func(o *options) { o.provider = p }
}

// WithPropagator reads and writes the remote context with p instead of the global propagator.
func WithPropagator(p propagation.TextMapPropagator) Option {
	return func(o *options) { o.propagator = p }
}

// WithFilter makes [Middleware] and [Transport] pass requests for which trace is false through untouched: no span, and
// no context read or written.
func WithFilter(trace func(*http.Request) bool) Option {
	return func(o *options) { o.filter = trace }
}

// WithRoute tells [Middleware] the route of a request, for routers that do not set [http.Request.Pattern]. It is
// called after the handler, with the request the handler was given; "" means that no route matched.
func WithRoute(route func(*http.Request) string) Option {
	return func(o *options) { o.route = route }
}

// WithPublicEndpoint makes [Middleware] start a trace of its own, linked to the caller's, for requests for which public
// is true: those of callers who must not decide what is sampled, and under which trace id.
func WithPublicEndpoint(public func(*http.Request) bool) Option {
	return func(o *options) { o.public = public }
}

// WithExpected tells [Endpoint], [Decoder] and [Encoder] which errors are answers and no faults, such as "not found":
// they leave the span's status unset.
func WithExpected(expected func(error) bool) Option {
	return func(o *options) { o.expected = expected }
}
