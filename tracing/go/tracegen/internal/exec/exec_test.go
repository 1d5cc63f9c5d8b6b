// Package exec runs the wrappers in testdata/golden against a real SDK.
package exec

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// span is what a test says of a span.
type span struct {
	Name   string
	Kind   trace.SpanKind
	Status codes.Code
	Desc   string
	Attrs  map[string]any
	Events []string
	Scope  string
	Child  bool // of the test's own span
}

const goldenPath = "github.com/throughline/throughline/tracing/go/tracegen/testdata/golden/"

// recorder is a provider and what it recorded.
type recorder struct {
	*sdktrace.TracerProvider
	exporter *tracetest.InMemoryExporter
	ctx      context.Context // with a span of the test's own
	parent   trace.SpanContext
}

func newRecorder(t testing.TB, options ...sdktrace.TracerProviderOption) *recorder {
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(append(options, sdktrace.WithSyncer(exporter))...)
	t.Cleanup(func() { provider.Shutdown(context.Background()) })
	ctx, parent := provider.Tracer("test").Start(context.Background(), "test")
	return &recorder{provider, exporter, ctx, parent.SpanContext()}
}

// take returns the spans that ended since the last call.
func (r *recorder) take() []span {
	var spans []span
	for _, s := range r.exporter.GetSpans() {
		out := span{
			Name: s.Name, Kind: s.SpanKind, Status: s.Status.Code, Desc: s.Status.Description,
			Scope: s.InstrumentationScope.Name, Child: s.Parent.SpanID() == r.parent.SpanID(),
		}
		for _, a := range s.Attributes {
			if out.Attrs == nil {
				out.Attrs = map[string]any{}
			}
			out.Attrs[string(a.Key)] = value(a.Value)
		}
		for _, e := range s.Events {
			out.Events = append(out.Events, e.Name)
		}
		spans = append(spans, out)
	}
	r.exporter.Reset()
	return spans
}

func value(v attribute.Value) any { return v.AsInterface() }

// want compares the spans that ended since the last call. Kind is internal, the
// scope that of pkg, and the parent the test's unless said otherwise.
func (r *recorder) want(t *testing.T, pkg string, want ...span) {
	t.Helper()
	for i := range want {
		if want[i].Kind == 0 {
			want[i].Kind = trace.SpanKindInternal
		}
		want[i].Scope = goldenPath + pkg
		want[i].Child = true
	}
	if diff := cmp.Diff(want, r.take()); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
}

// inSpan reports whether ctx carries a span that is not the test's own.
func (r *recorder) inSpan(ctx context.Context) bool {
	sc := trace.SpanContextFromContext(ctx)
	return sc.IsValid() && sc.SpanID() != r.parent.SpanID()
}
