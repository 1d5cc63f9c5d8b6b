package span_test

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/throughline/throughline/backend/span"
)

// What the samplers of both languages write is what the backend counts by.
func TestWeightContract(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "testdata", "contracts", "sampling.json"))
	if err != nil {
		t.Fatal(err)
	}
	var contract struct {
		Weights []struct {
			Tracestate string
			Weight     float64
		}
	}
	if err := json.Unmarshal(data, &contract); err != nil {
		t.Fatal(err)
	}
	if len(contract.Weights) == 0 {
		t.Fatal("no weights")
	}
	for _, c := range contract.Weights {
		got := (&span.Span{TraceState: c.Tracestate}).Weight()
		if math.Abs(got-c.Weight) > c.Weight*1e-9 {
			t.Errorf("%q: weight %v, want %v", c.Tracestate, got, c.Weight)
		}
	}
	if got := (&span.Span{TraceState: "ot=th:ffffffffffffff"}).Weight(); got != 1<<56 {
		t.Errorf("the largest threshold: %v", got)
	}
}

// Sums of whole numbers are right on average, and a claim without bound is bounded.
func TestCount(t *testing.T) {
	const n = 30_000
	sum := uint64(0)
	for i := range uint64(n) {
		s := span.Span{TraceState: "ot=th:b333333333333"} // 0.3 of all: each stands for 3⅓
		binary.BigEndian.PutUint64(s.SpanID[:], (i+1)*0x9e3779b97f4a7c15)
		c := s.Count()
		if c != 3 && c != 4 {
			t.Fatalf("count %d", c)
		}
		sum += c
	}
	if sum < n*10/3*99/100 || sum > n*10/3*101/100 {
		t.Errorf("%d spans stand for %d, want about %d", n, sum, n*10/3)
	}
	for state, want := range map[string]uint64{"": 1, "ot=th:c": 4, "ot=th:ffffffffffffff": 1 << 20} {
		if got := (&span.Span{TraceState: state, SpanID: span.SpanID{255}}).Count(); got != want {
			t.Errorf("%q: count %d, want %d", state, got, want)
		}
	}
}
