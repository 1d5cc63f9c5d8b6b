package query

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
	"github.com/throughline/throughline/backend/traceql"
)

// What a search returns when it is not told.
const (
	DefaultLimit           = 20
	DefaultSpansPerSpanset = 3
)

// Search is a search for traces.
type Search struct {
	Query *traceql.Query
	// Start and End are the range of unix nanoseconds that a trace overlaps, both
	// included; 0 is no bound.
	Start, End uint64
	// Limit is how many traces are returned at most, DefaultLimit when 0.
	Limit int
	// SpansPerSpanset is how many spans of each spanset are returned at most,
	// DefaultSpansPerSpanset when 0.
	SpansPerSpanset int
}

// Trace is a trace that a search found.
type Trace struct {
	span.Summary
	Spansets []Spanset // at least one
}

// Spanset is some spans of a trace that the query selects together.
type Spanset struct {
	Matched    int             // spans
	Attributes []traceql.Named // what by() grouped by and what scalars had which values
	Spans      []Span          // the first ones by start
}

// Span is a span in an answer.
type Span struct {
	ID         span.SpanID
	Name       string
	Start      uint64 // unix nanoseconds
	Duration   time.Duration
	Attributes []traceql.Named // what the query asks about, as far as the span has it
}

// Found is the answer to a search.
type Found struct {
	Traces    []Trace // the newest start first
	Truncated bool    // there are more than the limit
	Stats     Stats
}

// Search finds traces.
func (e *Engine) Search(ctx context.Context, s Search) (found Found, err error) {
	if s.Query.Metrics != nil {
		return Found{}, ErrNotSearch
	}
	if s.Limit <= 0 {
		s.Limit = DefaultLimit
	}
	if s.SpansPerSpanset <= 0 {
		s.SpansPerSpanset = DefaultSpansPerSpanset
	}
	s.Limit, s.SpansPerSpanset = min(s.Limit, e.options.MaxTraces), min(s.SpansPerSpanset, e.options.MaxSpans)
	program := traceql.Compile(s.Query)
	var size atomic.Int64
	scan := &store.TraceScan{
		Select: selection(s.Query.Pipeline), IDs: onlyTraces(s.Query), Start: s.Start, End: s.End, Limit: s.Limit, Project: projection(program),
		Begin: func() { size.Store(0) },
		Judge: func() func(*store.FoundTrace) (any, bool, error) {
			evaluator, view := program.NewEvaluator(), traceql.NewView(program)
			return func(t *store.FoundTrace) (any, bool, error) {
				sets := evaluator.Search(view.Reset(&t.Trace))
				if len(sets) == 0 {
					return nil, false, nil
				}
				out := &foundTrace{trace: Trace{Summary: t.Summary()}, size: 1024}
				for _, set := range sets {
					out.add(evaluator, &t.Trace, set, s.SpansPerSpanset)
				}
				if size.Add(out.size) > e.options.MaxBytes {
					return nil, false, e.tooLarge()
				}
				return out, true, nil
			}
		},
		Drop: func(v any) { size.Add(-v.(*foundTrace).size) },
	}
	err = e.limited(ctx, func(ctx context.Context) error {
		result, err := e.db.ScanTraces(ctx, scan)
		found = Found{Traces: make([]Trace, len(result.Traces)), Truncated: result.Truncated, Stats: Stats{result.Judged, result.Spans}}
		for i, t := range result.Traces {
			found.Traces[i] = t.Value.(*foundTrace).trace
		}
		return err
	})
	if err != nil {
		return Found{}, err
	}
	return found, nil
}

// foundTrace is a trace with about the memory that it takes.
type foundTrace struct {
	trace Trace
	size  int64
}

// add copies a spanset: what it is made of does not stay.
func (f *foundTrace) add(e *traceql.Evaluator, t *span.Trace, set traceql.Spanset, most int) {
	out := Spanset{Matched: len(set.Spans), Attributes: f.copy(set.Attributes)}
	var shown []traceql.Named
	for _, i := range set.Spans[:min(most, len(set.Spans))] {
		s := &t.Spans[i]
		shown = e.Shown(shown[:0], int(i))
		out.Spans = append(out.Spans, Span{
			ID: s.SpanID, Name: strings.Clone(s.Name), Start: s.StartTime, Duration: s.Duration(), Attributes: f.copy(shown),
		})
		f.size += 128 + int64(len(s.Name))
	}
	f.trace.Spansets = append(f.trace.Spansets, out)
	f.size += 128
}

func (f *foundTrace) copy(from []traceql.Named) []traceql.Named {
	if len(from) == 0 {
		return nil
	}
	out := make([]traceql.Named, len(from))
	for i, n := range from {
		out[i] = traceql.Named{Name: n.Name, Value: n.Value.Clone()}
		f.size += 96 + int64(len(n.Value.Text()))
	}
	return out
}

// onlyTraces is the traces that a query asks for by their ids, nil when it asks for
// any.
func onlyTraces(q *traceql.Query) []span.TraceID {
	var need func(*traceql.Need) []span.TraceID
	var of func(*traceql.Predicate) []span.TraceID
	of = func(p *traceql.Predicate) []span.TraceID {
		switch c := &p.Condition; p.Kind {
		case traceql.PredicateCondition:
			if c.Attribute.Intrinsic == traceql.IntrinsicTraceID && c.Op == traceql.OpEqual {
				id, err := span.ParseTraceID(c.Value.Str())
				if err != nil {
					return []span.TraceID{}
				}
				return []span.TraceID{id}
			}
		case traceql.PredicateAnd:
			for i := range p.Parts {
				if ids := of(&p.Parts[i]); ids != nil {
					return ids
				}
			}
		}
		return nil
	}
	need = func(n *traceql.Need) []span.TraceID {
		switch n.Kind {
		case traceql.NeedSpan:
			return of(&n.Span)
		case traceql.NeedAll:
			for i := range n.Parts {
				if ids := need(&n.Parts[i]); ids != nil {
					return ids
				}
			}
		}
		return nil
	}
	c := q.Conditions()
	return need(&c.Need)
}
