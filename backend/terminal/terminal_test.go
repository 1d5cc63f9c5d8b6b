package terminal

import (
	"encoding/binary"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/throughline/throughline/backend/client"
	"github.com/throughline/throughline/backend/span"
)

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, file, got string) {
	t.Helper()
	file = filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// load reads one of the shared golden traces, each span id once and by start.
func load(t *testing.T, file string) *span.Trace {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	batch, err := span.DecodeJSON(text, span.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return traceOf(batch.Spans)
}

func traceOf(spans []span.Span) *span.Trace {
	byID := map[span.SpanID]span.Span{}
	trace := &span.Trace{ID: spans[0].TraceID}
	for _, s := range spans {
		if s.TraceID == trace.ID {
			byID[s.SpanID] = s
		}
	}
	for _, s := range byID {
		trace.Spans = append(trace.Spans, s)
	}
	slices.SortFunc(trace.Spans, func(a, b span.Span) int {
		if a.StartTime != b.StartTime {
			return int(int64(a.StartTime - b.StartTime))
		}
		return strings.Compare(a.SpanID.String(), b.SpanID.String())
	})
	return trace
}

func draw(t *testing.T, s Style, trace *span.Trace, o Waterfall) string {
	t.Helper()
	o.Zone = time.UTC
	summary := client.Summarize(trace)
	var b strings.Builder
	if err := s.Waterfall(&b, trace, &summary, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGoldenTraces(t *testing.T) {
	files, err := filepath.Glob("../../testdata/traces/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			trace := load(t, file)
			text := draw(t, Style{Width: 100}, trace, Waterfall{})
			text += "\n" + strings.Repeat("=", 60) + "\n" + draw(t, Style{Width: 60, Color: true}, trace, Waterfall{Details: true})
			summary := client.Summarize(trace)
			var outline strings.Builder
			if err := WriteOutline(&outline, trace, &summary, Outline{Values: 40}); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".txt", text+"\n"+strings.Repeat("=", 60)+"\n"+outline.String())
		})
	}
}

func made(n int, parent func(i int) int) *span.Trace {
	r, c := &span.Resource{Attributes: []span.Attribute{{Key: "service.name", Value: span.String("made")}}}, &span.Scope{}
	id := func(i int) (id span.SpanID) { binary.BigEndian.PutUint64(id[:], uint64(i)+1); return id }
	trace := &span.Trace{ID: span.TraceID{1}}
	for i := range n {
		s := span.Span{TraceID: trace.ID, SpanID: id(i), Name: "step", StartTime: 1e18 + uint64(i), EndTime: 1e18 + uint64(i) + 10, Resource: r, Scope: c}
		if p := parent(i); p >= 0 {
			s.ParentSpanID = id(p)
		}
		trace.Spans = append(trace.Spans, s)
	}
	return trace
}

// Every line fits the terminal, every span has one, and what the wire brought
// cannot reach the terminal, whatever the trace looks like.
func TestHostileTraces(t *testing.T) {
	evil := made(6, func(i int) int { return i - 1 })
	evil.Spans[1].Name = "\x1b]0;owned\a\x1b[2J\r\nnext\u202eesrever\u2028x\u009b31m\xff"
	evil.Spans[2].Name = strings.Repeat("漢字", 100)
	evil.Spans[3].Name = ""
	evil.Spans[3].EndTime = evil.Spans[3].StartTime - 5
	evil.Spans[4].EndTime = math.MaxUint64
	evil.Spans[5].Status = span.Status{Code: span.StatusError, Message: strings.Repeat("\x1b[31mlong\n", 100)}
	evil.Spans[5].Attributes = []span.Attribute{{Key: "k\x1b", Value: span.String("\x1b[H" + strings.Repeat("v", 5000))}}
	evil.Spans[5].Resource = &span.Resource{Attributes: []span.Attribute{{Key: "service.name", Value: span.String(strings.Repeat("s\x07", 300))}}}
	for name, trace := range map[string]*span.Trace{
		"evil":  evil,
		"deep":  made(4_000, func(i int) int { return i - 1 }),
		"wide":  made(4_000, func(i int) int { return min(0, i-1) }),
		"ring":  made(1000, func(i int) int { return (i + 1) % 1000 }),
		"rings": made(1000, func(i int) int { return i ^ 1 }),
		"self":  made(10, func(i int) int { return i }),
		"lost":  made(10, func(int) int { return 1 << 40 }),
		"one":   made(1, func(int) int { return -1 }),
	} {
		t.Run(name, func(t *testing.T) {
			for _, columns := range []int{1, 48, 80, 500} {
				text := draw(t, Style{Width: columns}, trace, Waterfall{Details: name == "evil"})
				if !utf8.ValidString(text) || strings.ContainsAny(text, "\x1b\a\r\u009b\u202e\u2028") {
					t.Fatalf("width %d: control characters in the output", columns)
				}
				lines := strings.Split(text, "\n")[3:] // the heading may be longer
				for _, line := range lines {
					if got := width(line); got > max(48, columns) {
						t.Fatalf("width %d: a line has %d columns: %q", columns, got, line)
					}
				}
				if spans := len(trace.Spans); name != "evil" && len(lines) != spans+3 {
					t.Fatalf("width %d: %d lines for %d spans", columns, len(lines), spans)
				}
			}
			text := draw(t, Style{}, trace, Waterfall{Spans: 5})
			if more := len(trace.Spans) > 5; more != strings.Contains(text, "more span") {
				t.Errorf("a bound of 5 spans: %s", text)
			}
		})
	}
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "ünï 漢 👩‍💻": "ünï 漢 👩‍💻", "a\nb\tc": "a␊b␉c", "\x1b[31m": "␛[31m", "\x7f": "␡",
		"\u0085\u009b": "\uFFFD\uFFFD", "\u202e": "\uFFFD", "a\xffb": "a\uFFFDb", "": "",
	} {
		if got := Text(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0", 1: "1ns", 999: "999ns", 1500: "1.5µs", 999_600: "1ms", 12_345_678: "12.3ms", 1_050_000_000: "1.05s",
		59_949 * time.Millisecond: "59.9s", time.Minute: "1m", 125 * time.Second: "2m5s", 26 * time.Hour: "1d2h", -5 * time.Millisecond: "-5ms",
		math.MaxInt64: "106751d23h", math.MinInt64: "-106751d23h",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%d: got %s, want %s", d, got, want)
		}
	}
}

func TestTable(t *testing.T) {
	columns := []Column{{Title: "NAME", Least: 6}, {Title: "N", Right: true}, {Title: "ID"}}
	rows := func() [][]Cell {
		return [][]Cell{
			{{Text: "a name that is long"}, {Text: "1"}, {Text: "abcdef"}},
			{{Text: "a line\n"}},
			{{Text: "漢字", Paint: Style{Color: true}.Red}, {Text: "12345"}, {Text: ""}},
		}
	}
	for columnsWide, want := range map[int]string{
		0: "NAME                     N  ID\n" +
			"a name that is long      1  abcdef\n" +
			"a line␊\n" +
			"\x1b[31m漢字\x1b[0m                 12345\n",
		26: "NAME             N  ID\n" +
			"a name tha…      1  abcdef\n" +
			"a line␊\n" +
			"\x1b[31m漢字\x1b[0m         12345\n",
		5: "NAME        N  ID\n" +
			"a nam…      1  abcdef\n" +
			"a li…\n" +
			"\x1b[31m漢字\x1b[0m    12345\n",
	} {
		var b strings.Builder
		if err := (Style{Width: columnsWide}).Table(&b, columns, rows()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, b.String()); diff != "" {
			t.Errorf("width %d (-want +got):\n%s", columnsWide, diff)
		}
	}
}

func TestChart(t *testing.T) {
	start := time.Date(2026, 9, 21, 14, 0, 0, 0, time.UTC)
	line := func(name string, n int, value func(i int) float64) Line {
		l := Line{Name: name}
		for i := range n {
			l.Points = append(l.Points, Point{start.Add(time.Duration(i) * time.Minute), value(i)})
		}
		return l
	}
	var many []Line
	for k := range 12 {
		many = append(many, line(strings.Repeat("s", k+1), 5, func(int) float64 { return float64(k) }))
	}
	for name, lines := range map[string][]Line{
		"two": {
			line("resource.service.name=articles-service", 60, func(i int) float64 { return 10 + 8*math.Sin(float64(i)/8) }),
			line("resource.service.name=suggestions-service", 60, func(i int) float64 {
				if i%20 > 14 {
					return math.NaN()
				}
				return float64(i % 20)
			}),
		},
		"many":   many,
		"single": {line("", 1, func(int) float64 { return 42 })},
		"flat":   {line("zero", 10, func(int) float64 { return 0 })},
		"odd":    {line("inf\x1b", 3, func(i int) float64 { return []float64{math.Inf(1), 1, -3}[i] })},
		"gaps":   {{Name: "gaps", Points: []Point{{start, 1}, {start.Add(time.Minute), 2}, {start.Add(30 * time.Minute), 5}, {start.Add(31 * time.Minute), 3}}}},
		"none":   {line("nan", 3, func(int) float64 { return math.NaN() }), {Name: "empty"}},
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			if err := (Style{Width: 80}).Chart(&b, lines, Chart{Zone: time.UTC}); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(b.String()) {
				if width(line) > 82 {
					t.Errorf("%d columns: %q", width(line), line)
				}
			}
			golden(t, "chart-"+name+".txt", b.String())
			if err := (Style{Width: 80, Color: true}).Chart(&b, lines, Chart{Zone: time.UTC}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func BenchmarkWaterfall(b *testing.B) {
	trace := made(10_000, func(i int) int { return i/8 - 1 })
	summary := client.Summarize(trace)
	b.ReportAllocs()
	for b.Loop() {
		if err := (Style{Width: 120, Color: true}).Waterfall(io.Discard, trace, &summary, Waterfall{Zone: time.UTC}); err != nil {
			b.Fatal(err)
		}
	}
}
