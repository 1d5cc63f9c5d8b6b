package tracefile

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/throughline/throughline/backend/span"
)

var update = flag.Bool("update", false, "write the golden files")

// goldenFiles are the shared golden traces.
func goldenFiles(t testing.TB) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob("../../testdata/traces/*.json")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	all := map[string][]byte{}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(name)] = text
	}
	return all
}

func readAll(in io.Reader, o Options) (spans []span.Span, rejected int, err error) {
	err = Read(in, o, func(b *span.Batch) error {
		spans = append(spans, b.Spans...)
		rejected += b.Rejected.Count
		return nil
	})
	return spans, rejected, err
}

// canonical is what a set of spans is, whatever their order.
func canonical(t testing.TB, spans []span.Span) []string {
	t.Helper()
	var out []string
	for _, s := range spans {
		var b strings.Builder
		if err := span.WriteJSON(&b, []span.Span{s}); err != nil {
			t.Fatal(err)
		}
		out = append(out, b.String())
	}
	slices.Sort(out)
	return out
}

// Every form of one file gives the same spans.
func TestForms(t *testing.T) {
	for name, text := range goldenFiles(t) {
		batch, err := span.DecodeJSON(text, span.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		want := canonical(t, batch.Spans)
		var line bytes.Buffer
		if err := json.Compact(&line, text); err != nil {
			t.Fatal(err)
		}
		proto := span.EncodeProto(batch.Spans)
		framed := binary.BigEndian.AppendUint32(nil, uint32(len(proto)))
		framed = append(framed, proto...)
		for form, file := range map[string][]byte{
			"JSON":                  text,
			"with a byte mark":      append([]byte(byteOrderMark), text...),
			"blank lines":           append([]byte("\n\r\n  "), text...),
			"in an answer":          slices.Concat([]byte(`{"trace":`), text, []byte(`}`)),
			"in a Jaeger v3 answer": slices.Concat([]byte(`{"result":`), text, []byte(`}`)),
			"in a list":             slices.Concat([]byte(`[`), text, []byte(`]`)),
			"protobuf":              proto,
			"framed protobuf":       framed,
		} {
			for compression, packed := range map[string][]byte{"plain": file, "gzip": gzipped(t, file), "zstd": zstded(t, file)} {
				got, rejected, err := readAll(bytes.NewReader(packed), Options{})
				if err != nil || rejected != 0 {
					t.Errorf("%s as %s, %s: %v, %d rejected", name, form, compression, err, rejected)
					continue
				}
				if diff := gocmp.Diff(want, canonical(t, got)); diff != "" {
					t.Errorf("%s as %s, %s (-want +got):\n%s", name, form, compression, diff)
				}
			}
		}
		twice := slices.Concat(line.Bytes(), []byte("\n"), line.Bytes(), []byte("\n"))
		if got, _, err := readAll(bytes.NewReader(twice), Options{}); err != nil || len(got) != 2*len(batch.Spans) {
			t.Errorf("%s as two lines: %d spans, %v", name, len(got), err)
		}
		if got, _, err := readAll(bytes.NewReader(slices.Concat(framed, framed)), Options{}); err != nil || len(got) != 2*len(batch.Spans) {
			t.Errorf("%s as two messages: %d spans, %v", name, len(got), err)
		}
	}
}

// What the Collector writes is read.
func TestCollector(t *testing.T) {
	text := goldenFiles(t)["articles-with-suggested.json"]
	traces, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(text)
	if err != nil {
		t.Fatal(err)
	}
	want, _, err := readAll(bytes.NewReader(text), Options{})
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := (&ptrace.JSONMarshaler{}).MarshalTraces(traces)
	if err != nil {
		t.Fatal(err)
	}
	asProto, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(traces)
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string][]byte{"JSON": asJSON, "protobuf": asProto} {
		got, _, err := readAll(bytes.NewReader(file), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(canonical(t, want), canonical(t, got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zstded(t testing.TB, b []byte) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	return z.EncodeAll(b, nil)
}

func TestBadFiles(t *testing.T) {
	proto := span.EncodeProto([]span.Span{{TraceID: span.TraceID{1}, SpanID: span.SpanID{1}, Name: "x", StartTime: 1e18, EndTime: 1e18, Resource: &span.Resource{}, Scope: &span.Scope{}}})
	for name, c := range map[string]struct {
		file string
		o    Options
		err  error  // that it wraps, or
		text string // that it says
	}{
		"text":                     {file: "hello", err: ErrFormat},
		"other JSON":               {file: `{"name":"x"}`, err: ErrFormat},
		"a list of numbers":        {file: `[1]`, err: ErrFormat},
		"a Jaeger trace alone":     {file: `{"traceID":"1","spans":[]}`, err: ErrFormat},
		"nested without end":       {file: strings.Repeat(`{"trace":`, 100_000), err: ErrFormat},
		"lists without end":        {file: strings.Repeat(`[`, 100_000), err: ErrFormat},
		"a name is no list":        {file: `{"resourceSpans":{}}`, err: ErrFormat},
		"cut JSON":                 {file: `{"resourceSpans":[{"resource":`, err: io.ErrUnexpectedEOF},
		"cut between":              {file: `{"resourceSpans":[`, err: io.ErrUnexpectedEOF},
		"cut protobuf":             {file: string(proto[:len(proto)-1]), err: io.ErrUnexpectedEOF},
		"cut frame":                {file: "\x00\x00\x01\x00" + string(proto), err: io.ErrUnexpectedEOF},
		"other field":              {file: string(proto) + "\x12\x00", err: ErrFormat},
		"large piece of JSON":      {file: `{"resourceSpans":[{"x":"` + strings.Repeat("y", 5000) + `"}]}`, o: Options{Piece: 1000}, err: ErrTooLarge},
		"large piece of protobuf":  {file: "\x0a\xff\xff\xff\xff\x0f\x0a\x00", err: ErrTooLarge},
		"cut gzip":                 {file: string(gzipped(t, proto)[:20]), err: io.ErrUnexpectedEOF},
		"cut zstd":                 {file: string(zstded(t, proto)[:20]), err: io.ErrUnexpectedEOF},
		"unknown format":           {file: "{}", o: Options{Format: "csv"}, text: `format "csv"`},
		"spans that are no object": {file: `{"resourceSpans":[3]}`, text: "decoding OTLP"},
	} {
		_, _, err := readAll(strings.NewReader(c.file), c.o)
		if err == nil || c.err != nil && !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for _, empty := range []string{"", " \n", `{"resourceSpans":[]}`, `{"resourceSpans":null}`, `{"data":[],"errors":null}`} {
		if spans, _, err := readAll(strings.NewReader(empty), Options{}); err != nil || len(spans) != 0 {
			t.Errorf("%q: %d spans, %v", empty, len(spans), err)
		}
	}
	stop := errors.New("stop")
	if err := Read(bytes.NewReader(proto), Options{}, func(*span.Batch) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}

const jaegerFile = `{"data":[{"traceID":"abc","spans":[
 {"traceID":"abc","spanID":"1","operationName":"root","references":[],"startTime":1790000000000000,"duration":2500,"processID":"p1",
  "tags":[{"key":"span.kind","type":"string","value":"server"},{"key":"n","type":"int64","value":"9007199254740993"},{"key":"f","type":"float64","value":1.5},
   {"key":"b","type":"bool","value":true},{"key":"raw","type":"binary","value":"aGk="},{"key":"otel.scope.name","type":"string","value":"lib"},
   {"key":"otel.scope.version","type":"string","value":"1"},{"key":"w3c.tracestate","type":"string","value":"a=b"}],
  "logs":[{"timestamp":1790000000001000,"fields":[{"key":"event","type":"string","value":"exception"},{"key":"exception.type","type":"string","value":"E"}]}]},
 {"traceID":"abc","spanID":"2","operationName":"child","startTime":1790000000000500,"duration":1000,"processID":"p2",
  "references":[{"refType":"CHILD_OF","traceID":"0abc","spanID":"1"},{"refType":"FOLLOWS_FROM","traceID":"def","spanID":"9"}],
  "tags":[{"key":"error","type":"bool","value":true},{"key":"otel.status_description","type":"string","value":"broken"}]},
 {"traceID":"abc","spanID":"zz","operationName":"bad id","processID":"p1"},
 {"traceID":"abc","spanID":"3","operationName":"old","parentSpanID":"1","process":{"serviceName":"third"},"startTime":1,"duration":18446744073709551615}
 ],"processes":{"p1":{"serviceName":"first","tags":[{"key":"host.name","type":"string","value":"h"}]},"p2":{"serviceName":"missing-service-name"}}}],"total":0}`

func TestJaeger(t *testing.T) {
	got, rejected, err := readAll(strings.NewReader(jaegerFile), Options{})
	if err != nil || rejected != 1 {
		t.Fatalf("%v, %d rejected", err, rejected)
	}
	slices.SortFunc(got, func(a, b span.Span) int { return cmp.Compare(a.SpanID[7], b.SpanID[7]) })
	var b strings.Builder
	if err := span.WriteJSON(&b, got); err != nil {
		t.Fatal(err)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, []byte(b.String()), "", " "); err != nil {
		t.Fatal(err)
	}
	const file = "testdata/jaeger.golden"
	if *update {
		if err := os.WriteFile(file, append(indented.Bytes(), '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(string(want), indented.String()+"\n"); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzRead(f *testing.F) {
	for _, text := range goldenFiles(f) {
		f.Add(text)
		batch, err := span.DecodeJSON(text, span.Limits{})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(span.EncodeProto(batch.Spans))
	}
	f.Add([]byte(jaegerFile))
	f.Add(gzipped(f, []byte(`{"resourceSpans":[]}`)))
	f.Fuzz(func(t *testing.T, file []byte) {
		spans, _, err := readAll(bytes.NewReader(file), Options{Piece: 1 << 20})
		if err == nil {
			canonical(t, spans)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	text := goldenFiles(b)["articles-with-suggested.json"]
	var line bytes.Buffer
	if err := json.Compact(&line, text); err != nil {
		b.Fatal(err)
	}
	line.WriteByte('\n')
	lines := bytes.Repeat(line.Bytes(), 1000)
	batch, err := span.DecodeJSON(text, span.Limits{})
	if err != nil {
		b.Fatal(err)
	}
	for name, file := range map[string][]byte{"JSON": lines, "protobuf": bytes.Repeat(span.EncodeProto(batch.Spans), 1000)} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(file)))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := readAll(bytes.NewReader(file), Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
