package query

import (
	"math"
	"time"

	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
	"github.com/throughline/throughline/backend/traceql"
)

// all holds for every span.
var all = &store.Cond{}

func and(of ...*store.Cond) *store.Cond { return &store.Cond{Op: store.CondAnd, Of: of} }
func or(of ...*store.Cond) *store.Cond  { return &store.Cond{Op: store.CondOr, Of: of} }

func test(field store.Field, key string, t *store.Test) *store.Cond {
	return &store.Cond{Op: store.CondTest, Ref: store.FieldRef{Field: field, Key: key}, Test: t}
}

// condition is a predicate for the store: it holds for every span for which the
// predicate does; exact says that it holds for no other.
func condition(p *traceql.Predicate) (c *store.Cond, exact bool) {
	switch p.Kind {
	case traceql.PredicateTrue:
		return all, true
	case traceql.PredicateFalse:
		return &store.Cond{Op: store.CondNot, Of: []*store.Cond{all}}, true
	case traceql.PredicateCondition:
		return comparison(&p.Condition)
	}
	c, exact = &store.Cond{Op: store.CondAnd}, true
	if p.Kind == traceql.PredicateOr {
		c.Op = store.CondOr
	}
	for i := range p.Parts {
		of, ok := condition(&p.Parts[i])
		c.Of, exact = append(c.Of, of), exact && ok
	}
	return c, exact
}

// comparison is a condition for the store.
func comparison(c *traceql.Condition) (cond *store.Cond, exact bool) {
	a := &c.Attribute
	if a.Parent {
		return all, false
	}
	if a.Multiple() != traceql.ScopeNone {
		return multiple(c)
	}
	of := func(field store.Field, key string, value func(span.Value) traceql.Value) (*store.Cond, bool) {
		return test(field, key, newTest(c, value)), true
	}
	switch a.Intrinsic {
	case traceql.IntrinsicNone:
		switch a.Scope {
		case traceql.ScopeSpan:
			return of(store.SpanAttribute, a.Name, traceql.ValueOf)
		case traceql.ScopeResource:
			return of(store.ResourceAttribute, a.Name, traceql.ValueOf)
		case traceql.ScopeInstrumentation:
			return of(store.ScopeAttribute, a.Name, traceql.ValueOf)
		case traceql.ScopeNone:
			return unscoped(c), true
		}
	case traceql.IntrinsicName:
		return of(store.SpanName, "", traceql.ValueOf)
	case traceql.IntrinsicStatusMessage:
		return of(store.StatusMessage, "", traceql.ValueOf)
	case traceql.IntrinsicInstrumentationName:
		return of(store.ScopeName, "", traceql.ValueOf)
	case traceql.IntrinsicInstrumentationVersion:
		return of(store.ScopeVersion, "", traceql.ValueOf)
	case traceql.IntrinsicStatus:
		return of(store.SpanStatus, "", statusValue)
	case traceql.IntrinsicKind:
		return of(store.SpanKind, "", kindValue)
	case traceql.IntrinsicDuration:
		return of(store.SpanDuration, "", durationValue)
	case traceql.IntrinsicParent:
		return roots(c.Op == traceql.OpEqual), true
	case traceql.IntrinsicNestedSetParent:
		return nestedSetParent(c)
	}
	return all, false
}

func statusValue(v span.Value) traceql.Value { return traceql.StatusValue(span.StatusCode(v.Int())) }
func kindValue(v span.Value) traceql.Value   { return traceql.KindValue(span.Kind(v.Int())) }
func durationValue(v span.Value) traceql.Value {
	return traceql.DurationValue(time.Duration(v.Int()))
}

// newTest is what a condition says of values of one field.
func newTest(c *traceql.Condition, value func(span.Value) traceql.Value) *store.Test {
	own := *c
	t := &store.Test{
		Match:   func(v span.Value) bool { return own.Holds(value(v)) },
		Missing: c.Holds(traceql.Nil),
	}
	switch c.Op {
	case traceql.OpEqual:
		if c.Value.Type() == traceql.TypeString {
			text := c.Value.Str()
			t.Text = &text
		}
	case traceql.OpMatch:
		if literals := c.Matcher.Literals(); len(literals) == 1 {
			t.Text = &literals[0]
		} else if len(literals) == 0 {
			t.Literal = c.Matcher.Contains()
			if prefix := c.Matcher.Prefix(); len(prefix) > len(t.Literal) {
				t.Literal = prefix
			}
		}
	}
	t.Range = integers(c)
	return t
}

// integers is the range of integers, of durations in nanoseconds, for which a
// condition holds, nil when that is not known to be one.
func integers(c *traceql.Condition) *[2]int64 {
	switch t := c.Value.Type(); {
	case t == traceql.TypeInt:
	case t == traceql.TypeDuration && c.Attribute.Intrinsic != traceql.IntrinsicNone:
	default:
		return nil
	}
	n := c.Value.Int()
	switch {
	case c.Op == traceql.OpEqual:
		return &[2]int64{n, n}
	case c.Op == traceql.OpGreaterEqual:
		return &[2]int64{n, math.MaxInt64}
	case c.Op == traceql.OpLessEqual:
		return &[2]int64{math.MinInt64, n}
	case c.Op == traceql.OpGreater:
		if n == math.MaxInt64 {
			return &[2]int64{1, 0}
		}
		return &[2]int64{n + 1, math.MaxInt64}
	case c.Op == traceql.OpLess:
		if n == math.MinInt64 {
			return &[2]int64{1, 0}
		}
		return &[2]int64{math.MinInt64, n - 1}
	}
	return nil
}

// unscoped looks at the span and, where that has no value, at its resource.
func unscoped(c *traceql.Condition) *store.Cond {
	own := *c
	onSpan := newTest(c, traceql.ValueOf)
	onSpan.Missing = false
	onSpan.Match = func(v span.Value) bool {
		t := traceql.ValueOf(v)
		return !t.IsNil() && own.Holds(t)
	}
	nothing := &store.Test{Missing: true, Match: func(v span.Value) bool { return traceql.ValueOf(v).IsNil() }}
	return or(
		test(store.SpanAttribute, c.Attribute.Name, onSpan),
		and(
			test(store.SpanAttribute, c.Attribute.Name, nothing),
			test(store.ResourceAttribute, c.Attribute.Name, newTest(c, traceql.ValueOf)),
		),
	)
}

// multiple looks at the values of events or links, of which one is enough.
func multiple(c *traceql.Condition) (cond *store.Cond, exact bool) {
	if c.Value.IsNil() && c.Op == traceql.OpEqual {
		return all, false // of one event or link, that is, and not of all
	}
	t := newTest(c, traceql.ValueOf)
	t.Missing = false
	switch a := &c.Attribute; {
	case a.Intrinsic == traceql.IntrinsicEventName:
		return test(store.EventName, "", t), true
	case a.Intrinsic == traceql.IntrinsicNone && a.Scope == traceql.ScopeEvent:
		return test(store.EventAttribute, a.Name, t), true
	case a.Intrinsic == traceql.IntrinsicNone && a.Scope == traceql.ScopeLink:
		return test(store.LinkAttribute, a.Name, t), true
	}
	return all, false
}

// roots holds for spans that have no parent, or for all others.
func roots(yes bool) *store.Cond {
	return test(store.SpanRoot, "", &store.Test{Match: func(v span.Value) bool { return v.Bool() == yes }})
}

// nestedSetParent is -1 for roots and not below 0 for others.
func nestedSetParent(c *traceql.Condition) (*store.Cond, bool) {
	r := integers(c)
	switch {
	case r == nil:
		return all, false
	case r[1] < 0 && r[0] <= -1 && -1 <= r[1]:
		return roots(true), true
	case r[1] < 0:
		return roots(true), false
	case r[0] <= 0 && r[0] > -1 && r[1] == math.MaxInt64:
		return roots(false), true
	}
	return all, false
}

// selection says which traces a pipeline may select.
func selection(p *traceql.Pipeline) *store.Select {
	q := traceql.Query{Pipeline: p}
	conditions := q.Conditions()
	if conditions.Exact {
		c, _ := condition(&conditions.Spans)
		return &store.Select{Right: c}
	}
	s := &store.Select{}
	for _, stage := range p.Stages {
		if x, ok := stage.(traceql.SpansetExpr); ok {
			s.And = append(s.And, selectionOf(x))
		}
	}
	return single(s)
}

// single leaves out what selects nothing.
func single(s *store.Select) *store.Select {
	switch {
	case len(s.And) == 1:
		return s.And[0]
	case len(s.Or) == 1:
		return s.Or[0]
	}
	return s
}

func selectionOf(x traceql.SpansetExpr) *store.Select {
	switch x := x.(type) {
	case *traceql.SpansetFilter:
		return &store.Select{Right: spansOf(x)}
	case *traceql.Combine:
		both := []*store.Select{selectionOf(x.Left), selectionOf(x.Right)}
		if x.Op == traceql.OpAnd {
			return &store.Select{And: both}
		}
		return &store.Select{Or: both}
	case *traceql.Structural:
		if x.Mode == traceql.ModeNot {
			return selectionOf(x.Right)
		}
		related := &store.Select{Left: spansOf(x.Left), Right: spansOf(x.Right), Relation: relations[x.Relation]}
		s := &store.Select{}
		for _, side := range []traceql.SpansetExpr{x.Left, x.Right} {
			if _, ok := side.(*traceql.SpansetFilter); !ok {
				s.And = append(s.And, selectionOf(side))
			}
		}
		s.And = append(s.And, related)
		return single(s)
	case *traceql.Pipeline:
		return selection(x)
	}
	return &store.Select{}
}

var relations = map[traceql.Relation]store.Relation{
	traceql.Child: store.ChildOf, traceql.Descendant: store.DescendantOf,
	traceql.Parent: store.ParentOf, traceql.Ancestor: store.AncestorOf, traceql.Sibling: store.Anyhow,
}

// spansOf holds for every span that an expression selects.
func spansOf(x traceql.SpansetExpr) *store.Cond {
	q := traceql.Query{Pipeline: &traceql.Pipeline{Stages: []traceql.Stage{x}}}
	conditions := q.Conditions()
	c, _ := condition(&conditions.Spans)
	return c
}
