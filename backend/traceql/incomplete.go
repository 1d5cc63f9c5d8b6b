package traceql

// ParseIncomplete reads what somebody is still typing, and returns the query made
// of its finished conditions: of `{ resource.service.name="a" && span.http` that is
// `{ resource.service.name = "a" }`. An attribute without a comparison counts as
// unfinished. Of a text from which nothing is to be had, with || outside of
// parentheses, or with several filters, it is `{ }`: the result never excludes what
// the finished query could want.
func ParseIncomplete(text string) *Query {
	filter := &SpansetFilter{}
	if len(text) <= maxLength {
		tokens, _ := lex(text)
		p := &parser{text: text, tokens: tokens}
		filter.Expr = p.finished()
	}
	return &Query{Pipeline: &Pipeline{Stages: []Stage{filter}}}
}

// finished reads the only filter of a text and joins its finished conditions.
func (p *parser) finished() Expr {
	if !p.accept("{") {
		return nil
	}
	var out Expr
	for {
		p.depth = 0
		start := p.i
		x, err := p.expr(precAnd + 1)
		ended := p.peek().kind == tokenEOF || p.is("}")
		if _, compares := x.(*Binary); err == nil && compares && (ended || p.is("&&")) {
			if _, err := p.typeOf(x); err == nil {
				if out == nil {
					out = x
				} else {
					out = &Binary{Op: OpAnd, Left: out, Right: x, Offset: x.Pos()}
				}
			}
		}
		p.i = start
		if p.skipCondition() {
			return nil
		}
		if !p.accept("&&") {
			break
		}
	}
	if p.accept("}") && p.peek().kind == tokenOperator && !p.is("|") {
		return nil
	}
	return out
}

// skipCondition goes to the && or } behind a condition, or to the end. It reports
// whether there is an || that makes the conditions around it alternatives.
func (p *parser) skipCondition() (alternatives bool) {
	for open := 0; ; p.i++ {
		t := p.peek()
		switch {
		case t.kind == tokenEOF:
			return false
		case t.kind != tokenOperator:
		case t.text == "(":
			open++
		case t.text == ")":
			open--
		case open > 0:
		case t.text == "||":
			return true
		case t.text == "&&" || t.text == "}":
			return false
		}
	}
}
