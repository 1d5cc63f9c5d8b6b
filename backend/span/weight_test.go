package span_test

import (
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
