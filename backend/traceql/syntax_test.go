package traceql

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/throughline/throughline/backend/span"
)

var update = flag.Bool("update", false, "rewrite the answers in SYNTAX.md")

// readTrace reads the first trace of a golden file.
func readTrace(t testing.TB, file string) *span.Trace {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	batch, err := span.DecodeJSON(text, span.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	tr := &span.Trace{ID: batch.Spans[0].TraceID}
	seen := map[span.SpanID]bool{}
	for _, s := range batch.Spans {
		if s.TraceID == tr.ID && !seen[s.SpanID] {
			seen[s.SpanID] = true
			tr.Spans = append(tr.Spans, s)
		}
	}
	slices.SortStableFunc(tr.Spans, func(a, b span.Span) int { return cmp.Compare(a.StartTime, b.StartTime) })
	return tr
}

// Every example of SYNTAX.md is a block of traceql followed by the answer on the
// trace of testdata/shop.json: the names of the spans, for each spanset, or series.
func TestSyntaxExamples(t *testing.T) {
	text, err := os.ReadFile("SYNTAX.md")
	if err != nil {
		t.Fatal(err)
	}
	tr := readTrace(t, "testdata/shop.json")
	var out bytes.Buffer
	const opening, closing, answer = "```traceql\n", "```\n", "⇒ "
	rest := string(text)
	examples := 0
	for {
		before, after, ok := strings.Cut(rest, opening)
		out.WriteString(before)
		if !ok {
			break
		}
		query, after, ok := strings.Cut(after, closing)
		if !ok {
			t.Fatalf("block without end: %s", query)
		}
		if strings.HasPrefix(after, answer) {
			_, after, _ = strings.Cut(after, "\n")
		}
		out.WriteString(opening + query + closing + answer + answerOf(t, strings.TrimSpace(query), tr) + "\n")
		rest = after
		examples++
	}
	if examples < 60 {
		t.Errorf("only %d examples", examples)
	}
	if *update {
		if err := os.WriteFile("SYNTAX.md", out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, want := strings.Split(out.String(), "\n"), strings.Split(string(text), "\n")
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("SYNTAX.md:%d (go test -update rewrites it)\n got %s\nwant %s", i+1, got[i], want[i])
		}
	}
	if len(got) != len(want) {
		t.Error("answers are missing in SYNTAX.md: go test -update writes them")
	}
}

func answerOf(t *testing.T, query string, tr *span.Trace) string {
	q, err := Parse(query)
	if err != nil {
		return "refused: " + err.Error()
	}
	p := Compile(q)
	e, view := p.NewEvaluator(), NewView(p).Reset(tr)
	if q.Metrics != nil {
		return seriesOf(t, p, e, view)
	}
	var sets []string
	for _, set := range e.Search(view) {
		s := ""
		for i, a := range set.Attributes {
			if i > 0 {
				s += ", "
			}
			s += a.Name + "=" + a.Value.String()
		}
		if s != "" {
			s += ": "
		}
		for k, i := range set.Spans {
			if k > 0 {
				s += ", "
			}
			s += tr.Spans[i].Name
			if stages := q.Pipeline.Stages; len(stages) > 1 {
				if _, ok := stages[len(stages)-1].(*Select); ok {
					for _, a := range e.Shown(nil, int(i)) {
						s += " " + a.Name + "=" + a.Value.String()
					}
				}
			}
		}
		sets = append(sets, s)
	}
	if len(sets) == 0 {
		return "nothing"
	}
	return strings.Join(sets, " · ")
}

// seriesOf runs an instant query over the minute that the trace lies in.
func seriesOf(t *testing.T, p *Program, e *Evaluator, view *View) string {
	start, _ := view.Times(0)
	a, err := p.NewAccumulator(Range{Start: start - 30e9, End: start + 30e9}, MetricsOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Observe(e, view); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, s := range a.Result() {
		var labels []string
		for _, l := range s.Labels {
			labels = append(labels, l.Name+"="+l.Value.String())
		}
		value := ""
		for _, x := range s.Samples {
			value = " " + strconv.FormatFloat(x.Value, 'g', 6, 64)
		}
		all = append(all, fmt.Sprintf("{%s}%s", strings.Join(labels, ", "), value))
	}
	if len(all) == 0 {
		return "nothing"
	}
	return strings.Join(all, " · ")
}
