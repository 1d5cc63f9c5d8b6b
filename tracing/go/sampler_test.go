package tracing_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	tracing "github.com/throughline/throughline/tracing/go"
)

func TestProbabilitySamplerContract(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "testdata", "contracts", "sampling.json"))
	if err != nil {
		t.Fatal(err)
	}
	var contract struct {
		Decisions []struct {
			Name        string
			Probability float64
			TraceID     string
			OT          string
			Sampled     bool
			Want        string
		}
	}
	if err := json.Unmarshal(data, &contract); err != nil {
		t.Fatal(err)
	}
	if len(contract.Decisions) == 0 {
		t.Fatal("no decisions")
	}
	for _, c := range contract.Decisions {
		t.Run(c.Name, func(t *testing.T) {
			id, err := trace.TraceIDFromHex(c.TraceID)
			if err != nil {
				t.Fatal(err)
			}
			state, err := trace.ParseTraceState("vendor=kept")
			if err != nil {
				t.Fatal(err)
			}
			if c.OT != "" {
				if state, err = state.Insert("ot", c.OT); err != nil {
					t.Fatal(err)
				}
			}
			parent := trace.ContextWithRemoteSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
				TraceID: id, SpanID: trace.SpanID{1}, TraceState: state,
			}))
			got := tracing.ProbabilitySampler(c.Probability).ShouldSample(sdktrace.SamplingParameters{ParentContext: parent, TraceID: id})
			if sampled := got.Decision == sdktrace.RecordAndSample; sampled != c.Sampled {
				t.Errorf("sampled: %v, want %v", sampled, c.Sampled)
			}
			if ot := got.Tracestate.Get("ot"); ot != c.Want {
				t.Errorf("ot %q, want %q", ot, c.Want)
			}
			if got.Tracestate.Get("vendor") != "kept" {
				t.Errorf("another vendor's member is lost: %q", got.Tracestate.String())
			}
		})
	}
}

// An ot value that is as long as a tracestate allows leaves no room for the threshold.
func TestProbabilitySamplerWithoutRoom(t *testing.T) {
	state, err := trace.ParseTraceState("ot=x:" + strings.Repeat("y", 254))
	if err != nil {
		t.Fatal(err)
	}
	parent := trace.ContextWithRemoteSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{15: 1}, SpanID: trace.SpanID{1}, TraceState: state,
	}))
	got := tracing.ProbabilitySampler(1).ShouldSample(sdktrace.SamplingParameters{ParentContext: parent})
	if got.Decision != sdktrace.RecordAndSample || got.Tracestate.Len() != 0 {
		t.Errorf("%v, tracestate %q", got.Decision, got.Tracestate.String())
	}
}

func TestRatioOfTheEnvironmentIsInTheTracestate(t *testing.T) {
	for _, test := range []struct{ sampler, arg, want string }{
		{"parentbased_traceidratio", "", "th:0"},
		{"parentbased_traceidratio", "1", "th:0"},
		{"TRACEIDRATIO", "1.0", "th:0"},
		{"parentbased_always_on", "", ""},
		{"traceidratio", "nonsense", ""},
	} {
		t.Run(test.sampler+" "+test.arg, func(t *testing.T) {
			t.Setenv("OTEL_TRACES_EXPORTER", "none")
			t.Setenv("OTEL_TRACES_SAMPLER", test.sampler)
			t.Setenv("OTEL_TRACES_SAMPLER_ARG", test.arg)
			provider, err := tracing.New(t.Context(), tracing.Config{})
			if err != nil {
				t.Fatal(err)
			}
			defer provider.Shutdown(context.Background())
			tracer := provider.TracerProvider().Tracer("test")
			ctx, root := tracer.Start(t.Context(), "root")
			_, child := tracer.Start(ctx, "child")
			if got := root.SpanContext().TraceState().Get("ot"); got != test.want {
				t.Errorf("root: ot %q, want %q", got, test.want)
			}
			if got := child.SpanContext().TraceState().Get("ot"); got != test.want {
				t.Errorf("child: ot %q, want %q", got, test.want)
			}
			if !root.SpanContext().IsSampled() || !root.SpanContext().TraceFlags().IsRandom() {
				t.Errorf("flags %v", root.SpanContext().TraceFlags())
			}
		})
	}
}

// The share of traces that is kept is the one asked for, and what a lower share keeps a higher one keeps too.
func TestProbabilitySamplerIsConsistent(t *testing.T) {
	const n = 20_000
	all := tracing.ProbabilitySampler(0.5)
	few := tracing.ProbabilitySampler(0.1)
	kept := map[sdktrace.Sampler]int{}
	for i := range uint64(n) {
		var id trace.TraceID
		x := (i + 1) * 0x9e3779b97f4a7c15 // spreads consecutive numbers over 64 bits
		for b := range 8 {
			id[8+b] = byte(x >> (56 - 8*b))
		}
		p := sdktrace.SamplingParameters{ParentContext: t.Context(), TraceID: id}
		inAll := all.ShouldSample(p).Decision == sdktrace.RecordAndSample
		inFew := few.ShouldSample(p).Decision == sdktrace.RecordAndSample
		if inFew && !inAll {
			t.Fatalf("trace %v is kept of a tenth and not of a half", id)
		}
		if inAll {
			kept[all]++
		}
		if inFew {
			kept[few]++
		}
	}
	if kept[all] < n*48/100 || kept[all] > n*52/100 || kept[few] < n*9/100 || kept[few] > n*11/100 {
		t.Errorf("kept %d and %d of %d", kept[all], kept[few], n)
	}
}
