package traceql

import (
	"math"
	"slices"
	"time"

	"github.com/throughline/throughline/backend/span"
)

var binaryOps = func() map[string]Op {
	m := map[string]Op{}
	for op := OpAnd; op <= OpPow; op++ {
		m[op.String()] = op
	}
	return m
}()

// expr reads an expression over one span, with the operators that bind at least so tight.
func (p *parser) expr(least int) (Expr, *SyntaxError) {
	left, err := p.primary()
	if err != nil {
		return nil, err
	}
	for {
		t := p.peek()
		op, ok := binaryOps[t.text]
		if !ok || t.kind != tokenOperator || precedence(op) < least {
			return left, nil
		}
		p.i++
		if err := p.deeper(); err != nil {
			return nil, err
		}
		right, err := p.expr(rightBinding(op))
		p.depth--
		if err != nil {
			return nil, err
		}
		left = &Binary{Op: op, Left: left, Right: right, Offset: t.offset}
	}
}

func (p *parser) primary() (Expr, *SyntaxError) {
	t := p.peek()
	switch {
	case p.accept("("):
		if err := p.deeper(); err != nil {
			return nil, err
		}
		e, err := p.expr(0)
		if err != nil {
			return nil, err
		}
		p.depth--
		if !p.accept(")") {
			return nil, p.unexpected("an operator", `")"`)
		}
		return e, nil
	case p.is("-") || p.is("!"):
		return p.unary()
	}
	if f, ok := p.field(); ok {
		return f, nil
	}
	if l, ok := p.literal(); ok {
		return l, nil
	}
	err := p.unexpected("an attribute, as span.name or .name", "an intrinsic, as duration", "a value", `"("`, `"!"`, `"-"`)
	if t.kind == tokenWord {
		err.Msg = "unknown word " + clip(t.text)
	}
	return nil, err
}

func (p *parser) unary() (Expr, *SyntaxError) {
	t := p.next()
	if err := p.deeper(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	if t.text == "!" {
		x, err := p.expr(precUnary)
		if err != nil {
			return nil, err
		}
		return &Unary{OpNot, x, t.offset}, nil
	}
	if l, ok := p.minInt(t.offset); ok {
		return l, nil
	}
	x, err := p.expr(precUnary)
	if err != nil {
		return nil, err
	}
	if l, ok := x.(*Literal); ok && l.Value.typ.numeric() {
		return &Literal{negate(l.Value), t.offset}, nil
	}
	return &Unary{OpNeg, x, t.offset}, nil
}

// minInt takes the one integer that is written only with its sign.
func (p *parser) minInt(offset int) (*Literal, bool) {
	if p.peek().kind != tokenBigInt {
		return nil, false
	}
	p.i++
	return &Literal{IntValue(math.MinInt64), offset}, true
}

func negate(v Value) Value {
	if v.typ == TypeFloat {
		return FloatValue(-math.Float64frombits(v.num))
	}
	v.num = -v.num
	return v
}

// literal takes a value if one comes next.
func (p *parser) literal() (*Literal, bool) {
	t := p.peek()
	v, ok := t.value, t.kind == tokenLiteral
	if t.kind == tokenWord {
		v, ok = wordValue(t.text)
	}
	if ok {
		p.i++
	}
	return &Literal{v, t.offset}, ok
}

func wordValue(word string) (Value, bool) {
	switch word {
	case "nil":
		return Nil, true
	case "true", "false":
		return BoolValue(word == "true"), true
	case "minInt":
		return IntValue(math.MinInt64), true
	case "maxInt":
		return IntValue(math.MaxInt64), true
	}
	if c, ok := span.ParseStatus(word); ok {
		return StatusValue(c), true
	}
	if k, ok := span.ParseKind(word); ok {
		return KindValue(k), true
	}
	return Nil, false
}

// number takes a number or duration, with its sign, if one comes next.
func (p *parser) number() (*Literal, *SyntaxError) {
	start := p.i
	t := p.peek()
	negative := p.accept("-")
	if negative {
		if l, ok := p.minInt(t.offset); ok {
			return l, nil
		}
	}
	l, ok := p.literal()
	if !ok || !l.Value.typ.numeric() {
		if negative {
			p.i = start + 1
			return nil, p.unexpected("a number")
		}
		p.i = start
		return nil, nil
	}
	if negative {
		l.Value = negate(l.Value)
	}
	l.Offset = t.offset
	return l, nil
}

func (p *parser) hints() ([]Hint, *SyntaxError) {
	if err := p.expect("("); err != nil {
		return nil, err
	}
	var out []Hint
	for {
		t := p.peek()
		if t.kind != tokenWord {
			return nil, p.unexpected("the name of a hint, as most_recent")
		}
		p.i++
		if err := p.expect("="); err != nil {
			return nil, err
		}
		value, err := p.number()
		if err != nil {
			return nil, err
		}
		if value == nil {
			l, ok := p.literal()
			if !ok {
				return nil, p.unexpected("a value")
			}
			value = l
		}
		out = append(out, Hint{t.text, value.Value})
		if p.accept(")") {
			return out, nil
		}
		if !p.accept(",") {
			return nil, p.unexpected(`","`, `")"`)
		}
	}
}

// metrics reads a metrics function, whose name comes next.
func (p *parser) metrics(f MetricsFunc) (*Metrics, *SyntaxError) {
	m := &Metrics{Func: f, Offset: p.next().offset}
	if err := p.expect("("); err != nil {
		return nil, err
	}
	var err *SyntaxError
	switch f {
	case Rate, CountOverTime:
	case Compare:
		err = p.compareArgs(m)
	default:
		var ok bool
		if m.Field, ok = p.field(); !ok {
			return nil, p.unexpected("an attribute", "an intrinsic, as duration")
		}
		if f == QuantileOverTime {
			err = p.quantiles(m)
		}
	}
	if err == nil {
		err = p.expect(")")
	}
	if err == nil && f != Compare && p.accept("by") {
		m.By, err = p.fields()
	}
	return m, err
}

func (p *parser) quantiles(m *Metrics) *SyntaxError {
	for p.is(",") || len(m.Quantiles) == 0 {
		if err := p.expect(","); err != nil {
			return err
		}
		at := p.peek().offset
		l, err := p.number()
		if err != nil {
			return err
		}
		if l == nil || l.Value.typ == TypeDuration {
			return p.unexpected("a quantile, as 0.95")
		}
		q, _ := l.Value.Number()
		if q < 0 || q > 1 {
			return errorAt(p.text, at, nil, "quantile %s is not between 0 and 1", l)
		}
		if slices.Contains(m.Quantiles, q) {
			continue
		}
		m.Quantiles = append(m.Quantiles, q)
	}
	return nil
}

// defaultTopN is how many values of an attribute compare gives.
const defaultTopN = 10

func (p *parser) compareArgs(m *Metrics) *SyntaxError {
	m.TopN = defaultTopN
	if err := p.expect("{"); err != nil {
		return err
	}
	var err *SyntaxError
	if m.Selection, err = p.filter(); err != nil {
		return err
	}
	var n [3]int64
	count := 0
	for ; count < len(n) && p.accept(","); count++ {
		at := p.peek().offset
		l, err := p.number()
		if err != nil {
			return err
		}
		if l == nil || l.Value.typ != TypeInt {
			return p.unexpected([]string{"how many values to give of an attribute", "the start in unix nanoseconds", "the end in unix nanoseconds"}[count])
		}
		if n[count] = l.Value.Int(); n[count] <= 0 {
			return errorAt(p.text, at, nil, "%d is not greater than 0", n[count])
		}
	}
	switch count {
	case 2:
		return p.unexpected("the end in unix nanoseconds, because there is a start")
	case 3:
		if n[2] <= n[1] {
			return errorAt(p.text, m.Offset, nil, "the end of the selection, %d, is not after its start, %d", n[2], n[1])
		}
	}
	if count > 0 {
		m.TopN = int(min(n[0], math.MaxInt32))
	}
	m.Start, m.End = n[1], n[2]
	return nil
}

// metricsStages reads what is done with the series.
func (p *parser) metricsStages() ([]MetricsStage, *SyntaxError) {
	var out []MetricsStage
	for {
		t := p.peek()
		op, ok := binaryOps[t.text]
		switch {
		case t.kind == tokenOperator && ok && op.Comparison() && op != OpMatch && op != OpNotMatch:
			p.i++
			l, err := p.number()
			if err != nil {
				return nil, err
			}
			if l == nil {
				return nil, p.unexpected("a number")
			}
			out = append(out, &MetricsFilter{op, l.Value})
		case p.accept("|"):
			name := p.peek()
			if !p.accept("topk") && !p.accept("bottomk") {
				return nil, p.unexpected("topk(…)", "bottomk(…)")
			}
			if err := p.expect("("); err != nil {
				return nil, err
			}
			at := p.peek().offset
			l, err := p.number()
			if err != nil {
				return nil, err
			}
			if l == nil || l.Value.typ != TypeInt {
				return nil, p.unexpected("how many series to keep")
			}
			if l.Value.Int() <= 0 {
				return nil, errorAt(p.text, at, nil, "%s(%s): the number of series is not greater than 0", name.text, l)
			}
			out = append(out, &TopK{N: int(min(l.Value.Int(), math.MaxInt32)), Bottom: name.text == "bottomk"})
			if err := p.expect(")"); err != nil {
				return nil, err
			}
		default:
			return out, nil
		}
	}
}

// seconds is the literal as a sample is: durations in seconds.
func seconds(v Value) float64 {
	if v.typ == TypeDuration {
		return time.Duration(v.num).Seconds()
	}
	f, _ := v.Number()
	return f
}
