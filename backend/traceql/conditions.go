package traceql

// Condition is a comparison of one attribute with a literal. It holds for a span
// as the same comparison alone in a filter does: one of Nil asks whether the
// attribute is missing (OpEqual) or there (OpNotEqual), what is missing fulfils no
// other, nor does an attribute of another type than the literal, of which integers
// and floats are two; of arrays, events and links one element that fulfils it is
// enough. A missing resource.service.name is the empty string.
type Condition struct {
	Attribute Attribute
	Op        Op // a comparison
	Value     Value
	Matcher   *Matcher // of OpMatch and OpNotMatch
}

// PredicateKind says what a [Predicate] is.
type PredicateKind uint8

// The kinds of predicates.
const (
	PredicateTrue      PredicateKind = iota // holds for every span
	PredicateFalse                          // holds for none
	PredicateCondition                      // Condition holds
	PredicateAnd                            // all Parts hold
	PredicateOr                             // one of Parts holds
)

// Predicate is a formula of conditions of one span.
type Predicate struct {
	Kind      PredicateKind
	Condition Condition
	Parts     []Predicate
}

// NeedKind says what a [Need] is.
type NeedKind uint8

// The kinds of needs.
const (
	NeedNothing NeedKind = iota // any trace that has a span
	NeedSpan                    // a span for which Span holds
	NeedAll                     // all of Parts
	NeedAny                     // one of Parts
)

// Need is what a trace must have so that a query can match it.
type Need struct {
	Kind  NeedKind
	Span  Predicate
	Parts []Need
}

// Conditions is what a store can judge of a query before it makes traces of spans.
//
// It is sound: a trace that lacks Need is not matched, and a span for which Spans
// does not hold is in no spanset of the answer. A store that cannot judge a
// condition takes it as true, and both remain so. The evaluator must still see all
// spans of a trace that has Need, unless Exact: then Spans is the query's filter
// itself, and selects, span by span, just what the query does.
type Conditions struct {
	Need  Need
	Spans Predicate
	// Exact says that the pipeline is filters of single spans, perhaps with
	// select(), and that Spans says all of them.
	Exact bool
}

// Conditions extracts what can be pushed down.
func (q *Query) Conditions() Conditions {
	return pipelineConditions(q.Pipeline)
}

func pipelineConditions(p *Pipeline) Conditions {
	out := Conditions{Exact: true}
	for _, s := range p.Stages {
		switch s := s.(type) {
		case SpansetExpr:
			// Filters in a row: a span must pass all.
			next := expressionConditions(s)
			out.Need = needBoth(out.Need, next.Need)
			out.Spans = and(out.Spans, next.Spans)
			out.Exact = out.Exact && next.Exact
		case *Select:
		default:
			out.Exact = false
		}
	}
	return out
}

func expressionConditions(s SpansetExpr) Conditions {
	switch s := s.(type) {
	case *SpansetFilter:
		p, exact := FilterPredicate(s)
		return Conditions{Need: needSpan(p), Spans: p, Exact: exact}
	case *Combine:
		l, r := expressionConditions(s.Left), expressionConditions(s.Right)
		spans := or(l.Spans, r.Spans)
		if s.Op == OpAnd {
			return Conditions{Need: needBoth(l.Need, r.Need), Spans: spans}
		}
		return Conditions{Need: needEither(l.Need, r.Need), Spans: spans, Exact: l.Exact && r.Exact}
	case *Structural:
		l, r := expressionConditions(s.Left), expressionConditions(s.Right)
		switch s.Mode {
		case ModeNot:
			return Conditions{Need: r.Need, Spans: r.Spans}
		case ModeUnion:
			return Conditions{Need: needBoth(l.Need, r.Need), Spans: or(l.Spans, r.Spans)}
		}
		return Conditions{Need: needBoth(l.Need, r.Need), Spans: r.Spans}
	}
	return pipelineConditions(s.(*Pipeline))
}

// FilterPredicate is a predicate that holds for every span that the filter keeps;
// exact says that it holds for no other.
func FilterPredicate(f *SpansetFilter) (p Predicate, exact bool) {
	if f.Expr == nil {
		return Predicate{}, true
	}
	return predicate(f.Expr)
}

func predicate(x Expr) (p Predicate, exact bool) {
	switch x := x.(type) {
	case *Literal:
		if x.Value.Bool() {
			return Predicate{}, true
		}
		return Predicate{Kind: PredicateFalse}, true
	case *Field:
		return condition(x, OpEqual, BoolValue(true), nil), true
	case *Unary:
		// The negation of a comparison also holds where the attribute is missing.
		if f, ok := x.X.(*Field); ok && x.Op == OpNot {
			return condition(f, OpEqual, BoolValue(false), nil), true
		}
	case *Binary:
		switch {
		case x.Op == OpAnd || x.Op == OpOr:
			l, le := predicate(x.Left)
			r, re := predicate(x.Right)
			if x.Op == OpAnd {
				// Statements about one event each do not say that it is the same.
				return and(l, r), le && re && !sharesItems(x.Left, x.Right)
			}
			return or(l, r), le && re
		case x.Op.Comparison():
			return comparisonPredicate(x)
		}
	}
	return Predicate{}, false
}

// sharesItems reports whether both expressions read events, or both read links.
func sharesItems(l, r Expr) bool {
	reads := map[Scope]bool{}
	fieldsOf(l, func(f *Field) { reads[f.Multiple()] = true })
	shares := false
	fieldsOf(r, func(f *Field) {
		scope := f.Multiple()
		shares = shares || scope != ScopeNone && reads[scope]
	})
	return shares
}

func comparisonPredicate(x *Binary) (p Predicate, exact bool) {
	l, r, op := compared(x)
	f, ok1 := l.(*Field)
	lit, ok2 := r.(*Literal)
	if !ok1 || !ok2 {
		return Predicate{}, false
	}
	return condition(f, op, lit.Value, x.matcher), true
}

func condition(f *Field, op Op, v Value, m *Matcher) Predicate {
	return Predicate{Kind: PredicateCondition, Condition: Condition{f.Attribute, op, v, m}}
}

func and(l, r Predicate) Predicate {
	switch {
	case l.Kind == PredicateTrue || r.Kind == PredicateFalse:
		return r
	case r.Kind == PredicateTrue || l.Kind == PredicateFalse:
		return l
	}
	return Predicate{Kind: PredicateAnd, Parts: append(parts(l, PredicateAnd), parts(r, PredicateAnd)...)}
}

func or(l, r Predicate) Predicate {
	switch {
	case l.Kind == PredicateTrue || r.Kind == PredicateFalse:
		return l
	case r.Kind == PredicateTrue || l.Kind == PredicateFalse:
		return r
	}
	return Predicate{Kind: PredicateOr, Parts: append(parts(l, PredicateOr), parts(r, PredicateOr)...)}
}

// parts flattens a chain of one kind.
func parts(p Predicate, kind PredicateKind) []Predicate {
	if p.Kind == kind {
		return p.Parts[:len(p.Parts):len(p.Parts)]
	}
	return []Predicate{p}
}

func needSpan(p Predicate) Need {
	if p.Kind == PredicateTrue {
		return Need{}
	}
	return Need{Kind: NeedSpan, Span: p}
}

func needBoth(l, r Need) Need {
	switch {
	case l.Kind == NeedNothing:
		return r
	case r.Kind == NeedNothing:
		return l
	}
	return Need{Kind: NeedAll, Parts: []Need{l, r}}
}

func needEither(l, r Need) Need {
	if l.Kind == NeedNothing || r.Kind == NeedNothing {
		return Need{}
	}
	return Need{Kind: NeedAny, Parts: []Need{l, r}}
}
