package client

import (
	"context"
	"strconv"
	"time"

	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/traceql"
)

// judgedTraces is how many traces of a service are asked for, at the least, when
// they still have to be judged here.
const judgedTraces = 200

// byTraceQL answers a TraceQL query for a server that does not know the language:
// what its own search can say is asked of it, and each trace that it returns is
// judged here. Of a service with more such traces than are asked for, the answer
// says that it is not whole.
func (j *jaeger) byTraceQL(ctx context.Context, q Query) (Found, error) {
	parsed, err := traceql.Parse(q.TraceQL)
	if err != nil {
		return Found{}, err
	}
	if parsed.Metrics != nil {
		return Found{}, &UnsupportedError{KindJaeger, "metrics by TraceQL"}
	}
	f := pushedDown(parsed.Conditions().Need)
	services, err := j.named(ctx, f.Service)
	if err != nil {
		return Found{}, err
	}
	program := traceql.Compile(parsed)
	evaluator, view := program.NewEvaluator(), traceql.NewView(program)
	depth := max(judgedTraces, q.Limit+1)
	var found Found
	seen := map[span.TraceID]bool{}
	for _, service := range services {
		f.Service = service
		query, err := f.jaegerQuery(q, depth)
		if err != nil {
			return Found{}, err
		}
		spans, err := j.spans(ctx, "api/v3/traces", query)
		if err != nil {
			return Found{}, err
		}
		list := traces(spans)
		found.Truncated = found.Truncated || len(list) >= depth
		for i := range list {
			t := &list[i]
			if seen[t.ID] {
				continue
			}
			seen[t.ID] = true
			if sets := evaluator.Search(view.Reset(t)); len(sets) > 0 {
				found.Traces = append(found.Traces, judged(t, sets, evaluator, q.Spans))
			}
		}
	}
	found.newestFirst(q.Limit)
	return found, nil
}

// judged is a trace with the spans that the query selects.
func judged(t *span.Trace, sets []traceql.Spanset, e *traceql.Evaluator, most int) Match {
	m := Match{Summary: Summarize(t)}
	var shown []traceql.Named
	told := map[int32]bool{}
	for _, set := range sets {
		m.Matched += len(set.Spans)
		for _, n := range set.Spans {
			if len(m.Spans) == most || told[n] {
				continue
			}
			told[n] = true
			s := &t.Spans[n]
			one := SpanMatch{SpanID: s.SpanID, Name: s.Name, StartTime: s.StartTime, Duration: s.Duration()}
			shown = e.Shown(shown[:0], int(n))
			for _, a := range shown {
				one.Attributes = append(one.Attributes, span.Attribute{Key: a.Name, Value: attributeOf(a.Value)})
			}
			m.Spans = append(m.Spans, one)
		}
	}
	return m
}

func attributeOf(v traceql.Value) span.Value {
	switch v.Type() {
	case traceql.TypeInt:
		return span.Int(v.Int())
	case traceql.TypeBool:
		return span.Bool(v.Bool())
	case traceql.TypeFloat:
		if f, ok := v.Number(); ok {
			return span.Float(f)
		}
	}
	return span.String(v.Text())
}

// pushedDown is what a trace must have of one span, as far as Jaeger's search can
// say it; every trace that the query matches passes it.
func pushedDown(need traceql.Need) Filter {
	var best Filter
	var visit func(traceql.Need)
	visit = func(n traceql.Need) {
		switch n.Kind {
		case traceql.NeedSpan:
			f := Filter{}
			f.require(n.Span)
			// A search by service is the cheapest, and one filter is all there is.
			if best.TraceQL() == "{}" || best.Service == "" && f.Service != "" {
				best = f
			}
		case traceql.NeedAll:
			for _, part := range n.Parts {
				visit(part)
			}
		}
	}
	visit(need)
	return best
}

// require adds the conditions that all have to hold.
func (f *Filter) require(p traceql.Predicate) {
	switch p.Kind {
	case traceql.PredicateAnd:
		for _, part := range p.Parts {
			f.require(part)
		}
	case traceql.PredicateCondition:
		f.requireOne(&p.Condition)
	}
}

func (f *Filter) requireOne(c *traceql.Condition) {
	a := c.Attribute
	if a.Parent || c.Value.IsNil() {
		return
	}
	switch {
	case a.Intrinsic == traceql.IntrinsicDuration:
		f.requireDuration(c)
	case c.Op != traceql.OpEqual:
	case a.Intrinsic == traceql.IntrinsicName && c.Value.Type() == traceql.TypeString && c.Value.Str() != "":
		f.Name = c.Value.Str()
	case a.Intrinsic == traceql.IntrinsicStatus && c.Value.Equal(traceql.StatusValue(span.StatusError)):
		f.Status = span.StatusError
	case a.Intrinsic != traceql.IntrinsicNone:
	case a.Name == "service.name" && (a.Scope == traceql.ScopeResource || a.Scope == traceql.ScopeNone):
		// Jaeger has names of its own for services that have none.
		if c.Value.Type() == traceql.TypeString && c.Value.Str() != "" && a.Scope == traceql.ScopeResource {
			f.Service = c.Value.Str()
		}
	case a.Scope == traceql.ScopeSpan || a.Scope == traceql.ScopeNone:
		switch c.Value.Type() {
		case traceql.TypeString, traceql.TypeBool:
			f.Attributes = append(f.Attributes, AttributeFilter{a.Name, c.Value.Text()})
		case traceql.TypeInt:
			f.Attributes = append(f.Attributes, AttributeFilter{a.Name, strconv.FormatInt(c.Value.Int(), 10)})
		}
	}
}

// requireDuration bounds the duration; Jaeger has microseconds.
func (f *Filter) requireDuration(c *traceql.Condition) {
	n, ok := c.Value.Number()
	if c.Value.Type() != traceql.TypeDuration || !ok {
		return
	}
	d := time.Duration(n)
	switch c.Op {
	case traceql.OpGreater, traceql.OpGreaterEqual:
		f.MinDuration = max(f.MinDuration, d.Truncate(time.Microsecond))
	case traceql.OpLess, traceql.OpLessEqual:
		if up := d.Truncate(time.Microsecond) + time.Microsecond; f.MaxDuration == 0 || up < f.MaxDuration {
			f.MaxDuration = up
		}
	}
}
