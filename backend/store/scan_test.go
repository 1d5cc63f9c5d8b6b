package store_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
	"github.com/throughline/throughline/backend/store/storetest"
)

var scanFields = []store.FieldRef{
	{Field: store.SpanAttribute, Key: "path"},
	{Field: store.SpanAttribute, Key: "route"},
	{Field: store.SpanAttribute, Key: "any"},
	{Field: store.SpanAttribute, Key: "n"},
	{Field: store.SpanAttribute, Key: "both"},
	{Field: store.SpanAttribute, Key: "none"},
	{Field: store.SpanAttribute, Key: strings.Repeat("k", 300)},
	{Field: store.ResourceAttribute, Key: "service.name"},
	{Field: store.ResourceAttribute, Key: "host"},
	{Field: store.ScopeName},
	{Field: store.ScopeVersion},
	{Field: store.SpanName},
	{Field: store.SpanKind},
	{Field: store.SpanStatus},
	{Field: store.StatusMessage},
	{Field: store.SpanDuration},
	{Field: store.SpanRoot},
	{Field: store.EventAttribute, Key: "message"},
	{Field: store.EventAttribute, Key: "code"},
	{Field: store.EventName},
	{Field: store.LinkAttribute, Key: "n"},
}

func randomTest(rng *rand.Rand) *store.Test {
	t := &store.Test{Missing: rng.IntN(4) == 0}
	switch rng.IntN(6) {
	case 0:
		text := pickOne(rng, "/r/1", "articles-service", "text", "message 1", "GET /", "exception", "")
		t.Text, t.Match = &text, func(v span.Value) bool { return v.Type() == span.TypeString && v.Str() == text }
	case 1:
		t.Literal = pickOne(rng, "/1/", "ab", "service", "e")
		t.Match = func(v span.Value) bool {
			return v.Type() == span.TypeString && strings.Contains(v.Str(), t.Literal) && len(v.Str())%2 == 0
		}
	case 2:
		lo := rng.Int64N(4)
		hi := lo + rng.Int64N(2)
		if rng.IntN(2) == 0 {
			lo, hi = lo*int64(20*time.Millisecond), hi*int64(90*time.Millisecond)
		}
		t.Range = &[2]int64{lo, hi}
		t.Match = func(v span.Value) bool { return v.Type() == span.TypeInt && lo <= v.Int() && v.Int() <= hi }
	case 3:
		t.Match = func(v span.Value) bool { return v.Type() == span.TypeBool && v.Bool() }
	case 4:
		n := rng.IntN(7)
		t.Match = func(v span.Value) bool { return len(v.Text())%7 == n }
	default:
		t.Match = func(span.Value) bool { return true }
	}
	return t
}

func pickOne[T any](rng *rand.Rand, from ...T) T { return from[rng.IntN(len(from))] }

func randomCond(rng *rand.Rand, depth int) *store.Cond {
	c := &store.Cond{}
	switch n := rng.IntN(8); {
	case n < 3 && depth > 0:
		c.Op = pickOne(rng, store.CondAnd, store.CondOr)
		for range 1 + rng.IntN(3) {
			c.Of = append(c.Of, randomCond(rng, depth-1))
		}
	case n == 3 && depth > 0:
		c.Op, c.Of = store.CondNot, []*store.Cond{randomCond(rng, depth-1)}
	case n == 4 && depth > 0:
		c.Op = store.CondAll
	default:
		c.Op, c.Ref, c.Test = store.CondTest, pickOne(rng, scanFields...), randomTest(rng)
	}
	return c
}

func randomSelect(rng *rand.Rand, depth int) *store.Select {
	s := &store.Select{}
	switch n := rng.IntN(6); {
	case n == 0 && depth > 0:
		for range 1 + rng.IntN(2) {
			s.And = append(s.And, randomSelect(rng, depth-1))
		}
	case n == 1 && depth > 0:
		for range 1 + rng.IntN(2) {
			s.Or = append(s.Or, randomSelect(rng, depth-1))
		}
	default:
		s.Right = randomCond(rng, 2)
		if rng.IntN(2) == 0 {
			s.Left, s.Relation = randomCond(rng, 2), store.Relation(rng.IntN(5))
		}
	}
	return s
}

// selected is what a Select says, the obvious way.
func selected(s *store.Select, spans []span.Span) bool {
	switch {
	case s.And != nil:
		return !slices.ContainsFunc(s.And, func(of *store.Select) bool { return !selected(of, spans) })
	case s.Or != nil:
		return slices.ContainsFunc(s.Or, func(of *store.Select) bool { return selected(of, spans) })
	}
	byID := map[span.SpanID]*span.Span{}
	for i := range spans {
		byID[spans[i].SpanID] = &spans[i]
	}
	below := func(low, high *store.Cond, far bool) bool {
		for i := range spans {
			if !low.Fits(&spans[i]) {
				continue
			}
			at := &spans[i]
			for range spans {
				if at = byID[at.ParentSpanID]; at == nil {
					break
				}
				if high.Fits(at) {
					return true
				}
				if !far {
					break
				}
			}
		}
		return false
	}
	if s.Left == nil {
		return slices.ContainsFunc(spans, func(sp span.Span) bool { return s.Right.Fits(&sp) })
	}
	switch s.Relation {
	case store.ChildOf, store.DescendantOf:
		return below(s.Right, s.Left, s.Relation == store.DescendantOf)
	case store.ParentOf, store.AncestorOf:
		return below(s.Left, s.Right, s.Relation == store.AncestorOf)
	}
	return slices.ContainsFunc(spans, func(sp span.Span) bool { return s.Right.Fits(&sp) }) &&
		slices.ContainsFunc(spans, func(sp span.Span) bool { return s.Left.Fits(&sp) })
}

// scanned is a span of a SpanScan as text.
func scannedSpan(start, duration uint64, count uint64, values []string) string {
	return fmt.Sprint(start, " ", duration, " ", count, " ", strings.Join(values, " | "))
}

func valueText(v span.Value) string { return fmt.Sprint(v.Type(), ":", v.Text()) }

// compareScans holds random scans against what goes through all traces.
func compareScans(t *testing.T, rng *rand.Rand, db *store.DB, naive *storetest.Naive, n int) {
	t.Helper()
	var traces []*span.Trace
	for _, id := range naive.IDs() {
		traces = append(traces, naive.Trace(id))
	}
	slices.SortFunc(traces, func(a, b *span.Trace) int { return cmp.Compare(b.Spans[0].StartTime, a.Spans[0].StartTime) })
	first, last := traces[len(traces)-1].Spans[0].StartTime, traces[0].Spans[0].StartTime
	for range n {
		start, end := uint64(0), uint64(0)
		if rng.IntN(2) == 0 {
			start = first + rng.Uint64N(last-first+1)
		}
		if rng.IntN(2) == 0 {
			end = first + rng.Uint64N(last-first+1)
		}
		in := func(from, to uint64) bool { return to >= start && (end == 0 || from <= end) }

		sel := randomSelect(rng, 2)
		limit := rng.IntN(12)
		var want []string
		truncated := false
		for _, trace := range traces {
			summary := storetest.Summarize(trace.Spans)
			if !in(summary.StartTime, summary.EndTime) || !selected(sel, trace.Spans) {
				continue
			}
			if limit > 0 && len(want) == limit {
				truncated = true
				break
			}
			want = append(want, fmt.Sprint(trace.ID, " ", len(trace.Spans), " ", summary.RootName, " ", summary.ErrorCount))
		}
		found, err := db.ScanTraces(t.Context(), &store.TraceScan{
			Select: sel, Start: start, End: end, Limit: limit,
			Judge: func() func(*store.FoundTrace) (any, bool, error) {
				return func(f *store.FoundTrace) (any, bool, error) {
					s := f.Summary()
					return fmt.Sprint(f.ID, " ", len(f.Spans), " ", s.RootName, " ", s.ErrorCount), selected(sel, f.Spans), nil
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range found.Traces {
			got = append(got, f.Value.(string))
		}
		if d := gocmp.Diff(want, got); d != "" || found.Truncated != truncated {
			t.Fatalf("%+v from %d to %d, limit %d (-want +got):\n%s", sel, start, end, limit, d)
		}

		where := randomCond(rng, 2)
		var columns [][]store.FieldRef
		for range rng.IntN(3) {
			column := []store.FieldRef{pickOne(rng, scanFields[:17]...)}
			if rng.IntN(3) == 0 {
				column = append(column, pickOne(rng, scanFields[:17]...))
			}
			columns = append(columns, column)
		}
		want, got = nil, nil
		counted := rng.IntN(2) == 0
		countOf := func(s *span.Span) uint64 {
			if counted {
				return s.Count()
			}
			return 1
		}
		for _, trace := range traces {
			for i := range trace.Spans {
				s := &trace.Spans[i]
				if s.StartTime < start || end != 0 && s.StartTime > end || !where.Fits(s) {
					continue
				}
				values := make([]string, len(columns))
				for j, refs := range columns {
					for _, r := range refs {
						// Match is told the value.
						has := &store.Cond{Op: store.CondTest, Ref: r, Test: &store.Test{Match: func(v span.Value) bool {
							if v.Type() != span.TypeEmpty {
								values[j] = valueText(v)
							}
							return values[j] != ""
						}}}
						if has.Fits(s) {
							break
						}
					}
				}
				want = append(want, scannedSpan(s.StartTime, s.EndTime-s.StartTime, countOf(s), values))
			}
		}
		var mu sync.Mutex
		err = db.ScanSpans(t.Context(), &store.SpanScan{Where: where, Start: start, End: end, Columns: columns, Counts: counted, Visit: func() func(*store.SpanBatch) error {
			return func(b *store.SpanBatch) error {
				mu.Lock()
				defer mu.Unlock()
				for i := range b.Start {
					values := make([]string, len(columns))
					for j := range columns {
						if n := b.Columns[j][i]; n != 0 {
							values[j] = valueText(b.Values[j][n])
						}
					}
					count := uint64(1)
					if len(b.Count) > 0 {
						count = b.Count[i]
					}
					got = append(got, scannedSpan(b.Start[i], b.Duration[i], count, values))
				}
				return nil
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(want)
		slices.Sort(got)
		if d := gocmp.Diff(want, got); d != "" {
			t.Fatalf("spans of %+v, columns %v, from %d to %d (-want +got):\n%s", where, columns, start, end, d)
		}
	}
}

// TestScan scans stores of several segments and a head, whose traces are spread
// over them, with spans that came twice, and the same when merged.
func TestScan(t *testing.T) {
	store.SetUnitBlocks(t, 1)
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 11))
		dir, naive := t.TempDir(), &storetest.Naive{}
		options := store.Options{HeadSpans: 20 << rng.IntN(6)}
		traces := 80
		if seed%3 == 0 {
			options.HeadSpans, traces = 4000, 300
		}
		db := openDir(t, dir, options)
		spans := storetest.Varied(rng, traces)
		for len(spans) > 0 {
			n := min(1+rng.IntN(80), len(spans))
			naive.Append(spans[:n])
			if err := db.Append(t.Context(), &span.Batch{Spans: append([]span.Span{}, spans[:n]...)}); err != nil {
				t.Fatal(err)
			}
			spans = spans[n:]
			if rng.IntN(traces/5) == 0 {
				compareScans(t, rng, db, naive, 5)
			}
		}
		compareScans(t, rng, db, naive, 40)
		t.Logf("%d segments, %d merged, %d spans in the head", db.Stats().Segments, db.Stats().Compacted, db.Stats().HeadSpans)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		db = openDir(t, dir, options)
		compareScans(t, rng, db, naive, 40)
	}
}

// TestScanEnds ends scans by their context, by what Judge or Visit say, and by too
// many values.
func TestScanEnds(t *testing.T) {
	db := open(t, store.Options{HeadSpans: 2000})
	l := newLoad(1)
	for range 20 {
		if err := db.Append(t.Context(), l.batch(500)); err != nil {
			t.Fatal(err)
		}
	}
	stop := errors.New("stop")
	ctx, cancel := context.WithCancel(t.Context())
	_, err := db.ScanTraces(ctx, &store.TraceScan{Select: &store.Select{}, Judge: func() func(*store.FoundTrace) (any, bool, error) {
		return func(*store.FoundTrace) (any, bool, error) {
			cancel()
			return nil, true, nil
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := db.ScanSpans(ctx, &store.SpanScan{Where: &store.Cond{}, Visit: func() func(*store.SpanBatch) error {
		return func(*store.SpanBatch) error { return nil }
	}}); !errors.Is(err, context.Canceled) {
		t.Errorf("spans, cancelled: %v", err)
	}
	_, err = db.ScanTraces(t.Context(), &store.TraceScan{Select: &store.Select{}, Judge: func() func(*store.FoundTrace) (any, bool, error) {
		return func(*store.FoundTrace) (any, bool, error) { return nil, false, stop }
	}})
	if !errors.Is(err, stop) {
		t.Errorf("stopped by judge: %v", err)
	}
	if err := db.ScanSpans(t.Context(), &store.SpanScan{Where: &store.Cond{}, Visit: func() func(*store.SpanBatch) error {
		return func(*store.SpanBatch) error { return stop }
	}}); !errors.Is(err, stop) {
		t.Errorf("stopped by visit: %v", err)
	}
	if err := db.ScanSpans(t.Context(), &store.SpanScan{
		Where: &store.Cond{}, Columns: [][]store.FieldRef{{{Field: store.SpanDuration}}}, MaxValues: 10,
		Visit: func() func(*store.SpanBatch) error { return func(*store.SpanBatch) error { return nil } },
	}); !errors.Is(err, store.ErrTooManyValues) {
		t.Errorf("too many values: %v", err)
	}
}
