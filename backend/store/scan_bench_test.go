package store_test

import (
	"log/slog"
	"regexp"
	"testing"

	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
	"github.com/throughline/throughline/backend/store/storetest"
)

func is(field store.Field, key, text string) *store.Cond {
	return &store.Cond{Op: store.CondTest, Ref: store.FieldRef{Field: field, Key: key}, Test: &store.Test{
		Match: func(v span.Value) bool { return v.Type() == span.TypeString && v.Str() == text }, Text: &text,
	}}
}

func matches(field store.Field, key, pattern, literal string) *store.Cond {
	re := regexp.MustCompile("^(?:" + pattern + ")$")
	return &store.Cond{Op: store.CondTest, Ref: store.FieldRef{Field: field, Key: key}, Test: &store.Test{
		Match: func(v span.Value) bool { return v.Type() == span.TypeString && re.MatchString(v.Str()) }, Literal: literal,
	}}
}

func isInt(field store.Field, n int64) *store.Cond {
	return &store.Cond{Op: store.CondTest, Ref: store.FieldRef{Field: field}, Test: &store.Test{
		Match: func(v span.Value) bool { return v.Type() == span.TypeInt && v.Int() == n }, Range: &[2]int64{n, n},
	}}
}

func and(of ...*store.Cond) *store.Cond { return &store.Cond{Op: store.CondAnd, Of: of} }
func or(of ...*store.Cond) *store.Cond  { return &store.Cond{Op: store.CondOr, Of: of} }

// BenchmarkScan goes through 1,000,000 spans of bench/otlpload.
//
// What finds its limit reads as far as it must: traces bound it. What finds nothing
// reads one column of all spans: series 1 ms, a dictionary's positions 3 ms, filters
// of pages 1 ms, decompressing pages 40 ms, and a regular expression on each value
// 150 ms, shared by the cores.
func BenchmarkScan(b *testing.B) {
	db := storetest.Load(b, "../..", 1_000_000, store.Options{Log: slog.New(slog.DiscardHandler)})
	for _, c := range []struct {
		name string
		sel  *store.Select
	}{
		{"all", &store.Select{}},
		{"service, status", &store.Select{Right: and(is(store.ResourceAttribute, "service.name", "payment"), isInt(store.SpanStatus, 2))}},
		{"service, status, none", &store.Select{Right: and(is(store.ResourceAttribute, "service.name", "payment"), isInt(store.SpanStatus, 1))}},
		{"duration, none", &store.Select{Right: and(&store.Cond{Op: store.CondTest, Ref: store.FieldRef{Field: store.SpanDuration}, Test: &store.Test{
			Match: func(v span.Value) bool { return v.Int() > 1<<40 }, Range: &[2]int64{1 << 34, 1 << 60},
		}})}},
		{"needle, none", &store.Select{Right: or(is(store.SpanAttribute, "url.path", "/nowhere"), is(store.ResourceAttribute, "url.path", "/nowhere"))}},
		{"event needle, none", &store.Select{Right: is(store.EventAttribute, "exception.message", "/nowhere")}},
		{"event", &store.Select{Right: is(store.EventAttribute, "exception.type", "TimeoutError")}},
		{"dictionary regexp", &store.Select{Right: matches(store.SpanAttribute, "http.route", "/quote.*", "")}},
		{"dictionary regexp, none", &store.Select{Right: and(matches(store.SpanAttribute, "http.route", "/quote.*", ""), is(store.ResourceAttribute, "service.name", "ad"))}},
		{"pages regexp, none", &store.Select{Right: matches(store.SpanAttribute, "url.path", "/.*[g-i]9$", "")}},
		{"pages literal regexp, none", &store.Select{Right: matches(store.SpanAttribute, "url.path", "/.*/nowhere/.*", "/nowhere/")}},
		{"descendant", &store.Select{Left: is(store.ResourceAttribute, "service.name", "web"), Relation: store.DescendantOf, Right: is(store.ResourceAttribute, "service.name", "payment")}},
		{"descendant, none", &store.Select{Left: is(store.ResourceAttribute, "service.name", "payment"), Relation: store.DescendantOf, Right: is(store.ResourceAttribute, "service.name", "web")}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			defer storetest.ReportCPU(b)()
			var r store.ScanResult
			for b.Loop() {
				var err error
				r, err = db.ScanTraces(b.Context(), &store.TraceScan{Select: c.sel, Limit: 20, Judge: func() func(*store.FoundTrace) (any, bool, error) {
					return func(t *store.FoundTrace) (any, bool, error) { return t.Summary(), true, nil }
				}})
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(r.Traces)), "traces")
			b.ReportMetric(float64(r.Judged), "judged")
		})
	}
	for _, c := range []struct {
		name    string
		where   *store.Cond
		columns [][]store.FieldRef
	}{
		{"spans", &store.Cond{}, nil},
		{"spans by service", &store.Cond{}, [][]store.FieldRef{{{Field: store.ResourceAttribute, Key: "service.name"}}}},
		{"spans by name", &store.Cond{}, [][]store.FieldRef{{{Field: store.SpanName}}}},
		{"spans by route", &store.Cond{}, [][]store.FieldRef{{{Field: store.SpanAttribute, Key: "http.route"}}}},
		{"errors by service", isInt(store.SpanStatus, 2), [][]store.FieldRef{{{Field: store.ResourceAttribute, Key: "service.name"}}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			defer storetest.ReportCPU(b)()
			for b.Loop() {
				if err := db.ScanSpans(b.Context(), &store.SpanScan{Where: c.where, Columns: c.columns, Visit: func() func(*store.SpanBatch) error {
					return func(*store.SpanBatch) error { return nil }
				}}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
