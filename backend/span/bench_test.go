package span_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"testing"

	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/throughline/throughline/backend/span"
)

// repeated is the golden trace of the running system, many times over.
func repeated(b *testing.B) []span.Span {
	text, err := os.ReadFile("../../testdata/traces/articles-with-suggested.json")
	if err != nil {
		b.Fatal(err)
	}
	batch, err := span.DecodeJSON(text, span.Limits{})
	if err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	var spans []span.Span
	for len(spans) < 512 {
		for _, s := range batch.Spans {
			randomID(rng, s.SpanID[:])
			spans = append(spans, s)
		}
	}
	return spans
}

// BenchmarkDecode compares this package's decoders with the Collector's; ns/span
// is the figure.
func BenchmarkDecode(b *testing.B) {
	spans := repeated(b)
	wire := span.EncodeProto(spans)
	var text bytes.Buffer
	if err := span.WriteJSON(&text, spans); err != nil {
		b.Fatal(err)
	}
	run := func(name string, size int, decode func() error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for range b.N {
				if err := decode(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(spans)), "ns/span")
		})
	}
	run("protobuf", len(wire), func() error { _, err := span.DecodeProto(string(wire), span.Limits{}); return err })
	run("protobuf by pdata", len(wire), func() error { return ptraceotlp.NewExportRequest().UnmarshalProto(wire) })
	run("JSON", text.Len(), func() error { _, err := span.DecodeJSON(text.Bytes(), span.Limits{}); return err })
	run("JSON by pdata", text.Len(), func() error {
		_, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(text.Bytes())
		return err
	})
	run("encode protobuf", len(wire), func() error { span.EncodeProto(spans); return nil })
	run("encode JSON", text.Len(), func() error { return span.WriteJSON(io.Discard, spans) })
}
