package traceql

import (
	"strconv"
	"strings"
)

// precedence, by operator, low to high. Comparisons and structural operators stand
// on one level; && and || do too. All group to the left but ^.
const (
	precAnd     = 10
	precCompare = 20
	precAdd     = 30
	precUnary   = 35
	precMul     = 40
	precPow     = 50
	precAtom    = 100
)

func precedence(op Op) int {
	switch {
	case op == OpAnd || op == OpOr:
		return precAnd
	case op.Comparison():
		return precCompare
	case op == OpAdd || op == OpSub:
		return precAdd
	case op == OpPow:
		return precPow
	case op.Arithmetic():
		return precMul
	}
	return precUnary
}

// nodePrecedence is how tightly the text of a node holds together.
func nodePrecedence(n any) int {
	switch n := n.(type) {
	case *Binary:
		return precedence(n.Op)
	case *ScalarBinary:
		return precedence(n.Op)
	case *Unary:
		return precUnary
	case *Literal:
		if f, ok := n.Value.Number(); ok && (f < 0 || strings.HasPrefix(n.Value.String(), "-")) {
			return precUnary
		}
	case *Combine:
		return precAnd
	case *Structural:
		return precCompare
	}
	return precAtom
}

// writer is a node that writes itself.
type writer interface{ write(b *strings.Builder) }

func text(n writer) string {
	var b strings.Builder
	n.write(&b)
	return b.String()
}

// writeOperand writes a node, in parentheses when it holds together less than least.
func writeOperand(b *strings.Builder, n any, least int) {
	w := n.(writer)
	if nodePrecedence(n) < least {
		b.WriteByte('(')
		w.write(b)
		b.WriteByte(')')
		return
	}
	w.write(b)
}

func writeBinary(b *strings.Builder, op string, prec int, left, right any) {
	l, r := prec, prec+1
	if prec == precPow {
		l, r = prec+1, prec
	}
	writeOperand(b, left, l)
	b.WriteString(" " + op + " ")
	writeOperand(b, right, r)
}

// String is the canonical text of the query; [Parse] of it gives an equal tree.
func (q *Query) String() string {
	var b strings.Builder
	q.Pipeline.writeStages(&b)
	if q.Metrics != nil {
		b.WriteString(" | ")
		q.Metrics.write(&b)
	}
	for _, s := range q.Stages {
		if _, ok := s.(*TopK); ok {
			b.WriteString(" |")
		}
		b.WriteByte(' ')
		b.WriteString(s.String())
	}
	if len(q.Hints) > 0 {
		b.WriteString(" with(")
		for i, h := range q.Hints {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(h.Name + "=" + h.Value.String())
		}
		b.WriteByte(')')
	}
	return b.String()
}

func (p *Pipeline) writeStages(b *strings.Builder) {
	for i, s := range p.Stages {
		if i > 0 {
			b.WriteString(" | ")
		}
		s.(writer).write(b)
	}
}

func (p *Pipeline) write(b *strings.Builder) {
	b.WriteByte('(')
	p.writeStages(b)
	b.WriteByte(')')
}

func (f *SpansetFilter) write(b *strings.Builder) {
	if f.Expr == nil {
		b.WriteString("{ }")
		return
	}
	b.WriteString("{ ")
	f.Expr.(writer).write(b)
	b.WriteString(" }")
}

func (c *Combine) write(b *strings.Builder) {
	writeBinary(b, c.Op.String(), precAnd, c.Left, c.Right)
}

func (s *Structural) write(b *strings.Builder) {
	writeBinary(b, s.Mode.String()+s.Relation.String(), precCompare, s.Left, s.Right)
}

func (s *ScalarFilter) write(b *strings.Builder) {
	writeBinary(b, s.Op.String(), precCompare, s.Left, s.Right)
}

func (a *Aggregate) write(b *strings.Builder) {
	b.WriteString(a.Func.String() + "(")
	if a.Expr != nil {
		a.Expr.(writer).write(b)
	}
	b.WriteByte(')')
}

func (s *ScalarBinary) write(b *strings.Builder) {
	writeBinary(b, s.Op.String(), precedence(s.Op), s.Left, s.Right)
}

func (s *ScalarPipeline) write(b *strings.Builder) {
	b.WriteByte('(')
	s.Pipeline.writeStages(b)
	b.WriteString(" | ")
	s.Scalar.(writer).write(b)
	b.WriteByte(')')
}

func (g *GroupBy) write(b *strings.Builder) {
	b.WriteString("by(")
	g.Expr.(writer).write(b)
	b.WriteByte(')')
}

func (s *Select) write(b *strings.Builder) {
	b.WriteString("select(")
	for i, a := range s.Attributes {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(a.String())
	}
	b.WriteByte(')')
}

func (*Coalesce) write(b *strings.Builder) { b.WriteString("coalesce()") }

func (f *Field) write(b *strings.Builder)   { b.WriteString(f.Attribute.String()) }
func (l *Literal) write(b *strings.Builder) { b.WriteString(l.Value.String()) }

func (u *Unary) write(b *strings.Builder) {
	b.WriteString(u.Op.String())
	writeOperand(b, u.X, precUnary)
}

func (n *Binary) write(b *strings.Builder) {
	writeBinary(b, n.Op.String(), precedence(n.Op), n.Left, n.Right)
}

func (m *Metrics) write(b *strings.Builder) {
	b.WriteString(m.Func.String() + "(")
	if m.Field != nil {
		m.Field.write(b)
	}
	for _, q := range m.Quantiles {
		b.WriteString(", " + FloatValue(q).String())
	}
	if m.Selection != nil {
		m.Selection.write(b)
		b.WriteString(", " + strconv.Itoa(m.TopN))
		if m.Start != 0 || m.End != 0 {
			b.WriteString(", " + strconv.FormatInt(m.Start, 10) + ", " + strconv.FormatInt(m.End, 10))
		}
	}
	b.WriteByte(')')
	for i, f := range m.By {
		if i == 0 {
			b.WriteString(" by(")
		} else {
			b.WriteString(", ")
		}
		f.write(b)
	}
	if len(m.By) > 0 {
		b.WriteByte(')')
	}
}

func (t *TopK) write(b *strings.Builder) {
	name := "topk("
	if t.Bottom {
		name = "bottomk("
	}
	b.WriteString(name + strconv.Itoa(t.N) + ")")
}

func (f *MetricsFilter) write(b *strings.Builder) {
	b.WriteString(f.Op.String() + " " + f.Value.String())
}

// String is the canonical text.
func (p *Pipeline) String() string { return text(p) }

// String is the canonical text.
func (f *SpansetFilter) String() string { return text(f) }

// String is the canonical text.
func (c *Combine) String() string { return text(c) }

// String is the canonical text.
func (s *Structural) String() string { return text(s) }

// String is the canonical text.
func (s *ScalarFilter) String() string { return text(s) }

// String is the canonical text.
func (a *Aggregate) String() string { return text(a) }

// String is the canonical text.
func (s *ScalarBinary) String() string { return text(s) }

// String is the canonical text.
func (s *ScalarPipeline) String() string { return text(s) }

// String is the canonical text.
func (g *GroupBy) String() string { return text(g) }

// String is the canonical text.
func (s *Select) String() string { return text(s) }

// String is the canonical text.
func (c *Coalesce) String() string { return text(c) }

// String is the canonical text.
func (l *Literal) String() string { return text(l) }

// String is the canonical text.
func (u *Unary) String() string { return text(u) }

// String is the canonical text.
func (n *Binary) String() string { return text(n) }

// String is the canonical text.
func (m *Metrics) String() string { return text(m) }

// String is the canonical text.
func (t *TopK) String() string { return text(t) }

// String is the canonical text.
func (f *MetricsFilter) String() string { return text(f) }
