package query_test

import (
	"cmp"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/throughline/throughline/backend/query"
	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
	"github.com/throughline/throughline/backend/store/storetest"
	"github.com/throughline/throughline/backend/traceql"
)

// words writes random queries about the spans of storetest.Varied.
type words struct{ *rand.Rand }

func (w words) pick(from ...string) string { return from[w.IntN(len(from))] }

func (w words) field() string {
	return w.pick("name", "status", "kind", "duration", "statusMessage", "resource.service.name", "span.route", "span.path", "span.n",
		".both", "span.any", "resource.both", "resource.host", ".none", "event.code", "event:name", "link.n", "instrumentation:name",
		"rootName", "rootServiceName", "parent.n", "parent.resource.service.name", "childCount", "nestedSetParent", "span."+`"`+strings.Repeat("k", 300)+`"`)
}

func (w words) comparison() string {
	switch w.IntN(26) {
	case 0, 1, 2:
		return "resource.service.name" + w.pick(" = ", " != ") + w.pick(`"articles-service"`, `"payments"`, `"mail"`, `""`, "nil")
	case 3:
		return "name" + w.pick(" = ", " != ", " =~ ", " !~ ", " > ") + w.pick(`"query"`, `"GET /"`, `"GET.*"`, `"s.+d|query"`)
	case 4:
		return "status" + w.pick(" = ", " != ") + w.pick("error", "ok", "unset")
	case 5:
		return "kind" + w.pick(" = ", " != ") + w.pick("server", "client", "internal")
	case 6, 7:
		return "duration" + w.pick(" > ", " < ", " >= ", " <= ", " = ", " != ") + w.pick("50ms", "150ms", "10ms", "0.1s", "1e8")
	case 8, 9:
		return w.pick("span.route", ".route") + w.pick(" = ", " != ", " =~ ", " !~ ") + w.pick(`"/r/1"`, `"/r/[12]"`, `".*3"`, `"/r/1|/r/2"`)
	case 10, 11:
		return w.pick("span.path", ".path") + w.pick(" = ", " =~ ", " !~ ") + w.pick(`"/1/0"`, `"/1/.*"`, `".*ab.*"`, `"/[0-2]/[0-9a-f]{1,4}"`)
	case 12:
		return w.pick("span.n", ".n", "link.n", "event.code") + w.pick(" = ", " != ", " > ", " <= ") + w.pick("0", "1", "2", "1.5", "nil")
	case 13:
		return w.pick("span.both", ".both", "resource.both") + w.pick(" = ", " != ") + w.pick("true", "false", "1")
	case 14:
		return w.pick("span.any", ".any") + w.pick(" = ", " != ", " > ", " < ") + w.pick("1", "0.5", "true", `"text"`, "nil", "0")
	case 15:
		return w.field() + w.pick(" = ", " != ") + "nil"
	case 16:
		return "event:name = " + w.pick(`"exception"`, `"other"`)
	case 17:
		return "statusMessage" + w.pick(" = ", " != ", " =~ ") + w.pick(`"message 1"`, `""`, `"message.*"`)
	case 18:
		return "nestedSetParent" + w.pick(" < ", " = ", " > ", " >= ", " != ") + w.pick("0", "-1", "1")
	case 19:
		return w.pick("rootName", "rootServiceName") + w.pick(" = ", " != ") + w.pick(`"query"`, `"payments"`, `""`)
	case 20:
		return "parent" + w.pick(" = ", " != ") + "nil"
	case 21:
		return "parent." + w.pick("n", "resource.service.name", "name") + " = " + w.pick("1", `"mail"`, `"query"`)
	case 22:
		return "instrumentation:" + w.pick("name", "version") + w.pick(" = ", " != ") + w.pick(`"http"`, `""`)
	case 23:
		return w.pick("traceDuration > 100ms", "childCount > 1", ".n + 1 = 2", "duration > 2 * 50ms", "span.n = span.n")
	case 24:
		return w.pick("event.message", "resource.host") + w.pick(" = ", " =~ ") + w.pick(`"no"`, `"hmail"`, `"h.*"`)
	}
	return w.pick("true", ".both", "!span.both", "span.n = 0 || span.n = 2")
}

func (w words) expr(depth int) string {
	if depth > 0 {
		switch w.IntN(7) {
		case 0, 1, 2:
			return "(" + w.expr(depth-1) + " && " + w.expr(depth-1) + ")"
		case 3:
			return "(" + w.expr(depth-1) + " || " + w.expr(depth-1) + ")"
		case 4:
			return "!(" + w.expr(depth-1) + ")"
		}
	}
	return w.comparison()
}

func (w words) spansets(depth int) string {
	if depth > 0 && w.IntN(2) == 0 {
		return "(" + w.spansets(depth-1) + ") " + w.pick("&&", "||", ">", ">>", "<", "<<", "~", "!>", "!>>", "!~", "&>>", "&<", "&~") + " (" + w.spansets(depth-1) + ")"
	}
	if w.IntN(10) == 0 {
		return "{ }"
	}
	return "{ " + w.expr(2) + " }"
}

func (w words) search() string {
	q := w.spansets(2)
	for w.IntN(3) == 0 {
		q += " | " + w.pick("count() > 1", "avg(duration) > 90ms", "by(span.route)", "coalesce()", "select("+w.field()+", "+w.field()+")", "max(span.n) = 2", w.spansets(0))
	}
	return q
}

func (w words) metrics() string {
	q := "{ " + w.expr(2) + " }"
	if w.IntN(5) == 0 {
		q = w.spansets(1)
	}
	f := w.pick("duration", "span.n", ".any", "duration")
	if w.IntN(8) == 0 {
		return q + " | compare({ " + w.expr(1) + " }, 9000)"
	}
	q += " | " + w.pick("rate()", "count_over_time()", "min_over_time("+f+")", "max_over_time("+f+")", "avg_over_time("+f+")",
		"sum_over_time("+f+")", "quantile_over_time("+f+", 0.5, 0.9)", "histogram_over_time("+f+")")
	if w.IntN(3) > 0 {
		q += " by(" + w.field()
		for w.IntN(3) == 0 {
			q += ", " + w.field()
		}
		q += ")"
	}
	return q
}

// parse makes a query of random text until it is one.
func parse(t *testing.T, text func() string) *traceql.Query {
	t.Helper()
	for {
		q, err := traceql.Parse(text())
		if err == nil {
			return q
		}
	}
}

func named(all []traceql.Named) string {
	var b strings.Builder
	for _, n := range all {
		fmt.Fprintf(&b, " %s=%s", n.Name, n.Value)
	}
	return b.String()
}

// held is what a store holds, whole: the oracle.
type held []*span.Trace // newest first

func newHeld(naive *storetest.Naive) (h held) {
	for _, id := range naive.IDs() {
		h = append(h, naive.Trace(id))
	}
	slices.SortFunc(h, func(a, b *span.Trace) int { return cmp.Compare(b.Spans[0].StartTime, a.Spans[0].StartTime) })
	return h
}

func (h held) search(q *traceql.Query, start, end uint64, limit, spans int) (out []string, truncated bool) {
	p := traceql.Compile(q)
	e, v := p.NewEvaluator(), traceql.NewView(p)
	for _, t := range h {
		s := storetest.Summarize(t.Spans)
		if s.EndTime < start || end != 0 && s.StartTime > end {
			continue
		}
		sets := e.Search(v.Reset(t))
		if len(sets) == 0 {
			continue
		}
		if len(out) == limit {
			return out, true
		}
		text := fmt.Sprint(t.ID, s.RootName, s.RootService, s.SpanCount, s.ErrorCount)
		for _, set := range sets {
			text += fmt.Sprintf("; %d%s", len(set.Spans), named(set.Attributes))
			for _, i := range set.Spans[:min(spans, len(set.Spans))] {
				s := &t.Spans[i]
				text += fmt.Sprintf(", %s %s %d %d%s", s.SpanID, s.Name, s.StartTime, s.Duration(), named(e.Shown(nil, int(i))))
			}
		}
		out = append(out, text)
	}
	return out, false
}

func found(f query.Found) (out []string) {
	for _, t := range f.Traces {
		text := fmt.Sprint(t.TraceID, t.RootName, t.RootService, t.SpanCount, t.ErrorCount)
		for _, set := range t.Spansets {
			text += fmt.Sprintf("; %d%s", set.Matched, named(set.Attributes))
			for _, s := range set.Spans {
				text += fmt.Sprintf(", %s %s %d %d%s", s.ID, s.Name, s.Start, s.Duration, named(s.Attributes))
			}
		}
		out = append(out, text)
	}
	return out
}

func (h held) metrics(t *testing.T, q *traceql.Query, r traceql.Range, weighted bool) []traceql.Series {
	t.Helper()
	p := traceql.Compile(q)
	a, err := p.NewAccumulator(r, traceql.MetricsOptions{Weighted: weighted})
	if err != nil {
		t.Fatal(err)
	}
	e, v := p.NewEvaluator(), traceql.NewView(p)
	for _, trace := range h {
		if err := a.Observe(e, v.Reset(trace)); err != nil {
			t.Fatal(err)
		}
	}
	return a.Result()
}

// lines is series as text, and their samples apart, which are close to each other
// when they were added up in another order.
func lines(series []traceql.Series) (out []string, samples []float64) {
	for _, s := range series {
		text := named(s.Labels)
		for _, x := range s.Samples {
			text += fmt.Sprint(" ", x.Time)
			samples = append(samples, x.Value)
		}
		out = append(out, text)
	}
	return out, samples
}

func same(a, b float64) bool {
	return a == b || math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) <= 1e-9*(math.Abs(a)+math.Abs(b))
}

// compare holds random queries against the evaluator on all traces.
func compare(t *testing.T, rng *rand.Rand, db *store.DB, h held, n int) (answered int) {
	t.Helper()
	w := words{rng}
	e := query.New(db, query.Options{})
	first, last := h[len(h)-1].Spans[0].StartTime, h[0].Spans[0].StartTime
	for range n {
		start, end := uint64(0), uint64(0)
		if rng.IntN(3) == 0 {
			start = first + rng.Uint64N(last-first+1)
		}
		if rng.IntN(3) == 0 {
			end = first + rng.Uint64N(last-first+1)
		}
		q := parse(t, w.search)
		limit, spans := 1+rng.IntN(30), 1+rng.IntN(5)
		want, truncated := h.search(q, start, end, limit, spans)
		f, err := e.Search(t.Context(), query.Search{Query: q, Start: start, End: end, Limit: limit, SpansPerSpanset: spans})
		if err != nil {
			t.Fatalf("%s: %v", q, err)
		}
		if d := gocmp.Diff(want, found(f)); d != "" || f.Truncated != truncated {
			t.Fatalf("%s from %d to %d, limit %d, truncated %v (-want +got):\n%s", q, start, end, limit, f.Truncated, d)
		}
		answered += min(1, len(want))

		q = parse(t, w.metrics)
		r := traceql.Range{Start: first - 1000, End: last + uint64(time.Second), Step: uint64(time.Second) * (1 + rng.Uint64N(20))}
		if rng.IntN(3) == 0 {
			r.Step = 0
		}
		if rng.IntN(3) == 0 {
			r.Start += (last - first) / 3
			r.End -= (last - first) / 4
		}
		weighted := rng.IntN(2) == 0
		series, err := e.Metrics(t.Context(), query.Metrics{Query: q, Range: r, Weighted: weighted})
		if err != nil {
			t.Fatalf("%s: %v", q, err)
		}
		wantSeries := h.metrics(t, q, r, weighted)
		wantLines, wantSamples := lines(wantSeries)
		gotLines, gotSamples := lines(series.List)
		if d := gocmp.Diff(wantLines, gotLines); d != "" {
			t.Fatalf("%s over %+v (-want +got):\n%s", q, r, d)
		}
		for i := range wantSamples {
			if !same(wantSamples[i], gotSamples[i]) {
				t.Fatalf("%s over %+v: sample %d is %v, want %v", q, r, i, gotSamples[i], wantSamples[i])
			}
		}
		answered += min(1, len(wantLines))
	}
	return answered
}

// TestEqual answers random queries from stores of several segments and a head,
// with traces spread over them, late spans and spans that came twice.
func TestEqual(t *testing.T) {
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 12))
		dir, naive := t.TempDir(), &storetest.Naive{}
		options := store.Options{HeadSpans: 20 << rng.IntN(6), Log: slog.New(slog.DiscardHandler)}
		traces := 60
		if seed%3 == 0 {
			options.HeadSpans, traces = 4000, 300
		}
		db, err := store.Open(dir, options)
		if err != nil {
			t.Fatal(err)
		}
		spans := storetest.Varied(rng, traces)
		for len(spans) > 0 {
			n := min(1+rng.IntN(80), len(spans))
			naive.Append(spans[:n])
			if err := db.Append(t.Context(), &span.Batch{Spans: append([]span.Span{}, spans[:n]...)}); err != nil {
				t.Fatal(err)
			}
			spans = spans[n:]
		}
		h := newHeld(naive)
		const n = 60
		answered := compare(t, rng, db, h, n)
		compareTags(t, rng, query.New(db, query.Options{}), h, 30)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if db, err = store.Open(dir, options); err != nil {
			t.Fatal(err)
		}
		answered += compare(t, rng, db, h, n)
		compareTags(t, rng, query.New(db, query.Options{}), h, 30)
		if answered < n {
			t.Errorf("%d of %d queries have an answer, too few to say much", answered, 4*n)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
