package query

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
	"github.com/throughline/throughline/backend/traceql"
)

// TagNames asks for the names of attributes.
type TagNames struct {
	// Query, unless nil, is a filter of spans: its first stage. What is there on
	// their events and links is taken from all that were stored with theirs.
	Query *traceql.Query
	// Start and End are the range of unix nanoseconds that spans start in; an End
	// of 0 is no bound. It is widened by some spans.
	Start, End uint64
}

// TagNames lists the names of attributes.
func (e *Engine) TagNames(ctx context.Context, t TagNames) (keys store.Keys, err error) {
	err = e.limited(ctx, func(ctx context.Context) error {
		where, _ := filter(t.Query)
		keys, err = e.db.AttributeKeys(ctx, where, t.Start, t.End)
		return err
	})
	return keys, err
}

// filter is what a query demands of each span that it selects.
func filter(q *traceql.Query) (where *store.Cond, exact bool) {
	if q == nil {
		return all, true
	}
	c := q.Conditions()
	where, exact = condition(&c.Spans)
	return where, exact && c.Exact
}

// TagValues asks for the values of an attribute.
type TagValues struct {
	Attribute traceql.Attribute
	// Query, unless nil, selects the spans whose values are listed.
	Query *traceql.Query
	// Start and End are the range of unix nanoseconds that spans start in; an End
	// of 0 is no bound.
	Start, End uint64
	// Limit is how many values are returned at most; 0 is the greatest limit, that
	// of the engine's options.
	Limit int
}

// Values is the values of an attribute.
type Values struct {
	List      []traceql.Value // in order
	Truncated bool            // there are more than the limit
}

// errEnough ends a scan that has all values it wants.
var errEnough = errors.New("enough")

// TagValues lists the distinct values of an attribute: those that a query can
// compare it with, which are the elements of an array.
func (e *Engine) TagValues(ctx context.Context, t TagValues) (Values, error) {
	if t.Limit <= 0 || t.Limit > e.options.MaxValues {
		t.Limit = e.options.MaxValues
	}
	v := &valueScan{TagValues: t, most: e.options.MaxBytes}
	v.begin()
	err := e.limited(ctx, func(ctx context.Context) error {
		a, where := t.Attribute, all
		switch a.Intrinsic {
		case traceql.IntrinsicRootName, traceql.IntrinsicRootService:
			if t.Query != nil {
				return v.traces(ctx, e.db)
			}
			// Those of all traces are what roots have.
			where = roots(true)
			if a.Intrinsic == traceql.IntrinsicRootName {
				a = traceql.Attribute{Intrinsic: traceql.IntrinsicName}
			} else {
				a = traceql.Attribute{Scope: traceql.ScopeResource, Name: "service.name"}
			}
		case traceql.IntrinsicTraceID, traceql.IntrinsicSpanID, traceql.IntrinsicParentID, traceql.IntrinsicParent,
			traceql.IntrinsicDuration, traceql.IntrinsicTraceDuration, traceql.IntrinsicNestedSetLeft,
			traceql.IntrinsicNestedSetRight, traceql.IntrinsicNestedSetParent, traceql.IntrinsicChildCount,
			traceql.IntrinsicEventTimeSinceStart, traceql.IntrinsicLinkTraceID, traceql.IntrinsicLinkSpanID:
			return nil // as many as there are spans
		}
		c, ok := columnOf(a)
		if by, exact := filter(t.Query); ok && exact {
			return v.columns(ctx, e.db, and(where, by), c)
		}
		return v.traces(ctx, e.db)
	})
	if err != nil && !errors.Is(err, errEnough) {
		return Values{}, err
	}
	out := Values{Truncated: err != nil}
	for _, value := range v.values {
		out.List = append(out.List, value)
	}
	slices.SortFunc(out.List, func(a, b traceql.Value) int {
		if x, ok := a.Number(); ok {
			if y, ok := b.Number(); ok {
				return cmp.Compare(x, y)
			}
		}
		return cmp.Or(cmp.Compare(a.Type(), b.Type()), strings.Compare(a.Text(), b.Text()))
	})
	if len(out.List) > t.Limit {
		out.List, out.Truncated = out.List[:t.Limit], true
	}
	return out, nil
}

// valueScan is a TagValues under way.
type valueScan struct {
	TagValues
	most int64 // bytes

	mu     sync.Mutex
	values map[string]traceql.Value // by type and text
	bytes  int64
}

func (v *valueScan) begin() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.values, v.bytes = map[string]traceql.Value{}, 0
}

// add takes a value, or the elements of an array; it is errEnough when there are more than wanted.
func (v *valueScan) add(value traceql.Value) error {
	if value.Type() == traceql.TypeList {
		for _, element := range value.List() {
			if err := v.add(traceql.ValueOf(element)); err != nil {
				return err
			}
		}
		return nil
	}
	if value.IsNil() || value.Equal(traceql.StringValue("")) && v.ofService() {
		return nil
	}
	key := value.Type().String() + ":" + value.Text()
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, ok := v.values[key]; ok {
		return nil
	}
	v.values[key] = value.Clone()
	if v.bytes += int64(2*len(key)) + 128; len(v.values) > v.Limit || v.bytes > v.most {
		return errEnough
	}
	return nil
}

// ofService says whether the values are names of services, of which the empty one
// is that of resources without a name.
func (v *valueScan) ofService() bool {
	a := v.Attribute
	return a.Intrinsic == traceql.IntrinsicRootService || a.Scope == traceql.ScopeResource && !a.Parent && a.Name == "service.name"
}

// columns reads the values from columns.
func (v *valueScan) columns(ctx context.Context, db *store.DB, where *store.Cond, c column) error {
	err := db.ScanSpans(ctx, &store.SpanScan{
		Where: where, Start: v.Start, End: v.End, Columns: [][]store.FieldRef{c.refs}, MaxValues: v.Limit + 4096, Begin: v.begin,
		Visit: func() func(*store.SpanBatch) error {
			known := 1
			return func(b *store.SpanBatch) error {
				for ; known < len(b.Values[0]); known++ {
					if err := v.add(c.value(b.Values[0][known])); err != nil {
						return err
					}
				}
				return nil
			}
		},
	})
	if errors.Is(err, store.ErrTooManyValues) {
		return errEnough
	}
	return err
}

// traces has the evaluator look at traces.
func (v *valueScan) traces(ctx context.Context, db *store.DB) error {
	q := v.Query
	if q == nil {
		q = &traceql.Query{Pipeline: &traceql.Pipeline{Stages: []traceql.Stage{&traceql.SpansetFilter{}}}}
	}
	// What by() groups by is the values.
	by := &traceql.GroupBy{Expr: &traceql.Field{Attribute: v.Attribute}}
	pipeline := &traceql.Pipeline{Stages: append(slices.Clip(q.Pipeline.Stages), by)}
	program := traceql.Compile(&traceql.Query{Pipeline: pipeline})
	number := slices.Index(program.Attributes(), v.Attribute)
	_, err := db.ScanTraces(ctx, &store.TraceScan{
		Select: selection(q.Pipeline), IDs: onlyTraces(q), Start: v.Start, End: v.End, Project: projection(program), Begin: v.begin,
		Judge: func() func(*store.FoundTrace) (any, bool, error) {
			evaluator, view := program.NewEvaluator(), traceql.NewView(program)
			var values []traceql.Value
			return func(t *store.FoundTrace) (any, bool, error) {
				for _, set := range evaluator.Search(view.Reset(&t.Trace)) {
					for _, i := range set.Spans {
						if at := t.Spans[i].StartTime; at < v.Start || v.End != 0 && at > v.End {
							continue
						}
						if number < 0 || v.Attribute.Multiple() == traceql.ScopeNone {
							if err := v.add(set.Attributes[len(set.Attributes)-1].Value); err != nil {
								return nil, false, err
							}
							break // all spans of a set have the same
						}
						values = view.AppendValues(values[:0], int(i), number)
						for _, value := range values {
							if err := v.add(value); err != nil {
								return nil, false, err
							}
						}
					}
				}
				return nil, false, nil
			}
		},
	})
	return err
}

// Trace returns all that is held of one trace, with its summary, or
// store.ErrNotFound.
func (e *Engine) Trace(ctx context.Context, id span.TraceID) (t *span.Trace, summary span.Summary, err error) {
	err = e.limited(ctx, func(ctx context.Context) error {
		t, summary, err = e.db.Trace(ctx, id)
		return err
	})
	return t, summary, err
}
