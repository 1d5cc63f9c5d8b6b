// Package tracing instruments Go services with OpenTelemetry: it starts the trace provider from the environment
// and wraps the places where a request enters, moves through and leaves a service.
//
//   - [Start] builds the provider from [Config], the standard OTEL_* variables and TRACING_BACKEND_URL, makes it the
//     global one, and returns its shutdown.
//   - [Middleware] makes the server span of an HTTP request, [Transport] the client span of an HTTP call.
//   - [Endpoint], [Decoder] and [Encoder] make the internal spans of a Go kit service (and of any function of those
//     shapes); Go kit is not imported, its types are structural.
//   - [NewLogHandler] adds the ids of the current span to slog records.
//
// What holds: names are of low cardinality (a route or a template, never a raw path); the remote parent is continued
// and its sampling decision kept; a backend that is slow, dead or wrong never blocks, slows or fails a request, and
// what was lost is counted ([Stats]) and logged once with a back-off; errors and panics of the wrapped functions pass
// through unchanged. The wrappers need the OpenTelemetry API alone and work with any provider.
//
// What does not: metrics and logs are not exported, and spans still in memory are lost when the process dies without
// calling the shutdown.
package tracing

// ScopeName is the instrumentation scope of the spans this package makes.
const ScopeName = "github.com/throughline/throughline/tracing/go"

// Version is the version of that scope.
const Version = "0.1.0"
