package export_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/backend/export"
	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
)

// TestLongLines exports a trace that is larger than what a receiver takes at once:
// each line is a request that it takes, and together they are the trace.
func TestLongLines(t *testing.T) {
	db := store.New(store.Options{Log: slog.New(slog.DiscardHandler)})
	defer db.Close()
	const spans = 200
	id := span.TraceID{1}
	start := uint64(time.Now().UnixNano())
	for i := range spans {
		b := &span.Batch{Spans: []span.Span{{
			TraceID: id, SpanID: span.SpanID{1, byte(i)}, Name: "large", StartTime: start, EndTime: start + 1,
			Attributes: []span.Attribute{{Key: "text", Value: span.String(strings.Repeat("x", 100<<10))}},
			Resource:   &span.Resource{}, Scope: &span.Scope{},
		}}}
		if err := db.Append(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	count, err := export.Write(t.Context(), &out, db, export.Filter{})
	if err != nil || count.Spans != spans {
		t.Fatalf("%+v, %v", count, err)
	}
	got := map[span.SpanID]bool{}
	for line := range bytes.Lines(out.Bytes()) {
		if len(line) > 16<<20 {
			t.Errorf("a line of %d bytes", len(line))
		}
		batch, err := span.DecodeJSON(line, span.Limits{Depth: 32, Memory: 1 << 30})
		if err != nil {
			t.Fatal(err)
		}
		for i := range batch.Spans {
			got[batch.Spans[i].SpanID] = true
		}
	}
	if len(got) != spans {
		t.Errorf("%d spans in the lines, want %d", len(got), spans)
	}
}
