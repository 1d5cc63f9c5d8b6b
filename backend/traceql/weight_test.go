package traceql

import (
	"testing"

	"github.com/throughline/throughline/backend/span"
)

func TestWeightedCounts(t *testing.T) {
	tr := &span.Trace{ID: span.TraceID{1}}
	for i := range 3 {
		tr.Spans = append(tr.Spans, span.Span{SpanID: span.SpanID{byte(1 + i)}, StartTime: 5, EndTime: 6, TraceState: "ot=th:c"})
	}
	q, err := Parse("{ } | count_over_time()")
	if err != nil {
		t.Fatal(err)
	}
	p := Compile(q)
	for weighted, want := range map[bool]float64{false: 3, true: 12} {
		a, err := p.NewAccumulator(Range{Start: 1, End: 10}, MetricsOptions{Weighted: weighted})
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Observe(p.NewEvaluator(), NewView(p).Reset(tr)); err != nil {
			t.Fatal(err)
		}
		if got := a.Result()[0].Samples[0].Value; got != want {
			t.Errorf("weighted=%v: %v spans, want %v", weighted, got, want)
		}
	}
}
