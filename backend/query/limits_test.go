package query_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/throughline/throughline/backend/query"
	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
	"github.com/throughline/throughline/backend/traceql"
)

const begin uint64 = 1_790_000_000_000_000_000

// many are traces of ten spans, one each millisecond, whose spans all differ in an
// attribute.
func many(t *testing.T, dir string, traces int) *store.DB {
	t.Helper()
	db, err := store.Open(dir, store.Options{HeadSpans: 5000, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	resource := &span.Resource{Attributes: []span.Attribute{{Key: "service.name", Value: span.String("one")}}}
	var batch span.Batch
	for i := range traces {
		for j := range 10 {
			start := begin + uint64(i)*1_000_000 + uint64(j)*1000
			s := span.Span{
				TraceID: span.TraceID{1, byte(i >> 16), byte(i >> 8), byte(i)}, SpanID: span.SpanID{byte(j + 1)}, Name: "work", Kind: span.KindServer,
				StartTime: start, EndTime: start + 1000, Resource: resource, Scope: &span.Scope{},
				Attributes: []span.Attribute{{Key: "own", Value: span.String(fmt.Sprintf("value %d of %d, %s", j, i, strings.Repeat("x", 80)))}},
			}
			if j > 0 {
				s.ParentSpanID = span.SpanID{1}
			}
			batch.Spans = append(batch.Spans, s)
		}
		if len(batch.Spans) >= 1000 || i == traces-1 {
			if err := db.Append(t.Context(), &batch); err != nil {
				t.Fatal(err)
			}
			batch.Spans = batch.Spans[:0]
		}
	}
	return db
}

func mustParse(t *testing.T, text string) *traceql.Query {
	t.Helper()
	q, err := traceql.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestLimits(t *testing.T) {
	db := many(t, t.TempDir(), 3000)
	whole := traceql.Range{Start: begin - 1, End: begin + uint64(time.Hour), Step: uint64(time.Minute)}
	for _, c := range []struct {
		name    string
		options query.Options
		query   string
		want    error
	}{
		{"time of a search", query.Options{Timeout: time.Nanosecond}, `{ }`, query.ErrTooLong},
		{"time of a metrics query", query.Options{Timeout: time.Nanosecond}, `{ } | rate()`, query.ErrTooLong},
		{"memory of a search", query.Options{MaxBytes: 100_000}, `{ span.own != nil }`, query.ErrTooLarge},
		{"memory of a metrics query", query.Options{MaxBytes: 100_000}, `{ } | rate() by(span.own)`, query.ErrTooLarge},
		{"memory of a metrics query of traces", query.Options{MaxBytes: 100_000}, `{ } | rate() by(span.own, parent.span.own)`, query.ErrTooLarge},
		{"memory of a comparison", query.Options{MaxBytes: 100_000}, `{ } | compare({ span.own = "x" })`, query.ErrTooLarge},
		{"series", query.Options{MaxSeries: 100}, `{ } | rate() by(span.own)`, query.ErrTooManySeries},
		{"values", query.Options{MaxValues: 100}, `{ } | rate() by(span.own)`, query.ErrTooManyValues},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := query.New(db, c.options)
			q := mustParse(t, c.query)
			var err error
			if q.Metrics != nil {
				_, err = e.Metrics(t.Context(), query.Metrics{Query: q, Range: whole})
			} else {
				_, err = e.Search(t.Context(), query.Search{Query: q, Limit: 1000, SpansPerSpanset: 10})
			}
			if !errors.Is(err, c.want) {
				t.Errorf("error is %v, want one that is %q", err, c.want)
			}
		})
	}

	e := query.New(db, query.Options{MaxTraces: 50, MaxSpans: 2})
	f, err := e.Search(t.Context(), query.Search{Query: mustParse(t, "{ }"), Limit: 1000, SpansPerSpanset: 10})
	if err != nil || len(f.Traces) != 50 || len(f.Traces[0].Spansets[0].Spans) != 2 || f.Traces[0].Spansets[0].Matched != 10 || !f.Truncated {
		t.Errorf("beyond the greatest limits: %d traces, truncated %v, %v", len(f.Traces), f.Truncated, err)
	}
	// A search that drops what newer traces push out counts only what it holds.
	e = query.New(db, query.Options{MaxBytes: 200_000})
	if f, err = e.Search(t.Context(), query.Search{Query: mustParse(t, "{ span.own != nil }")}); err != nil || len(f.Traces) != query.DefaultLimit {
		t.Errorf("%d traces, %v", len(f.Traces), err)
	}
	if _, err := e.Search(t.Context(), query.Search{Query: mustParse(t, "{ } | rate()")}); !errors.Is(err, query.ErrNotSearch) {
		t.Errorf("metrics as a search: %v", err)
	}
	if _, err := e.Metrics(t.Context(), query.Metrics{Query: mustParse(t, "{ }"), Range: whole}); !errors.Is(err, query.ErrNotMetrics) {
		t.Errorf("a search as metrics: %v", err)
	}
	e = query.New(db, query.Options{MaxValues: 100})
	v, err := e.TagValues(t.Context(), query.TagValues{Attribute: traceql.Attribute{Scope: traceql.ScopeSpan, Name: "own"}})
	if err != nil || len(v.List) != 100 || !v.Truncated {
		t.Errorf("%d values, truncated %v, %v", len(v.List), v.Truncated, err)
	}
}

// A query ends with its context, and says so rather than that it took too long.
func TestCancel(t *testing.T) {
	db := many(t, t.TempDir(), 3000)
	e := query.New(db, query.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := e.Search(ctx, query.Search{Query: mustParse(t, "{ } | count() > 100")})
	if !errors.Is(err, context.Canceled) || errors.Is(err, query.ErrTooLong) {
		t.Errorf("search: %v", err)
	}
	if _, err := e.Metrics(ctx, query.Metrics{Query: mustParse(t, "{ } | rate()"), Range: traceql.Range{Start: begin, End: begin + 1e9}}); !errors.Is(err, context.Canceled) {
		t.Errorf("metrics: %v", err)
	}
	if _, err := e.TagNames(ctx, query.TagNames{}); !errors.Is(err, context.Canceled) {
		t.Errorf("names: %v", err)
	}
}

// A trace that is asked for by its id is found without a look at others.
func TestTraceID(t *testing.T) {
	db := many(t, t.TempDir(), 1000)
	e := query.New(db, query.Options{})
	for text, want := range map[string]int{
		`{ trace:id = "01000005000000000000000000000000" }`:                           1,
		`{ trace:id = "1000005000000000000000000000000" && span.own =~ "value 3.*" }`: 1,
		`{ trace:id = "01000005000000000000000000000000" && name = "nothing" }`:       0,
		`{ trace:id = "ff" }`: 0,
		`{ trace:id = "no" }`: 0,
	} {
		f, err := e.Search(t.Context(), query.Search{Query: mustParse(t, text)})
		if err != nil || len(f.Traces) != want || f.Stats.Traces > 1 {
			t.Errorf("%s: %d traces of %d, %v", text, len(f.Traces), f.Stats.Traces, err)
		}
	}
}

// Exemplars are spans of their series, at most one for each sample.
func TestExemplars(t *testing.T) {
	db := many(t, t.TempDir(), 3000)
	e := query.New(db, query.Options{})
	for _, text := range []string{`{ } | rate() by(name)`, `{ } | rate() by(name, parent.name)`} {
		s, err := e.Metrics(t.Context(), query.Metrics{
			Query: mustParse(t, text), Range: traceql.Range{Start: begin, End: begin + 3e9, Step: 1e9}, Exemplars: 100,
		})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, series := range s.List {
			for _, x := range series.Exemplars {
				n++
				trace, _, err := db.Trace(t.Context(), x.TraceID)
				if err != nil {
					t.Fatal(err)
				}
				found := false
				for _, sp := range trace.Spans {
					found = found || sp.SpanID == x.SpanID && sp.StartTime == x.Time
				}
				if !found {
					t.Errorf("%s: exemplar %+v is no span of its trace", text, x)
				}
			}
		}
		if n < 3 || n > 100 {
			t.Errorf("%s: %d exemplars", text, n)
		}
	}
}

// A segment that turns out to be damaged is set aside, and the rest is answered.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	db := many(t, dir, 3000)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	if err != nil || len(names) < 2 {
		t.Fatal(names, err)
	}
	for i, text := range []string{`{ span.own =~ ".*y" }`, `{ } | rate()`} {
		data, err := os.ReadFile(names[i])
		if err != nil {
			t.Fatal(err)
		}
		for at := 100; at < len(data)/2; at += 4000 {
			data[at] ^= 0x55
		}
		if err := os.WriteFile(names[i], data, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := store.Open(dir, store.Options{Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		before := db.Stats()
		e := query.New(db, query.Options{})
		q := mustParse(t, text)
		counted := 0.0
		if q.Metrics != nil {
			s, err := e.Metrics(t.Context(), query.Metrics{Query: q, Range: traceql.Range{Start: begin - 1, End: begin + 10e9}})
			if err != nil {
				t.Fatal(err)
			}
			counted = s.List[0].Samples[0].Value * 10
		} else if _, err := e.Search(t.Context(), query.Search{Query: q}); err != nil {
			t.Fatal(err)
		}
		after := db.Stats()
		if after.CorruptFiles != before.CorruptFiles+1 || after.Segments != before.Segments-1 {
			t.Errorf("%s: %d segments of %d, %d corrupt files", text, after.Segments, before.Segments, after.CorruptFiles)
		}
		if q.Metrics != nil && int(counted+0.5) != after.Spans {
			t.Errorf("%v spans counted of %d", counted, after.Spans)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
