package traceql

import "slices"

// Program is a query made ready to run. It does not change, and any number of
// goroutines may use it, each with an [Evaluator] of its own.
type Program struct {
	query      *Query
	attributes []Attribute
	stages     []stageFunc
	shown      []shownField // what a search shows of each span
	metrics    *metricsProgram
}

// Query is what the program was compiled from.
func (p *Program) Query() *Query { return p.query }

// Attributes is what a [Trace] must know of spans to serve the program, without
// repetition; a Trace is asked for them by their place here. What follows from
// other methods of Trace (durations, ids, the tree) is not among them.
func (p *Program) Attributes() []Attribute { return p.attributes }

// boolFunc and valueFunc are compiled expressions of one span.
type (
	boolFunc  func(e *Evaluator, i int) bool
	valueFunc func(e *Evaluator, i int) Value
)

type shownField struct {
	name     string
	value    valueFunc
	multiple bool
	number   int // of the attribute, if multiple
}

type compiler struct {
	attributes []Attribute
}

// Compile prepares a query. It accepts what [Parse] returns.
func Compile(q *Query) *Program {
	c := &compiler{}
	p := &Program{query: q, stages: c.pipeline(q.Pipeline)}
	if q.Metrics != nil {
		p.metrics = c.metrics(q.Metrics)
	} else {
		p.shown = c.shown(q)
	}
	p.attributes = c.attributes
	return p
}

// number is the place of an attribute among those that a Trace is asked for.
func (c *compiler) number(a Attribute) int {
	if i := slices.Index(c.attributes, a); i >= 0 {
		return i
	}
	c.attributes = append(c.attributes, a)
	return len(c.attributes) - 1
}

// boolean compiles an expression to whether it is true.
func (c *compiler) boolean(x Expr) boolFunc {
	if scope := about(x); scope != ScopeNone {
		return c.exists(scope, []Expr{x})
	}
	switch x := x.(type) {
	case *Unary:
		if f, ok := x.X.(*Field); ok && x.Op == OpNot {
			return c.compareField(f, OpEqual, BoolValue(false), nil)
		}
		if x.Op == OpNot {
			inner := c.boolean(x.X)
			return func(e *Evaluator, i int) bool { return !inner(e, i) }
		}
	case *Field:
		return c.compareField(x, OpEqual, BoolValue(true), nil)
	case *Literal:
		b := x.Value.Bool()
		return func(*Evaluator, int) bool { return b }
	case *Binary:
		switch {
		case x.Op == OpAnd:
			return c.conjunction(x)
		case x.Op == OpOr:
			l, r := c.boolean(x.Left), c.boolean(x.Right)
			return func(e *Evaluator, i int) bool { return l(e, i) || r(e, i) }
		case x.Op.Comparison():
			return c.comparison(x)
		}
	}
	return func(*Evaluator, int) bool { return false }
}

// conjunction compiles a chain of &&. What it says about events must hold of one
// event, and the same goes for links.
func (c *compiler) conjunction(x *Binary) boolFunc {
	var all []boolFunc
	items := map[Scope][]Expr{}
	for _, part := range conjuncts(x, nil) {
		if scope := about(part); scope != ScopeNone {
			items[scope] = append(items[scope], part)
		} else {
			all = append(all, c.boolean(part))
		}
	}
	for _, scope := range []Scope{ScopeEvent, ScopeLink} {
		if len(items[scope]) > 0 {
			all = append(all, c.exists(scope, items[scope]))
		}
	}
	if len(all) == 2 {
		l, r := all[0], all[1]
		return func(e *Evaluator, i int) bool { return l(e, i) && r(e, i) }
	}
	return func(e *Evaluator, i int) bool {
		for _, f := range all {
			if !f(e, i) {
				return false
			}
		}
		return true
	}
}

// conjuncts appends the operands of a chain of &&.
func conjuncts(x Expr, dst []Expr) []Expr {
	if b, ok := x.(*Binary); ok && b.Op == OpAnd {
		return conjuncts(b.Right, conjuncts(b.Left, dst))
	}
	return append(dst, x)
}

// compared is the sides of a comparison, a literal on the right if there is one.
func compared(x *Binary) (l, r Expr, op Op) {
	if _, ok := x.Left.(*Literal); ok && x.Op != OpMatch && x.Op != OpNotMatch {
		return x.Right, x.Left, x.Op.Mirror()
	}
	return x.Left, x.Right, x.Op
}

func (c *compiler) comparison(x *Binary) boolFunc {
	l, r, op := compared(x)
	m := x.matcher
	if lit, ok := r.(*Literal); ok {
		if f, ok := l.(*Field); ok {
			return c.compareField(f, op, lit.Value, m)
		}
		if lit.Value.IsNil() {
			value := c.value(l)
			return func(e *Evaluator, i int) bool { return value(e, i).IsNil() == (op == OpEqual) }
		}
	}
	lv, rv := c.value(l), c.value(r)
	return func(e *Evaluator, i int) bool {
		a, b := lv(e, i), rv(e, i)
		return holds(op, &a, &b, m)
	}
}

// compareField is the most frequent form of a comparison: a field with a literal.
func (c *compiler) compareField(f *Field, op Op, lit Value, m *Matcher) boolFunc {
	switch f.Intrinsic {
	case IntrinsicSpanID, IntrinsicTraceID:
		if op == OpEqual || op == OpNotEqual {
			return compareID(f.Intrinsic == IntrinsicTraceID, op, lit.Str())
		}
	case IntrinsicDuration:
		return func(e *Evaluator, i int) bool {
			start, end := e.trace.Times(i)
			d := Value{typ: TypeDuration, num: end - start}
			return lit.IsNil() || numberHolds(op, &d, &lit) // only != nil comes here
		}
	}
	get := c.value(f)
	if lit.IsNil() {
		return func(e *Evaluator, i int) bool { return get(e, i).IsNil() == (op == OpEqual) }
	}
	if f.Intrinsic == IntrinsicNone {
		return func(e *Evaluator, i int) bool {
			v := get(e, i)
			return holdsLiteral(op, &v, &lit, m)
		}
	}
	return func(e *Evaluator, i int) bool {
		v := get(e, i)
		return holds(op, &v, &lit, m)
	}
}

func compareID(trace bool, op Op, text string) boolFunc {
	return func(e *Evaluator, i int) bool {
		var same bool
		if trace {
			id := e.trace.TraceID()
			same = sameID(id[:], text)
		} else {
			id := e.trace.SpanID(i)
			same = sameID(id[:], text)
		}
		return same == (op == OpEqual)
	}
}

// value compiles an expression to its value. Of events and links it is the first
// that is not nil.
func (c *compiler) value(x Expr) valueFunc {
	switch x := x.(type) {
	case *Literal:
		v := x.Value
		return func(*Evaluator, int) Value { return v }
	case *Field:
		return c.field(x.Attribute)
	case *Unary:
		if x.Op == OpNeg {
			inner := c.value(x.X)
			return func(e *Evaluator, i int) Value { return negative(inner(e, i)) }
		}
	case *Binary:
		if x.Op.Arithmetic() {
			l, r := c.value(x.Left), c.value(x.Right)
			op := x.Op
			return func(e *Evaluator, i int) Value { return arithmetic(op, l(e, i), r(e, i)) }
		}
	}
	b := c.boolean(x)
	return func(e *Evaluator, i int) Value { return BoolValue(b(e, i)) }
}

// negative is -v, nil unless v is a number.
func negative(v Value) Value {
	if !v.typ.numeric() {
		return Nil
	}
	return negate(v)
}

func (c *compiler) field(a Attribute) valueFunc {
	if a.Multiple() != ScopeNone {
		n := c.number(a)
		return func(e *Evaluator, i int) Value {
			mark := len(e.values)
			e.values = e.trace.AppendValues(e.values, i, n)
			values := e.values[mark:]
			e.values = e.values[:mark]
			for _, v := range values {
				if !v.IsNil() {
					return v
				}
			}
			return Nil
		}
	}
	if a.Parent {
		a.Parent = false
		n := c.number(a)
		return func(e *Evaluator, i int) Value {
			if p := e.trace.Parent(i); p >= 0 {
				return e.trace.Value(p, n)
			}
			return Nil
		}
	}
	switch a.Intrinsic {
	case IntrinsicDuration:
		return func(e *Evaluator, i int) Value {
			start, end := e.trace.Times(i)
			return Value{typ: TypeDuration, num: end - start}
		}
	case IntrinsicChildCount:
		return func(e *Evaluator, i int) Value { return IntValue(int64(e.tree().children[i])) }
	case IntrinsicNestedSetLeft:
		return func(e *Evaluator, i int) Value { return IntValue(int64(e.tree().left[i])) }
	case IntrinsicNestedSetRight:
		return func(e *Evaluator, i int) Value { return IntValue(int64(e.tree().right[i])) }
	case IntrinsicNestedSetParent:
		return func(e *Evaluator, i int) Value { return IntValue(int64(e.tree().nestedSetParent(i))) }
	case IntrinsicParent:
		return func(e *Evaluator, i int) Value {
			if e.trace.Parent(i) == NoParent {
				return Nil
			}
			return Value{typ: TypeOther}
		}
	case IntrinsicSpanID:
		return func(e *Evaluator, i int) Value { return StringValue(e.trace.SpanID(i).String()) }
	case IntrinsicTraceID:
		return func(e *Evaluator, _ int) Value { return e.traceID() }
	case IntrinsicTraceDuration:
		return func(e *Evaluator, _ int) Value { return e.traceDuration() }
	case IntrinsicRootName:
		n := c.number(Attribute{Intrinsic: IntrinsicName})
		return func(e *Evaluator, _ int) Value { return e.ofRoot(n) }
	case IntrinsicRootService:
		n := c.number(serviceName)
		return func(e *Evaluator, _ int) Value { return e.ofRoot(n) }
	}
	n := c.number(a)
	if a.isService() {
		return func(e *Evaluator, i int) Value { return orEmpty(e.trace.Value(i, n)) }
	}
	return func(e *Evaluator, i int) Value { return e.trace.Value(i, n) }
}

// orEmpty is the empty string for nil.
func orEmpty(v Value) Value {
	if v.IsNil() {
		return StringValue("")
	}
	return v
}

// serviceName is never nil: a resource without it has the empty one.
var serviceName = Attribute{Scope: ScopeResource, Name: "service.name"}

// isService reports whether an attribute is the service's name, with its scope or
// without.
func (a Attribute) isService() bool {
	return a == serviceName || a == Attribute{Name: serviceName.Name}
}

// Evaluator runs a program on one trace after the other. One goroutine may use it
// at a time.
type Evaluator struct {
	program *Program
	trace   Trace
	n       int

	structure tree
	hasTree   bool
	id        Value
	duration  Value
	root      int
	hasRoot   bool

	values []Value // a stack for values of events and links
	arena  []int32 // spans of spansets; parts of it are handed out and live until the next trace
	sets   []Spanset
	set    []bool // scratch of structural operators, as the next two
	marks  []bool
	counts []int32
}

// NewEvaluator makes an evaluator.
func (p *Program) NewEvaluator() *Evaluator { return &Evaluator{program: p} }

func (e *Evaluator) reset(t Trace) {
	e.trace = t
	e.n = t.Len()
	e.hasTree, e.hasRoot = false, false
	e.id, e.duration = Nil, Nil
	e.arena, e.sets = e.arena[:0], e.sets[:0]
}

func (e *Evaluator) traceID() Value {
	if e.id.IsNil() {
		e.id = StringValue(e.trace.TraceID().String())
	}
	return e.id
}

// traceDuration is from the first start to the last end.
func (e *Evaluator) traceDuration() Value {
	if e.duration.IsNil() {
		var first, last uint64
		for i := range e.n {
			start, end := e.trace.Times(i)
			if i == 0 || start < first {
				first = start
			}
			last = max(last, end)
		}
		e.duration = Value{typ: TypeDuration, num: last - first}
	}
	return e.duration
}

// ofRoot is an attribute of the first root, the empty string while there is none.
func (e *Evaluator) ofRoot(attribute int) Value {
	if !e.hasRoot {
		e.root, e.hasRoot = NoParent, true
		for i := range e.n {
			if e.trace.Parent(i) == NoParent {
				e.root = i
				break
			}
		}
	}
	if e.root < 0 {
		return StringValue("")
	}
	return orEmpty(e.trace.Value(e.root, attribute))
}
