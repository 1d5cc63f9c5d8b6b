package span_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/throughline/throughline/backend/span"
)

// Any bytes decode to an error or to spans that survive encoding; where pdata
// accepts them too, it means the same.
func FuzzDecodeProto(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(span.EncodeProto(randomSpans(rand.New(rand.NewPCG(seed, 2)))))
	}
	f.Add([]byte("\x0b\x0c"))                 // an empty group
	f.Add([]byte("\x0a\x04\x12\x02\x12\x00")) // an empty span
	f.Fuzz(func(t *testing.T, wire []byte) {
		limits := span.Limits{Memory: 16 << 20}
		got, err := span.DecodeProto(string(wire), limits)
		if err != nil {
			return
		}
		again, err := span.DecodeProto(string(span.EncodeProto(got.Spans)), limits)
		if err != nil {
			t.Fatalf("reading what was written: %v", err)
		}
		same(t, "written and read", got.Spans, again.Spans)
		oracle := ptraceotlp.NewExportRequest()
		if oracle.UnmarshalProto(wire) != nil {
			return // an id of a wrong length, or a field of another wire type than its own
		}
		theirs, err := oracle.MarshalProto()
		if err != nil {
			t.Fatal(err)
		}
		want, err := span.DecodeProto(string(theirs), limits)
		if err != nil {
			t.Fatalf("reading what pdata wrote: %v", err)
		}
		same(t, "pdata and we", want.Spans, got.Spans)
		if want.Rejected.Count != got.Rejected.Count {
			t.Fatalf("%d rejected after pdata, %d before: %s", want.Rejected.Count, got.Rejected.Count, got.Rejected.String())
		}
	})
}

// Any text decodes to an error or to spans that survive encoding.
func FuzzDecodeJSON(f *testing.F) {
	files, err := filepath.Glob("../../testdata/traces/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	for seed := range uint64(5) {
		var text bytes.Buffer
		if err := span.WriteJSON(&text, randomSpans(rand.New(rand.NewPCG(seed, 3)))); err != nil {
			f.Fatal(err)
		}
		f.Add(text.Bytes())
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		limits := span.Limits{Memory: 16 << 20}
		got, err := span.DecodeJSON(in, limits)
		if err != nil {
			return
		}
		var text bytes.Buffer
		if err := span.WriteJSON(&text, got.Spans); err != nil {
			t.Fatal(err)
		}
		if !utf8.Valid(text.Bytes()) {
			t.Fatalf("not UTF-8: %q", text.Bytes())
		}
		again, err := span.DecodeJSON(text.Bytes(), limits)
		if err != nil {
			t.Fatalf("reading what was written: %v\n%s", err, text.Bytes())
		}
		same(t, "written and read", got.Spans, again.Spans)
	})
}

func same(t *testing.T, what string, want, got []span.Span) {
	t.Helper()
	if bytes.Equal(span.EncodeProto(want), span.EncodeProto(got)) {
		return
	}
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Fatalf("%s (-want +got):\n%s", what, d)
	}
}
