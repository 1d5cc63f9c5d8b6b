package traceql

// check refuses what cannot be meant: operands whose types do not fit. An
// attribute fits everything, because its type is known only on the span.
func (p *parser) check(q *Query) *SyntaxError {
	if err := p.checkPipeline(q.Pipeline); err != nil {
		return err
	}
	m := q.Metrics
	if m == nil {
		return nil
	}
	if m.Selection != nil {
		return p.checkFilter(m.Selection)
	}
	return nil
}

func (p *parser) checkPipeline(pl *Pipeline) *SyntaxError {
	for _, s := range pl.Stages {
		if err := p.checkStage(s); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) checkStage(s Stage) *SyntaxError {
	switch s := s.(type) {
	case *Pipeline:
		return p.checkPipeline(s)
	case *SpansetFilter:
		return p.checkFilter(s)
	case *Combine:
		if err := p.checkStage(s.Left); err != nil {
			return err
		}
		return p.checkStage(s.Right)
	case *Structural:
		if err := p.checkStage(s.Left); err != nil {
			return err
		}
		return p.checkStage(s.Right)
	case *ScalarFilter:
		if err := p.checkScalar(s.Left); err != nil {
			return err
		}
		return p.checkScalar(s.Right)
	case *GroupBy:
		if _, err := p.typeOf(s.Expr); err != nil {
			return err
		}
		if !readsSpan(s.Expr) {
			return errorAt(p.text, s.Expr.Pos(), []string{"an attribute or intrinsic in it"}, "by(%s) is the same for every span", s.Expr)
		}
	}
	return nil
}

func (p *parser) checkFilter(f *SpansetFilter) *SyntaxError {
	if f.Expr == nil {
		return nil
	}
	t, err := p.typeOf(f.Expr)
	if err == nil && t != TypeBool && t != TypeAny {
		err = errorAt(p.text, f.Expr.Pos(), []string{"a comparison or a boolean"}, "a filter of type %s", t)
	}
	return err
}

func (p *parser) checkScalar(s ScalarExpr) *SyntaxError {
	switch s := s.(type) {
	case *ScalarBinary:
		if err := p.checkScalar(s.Left); err != nil {
			return err
		}
		return p.checkScalar(s.Right)
	case *ScalarPipeline:
		if err := p.checkPipeline(s.Pipeline); err != nil {
			return err
		}
		return p.checkScalar(s.Scalar)
	case *Aggregate:
		if s.Expr == nil {
			return nil
		}
		t, err := p.typeOf(s.Expr)
		if err != nil {
			return err
		}
		if !isNumeric(t) {
			return errorAt(p.text, s.Expr.Pos(), []string{"a number or duration"}, "%s of %s", s.Func, t)
		}
		if !readsSpan(s.Expr) {
			return errorAt(p.text, s.Expr.Pos(), []string{"an attribute or intrinsic in it"}, "%s is the same for every span", s)
		}
	}
	return nil
}

// readsSpan reports whether an expression depends on the span.
func readsSpan(e Expr) bool {
	switch e := e.(type) {
	case *Field:
		return true
	case *Unary:
		return readsSpan(e.X)
	case *Binary:
		return readsSpan(e.Left) || readsSpan(e.Right)
	}
	return false
}

func isNumeric(t Type) bool { return t.numeric() || t == TypeAny }

// typeOf is the type of an expression, whose parts it checks.
func (p *parser) typeOf(e Expr) (Type, *SyntaxError) {
	switch e := e.(type) {
	case *Field:
		return e.Type(), nil
	case *Literal:
		return e.Value.typ, nil
	case *Unary:
		t, err := p.typeOf(e.X)
		if err != nil {
			return 0, err
		}
		if e.Op == OpNot {
			if t != TypeBool && t != TypeAny {
				return 0, errorAt(p.text, e.Offset, []string{"a boolean behind it"}, "\"!\" of %s", t)
			}
			return TypeBool, nil
		}
		if !isNumeric(t) {
			return 0, errorAt(p.text, e.Offset, []string{"a number or duration behind it"}, "\"-\" of %s", t)
		}
		return t, nil
	case *Binary:
		return p.binaryType(e)
	}
	panic("traceql: unknown expression")
}

func (p *parser) binaryType(e *Binary) (Type, *SyntaxError) {
	l, err := p.typeOf(e.Left)
	if err != nil {
		return 0, err
	}
	r, err := p.typeOf(e.Right)
	if err != nil {
		return 0, err
	}
	mismatch := func(expected string) (Type, *SyntaxError) {
		return 0, errorAt(p.text, e.Offset, []string{expected}, "%q of %s and %s", e.Op, l, r)
	}
	switch {
	case e.Op == OpAnd || e.Op == OpOr:
		if l != TypeBool && l != TypeAny || r != TypeBool && r != TypeAny {
			return mismatch("two booleans")
		}
		return TypeBool, nil
	case e.Op.Arithmetic():
		if !isNumeric(l) || !isNumeric(r) {
			return mismatch("two numbers or durations")
		}
		if l == r {
			return l, nil
		}
		return TypeFloat, nil
	case e.Op == OpMatch || e.Op == OpNotMatch:
		pattern, ok := e.Right.(*Literal)
		if !ok || r != TypeString || l != TypeString && l != TypeAny {
			return mismatch("a text on the left and a regular expression in quotes on the right")
		}
		m, err := NewMatcher(pattern.Value.text)
		if err != nil {
			return 0, errorAt(p.text, pattern.Offset, nil, "%v", err)
		}
		e.matcher = m
		return TypeBool, nil
	}
	if !fit(l, r) {
		return mismatch("two values of one type")
	}
	if e.Op == OpEqual && (alwaysThere(e.Left, l) && isNilLiteral(e.Right) || alwaysThere(e.Right, r) && isNilLiteral(e.Left)) {
		return mismatch("an attribute to compare with nil: every span has its intrinsics and resource.service.name")
	}
	if e.Op != OpEqual && e.Op != OpNotEqual && (!ordered(l) || !ordered(r)) {
		return mismatch("two numbers, durations or strings")
	}
	return TypeBool, nil
}

func fit(l, r Type) bool {
	return l == r || l == TypeAny || r == TypeAny || l == TypeNil || r == TypeNil || l.numeric() && r.numeric()
}

func ordered(t Type) bool { return t.numeric() || t == TypeString || t == TypeAny }

// alwaysThere reports whether an expression of that type is nil for no span.
func alwaysThere(x Expr, t Type) bool {
	f, ok := x.(*Field)
	return ok && f.Attribute == serviceName || t != TypeAny && t != TypeNil
}

func isNilLiteral(x Expr) bool {
	l, ok := x.(*Literal)
	return ok && l.Value.IsNil()
}
