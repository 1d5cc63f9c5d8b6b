package query

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
	"github.com/throughline/throughline/backend/traceql"
)

// Metrics is a query for time series.
type Metrics struct {
	Query *traceql.Query
	Range traceql.Range // Step 0 is an instant query
	// Exemplars is how many spans are named as examples at most, none when 0.
	Exemplars int
	// Weighted counts sampled spans as many times as spans like them were made.
	Weighted bool
}

// Series is the answer to a query for time series.
type Series struct {
	List  []traceql.Series // by their labels
	Stats Stats
}

// Metrics makes time series.
func (e *Engine) Metrics(ctx context.Context, m Metrics) (series Series, err error) {
	if m.Query.Metrics == nil {
		return Series{}, ErrNotMetrics
	}
	r := &metricsRun{
		engine: e, program: traceql.Compile(m.Query), span: m.Range,
		options: traceql.MetricsOptions{MaxSeries: e.options.MaxSeries, MaxBytes: e.options.MaxBytes, MaxExemplars: m.Exemplars, Weighted: m.Weighted},
	}
	first, err := r.program.NewAccumulator(m.Range, r.options)
	if err != nil {
		return Series{}, err
	}
	r.from, r.to = first.Bounds()
	err = e.limited(ctx, func(ctx context.Context) error {
		where, columns, ok := r.columns(m)
		if ok {
			return r.spans(ctx, where, columns)
		}
		return r.traces(ctx)
	})
	if err != nil {
		return Series{}, err
	}
	for _, a := range r.parts {
		if err := first.Merge(a); err != nil {
			return Series{}, err
		}
	}
	return Series{List: first.Result(), Stats: r.stats}, nil
}

// metricsRun is a query for time series under way.
type metricsRun struct {
	engine   *Engine
	program  *traceql.Program
	span     traceql.Range
	options  traceql.MetricsOptions
	from, to uint64           // starts of spans that count
	number   []store.FieldRef // the function's attribute, nil when that is the duration or none
	stats    Stats

	mu    sync.Mutex
	parts []*traceql.Accumulator // one for each goroutine
}

func (r *metricsRun) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.parts = nil
}

// part makes the accumulator of a goroutine.
func (r *metricsRun) part() (*traceql.Accumulator, error) {
	a, err := r.program.NewAccumulator(r.span, r.options)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.parts = append(r.parts, a)
	return a, nil
}

// traces has the evaluator look at every trace that the query may select of.
func (r *metricsRun) traces(ctx context.Context) error {
	q, project := r.program.Query(), r.projection()
	// It looks at all attributes, but only of spans that are selected.
	loads := q.Metrics.Func == traceql.Compare && !project.Everything
	result, err := r.engine.db.ScanTraces(ctx, &store.TraceScan{
		Select: selection(q.Pipeline), IDs: onlyTraces(q), Start: r.from, End: r.to,
		Project: project, Detail: store.Projection{AllAttributes: true, StatusMessage: true, TraceState: project.TraceState}, Begin: r.begin,
		Judge: func() func(*store.FoundTrace) (any, bool, error) {
			a, err := r.part()
			evaluator, view := r.program.NewEvaluator(), traceql.NewView(r.program)
			return func(t *store.FoundTrace) (any, bool, error) {
				if err != nil {
					return nil, false, err
				}
				if loads {
					for _, set := range evaluator.Search(view.Reset(&t.Trace)) {
						for _, i := range set.Spans {
							t.Load(int(i))
						}
					}
				}
				return nil, false, a.Observe(evaluator, view.Reset(&t.Trace))
			}
		},
	})
	r.stats = Stats{result.Judged, result.Spans}
	return err
}

func (r *metricsRun) projection() store.Projection {
	p := projection(r.program)
	p.TraceState = r.options.Weighted // which has the weights
	return p
}

// column is the values of an attribute as columns of the store.
type column struct {
	refs  []store.FieldRef
	value func(span.Value) traceql.Value
}

// columnOf says which fields an attribute's values are in; it is false when they
// are in none, or a span may have several.
func columnOf(a traceql.Attribute) (column, bool) {
	of := func(value func(span.Value) traceql.Value, refs ...store.FieldRef) (column, bool) {
		return column{refs, value}, true
	}
	switch {
	case a.Parent || a.Multiple() != traceql.ScopeNone:
	case a.Intrinsic == traceql.IntrinsicNone:
		onSpan := store.FieldRef{Field: store.SpanAttribute, Key: a.Name}
		onResource := store.FieldRef{Field: store.ResourceAttribute, Key: a.Name}
		switch a.Scope {
		case traceql.ScopeNone:
			return of(traceql.ValueOf, onSpan, onResource)
		case traceql.ScopeSpan:
			return of(traceql.ValueOf, onSpan)
		case traceql.ScopeResource:
			return of(traceql.ValueOf, onResource)
		case traceql.ScopeInstrumentation:
			return of(traceql.ValueOf, store.FieldRef{Field: store.ScopeAttribute, Key: a.Name})
		}
	case a.Intrinsic == traceql.IntrinsicName:
		return of(traceql.ValueOf, store.FieldRef{Field: store.SpanName})
	case a.Intrinsic == traceql.IntrinsicStatusMessage:
		return of(traceql.ValueOf, store.FieldRef{Field: store.StatusMessage})
	case a.Intrinsic == traceql.IntrinsicInstrumentationName:
		return of(traceql.ValueOf, store.FieldRef{Field: store.ScopeName})
	case a.Intrinsic == traceql.IntrinsicInstrumentationVersion:
		return of(traceql.ValueOf, store.FieldRef{Field: store.ScopeVersion})
	case a.Intrinsic == traceql.IntrinsicStatus:
		return of(statusValue, store.FieldRef{Field: store.SpanStatus})
	case a.Intrinsic == traceql.IntrinsicKind:
		return of(kindValue, store.FieldRef{Field: store.SpanKind})
	}
	return column{}, false
}

// columns says how to count the spans of a query from columns alone; it is false
// when the query needs whole traces.
func (r *metricsRun) columns(m Metrics) (where *store.Cond, columns []column, ok bool) {
	q := m.Query
	conditions := q.Conditions()
	if !conditions.Exact || len(q.Metrics.By) > maxBy || q.Metrics.Func == traceql.Compare {
		return nil, nil, false
	}
	where, exact := condition(&conditions.Spans)
	if !exact {
		return nil, nil, false
	}
	for i := range q.Metrics.By {
		c, ok := columnOf(q.Metrics.By[i].Attribute)
		if !ok {
			return nil, nil, false
		}
		columns = append(columns, c)
	}
	if f := q.Metrics.Field; f != nil && f.Intrinsic != traceql.IntrinsicDuration {
		c, ok := columnOf(f.Attribute)
		if !ok || q.Metrics.Func == traceql.HistogramOverTime {
			return nil, nil, false // which tells integers from floats
		}
		r.number = c.refs
	}
	return where, columns, true
}

// spans counts spans from columns.
func (r *metricsRun) spans(ctx context.Context, where *store.Cond, columns []column) error {
	scan := &store.SpanScan{Where: where, Start: r.from, End: r.to, Number: r.number, Counts: r.options.Weighted, MaxValues: r.engine.options.MaxValues, Begin: r.begin}
	for _, c := range columns {
		scan.Columns = append(scan.Columns, c.refs)
	}
	scan.Visit = func() func(*store.SpanBatch) error {
		a, err := r.part()
		if err != nil {
			return func(*store.SpanBatch) error { return err }
		}
		f := r.program.Query().Metrics.Field
		return (&columnCount{accumulator: a, columns: columns, duration: f != nil && r.number == nil, number: r.number != nil}).visit
	}
	return r.engine.db.ScanSpans(ctx, scan)
}

// columnCount counts the spans that one goroutine visits.
type columnCount struct {
	accumulator      *traceql.Accumulator
	columns          []column // of by()
	duration, number bool     // what the function's attribute is

	one    *traceql.Group
	dense  []*traceql.Group // by the number of the only by() value
	groups map[[maxBy]uint32]*traceql.Group
	labels []traceql.Value
}

// maxBy is how many attributes by() may have to be counted from columns.
const maxBy = 5

func (c *columnCount) visit(b *store.SpanBatch) error {
	for i, start := range b.Start {
		value := math.NaN()
		switch {
		case c.duration:
			d := time.Duration(b.Duration[i])
			if d < 2 && !c.accumulator.Takes(traceql.DurationValue(d)) {
				continue
			}
			value = float64(d)
		case c.number:
			if !b.IsNumber[i] {
				continue
			}
			value = b.Number[i]
		}
		g, err := c.group(b, i)
		if err != nil {
			return err
		}
		weight := 1.0
		if len(b.Count) > 0 {
			weight = float64(b.Count[i])
		}
		if c.accumulator.Add(g, start, value, weight) {
			trace, id := b.IDs(i)
			c.accumulator.AddExemplar(g, traceql.Exemplar{TraceID: trace, SpanID: id, Time: start, Value: value})
		}
	}
	return c.accumulator.Bounded()
}

// group finds the group of span i by its by() values.
func (c *columnCount) group(b *store.SpanBatch, i int) (g *traceql.Group, err error) {
	switch len(c.columns) {
	case 0:
		if c.one == nil {
			c.one, err = c.accumulator.Group(nil)
		}
		return c.one, err
	case 1:
		n := b.Columns[0][i]
		if int(n) < len(c.dense) {
			if g = c.dense[n]; g != nil {
				return g, nil
			}
		} else {
			c.dense = append(c.dense, make([]*traceql.Group, len(b.Values[0])-len(c.dense))...)
		}
		g, err = c.newGroup(b, i)
		c.dense[n] = g
		return g, err
	}
	var key [maxBy]uint32
	for k := range c.columns {
		key[k] = b.Columns[k][i]
	}
	if g = c.groups[key]; g == nil {
		if c.groups == nil {
			c.groups = map[[maxBy]uint32]*traceql.Group{}
		}
		g, err = c.newGroup(b, i)
		c.groups[key] = g
	}
	return g, err
}

func (c *columnCount) newGroup(b *store.SpanBatch, i int) (*traceql.Group, error) {
	c.labels = c.labels[:0]
	for k := range c.columns {
		v := traceql.Nil
		if n := b.Columns[k][i]; n != 0 {
			v = c.columns[k].value(b.Values[k][n])
		}
		c.labels = append(c.labels, v)
	}
	return c.accumulator.Group(c.labels)
}
