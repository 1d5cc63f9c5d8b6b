package bench

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	tracing "github.com/throughline/throughline/tracing/go"
	"github.com/throughline/throughline/tracing/go/tracingtest"
)

// discard is a span processor that does nothing, so that what is measured is the middleware and the SDK.
type discard struct{}

func (discard) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (discard) OnEnd(sdktrace.ReadOnlySpan)                     {}
func (discard) Shutdown(context.Context) error                  { return nil }
func (discard) ForceFlush(context.Context) error                { return nil }

// writer is as little as a writer of net/http's HTTP/1 server can be.
type writer struct{ header http.Header }

func (w *writer) Header() http.Header                          { return w.header }
func (w *writer) Write(p []byte) (int, error)                  { return len(p), nil }
func (w *writer) WriteHeader(int)                              {}
func (w *writer) Flush()                                       {}
func (w *writer) ReadFrom(r io.Reader) (int64, error)          { return io.Copy(io.Discard, r) }
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, nil }
func (w *writer) CloseNotify() <-chan bool                     { return nil }
func (w *writer) WriteString(s string) (int, error)            { return len(s), nil }

var body = []byte(`{"id":"1","title":"One"}`)

func newMux() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /items/{id}", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) })
	return mux
}

func newRequest() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "http://items.example.com:8080/items/1", nil)
	r.RemoteAddr = "203.0.113.7:51234"
	r.Header.Set("User-Agent", "bench/1.0")
	r.Header.Set("Accept", "application/json")
	return r
}

var propagators = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})

// ours is the middleware with the propagators that tracing.New makes.
func ours(tb testing.TB, p trace.TracerProvider) http.Handler {
	tb.Setenv("OTEL_TRACES_EXPORTER", "none")
	provider, err := tracing.New(tb.Context(), tracing.Config{})
	if err != nil {
		tb.Fatal(err)
	}
	return tracing.Middleware(newMux(), tracing.WithTracerProvider(p), tracing.WithPropagator(provider.Propagator()))
}

// theirs is otelhttp as its documentation shows it.
func theirs(_ testing.TB, p trace.TracerProvider) http.Handler {
	return otelhttp.NewHandler(newMux(), "server", otelhttp.WithTracerProvider(p), otelhttp.WithPropagators(propagators))
}

// TestSameAttributes: what is compared records the same: ours has every attribute of theirs, with the same value.
func TestSameAttributes(t *testing.T) {
	spans := make([]*tracingtest.Span, 2)
	for i, handler := range []func(testing.TB, trace.TracerProvider) http.Handler{ours, theirs} {
		r := tracingtest.NewRecorder()
		handler(t, r.TracerProvider()).ServeHTTP(&writer{http.Header{}}, newRequest())
		spans[i] = r.Spans()[0]
	}
	if spans[0].Name != spans[1].Name || spans[0].Kind != spans[1].Kind {
		t.Errorf("%q is not %q", spans[0].Name, spans[1].Name)
	}
	for _, kv := range spans[1].Attributes {
		if got := spans[0].Attribute(string(kv.Key)); got != kv.Value {
			t.Errorf("%s is %q, with otelhttp %q", kv.Key, got.String(), kv.Value.String())
		}
	}
	// otelhttp around a mux does not learn the route in time for the attribute.
	if len(spans[0].Attributes) != len(spans[1].Attributes)+1 || spans[0].Attribute("http.route").AsString() != "/items/{id}" {
		t.Errorf("%d attributes, with otelhttp %d", len(spans[0].Attributes), len(spans[1].Attributes))
	}
}

// modes are the sampling decisions and parents that cost differently.
var modes = []struct {
	name    string
	sampler sdktrace.Sampler
	parent  string
}{
	{"sampled", sdktrace.AlwaysSample(), ""},
	{"unsampled", sdktrace.NeverSample(), ""},
	{"sampled-parent", sdktrace.ParentBased(sdktrace.AlwaysSample()), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
	{"unsampled-parent", sdktrace.ParentBased(sdktrace.AlwaysSample()), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"},
}

// BenchmarkServer is time and allocations of one request through a mux: bare, with the middleware, with otelhttp.
func BenchmarkServer(b *testing.B) {
	b.Run("bare", func(b *testing.B) { serve(b, newMux(), newRequest()) })
	for _, m := range modes {
		for name, handler := range map[string]func(testing.TB, trace.TracerProvider) http.Handler{"tracing": ours, "otelhttp": theirs} {
			b.Run(m.name+"/"+name, func(b *testing.B) {
				p := sdktrace.NewTracerProvider(sdktrace.WithSampler(m.sampler), sdktrace.WithSpanProcessor(discard{}))
				r := newRequest()
				if m.parent != "" {
					r.Header.Set("Traceparent", m.parent)
				}
				serve(b, handler(b, p), r)
			})
		}
	}
}

func serve(b *testing.B, h http.Handler, r *http.Request) {
	w := &writer{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}

// BenchmarkServerRatio is the time of the middleware over otelhttp's; see ratio.
func BenchmarkServerRatio(b *testing.B) {
	for _, m := range modes {
		b.Run(m.name, func(b *testing.B) {
			p := sdktrace.NewTracerProvider(sdktrace.WithSampler(m.sampler), sdktrace.WithSpanProcessor(discard{}))
			r := newRequest()
			if m.parent != "" {
				r.Header.Set("Traceparent", m.parent)
			}
			w := &writer{http.Header{}}
			a, o := ours(b, p), theirs(b, p)
			ratio(b, func() { a.ServeHTTP(w, r) }, func() { o.ServeHTTP(w, r) })
		})
	}
}

// stub is a round tripper without a network.
type stub struct{}

func (stub) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

// BenchmarkClientRatio is the time of the transport over otelhttp's.
func BenchmarkClientRatio(b *testing.B) {
	for _, m := range modes[:2] {
		b.Run(m.name, func(b *testing.B) {
			p := sdktrace.NewTracerProvider(sdktrace.WithSampler(m.sampler), sdktrace.WithSpanProcessor(discard{}))
			call := func(rt http.RoundTripper) func() {
				r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://items.example.com:8080/items/1", nil)
				if err != nil {
					b.Fatal(err)
				}
				return func() {
					res, err := rt.RoundTrip(r)
					if err != nil {
						b.Fatal(err)
					}
					_ = res.Body.Close()
				}
			}
			ratio(b,
				call(tracing.Transport(stub{}, tracing.WithTracerProvider(p), tracing.WithPropagator(tracing.TraceContext{}))),
				call(otelhttp.NewTransport(stub{}, otelhttp.WithTracerProvider(p), otelhttp.WithPropagators(propagation.TraceContext{}))))
		})
	}
}
