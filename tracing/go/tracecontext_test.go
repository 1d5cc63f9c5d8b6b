package tracing_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	tracing "github.com/throughline/throughline/tracing/go"
)

// contextCase is one case of the contract that the Go and the Python propagator share.
type contextCase struct {
	Name        string   `json:"name"`
	Traceparent []string `json:"traceparent"`
	Tracestate  []string `json:"tracestate"`
	Want        *struct {
		TraceID    string `json:"trace_id"`
		ParentID   string `json:"parent_id"`
		Flags      string `json:"flags"`
		Tracestate string `json:"tracestate"`
	} `json:"want"`
}

func contextCases(t testing.TB) []contextCase {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "testdata", "contracts", "tracecontext.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []contextCase
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

// valuesCarrier and mapCarrier are the other two kinds of carrier.
type valuesCarrier struct{ http.Header }

func (c valuesCarrier) Keys() []string { return slices.Collect(func(yield func(string) bool) {}) }

type mapCarrier = propagation.MapCarrier

// TestTraceContextContract: what is read from the headers goes out again, from a header carrier and from one that gives
// all values.
func TestTraceContextContract(t *testing.T) {
	cases := contextCases(t)
	if len(cases) < 70 {
		t.Fatalf("%d cases, want the whole file", len(cases))
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			in := http.Header{"Traceparent": c.Traceparent, "Tracestate": c.Tracestate}
			for _, carrier := range []propagation.TextMapCarrier{propagation.HeaderCarrier(in), valuesCarrier{in}} {
				ctx := tracing.TraceContext{}.Extract(t.Context(), carrier)
				sc := trace.SpanContextFromContext(ctx)
				if c.Want == nil {
					if sc.IsValid() {
						t.Fatalf("%T: extracted %v", carrier, sc)
					}
					continue
				}
				if !sc.IsRemote() || sc.TraceID().String() != c.Want.TraceID || sc.SpanID().String() != c.Want.ParentID ||
					sc.TraceFlags().String() != c.Want.Flags {
					t.Fatalf("%T: extracted %+v", carrier, sc)
				}
				out := mapCarrier{}
				tracing.TraceContext{}.Inject(ctx, out)
				want := fmt.Sprintf("00-%s-%s-%s", c.Want.TraceID, c.Want.ParentID, c.Want.Flags)
				if out["traceparent"] != want || out["tracestate"] != c.Want.Tracestate {
					t.Fatalf("%T: injected %v, want %s and %q", carrier, out, want, c.Want.Tracestate)
				}
				if _, sent := out["tracestate"]; sent && c.Want.Tracestate == "" {
					t.Fatal("an empty tracestate was sent")
				}
			}
		})
	}
}

// TestTraceContextPlainCarrier: a carrier of single values works too.
func TestTraceContextPlainCarrier(t *testing.T) {
	in := mapCarrier{"traceparent": remoteSampled, "tracestate": "foo@=1,bar=2"}
	out := mapCarrier{}
	ctx := tracing.TraceContext{}.Extract(t.Context(), in)
	tracing.TraceContext{}.Inject(ctx, out)
	if fmt.Sprint(out) != fmt.Sprint(in) {
		t.Errorf("injected %v, want %v", out, in)
	}
	out = mapCarrier{}
	tracing.TraceContext{}.Inject(t.Context(), out)
	if len(out) != 0 {
		t.Errorf("injected %v without a span", out)
	}
	if got := fmt.Sprint(tracing.TraceContext{}.Fields()); got != "[traceparent tracestate]" {
		t.Errorf("fields %s", got)
	}
}

// stateSampler changes the tracestate as consistent probability samplers do.
type stateSampler struct {
	change func(trace.TraceState) trace.TraceState
}

func (s stateSampler) Description() string { return "state" }

func (s stateSampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	return sdktrace.SamplingResult{
		Decision:   sdktrace.RecordAndSample,
		Tracestate: s.change(trace.SpanContextFromContext(p.ParentContext).TraceState()),
	}
}

// TestTraceStateChanges: what a sampler changes goes to the front, and members that it cannot see stay in their places.
func TestTraceStateChanges(t *testing.T) {
	insert := func(key, value string) func(trace.TraceState) trace.TraceState {
		return func(s trace.TraceState) trace.TraceState {
			s, err := s.Insert(key, value)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	}
	full := make([]string, 32)
	for i := range full {
		full[i] = fmt.Sprintf("%dfoo=%d", i, i)
	}
	for name, c := range map[string]struct {
		in, want string
		change   func(trace.TraceState) trace.TraceState
	}{
		"none":    {"foo=1,2x=2,bar=3", "foo=1,2x=2,bar=3", func(s trace.TraceState) trace.TraceState { return s }},
		"add":     {"foo=1,2x=2,bar=3", "ot=th:1,foo=1,2x=2,bar=3", insert("ot", "th:1")},
		"update":  {"foo=1,2x=2,bar=3", "bar=4,foo=1,2x=2", insert("bar", "4")},
		"remove":  {"foo=1,2x=2,bar=3", "2x=2,bar=3", func(s trace.TraceState) trace.TraceState { return s.Delete("foo") }},
		"full":    {strings.Join(full, ","), "ot=1," + strings.Join(full[:31], ","), insert("ot", "1")},
		"level 1": {"foo=1,bar=2", "ot=1,foo=1,bar=2", insert("ot", "1")},
		"start":   {"", "ot=1", insert("ot", "1")},
	} {
		t.Run(name, func(t *testing.T) {
			provider := sdktrace.NewTracerProvider(sdktrace.WithSampler(stateSampler{c.change}))
			ctx := tracing.TraceContext{}.Extract(t.Context(), mapCarrier{"traceparent": remoteSampled, "tracestate": c.in})
			ctx, span := provider.Tracer("t").Start(ctx, "s")
			defer span.End()
			out := mapCarrier{}
			tracing.TraceContext{}.Inject(ctx, out)
			if out["tracestate"] != c.want {
				t.Errorf("tracestate %q, want %q", out["tracestate"], c.want)
			}
		})
	}
}

// TestTraceStateBelongsToItsTrace: neither a new root nor another extraction sends the members of an outer one.
func TestTraceStateBelongsToItsTrace(t *testing.T) {
	outer := tracing.TraceContext{}.Extract(t.Context(), mapCarrier{"traceparent": remoteSampled, "tracestate": "1foo=1"})
	provider := sdktrace.NewTracerProvider()
	root, span := provider.Tracer("t").Start(outer, "s", trace.WithNewRoot())
	defer span.End()
	inner := tracing.TraceContext{}.Extract(outer, mapCarrier{"traceparent": remoteSampled, "tracestate": "bar=2"})
	for name, c := range map[string]struct {
		ctx  context.Context
		want string
	}{"new root": {root, ""}, "inner extraction": {inner, "bar=2"}} {
		out := mapCarrier{}
		tracing.TraceContext{}.Inject(c.ctx, out)
		if out["tracestate"] != c.want {
			t.Errorf("%s: tracestate %q, want %q", name, out["tracestate"], c.want)
		}
	}
}

// TestRandomFlag: set on traces that start here with random ids, kept as it is on those that do not.
func TestRandomFlag(t *testing.T) {
	t.Setenv("OTEL_TRACES_EXPORTER", "none")
	p, err := tracing.New(t.Context(), tracing.Config{})
	if err != nil {
		t.Fatal(err)
	}
	tracer := p.TracerProvider().Tracer("t")
	for parent, want := range map[string]string{
		"":              "03",
		remoteSampled:   "01",
		remoteUnsampled: "00",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03": "03",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-02": "02",
	} {
		ctx := tracing.TraceContext{}.Extract(t.Context(), mapCarrier{"traceparent": parent})
		ctx, root := tracer.Start(ctx, "root")
		_, child := tracer.Start(ctx, "child")
		if got := child.SpanContext().TraceFlags().String(); got != want {
			t.Errorf("parent %q: flags %s, want %s", parent, got, want)
		}
		child.End()
		root.End()
	}
}

// TestPropagatorsInParallel: B3, Jaeger and baggage beside W3C, read and written at once.
func TestPropagatorsInParallel(t *testing.T) {
	t.Setenv("OTEL_TRACES_EXPORTER", "none")
	t.Setenv("OTEL_PROPAGATORS", "tracecontext, baggage,b3,b3multi,jaeger,nonsense,b3")
	log := &lines{}
	p, err := tracing.New(t.Context(), tracing.Config{Logger: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	if n := log.count("unknown propagator"); n != 1 {
		t.Errorf("%d warnings about the unknown name", n)
	}
	const traceID, spanID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	for _, in := range []http.Header{
		{"Traceparent": {remoteSampled}},
		{"B3": {traceID + "-" + spanID + "-1"}},
		{"X-B3-Traceid": {traceID}, "X-B3-Spanid": {spanID}, "X-B3-Sampled": {"1"}},
		{"Uber-Trace-Id": {traceID + ":" + spanID + ":0:1"}},
	} {
		in["Baggage"] = []string{"tenant=blue"}
		ctx := p.Propagator().Extract(t.Context(), propagation.HeaderCarrier(in))
		out := http.Header{}
		p.Propagator().Inject(ctx, propagation.HeaderCarrier(out))
		want := http.Header{
			"Traceparent": {remoteSampled}, "Baggage": {"tenant=blue"},
			"B3": {traceID + "-" + spanID + "-1"}, "X-B3-Traceid": {traceID}, "X-B3-Spanid": {spanID},
			"X-B3-Sampled": {"1"}, "Uber-Trace-Id": {traceID + ":" + spanID + ":0:1"},
		}
		for key := range want {
			if out.Get(key) != want.Get(key) {
				t.Errorf("in %v: %s is %q, want %q", in, key, out.Get(key), want.Get(key))
			}
		}
	}
	t.Setenv("OTEL_PROPAGATORS", "none")
	p, err = tracing.New(t.Context(), tracing.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if f := p.Propagator().Fields(); len(f) != 0 {
		t.Errorf("fields %v with none", f)
	}
}

// FuzzTraceContext: any headers are read without a panic; what goes out is legal, no longer than the specification
// allows, and reads as the same.
func FuzzTraceContext(f *testing.F) {
	for _, c := range contextCases(f) {
		f.Add(strings.Join(c.Traceparent, "\n"), strings.Join(c.Tracestate, "\n"))
	}
	f.Fuzz(func(t *testing.T, parent, state string) {
		in := propagation.HeaderCarrier{"Traceparent": strings.Split(parent, "\n"), "Tracestate": strings.Split(state, "\n")}
		ctx := tracing.TraceContext{}.Extract(t.Context(), in)
		sc := trace.SpanContextFromContext(ctx)
		first := propagation.HeaderCarrier{}
		tracing.TraceContext{}.Inject(ctx, first)
		if !sc.IsValid() {
			if len(first) != 0 {
				t.Fatalf("injected %v without a parent", first)
			}
			return
		}
		if !strings.Contains(parent, sc.TraceID().String()) || !strings.Contains(parent, sc.SpanID().String()) {
			t.Fatalf("%q gives %v", parent, sc)
		}
		out := first["Tracestate"]
		if len(out) > 1 || len(out) == 1 && (out[0] == "" || strings.Count(out[0], ",") > 31) {
			t.Fatalf("tracestate %q", out)
		}
		for member := range strings.SplitSeq(strings.Join(out, ""), ",") {
			if !strings.Contains(state, member) {
				t.Fatalf("member %q is not of %q", member, state)
			}
		}
		second := propagation.HeaderCarrier{}
		tracing.TraceContext{}.Inject(tracing.TraceContext{}.Extract(t.Context(), first), second)
		if fmt.Sprint(first) != fmt.Sprint(second) {
			t.Fatalf("%v is read as %v", first, second)
		}
	})
}
