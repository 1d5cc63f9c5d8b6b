package traceql

import (
	"fmt"
	"slices"
)

// Limits on a query: beyond them Parse returns an error.
const (
	maxLength = 64 << 10 // bytes
	maxDepth  = 200      // of parentheses, signs and nested pipelines
)

// Parse reads a query. Its error is a [*SyntaxError].
func Parse(text string) (*Query, error) {
	if len(text) > maxLength {
		return nil, errorAt(text, maxLength, nil, "query of %d bytes, the limit is %d", len(text), maxLength)
	}
	tokens, lexErr := lex(text)
	p := &parser{text: text, tokens: tokens}
	q, err := p.query()
	if lexErr != nil && (err == nil || err.Offset >= lexErr.Offset || p.tokens[p.i].kind == tokenEOF) {
		err = lexErr
	}
	if err == nil {
		err = p.check(q)
	}
	if err != nil {
		return nil, err
	}
	return q, nil
}

type parser struct {
	text   string
	tokens []token
	i      int
	depth  int
}

func (p *parser) peek() token { return p.tokens[p.i] }

func (p *parser) next() token {
	t := p.tokens[p.i]
	if t.kind != tokenEOF {
		p.i++
	}
	return t
}

// is reports whether the next token is that operator or word.
func (p *parser) is(text string) bool {
	t := p.peek()
	return (t.kind == tokenOperator || t.kind == tokenWord) && t.text == text
}

// accept takes the next token if it is that operator or word.
func (p *parser) accept(text string) bool {
	if p.is(text) {
		p.i++
		return true
	}
	return false
}

func (p *parser) expect(text string) *SyntaxError {
	if !p.accept(text) {
		return p.unexpected(fmt.Sprintf("%q", text))
	}
	return nil
}

func (p *parser) unexpected(expected ...string) *SyntaxError {
	t := p.peek()
	if t.kind == tokenEOF {
		return errorAt(p.text, t.offset, expected, "unexpected end of the query")
	}
	if t.kind == tokenLiteral && t.value.typ == TypeString {
		return errorAt(p.text, t.offset, expected, "unexpected string")
	}
	return errorAt(p.text, t.offset, expected, "unexpected %s", clip(t.text))
}

// clip shortens a part of the query for a message.
func clip(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return fmt.Sprintf("%q", s)
}

// deeper counts the nesting; whoever called it and met no fault takes one off.
func (p *parser) deeper() *SyntaxError {
	if p.depth++; p.depth > maxDepth {
		return errorAt(p.text, p.peek().offset, nil, "query is nested more than %d deep", maxDepth)
	}
	return nil
}

func (p *parser) query() (*Query, *SyntaxError) {
	q := &Query{}
	pipeline, scalar, err := p.pipeline(q)
	if err != nil {
		return nil, err
	}
	if scalar != nil {
		return nil, p.unexpected(comparisons...)
	}
	q.Pipeline = pipeline
	if q.Metrics != nil {
		if q.Stages, err = p.metricsStages(); err != nil {
			return nil, err
		}
	}
	if p.accept("with") {
		if q.Hints, err = p.hints(); err != nil {
			return nil, err
		}
	}
	if p.peek().kind != tokenEOF {
		expected := []string{`"|"`, "with(…)", "the end of the query"}
		if q.Metrics == nil {
			if _, ok := pipeline.Stages[len(pipeline.Stages)-1].(SpansetExpr); ok {
				expected = slices.Insert(expected, 0, `"&&"`, `"||"`, "a structural operator")
			}
		}
		return nil, p.unexpected(expected...)
	}
	return q, nil
}

var comparisons = []string{`"="`, `"!="`, `">"`, `">="`, `"<"`, `"<="`}

// pipeline reads stages separated by `|`. A last stage that is a scalar without
// comparison is returned apart. At the top level, q is given and a metrics
// function may end the stages.
func (p *parser) pipeline(q *Query) (*Pipeline, ScalarExpr, *SyntaxError) {
	out := &Pipeline{}
	for {
		if t := p.peek(); t.kind == tokenWord && q != nil && len(out.Stages) > 0 {
			if f := slices.Index(metricsNames[:], t.text); f >= 0 {
				var err *SyntaxError
				q.Metrics, err = p.metrics(MetricsFunc(f))
				return out, nil, err
			}
		}
		stage, scalar, err := p.stage()
		if err != nil {
			return nil, nil, err
		}
		if scalar != nil {
			if len(out.Stages) == 0 {
				return nil, scalar, nil
			}
			return out, scalar, nil
		}
		out.Stages = append(out.Stages, stage)
		if !p.accept("|") {
			return out, nil, nil
		}
	}
}

// stage reads one stage, or a scalar that is not compared with anything.
func (p *parser) stage() (Stage, ScalarExpr, *SyntaxError) {
	switch t := p.peek(); {
	case p.accept("by"):
		return asStage(p.groupBy(t.offset))
	case p.accept("select"):
		return asStage(p.selectStage())
	case p.accept("coalesce"):
		if err := p.expect("("); err != nil {
			return nil, nil, err
		}
		return asStage(&Coalesce{}, p.expect(")"))
	}
	o, err := p.operation(0)
	if err != nil {
		return nil, nil, err
	}
	if o.scalar != nil {
		return nil, o.scalar, nil
	}
	return o.stage, nil, nil
}

func asStage[S Stage](s S, err *SyntaxError) (Stage, ScalarExpr, *SyntaxError) {
	if err != nil {
		return nil, nil, err
	}
	return s, nil, nil
}

func (p *parser) groupBy(offset int) (*GroupBy, *SyntaxError) {
	if err := p.expect("("); err != nil {
		return nil, err
	}
	e, err := p.expr(0)
	if err != nil {
		return nil, err
	}
	return &GroupBy{Expr: e, Offset: offset}, p.expect(")")
}

func (p *parser) selectStage() (*Select, *SyntaxError) {
	fields, err := p.fields()
	if err != nil {
		return nil, err
	}
	s := &Select{}
	for _, f := range fields {
		s.Attributes = append(s.Attributes, f.Attribute)
	}
	return s, nil
}

// fields reads attributes in parentheses.
func (p *parser) fields() ([]Field, *SyntaxError) {
	if err := p.expect("("); err != nil {
		return nil, err
	}
	var out []Field
	for {
		f, ok := p.field()
		if !ok {
			return nil, p.unexpected("an attribute", "an intrinsic")
		}
		out = append(out, *f)
		if p.accept(")") {
			return out, nil
		}
		if !p.accept(",") {
			return nil, p.unexpected(`","`, `")"`)
		}
	}
}

// field takes an attribute or intrinsic if one comes next.
func (p *parser) field() (*Field, bool) {
	t := p.peek()
	switch t.kind {
	case tokenAttribute:
		p.i++
		return &Field{t.attribute, t.offset}, true
	case tokenWord:
		if i, ok := byName[t.text]; ok {
			p.i++
			return &Field{Attribute{Intrinsic: i}, t.offset}, true
		}
	}
	return nil, false
}

// operand is what stands between the operators of a stage: spansets or a scalar.
// A comparison of scalars gives a stage that no operator may follow.
type operand struct {
	spansets SpansetExpr
	scalar   ScalarExpr
	stage    Stage
}

// operation reads operands and the operators between them that bind at least so tight.
func (p *parser) operation(least int) (operand, *SyntaxError) {
	left, err := p.operand()
	if err != nil {
		return operand{}, err
	}
	for {
		t := p.peek()
		if t.kind != tokenOperator {
			return left, nil
		}
		switch {
		case left.spansets != nil:
			join, prec, ok := spansetOperator(t.text)
			if !ok || prec < least {
				return left, nil
			}
			p.i++
			right, err := p.operation(prec + 1)
			if err != nil {
				return operand{}, err
			}
			if right.spansets == nil {
				return operand{}, errorAt(p.text, t.offset, []string{"spansets"}, "%q joins spansets with a scalar", t.text)
			}
			e := join(left.spansets, right.spansets)
			left = operand{spansets: e, stage: e}
		case left.scalar != nil:
			op, ok := binaryOps[t.text]
			if !ok || !op.Comparison() && !op.Arithmetic() || op == OpMatch || op == OpNotMatch || precedence(op) < least {
				return left, nil
			}
			p.i++
			right, err := p.operation(rightBinding(op))
			if err != nil {
				return operand{}, err
			}
			if right.scalar == nil {
				return operand{}, errorAt(p.text, t.offset, []string{"a scalar, as count() or 5"}, "%q compares a scalar with spansets", t.text)
			}
			if op.Arithmetic() {
				left = operand{scalar: &ScalarBinary{op, left.scalar, right.scalar, t.offset}}
			} else {
				left = operand{stage: &ScalarFilter{op, left.scalar, right.scalar, t.offset}}
			}
		default:
			return left, nil
		}
	}
}

// rightBinding is what the right operand of an operator must bind at least.
func rightBinding(op Op) int {
	if op == OpPow {
		return precPow
	}
	return precedence(op) + 1
}

func spansetOperator(text string) (join func(l, r SpansetExpr) SpansetExpr, prec int, ok bool) {
	switch text {
	case "&&":
		return func(l, r SpansetExpr) SpansetExpr { return &Combine{OpAnd, l, r} }, precAnd, true
	case "||":
		return func(l, r SpansetExpr) SpansetExpr { return &Combine{OpOr, l, r} }, precAnd, true
	}
	for m := ModePlain; m <= ModeUnion; m++ {
		for r := Child; r <= Sibling; r++ {
			if text == m.String()+r.String() {
				return func(left, right SpansetExpr) SpansetExpr { return &Structural{r, m, left, right} }, precCompare, true
			}
		}
	}
	return nil, 0, false
}

func (p *parser) operand() (operand, *SyntaxError) {
	t := p.peek()
	switch {
	case p.accept("{"):
		f, err := p.filter()
		return operand{spansets: f, stage: f}, err
	case p.accept("("):
		return p.parenthesized()
	case t.kind == tokenWord && slices.Contains(aggregateNames[:], t.text):
		p.i++
		a, err := p.aggregate(AggregateFunc(slices.Index(aggregateNames[:], t.text)), t.offset)
		return operand{scalar: a}, err
	}
	if l, err := p.number(); l != nil || err != nil {
		return operand{scalar: l}, err
	}
	if t.kind == tokenWord && slices.Contains(metricsNames[:], t.text) {
		return operand{}, errorAt(p.text, t.offset, nil, "%s() makes series of spans: it stands behind a filter and \"|\", at most once and outside of parentheses", t.text)
	}
	if p.is("topk") || p.is("bottomk") {
		return operand{}, errorAt(p.text, t.offset, []string{"rate() or another metrics function before it"}, "%s(…) chooses among series", t.text)
	}
	return operand{}, p.unexpected(`"{"`, `"("`, "count()", "avg(…)", "min(…)", "max(…)", "sum(…)", "by(…)", "select(…)", "coalesce()", "a number")
}

// parenthesized reads what is behind `(`: spansets, a scalar, or a pipeline that
// ends in either.
func (p *parser) parenthesized() (operand, *SyntaxError) {
	if err := p.deeper(); err != nil {
		return operand{}, err
	}
	defer func() { p.depth-- }()
	pipeline, scalar, err := p.pipeline(nil)
	if err != nil {
		return operand{}, err
	}
	if !p.accept(")") {
		return operand{}, p.unexpected(`")"`, `"|"`)
	}
	switch {
	case scalar != nil && pipeline != nil:
		return operand{scalar: &ScalarPipeline{pipeline, scalar}}, nil
	case scalar != nil:
		return operand{scalar: scalar}, nil
	}
	if len(pipeline.Stages) == 1 {
		if e, ok := pipeline.Stages[0].(SpansetExpr); ok {
			return operand{spansets: e, stage: e}, nil
		}
	}
	return operand{spansets: pipeline, stage: pipeline}, nil
}

func (p *parser) filter() (*SpansetFilter, *SyntaxError) {
	if p.accept("}") {
		return &SpansetFilter{}, nil
	}
	e, err := p.expr(0)
	if err != nil {
		return nil, err
	}
	if !p.accept("}") {
		return nil, p.unexpected("an operator", `"}"`)
	}
	return &SpansetFilter{e}, nil
}

func (p *parser) aggregate(f AggregateFunc, offset int) (*Aggregate, *SyntaxError) {
	if err := p.expect("("); err != nil {
		return nil, err
	}
	a := &Aggregate{Func: f, Offset: offset}
	if f != Count {
		var err *SyntaxError
		if a.Expr, err = p.expr(0); err != nil {
			return nil, err
		}
	}
	return a, p.expect(")")
}
