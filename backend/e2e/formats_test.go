//go:build e2e

package e2e

import (
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"testing"
)

// pythonCaller is a service in Python that calls the URL it is given and prints its trace id.
const pythonCaller = `
import sys, urllib.request
from opentelemetry import propagate, trace
from throughline_tracing import configure
provider = configure("caller-service")
with trace.get_tracer("caller").start_as_current_span("call") as span:
    headers = {}
    propagate.inject(headers)
    urllib.request.urlopen(urllib.request.Request(sys.argv[1], headers=headers)).read()
    print(format(span.get_span_context().trace_id, "032x"))
provider.shutdown()
`

// callFrom runs a Python service with these propagators that calls articles, and returns the trace.
func (w *world) callFrom(t *testing.T, propagators string) string {
	t.Helper()
	cmd := exec.Command(pythonBin, "-c", pythonCaller, w.articlesURL+oneWithSuggested)
	cmd.Env = append(cleanEnv(), "OTEL_PROPAGATORS="+propagators, "TRACING_BACKEND_URL="+w.otlpGRPC)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, err.(*exec.ExitError).Stderr)
	}
	return strings.TrimSpace(string(out))
}

// While a system moves from one propagation format to another, its services send and read several. Whatever one half
// of them still speaks alone, traces stay whole, from Go to Python and from Python to Go.
func TestFormatsInParallel(t *testing.T) {
	const all = "tracecontext,baggage,b3,jaeger"
	for _, one := range []string{"tracecontext", "b3", "jaeger"} {
		for _, test := range []struct{ name, articles, others string }{
			{one + " in Go, all in Python", one, all},
			{"all in Go, " + one + " in Python", all, one},
		} {
			t.Run(test.name, func(t *testing.T) {
				w := startWorld(t, articlesEnv("OTEL_PROPAGATORS="+test.articles), suggestionsEnv("OTEL_PROPAGATORS="+test.others))
				id := w.callFrom(t, test.others)
				spans := w.assertWhole(t, id, spansOfOne+1)
				for _, s := range spans {
					if (s.ParentSpanID == "") != (s.service == "caller-service") {
						t.Errorf("%s %s: parent %q", s.service, s.Name, s.ParentSpanID)
					}
				}
			})
		}
	}
}

// A sampled trace is whole, and says in each span how many traces it stands for.
func TestHeadSamplingIsToldByTheSpans(t *testing.T) {
	sampler := []string{"OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.25"}
	w := startWorld(t, articlesEnv(sampler...), suggestionsEnv(sampler...))
	const requests = 80
	for range requests {
		mustGet(t, http.StatusOK, w.articlesURL+oneWithSuggested)
	}
	// Those who are asked to record by their caller do, and say nothing of their own share.
	mustGet(t, http.StatusOK, w.articlesURL+oneWithSuggested, "traceparent", "00-"+callerTrace+"-"+callerSpan+"-01", "tracestate", "ot=th:8,vendor=kept")
	for _, s := range w.assertWhole(t, callerTrace, spansOfOne) {
		if s.TraceState != "ot=th:8,vendor=kept" {
			t.Errorf("%s %s: tracestate %q", s.service, s.Name, s.TraceState)
		}
	}
	kept := 0
	for _, summary := range w.traces(t, url.Values{"service": {"articles-service"}, "limit": {"200"}}) {
		if summary.TraceID == callerTrace {
			continue
		}
		kept++
		for _, s := range w.assertWhole(t, summary.TraceID, spansOfOne) {
			if s.TraceState != "ot=th:c" {
				t.Errorf("%s %s: tracestate %q, want a quarter's", s.service, s.Name, s.TraceState)
			}
		}
	}
	// 20 are expected; outside of this range it is less than one run in a hundred million.
	if kept < 2 || kept > 45 {
		t.Errorf("%d of %d traces are kept", kept, requests)
	}
}
