package traceql

// about is ScopeEvent or ScopeLink if an expression makes a statement about single
// events, or links: if every comparison in it reads one. It is ScopeNone for what
// is about the span, or mixed.
func about(x Expr) Scope {
	switch x := x.(type) {
	case *Field:
		return x.Multiple()
	case *Unary:
		if f, ok := x.X.(*Field); ok && x.Op == OpNot {
			return f.Multiple()
		}
	case *Binary:
		switch {
		case x.Op == OpAnd || x.Op == OpOr:
			if scope := about(x.Left); scope == about(x.Right) {
				return scope
			}
		case x.Op.Comparison():
			scope := ScopeNone
			fieldsOf(x, func(f *Field) {
				if scope == ScopeNone {
					scope = f.Multiple()
				}
			})
			return scope
		}
	}
	return ScopeNone
}

// items are the events or the links of a span as one statement reads them: of each
// of n attributes the values of all of them, from base on in Evaluator.values.
type items struct {
	base, count int
}

// itemBool and itemValue are compiled expressions of one event or link, the k-th.
type (
	itemBool  func(e *Evaluator, i int, it items, k int) bool
	itemValue func(e *Evaluator, i int, it items, k int) Value
)

type itemCompiler struct {
	*compiler
	scope   Scope
	numbers []int // of the attributes that are read
}

// exists compiles statements about events, or links, to whether there is one of
// which all hold.
func (c *compiler) exists(scope Scope, statements []Expr) boolFunc {
	ic := &itemCompiler{compiler: c, scope: scope}
	var all []itemBool
	for _, x := range statements {
		all = append(all, ic.boolean(x))
	}
	numbers := ic.numbers
	return func(e *Evaluator, i int) bool {
		mark := len(e.values)
		it := items{base: mark}
		for _, n := range numbers {
			e.values = e.trace.AppendValues(e.values, i, n)
		}
		it.count = (len(e.values) - mark) / len(numbers)
		found := false
	next:
		for k := 0; k < it.count && !found; k++ {
			for _, f := range all {
				if !f(e, i, it, k) {
					continue next
				}
			}
			found = true
		}
		e.values = e.values[:mark]
		return found
	}
}

func (c *itemCompiler) boolean(x Expr) itemBool {
	switch x := x.(type) {
	case *Field:
		return c.compare(x, OpEqual, BoolValue(true), nil)
	case *Unary:
		return c.compare(x.X.(*Field), OpEqual, BoolValue(false), nil)
	}
	b := x.(*Binary)
	switch b.Op {
	case OpAnd:
		l, r := c.boolean(b.Left), c.boolean(b.Right)
		return func(e *Evaluator, i int, it items, k int) bool { return l(e, i, it, k) && r(e, i, it, k) }
	case OpOr:
		l, r := c.boolean(b.Left), c.boolean(b.Right)
		return func(e *Evaluator, i int, it items, k int) bool { return l(e, i, it, k) || r(e, i, it, k) }
	}
	l, r, op := compared(b)
	m := b.matcher
	if lit, ok := r.(*Literal); ok {
		if f, ok := l.(*Field); ok {
			return c.compare(f, op, lit.Value, m)
		}
		if lit.Value.IsNil() {
			value := c.value(l)
			return func(e *Evaluator, i int, it items, k int) bool {
				return value(e, i, it, k).IsNil() == (op == OpEqual)
			}
		}
	}
	lv, rv := c.value(l), c.value(r)
	return func(e *Evaluator, i int, it items, k int) bool {
		a, b := lv(e, i, it, k), rv(e, i, it, k)
		return holds(op, &a, &b, m)
	}
}

// compare compares a field with a literal.
func (c *itemCompiler) compare(f *Field, op Op, lit Value, m *Matcher) itemBool {
	get := c.value(f)
	if lit.IsNil() {
		return func(e *Evaluator, i int, it items, k int) bool {
			return get(e, i, it, k).IsNil() == (op == OpEqual)
		}
	}
	switch {
	case f.Intrinsic == IntrinsicNone:
		return func(e *Evaluator, i int, it items, k int) bool {
			v := get(e, i, it, k)
			return holdsLiteral(op, &v, &lit, m)
		}
	case f.Intrinsic == IntrinsicLinkTraceID && op != OpMatch && op != OpNotMatch:
		lit.text = trimZeros(lit.text)
		return func(e *Evaluator, i int, it items, k int) bool {
			v := get(e, i, it, k)
			v.text = trimZeros(v.text)
			return holds(op, &v, &lit, m)
		}
	}
	return func(e *Evaluator, i int, it items, k int) bool {
		v := get(e, i, it, k)
		return holds(op, &v, &lit, m)
	}
}

// trimZeros makes trace ids equal that are written with and without zeros in front.
func trimZeros(id string) string {
	for id != "" && id[0] == '0' {
		id = id[1:]
	}
	return id
}

func (c *itemCompiler) value(x Expr) itemValue {
	switch x := x.(type) {
	case *Field:
		if x.Multiple() == c.scope {
			at := len(c.numbers)
			c.numbers = append(c.numbers, c.number(x.Attribute))
			return func(e *Evaluator, _ int, it items, k int) Value { return e.values[it.base+at*it.count+k] }
		}
	case *Unary:
		if x.Op == OpNeg {
			inner := c.value(x.X)
			return func(e *Evaluator, i int, it items, k int) Value { return negative(inner(e, i, it, k)) }
		}
	case *Binary:
		if x.Op.Arithmetic() {
			l, r, op := c.value(x.Left), c.value(x.Right), x.Op
			return func(e *Evaluator, i int, it items, k int) Value {
				return arithmetic(op, l(e, i, it, k), r(e, i, it, k))
			}
		}
	}
	// What is not about the event has one value for all of them.
	of := c.compiler.value(x)
	return func(e *Evaluator, i int, _ items, _ int) Value { return of(e, i) }
}
