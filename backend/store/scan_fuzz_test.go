package store

import (
	"context"
	"strings"

	"github.com/throughline/throughline/backend/span"
)

// runScans runs scans that read every kind of column of someSpans in every way.
func runScans(ctx context.Context, ask func(func(r *reading) error)) {
	var conds []*Cond
	word := "x"
	for _, r := range []FieldRef{
		{SpanAttribute, "few"},
		{SpanAttribute, "word"},
		{SpanAttribute, "long"},
		{SpanAttribute, "many"},
		{SpanAttribute, "float"},
		{EventAttribute, "k"},
		{EventName, ""},
		{LinkAttribute, "n"},
		{StatusMessage, ""},
		{SpanDuration, ""},
		{SpanRoot, ""},
		{SpanName, ""},
		{SpanKind, ""},
		{ResourceAttribute, "service.name"},
		{ScopeAttribute, "a"},
		{ScopeName, ""},
		{SpanAttribute, strings.Repeat("k", 300)},
	} {
		for _, t := range []*Test{
			{Match: func(v span.Value) bool { return len(v.Text())%2 == 0 }, Missing: true},
			{Match: func(v span.Value) bool { return v.Str() == word }, Text: &word},
			{Match: func(v span.Value) bool { return strings.Contains(v.Str(), word) }, Literal: word},
			{Match: func(v span.Value) bool { return v.Int() > 2 }, Range: &[2]int64{3, 1 << 62}},
		} {
			conds = append(conds, &Cond{Op: CondTest, Ref: r, Test: t})
		}
	}
	var columns [][]FieldRef
	for _, c := range conds {
		if f := c.Ref.Field; f != EventAttribute && f != LinkAttribute && f != EventName {
			columns = append(columns, []FieldRef{c.Ref})
		}
	}
	judge := func() func(*FoundTrace) (any, bool, error) {
		return func(t *FoundTrace) (any, bool, error) { return t.Summary(), len(t.Spans) > 1, nil }
	}
	visit := func() func(*SpanBatch) error {
		return func(b *SpanBatch) error {
			if len(b.Start) > 0 {
				b.IDs(0)
			}
			return nil
		}
	}
	for i, c := range conds {
		s := &Select{Right: c}
		if i%2 == 0 {
			s.Left, s.Relation = conds[(i*7+3)%len(conds)], Relation(i%5)
		}
		ask(func(r *reading) error {
			_, err := r.scanTraces(ctx, &TraceScan{Select: s, Limit: 3, Judge: judge, Project: Projection{Everything: i%3 == 0, TraceState: true}})
			return err
		})
		if i%4 == 0 {
			ask(func(r *reading) error {
				return r.scanSpans(ctx, &SpanScan{Where: c, Number: []FieldRef{c.Ref}, Visit: visit})
			})
			ask(func(r *reading) error {
				_, err := r.attributeKeys(ctx, c, 0, 0)
				return err
			})
		}
	}
	ask(func(r *reading) error {
		return r.scanSpans(ctx, &SpanScan{Where: &Cond{}, Columns: columns, Counts: true, Visit: visit})
	})
}
