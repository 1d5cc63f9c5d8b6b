package span_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/throughline/throughline/backend/span"
)

// Whatever a request can say comes back, by protobuf and by JSON, also when
// pdata is between what this package writes and what it reads.
func TestRoundTrip(t *testing.T) {
	for seed := range uint64(100) {
		want := randomSpans(rand.New(rand.NewPCG(seed, 1)))
		wire := span.EncodeProto(want)
		diff(t, "protobuf", want, decodeProto(t, wire))

		var text bytes.Buffer
		if err := span.WriteJSON(&text, want); err != nil {
			t.Fatal(err)
		}
		diff(t, "JSON", want, decodeJSON(t, text.Bytes()))

		oracle := ptraceotlp.NewExportRequest()
		if err := oracle.UnmarshalProto(wire); err != nil {
			t.Fatalf("seed %d: pdata reads our protobuf: %v", seed, err)
		}
		theirs, err := oracle.MarshalProto()
		if err != nil {
			t.Fatal(err)
		}
		diff(t, "our protobuf by pdata", want, decodeProto(t, theirs))
		if theirs, err = oracle.MarshalJSON(); err != nil {
			t.Fatal(err)
		}
		diff(t, "pdata's JSON", want, decodeJSON(t, theirs))

		oracle = ptraceotlp.NewExportRequest()
		if err := oracle.UnmarshalJSON(text.Bytes()); err != nil {
			t.Fatalf("seed %d: pdata reads our JSON: %v\n%s", seed, err, text.Bytes())
		}
		if theirs, err = oracle.MarshalProto(); err != nil {
			t.Fatal(err)
		}
		diff(t, "our JSON by pdata", want, decodeProto(t, theirs))
	}
}

func TestGoldenTraces(t *testing.T) {
	files, err := filepath.Glob("../../testdata/traces/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("golden traces: %v, %d files", err, len(files))
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			td, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(text)
			if err != nil {
				t.Fatal(err)
			}
			wire, err := ptraceotlp.NewExportRequestFromTraces(td).MarshalProto()
			if err != nil {
				t.Fatal(err)
			}
			spans := decodeJSON(t, text)
			diff(t, "our JSON decoder and pdata's", decodeProto(t, wire), spans)
			batch := span.Batch{Spans: spans}
			batch.Validate(time.Unix(1_790_000_000, 0))
			if batch.Rejected.Count != 0 {
				t.Error(batch.Rejected.String())
			}
		})
	}
}

func TestDecodeJSONForms(t *testing.T) {
	const form = `{"resourceSpans":[{"scopeSpans":[{"spans":[{%s}]}],"unknown":[1,{}]}]}`
	const ids = `"traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"EEE19B7EC3C1B174",`
	for _, c := range []struct {
		in    string
		check func(s span.Span) bool
	}{
		{`"kind":"SPAN_KIND_SERVER","status":{"code":"STATUS_CODE_ERROR"}`, func(s span.Span) bool {
			return s.Kind == span.KindServer && s.Status.Code == span.StatusError
		}},
		{`"kind":17,"startTimeUnixNano":1790000000000000000,"endTimeUnixNano":"1.79e18"`, func(s span.Span) bool {
			return s.Kind == 17 && s.StartTime == 1790000000000000000 && s.EndTime == 1790000000000000000
		}},
		{`"attributes":[{"key":"a","value":{"intValue":-9223372036854775808}},{"key":"b","value":{"intValue":"7"}}]`, func(s span.Span) bool {
			return s.Attributes[0].Value.Int() == math.MinInt64 && s.Attributes[1].Value.Int() == 7
		}},
		{`"attributes":[{"key":"a","value":{"doubleValue":"-Infinity"}},{"key":"b","value":{"doubleValue":3}}]`, func(s span.Span) bool {
			return math.IsInf(s.Attributes[0].Value.Float(), -1) && s.Attributes[1].Value.Float() == 3
		}},
		{`"attributes":[{"key":"a","value":{"bytesValue":"-_8"}},{"key":"b","value":{"bytesValue":"+/8="}}]`, func(s span.Span) bool {
			return s.Attributes[0].Value.Str() == "\xfb\xff" && s.Attributes[1].Value.Str() == "\xfb\xff"
		}},
		{`"attributes":null,"status":null,"parentSpanId":"","unknown":{"deep":[[[]]]}`, func(s span.Span) bool {
			return s.Attributes == nil && s.ParentSpanID.IsZero()
		}},
		{`"attributes":[{"key":"a"},{"key":"b","value":{}},{"key":"c","value":{"stringValue":""}}]`, func(s span.Span) bool {
			return s.Attributes[1].Value.Type() == span.TypeEmpty && s.Attributes[2].Value.Type() == span.TypeString
		}},
	} {
		spans := decodeJSON(t, fmt.Appendf(nil, form, ids+c.in))
		if len(spans) != 1 || !c.check(spans[0]) {
			t.Errorf("%s: %+v", c.in, spans)
		}
	}
}

func TestDecodeJSONErrors(t *testing.T) {
	for in, want := range map[string]string{
		``:                    "unexpected end of JSON input",
		`[]`:                  "does not take a array",
		`{"resourceSpans":[`:  "invalid JSON at byte",
		`{"resourceSpans":7}`: `field "resourceSpans" does not take a number`,
		`{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":"-1"}]}]}]}`:                                                                     `span 0: "-1" is not an unsigned 64-bit integer`,
		`{"resourceSpans":[{"scopeSpans":[{"spans":[{},{"kind":"SERVER"}]}]}]}`:                                                                           `span 1: "SERVER" is not one of SPAN_KIND_`,
		`{"resourceSpans":[{"resource":{"attributes":[{"value":` + strings.Repeat(`{"arrayValue":{"values":[`, 33) + strings.Repeat("]}}", 33) + `}]}}]}`: "nested too deep: the limit is 32 levels",
		`{"resourceSpans":` + strings.Repeat("[", 20_000):                                                                                                 "exceeded max depth",
	} {
		_, err := span.DecodeJSON([]byte(in), span.Limits{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: got %v, want %q", in, err, want)
		}
	}
}

func TestValidate(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	at := uint64(now.UnixNano())
	good := span.Span{TraceID: span.TraceID{1}, SpanID: span.SpanID{2}, StartTime: at, EndTime: at}
	for _, c := range []struct {
		name string
		edit func(*span.Span)
		want string
	}{
		{"zero duration", func(*span.Span) {}, ""},
		{"own parent", func(s *span.Span) { s.ParentSpanID = s.SpanID }, ""},
		{"unknown kind", func(s *span.Span) { s.Kind = 99 }, ""},
		{"day ahead", func(s *span.Span) { s.EndTime += uint64(24 * time.Hour) }, ""},
		{"trace id", func(s *span.Span) { s.TraceID = span.TraceID{} }, "trace id of zeros"},
		{"span id", func(s *span.Span) { s.SpanID = span.SpanID{} }, "span id of zeros"},
		{"no start", func(s *span.Span) { s.StartTime = 0 }, "no start time"},
		{"milliseconds", func(s *span.Span) { s.StartTime, s.EndTime = at/1e6, at/1e6 }, "start time before 2000-01-01"},
		{"no end", func(s *span.Span) { s.EndTime = 0 }, "no end time"},
		{"end before start", func(s *span.Span) { s.EndTime-- }, "end time before the start time"},
		{"far ahead", func(s *span.Span) { s.EndTime = math.MaxUint64 }, "24h0m0s ahead"},
	} {
		s := good
		c.edit(&s)
		batch := span.Batch{Spans: []span.Span{good, s, good}}
		batch.Validate(now)
		rejected := batch.Rejected.String()
		if c.want == "" && (rejected != "" || len(batch.Spans) != 3) ||
			c.want != "" && (!strings.Contains(rejected, c.want) || batch.Rejected.Count != 1 || len(batch.Spans) != 2) {
			t.Errorf("%s: %d kept, %q", c.name, len(batch.Spans), rejected)
		}
	}
}

// A wrong length of an id costs its span and not the request.
func TestDecodeRejects(t *testing.T) {
	td := ptrace.NewTraces()
	ss := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty()
	for i := range 3 {
		s := ss.Spans().AppendEmpty()
		s.SetTraceID([16]byte{1})
		s.SetSpanID([8]byte{byte(i + 1)})
		s.SetName(strings.Repeat("n", 10+i))
	}
	wire, err := ptraceotlp.NewExportRequestFromTraces(td).MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	// The second span's id shrinks to 7 bytes: its last byte becomes the name's tag of an empty field.
	bad := bytes.Replace(wire, []byte{0x12, 8, 2, 0, 0, 0, 0, 0, 0, 0}, []byte{0x12, 6, 2, 0, 0, 0, 0, 0, 0x30, 0}, 1)
	if bytes.Equal(bad, wire) {
		t.Fatal("the span id is not where it was thought to be")
	}
	batch, err := span.DecodeProto(string(bad), span.Limits{})
	if err != nil || len(batch.Rejected.String()) == 0 {
		t.Fatalf("got %v, %+v", err, batch)
	}
	if got := batch.Rejected.String(); !strings.Contains(got, `span id of 6 bytes, want 8 (span "nnnnnnnnnnn" of service "")`) {
		t.Errorf("got %s", got)
	}
	got, err := span.DecodeJSON([]byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[
		{"traceId":"5b8efff798038103","spanId":"eee19b7ec3c1b174","name":"short"},
		{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"zzzzzzzzzzzzzzzz"},
		{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174"}]}]}]}`), span.Limits{})
	if err != nil || len(got.Spans) != 1 || got.Rejected.Count != 2 {
		t.Fatalf("got %v, %+v", err, got)
	}
}

// Requests of nothing but empty messages cost no more than the limit on memory.
func TestDecodeBoundsMemory(t *testing.T) {
	const n = 1 << 20
	nested := func(body []byte, numbers ...byte) string {
		for i := len(numbers) - 1; i >= 0; i-- {
			head := []byte{numbers[i]<<3 | 2}
			for l := len(body); ; l >>= 7 {
				if l < 0x80 {
					head = append(head, byte(l))
					break
				}
				head = append(head, byte(l)|0x80)
			}
			body = append(head, body...)
		}
		return string(body)
	}
	limits := span.Limits{Memory: 2 << 20}
	for name, request := range map[string]string{
		"attributes": nested(bytes.Repeat([]byte{9<<3 | 2, 0}, n), 1, 2, 2),
		"events":     nested(bytes.Repeat([]byte{11<<3 | 2, 0}, n), 1, 2, 2),
		"links":      nested(bytes.Repeat([]byte{13<<3 | 2, 0}, n), 1, 2, 2),
		"values":     nested(bytes.Repeat([]byte{1<<3 | 2, 0}, n), 1, 2, 2, 9, 2, 5),
		"pairs":      nested(bytes.Repeat([]byte{1<<3 | 2, 0}, n), 1, 1, 1, 2, 6),
		"resource":   nested(bytes.Repeat([]byte{1<<3 | 2, 0}, n), 1, 1),
	} {
		if _, err := span.DecodeProto(request, limits); !errors.Is(err, span.ErrTooLarge) {
			t.Errorf("%s: got %v, want ErrTooLarge", name, err)
		}
	}
	batch, err := span.DecodeProto(nested(bytes.Repeat([]byte{2<<3 | 2, 0}, n), 1, 2), limits)
	if err != nil || batch.Rejected.Count != n || cap(batch.Spans) > n/10 {
		t.Errorf("empty spans: %v, %d rejected, room for %d", err, batch.Rejected.Count, cap(batch.Spans))
	}
	for name, request := range map[string]string{
		"spans":      `{"resourceSpans":[{"scopeSpans":[{"spans":[` + strings.Repeat("{},", n) + `{}]}]}]}`,
		"attributes": `{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[` + strings.Repeat("{},", n) + `{}]}]}]}]}`,
	} {
		if _, err := span.DecodeJSON([]byte(request), limits); !errors.Is(err, span.ErrTooLarge) {
			t.Errorf("JSON %s: got %v, want ErrTooLarge", name, err)
		}
	}
}

func TestParseTraceID(t *testing.T) {
	for in, want := range map[string]string{
		"5B8EFFF798038103d269b633813fc60c": "5b8efff798038103d269b633813fc60c",
		"abc":                              "00000000000000000000000000000abc",
		"":                                 "empty",
		"0":                                "all zeros",
		"xyz":                              "not a hexadecimal digit",
		strings.Repeat("a", 33):            "33 characters",
	} {
		id, err := span.ParseTraceID(in)
		if err == nil && id.String() != want || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %s, %v; want %s", in, id, err, want)
		}
	}
}

func decodeProto(t *testing.T, wire []byte) []span.Span {
	t.Helper()
	batch, err := span.DecodeProto(string(wire), span.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if batch.Rejected.Count > 0 {
		t.Fatal(batch.Rejected.String())
	}
	return batch.Spans
}

func decodeJSON(t *testing.T, text []byte) []span.Span {
	t.Helper()
	batch, err := span.DecodeJSON(text, span.Limits{})
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if batch.Rejected.Count > 0 {
		t.Fatal(batch.Rejected.String())
	}
	return batch.Spans
}

func diff(t *testing.T, what string, want, got []span.Span) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
		t.Fatalf("%s (-want +got):\n%s", what, d)
	}
}
