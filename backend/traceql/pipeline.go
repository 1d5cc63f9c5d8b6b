package traceql

import (
	"slices"

	"github.com/throughline/throughline/backend/span"
)

// Spanset is some spans of a trace that a query selects together.
type Spanset struct {
	// Spans are numbers of spans, ascending.
	Spans []int32
	// Attributes are what by() grouped by and what scalars had which values.
	Attributes []Named
}

// Named is a value under the name that an answer gives it.
type Named struct {
	Name  string
	Value Value
}

// stageFunc is a compiled stage: it appends to e.sets what becomes of one spanset.
// That of coalesce() is nil, because it takes all of them.
type stageFunc func(e *Evaluator, in Spanset)

// Search returns the spansets that the query selects of a trace, none if it does
// not match. They are good until the evaluator is used again.
func (e *Evaluator) Search(t Trace) []Spanset {
	e.reset(t)
	if e.n == 0 {
		return nil
	}
	all := e.room(e.n)
	for i := range e.n {
		all = append(all, int32(i))
	}
	return e.run(e.program.stages, Spanset{Spans: all})
}

// run puts a spanset through stages. The results are the last of e.sets.
func (e *Evaluator) run(stages []stageFunc, in Spanset) []Spanset {
	from := len(e.sets)
	e.sets = append(e.sets, in)
	for _, stage := range stages {
		to := len(e.sets)
		if stage == nil {
			e.coalesce(from, to)
		} else {
			for k := from; k < to; k++ {
				stage(e, e.sets[k])
			}
		}
		if from = to; from == len(e.sets) {
			break
		}
	}
	return e.sets[from:]
}

func (e *Evaluator) coalesce(from, to int) {
	var out []int32
	for _, s := range e.sets[from:to] {
		out = e.union(out, s.Spans)
	}
	e.sets = append(e.sets, Spanset{Spans: out})
}

// room is an empty slice of that capacity out of the arena.
func (e *Evaluator) room(n int) []int32 {
	if cap(e.arena)-len(e.arena) < n {
		e.arena = make([]int32, 0, max(2*cap(e.arena), 4*n, 256))
	}
	at := len(e.arena)
	e.arena = e.arena[:at+n]
	return e.arena[at : at : at+n]
}

func (c *compiler) pipeline(p *Pipeline) []stageFunc {
	var out []stageFunc
	for _, s := range p.Stages {
		out = append(out, c.stage(s))
	}
	return out
}

func (c *compiler) stage(s Stage) stageFunc {
	switch s := s.(type) {
	case *ScalarFilter:
		return c.scalarFilter(s)
	case *GroupBy:
		return c.groupBy(s)
	case *Select:
		return func(e *Evaluator, in Spanset) { e.sets = append(e.sets, in) }
	case *Coalesce:
		return nil
	case *Pipeline:
		stages := c.pipeline(s)
		return func(e *Evaluator, in Spanset) {
			mark := len(e.sets)
			out := e.run(stages, in)
			e.sets = append(e.sets[:mark], out...)
		}
	}
	spans := c.spans(s.(SpansetExpr))
	return func(e *Evaluator, in Spanset) {
		if out := spans(e, in.Spans); len(out) > 0 {
			e.sets = append(e.sets, Spanset{out, in.Attributes})
		}
	}
}

// spansFunc selects among spans, which are ascending, and so is its result.
type spansFunc func(e *Evaluator, in []int32) []int32

func (c *compiler) spans(s SpansetExpr) spansFunc {
	switch s := s.(type) {
	case *SpansetFilter:
		return c.filter(s)
	case *Combine:
		l, r := c.spans(s.Left), c.spans(s.Right)
		and := s.Op == OpAnd
		return func(e *Evaluator, in []int32) []int32 {
			a := l(e, in)
			if and && len(a) == 0 {
				return nil
			}
			b := r(e, in)
			if and && len(b) == 0 {
				return nil
			}
			return e.union(a, b)
		}
	case *Structural:
		return c.structural(s)
	}
	stages := c.pipeline(s.(*Pipeline))
	return func(e *Evaluator, in []int32) []int32 { return e.spansOf(stages, in) }
}

// spansOf is all spans of the spansets that stages make.
func (e *Evaluator) spansOf(stages []stageFunc, in []int32) []int32 {
	mark := len(e.sets)
	var out []int32
	for _, set := range e.run(stages, Spanset{Spans: in}) {
		out = e.union(out, set.Spans)
	}
	e.sets = e.sets[:mark]
	return out
}

func (c *compiler) filter(f *SpansetFilter) spansFunc {
	if f.Expr == nil {
		return func(_ *Evaluator, in []int32) []int32 { return in }
	}
	keep := c.boolean(f.Expr)
	return func(e *Evaluator, in []int32) []int32 {
		out := e.room(len(in))
		for _, i := range in {
			if keep(e, int(i)) {
				out = append(out, i)
			}
		}
		return out
	}
}

func (c *compiler) structural(s *Structural) spansFunc {
	l, r := c.spans(s.Left), c.spans(s.Right)
	return func(e *Evaluator, in []int32) []int32 {
		right := r(e, in)
		if len(right) == 0 {
			return nil
		}
		left := l(e, in)
		if len(left) == 0 && s.Mode != ModeNot {
			return nil
		}
		t := e.tree()
		hits := t.related(s.Relation, e.marked(left), right, e)
		out := e.room(len(right))
		for _, i := range right {
			if hits[i] != (s.Mode == ModeNot) {
				out = append(out, i)
			}
		}
		if s.Mode != ModeUnion {
			return out
		}
		hits = t.related(s.Relation.inverse(), e.marked(right), left, e)
		both := e.room(len(left))
		for _, i := range left {
			if hits[i] {
				both = append(both, i)
			}
		}
		return e.union(out, both)
	}
}

// marked is the set as one boolean for each span of the trace.
func (e *Evaluator) marked(set []int32) []bool {
	out := resize(e.set, e.n)
	e.set = out
	for _, i := range set {
		out[i] = true
	}
	return out
}

// union merges two ascending sets.
func (e *Evaluator) union(a, b []int32) []int32 {
	if len(a) == 0 {
		return b
	}
	if len(b) == 0 {
		return a
	}
	out := e.room(len(a) + len(b))
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			out, a = append(out, a[0]), a[1:]
		case a[0] > b[0]:
			out, b = append(out, b[0]), b[1:]
		default:
			out, a, b = append(out, a[0]), a[1:], b[1:]
		}
	}
	out = append(out, a...)
	return append(out, b...)
}

func (c *compiler) groupBy(g *GroupBy) stageFunc {
	value := c.grouped(g.Expr)
	name := g.String()
	return func(e *Evaluator, in Spanset) {
		groups := map[valueKey]int{}
		for _, i := range in.Spans {
			v := value(e, int(i))
			at, ok := groups[keyOf(v)]
			if !ok {
				at = len(e.sets)
				groups[keyOf(v)] = at
				attributes := append(slices.Clip(in.Attributes), Named{name, v})
				e.sets = append(e.sets, Spanset{Attributes: attributes})
			}
			e.sets[at].Spans = append(e.sets[at].Spans, i)
		}
	}
}

// grouped compiles what by() groups by. Spans without events or links are, as in
// Tempo, with those whose event or link has nothing.
func (c *compiler) grouped(x Expr) valueFunc {
	value := c.value(x)
	f, ok := x.(*Field)
	if !ok {
		return value
	}
	var missing Value
	switch f.Intrinsic {
	case IntrinsicEventName, IntrinsicLinkTraceID:
		missing = StringValue("")
	case IntrinsicLinkSpanID:
		missing = StringValue(span.SpanID{}.String())
	case IntrinsicEventTimeSinceStart:
		missing = DurationValue(0)
	default:
		return value
	}
	return func(e *Evaluator, i int) Value {
		if v := value(e, i); !v.IsNil() {
			return v
		}
		return missing
	}
}

// valueKey identifies a value in a map.
type valueKey struct {
	typ  Type
	num  uint64
	text string
}

func keyOf(v Value) valueKey {
	if v.typ == TypeList {
		return valueKey{typ: TypeList, text: v.Text()}
	}
	return valueKey{v.typ, v.num, v.text}
}

func (c *compiler) scalarFilter(f *ScalarFilter) stageFunc {
	l, r := c.scalar(f.Left), c.scalar(f.Right)
	op := f.Op
	return func(e *Evaluator, in Spanset) {
		a, attributes := l(e, in.Spans, slices.Clip(in.Attributes))
		b, attributes := r(e, in.Spans, attributes)
		if holds(op, &a, &b, nil) {
			e.sets = append(e.sets, Spanset{in.Spans, attributes})
		}
	}
}

// scalarFunc computes a scalar of spans, and appends what was computed of them.
type scalarFunc func(e *Evaluator, in []int32, attributes []Named) (Value, []Named)

func (c *compiler) scalar(s ScalarExpr) scalarFunc {
	switch s := s.(type) {
	case *Literal:
		v := s.Value
		return func(_ *Evaluator, _ []int32, attributes []Named) (Value, []Named) { return v, attributes }
	case *ScalarBinary:
		l, r, op := c.scalar(s.Left), c.scalar(s.Right), s.Op
		return func(e *Evaluator, in []int32, attributes []Named) (Value, []Named) {
			a, attributes := l(e, in, attributes)
			b, attributes := r(e, in, attributes)
			return arithmetic(op, a, b), attributes
		}
	case *ScalarPipeline:
		stages := c.pipeline(s.Pipeline)
		inner := c.scalar(s.Scalar)
		return func(e *Evaluator, in []int32, attributes []Named) (Value, []Named) {
			return inner(e, e.spansOf(stages, in), attributes)
		}
	}
	return c.aggregate(s.(*Aggregate))
}

func (c *compiler) aggregate(a *Aggregate) scalarFunc {
	name := a.String()
	if a.Func == Count {
		return func(_ *Evaluator, in []int32, attributes []Named) (Value, []Named) {
			v := IntValue(int64(len(in)))
			return v, append(attributes, Named{name, v})
		}
	}
	value := c.value(a.Expr)
	return func(e *Evaluator, in []int32, attributes []Named) (Value, []Named) {
		v := Nil
		n, sum, whole := 0, 0.0, int64(0)
		for _, i := range in {
			x := value(e, int(i))
			f, ok := x.Number()
			if !ok {
				continue
			}
			n++
			sum += f
			whole += x.Int()
			if best, _ := v.Number(); v.IsNil() || a.Func == Min && f < best || a.Func == Max && f > best || v.typ != TypeFloat && x.typ == TypeFloat && a.Func == Sum {
				v = x
			}
		}
		switch {
		case n == 0:
			return Nil, attributes
		case a.Func == Sum && v.typ != TypeFloat:
			v.num = uint64(whole)
		case a.Func == Sum:
			v = FloatValue(sum)
		case a.Func == Avg && v.typ == TypeDuration:
			v.num = uint64(whole / int64(n))
		case a.Func == Avg:
			v = FloatValue(sum / float64(n))
		}
		return v, append(attributes, Named{name, v})
	}
}

// Shown appends what an answer shows of a span beside its name, times and ids: the
// attributes that the query compares, and those that it selects, where the span
// has them. As in Tempo, names are without their scopes, and of several events or
// links the last that has the attribute is shown.
func (e *Evaluator) Shown(dst []Named, i int) []Named {
	for k := range e.program.shown {
		s := &e.program.shown[k]
		v := Nil
		if s.multiple {
			mark := len(e.values)
			e.values = e.trace.AppendValues(e.values, i, s.number)
			for _, x := range e.values[mark:] {
				if !x.IsNil() {
					v = x
				}
			}
			e.values = e.values[:mark]
		} else {
			v = s.value(e, i)
		}
		// An attribute may be asked for with its scope and without.
		again := func(n Named) bool { return n.Name == s.name && keyOf(n.Value) == keyOf(v) }
		if !v.IsNil() && !slices.ContainsFunc(dst, again) {
			dst = append(dst, Named{s.name, v})
		}
	}
	return dst
}

// shown lists the attributes of a search's answer, each once.
func (c *compiler) shown(q *Query) []shownField {
	var out []shownField
	seen := map[Attribute]bool{}
	add := func(a Attribute) {
		switch a.Intrinsic {
		case IntrinsicName, IntrinsicDuration, IntrinsicSpanID, IntrinsicParent,
			IntrinsicTraceID, IntrinsicTraceDuration, IntrinsicRootName, IntrinsicRootService:
			return // an answer has them in fields of their own
		}
		if seen[a] {
			return
		}
		seen[a] = true
		f := shownField{name: a.Name, multiple: a.Multiple() != ScopeNone}
		if a.Intrinsic != IntrinsicNone {
			f.name = a.Intrinsic.String()
		}
		if f.multiple {
			f.number = c.number(a)
		} else {
			f.value = c.field(a)
		}
		out = append(out, f)
	}
	eachField(q.Pipeline, func(f *Field) { add(f.Attribute) })
	for _, s := range q.Pipeline.Stages {
		if s, ok := s.(*Select); ok {
			for _, a := range s.Attributes {
				add(a)
			}
		}
	}
	return out
}

// eachField calls f for every field that a pipeline reads.
func eachField(s Stage, f func(*Field)) {
	switch s := s.(type) {
	case *Pipeline:
		for _, stage := range s.Stages {
			eachField(stage, f)
		}
	case *SpansetFilter:
		fieldsOf(s.Expr, f)
	case *Combine:
		eachField(s.Left, f)
		eachField(s.Right, f)
	case *Structural:
		eachField(s.Left, f)
		eachField(s.Right, f)
	case *GroupBy:
		fieldsOf(s.Expr, f)
	case *ScalarFilter:
		scalarFields(s.Left, f)
		scalarFields(s.Right, f)
	}
}

func scalarFields(s ScalarExpr, f func(*Field)) {
	switch s := s.(type) {
	case *Aggregate:
		fieldsOf(s.Expr, f)
	case *ScalarBinary:
		scalarFields(s.Left, f)
		scalarFields(s.Right, f)
	case *ScalarPipeline:
		eachField(s.Pipeline, f)
		scalarFields(s.Scalar, f)
	}
}

func fieldsOf(x Expr, f func(*Field)) {
	switch x := x.(type) {
	case *Field:
		f(x)
	case *Unary:
		fieldsOf(x.X, f)
	case *Binary:
		fieldsOf(x.Left, f)
		fieldsOf(x.Right, f)
	}
}
