package traceql

import (
	"testing"

	"github.com/throughline/throughline/backend/span"
)

func TestWeight(t *testing.T) {
	for state, want := range map[string]float64{
		"":                        1,
		"ot=th:0":                 1,
		"ot=th:8":                 2,
		"ot=th:c":                 4,
		"a=b, ot=rv:12345;th:fd7": 1 / (1 - 0xfd7/4096.0),
		"ot=th:80000000000000":    2,
		"ot=th:800000000000000":   1,
		"ot=th:":                  1,
		"ot=th:x":                 1,
		"ot=th:-8":                1,
		"ot=th:ffffffffffffff":    1 << 56,
		"other=th:8":              1,
		"ot=p:8;r:3":              1,
	} {
		if got := Weight(state); got != want {
			t.Errorf("weight of %q is %v, want %v", state, got, want)
		}
	}
}

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
