package traceql

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"sort"
	"strings"

	"github.com/throughline/throughline/backend/span"
)

// oracle evaluates queries as SYNTAX.md says it, span by span and without regard
// to time or memory. It shares the parser, the type Value and its makers with the
// package, and no code of the evaluator.
type oracle struct {
	*span.Trace
	// The event or link that is looked at, counted from 1; 0 while it is the span.
	event, link int
}

type oracleSet struct {
	spans      []int
	attributes []string
}

func (o oracle) search(q *Query) []oracleSet {
	var all []int
	for i := range o.Spans {
		all = append(all, i)
	}
	return o.pipeline(q.Pipeline, oracleSet{spans: all})
}

func (o oracle) pipeline(p *Pipeline, in oracleSet) []oracleSet {
	sets := []oracleSet{in}
	for _, stage := range p.Stages {
		var out []oracleSet
		if _, ok := stage.(*Coalesce); ok {
			var spans []int
			for _, s := range sets {
				spans = append(spans, s.spans...)
			}
			out = []oracleSet{{spans: unique(spans)}}
		} else {
			for _, s := range sets {
				out = append(out, o.stage(stage, s)...)
			}
		}
		sets = slices.DeleteFunc(out, func(s oracleSet) bool { return len(s.spans) == 0 })
	}
	return sets
}

func (o oracle) stage(stage Stage, in oracleSet) []oracleSet {
	switch s := stage.(type) {
	case *Pipeline:
		return o.pipeline(s, in)
	case *Select:
		return []oracleSet{in}
	case *GroupBy:
		var out []oracleSet
		for _, i := range in.spans {
			label := fmt.Sprintf("%s=%s %v", s, o.grouped(s.Expr, i).typ, o.grouped(s.Expr, i))
			found := false
			for k := range out {
				if out[k].attributes[len(out[k].attributes)-1] == label {
					out[k].spans = append(out[k].spans, i)
					found = true
				}
			}
			if !found {
				out = append(out, oracleSet{[]int{i}, append(slices.Clone(in.attributes), label)})
			}
		}
		return out
	case *ScalarFilter:
		var attributes []string
		l := o.scalar(s.Left, in.spans, &attributes)
		r := o.scalar(s.Right, in.spans, &attributes)
		if !o.compare(s.Op, l, r, "", false) {
			return nil
		}
		return []oracleSet{{in.spans, append(slices.Clone(in.attributes), attributes...)}}
	}
	return []oracleSet{{o.spans(stage.(SpansetExpr), in.spans), in.attributes}}
}

func unique(s []int) []int {
	sort.Ints(s)
	return slices.Compact(s)
}

func (o oracle) spans(x SpansetExpr, in []int) []int {
	switch x := x.(type) {
	case *SpansetFilter:
		var out []int
		for _, i := range in {
			if x.Expr == nil || o.truth(x.Expr, i) {
				out = append(out, i)
			}
		}
		return out
	case *Combine:
		l, r := o.spans(x.Left, in), o.spans(x.Right, in)
		if x.Op == OpAnd && (len(l) == 0 || len(r) == 0) {
			return nil
		}
		return unique(append(slices.Clone(l), r...))
	case *Structural:
		l, r := o.spans(x.Left, in), o.spans(x.Right, in)
		var out []int
		for _, b := range r {
			related := slices.ContainsFunc(l, func(a int) bool { return o.related(x.Relation, a, b) })
			if related != (x.Mode == ModeNot) {
				out = append(out, b)
			}
		}
		if x.Mode == ModeUnion {
			for _, a := range l {
				if slices.ContainsFunc(r, func(b int) bool { return o.related(x.Relation, a, b) }) {
					out = append(out, a)
				}
			}
		}
		return unique(out)
	}
	var out []int
	for _, s := range o.pipeline(x.(*Pipeline), oracleSet{spans: in}) {
		out = append(out, s.spans...)
	}
	return unique(out)
}

// related reports whether b is the child (and so on) of a.
func (o oracle) related(r Relation, a, b int) bool {
	if !o.rooted(a) || !o.rooted(b) {
		return false
	}
	switch r {
	case Child:
		return o.parent(b) == a
	case Parent:
		return o.parent(a) == b
	case Descendant:
		return slices.Contains(o.ancestors(b), a)
	case Ancestor:
		return slices.Contains(o.ancestors(a), b)
	}
	return a != b && o.parent(a) >= 0 && o.parent(a) == o.parent(b)
}

func (o oracle) parent(i int) int {
	if o.Spans[i].ParentSpanID.IsZero() {
		return NoParent
	}
	for j := range o.Spans {
		if o.Spans[j].SpanID == o.Spans[i].ParentSpanID {
			return j
		}
	}
	return MissingParent
}

// rooted reports whether a span's ancestors end in a root.
func (o oracle) rooted(i int) bool {
	for range o.Spans {
		switch i = o.parent(i); i {
		case NoParent:
			return true
		case MissingParent:
			return false
		}
	}
	return false
}

// ancestors is nothing for spans that are in or below a cycle.
func (o oracle) ancestors(i int) []int {
	var out []int
	for p := o.parent(i); p >= 0; p = o.parent(p) {
		if p == i || slices.Contains(out, p) {
			return nil
		}
		out = append(out, p)
	}
	return out
}

// nested gives the nested set numbers of a span by walking the tree recursively.
func (o oracle) nested(want int) (left, right, parent int) {
	number := 0
	var walk func(i, above int)
	walk = func(i, above int) {
		number++
		l := number
		for j := range o.Spans {
			if o.parent(j) == i {
				walk(j, l)
			}
		}
		number++
		if i == want {
			left, right, parent = l, number, above
		}
	}
	for i := range o.Spans {
		if o.parent(i) == NoParent {
			walk(i, -1)
		}
	}
	return left, right, parent
}

func (o oracle) scalar(x ScalarExpr, in []int, attributes *[]string) Value {
	switch x := x.(type) {
	case *Literal:
		return x.Value
	case *ScalarBinary:
		l := o.scalar(x.Left, in, attributes)
		r := o.scalar(x.Right, in, attributes)
		return o.arithmetic(x.Op, l, r)
	case *ScalarPipeline:
		var spans []int
		for _, s := range o.pipeline(x.Pipeline, oracleSet{spans: in}) {
			spans = append(spans, s.spans...)
		}
		return o.scalar(x.Scalar, unique(spans), attributes)
	}
	a := x.(*Aggregate)
	var values []Value
	for _, i := range in {
		if a.Expr == nil {
			continue
		}
		if v := o.value(a.Expr, i); v.typ == TypeInt || v.typ == TypeFloat || v.typ == TypeDuration {
			values = append(values, v)
		}
	}
	result := Nil
	total := 0.0
	for i, v := range values {
		f, _ := v.Number()
		total += f
		best, _ := result.Number()
		if i == 0 || a.Func == Min && f < best || a.Func == Max && f > best {
			result = v
		}
	}
	switch {
	case a.Func == Count:
		result = IntValue(int64(len(in)))
	case len(values) == 0:
		return Nil
	case a.Func == Avg || a.Func == Sum:
		if a.Func == Avg {
			total /= float64(len(values))
		}
		floats := slices.ContainsFunc(values, func(v Value) bool { return v.typ == TypeFloat })
		switch {
		case values[0].typ == TypeDuration:
			result = Value{typ: TypeDuration, num: uint64(int64(total))}
		case a.Func == Sum && !floats:
			result = IntValue(int64(total))
		default:
			result = FloatValue(total)
		}
	}
	*attributes = append(*attributes, fmt.Sprintf("%s=%s %v", a, result.typ, result))
	return result
}

// grouped is what by() takes a span for: what events and links have, empty where
// there are none.
func (o oracle) grouped(x Expr, i int) Value {
	v := o.value(x, i)
	if v.IsNil() {
		switch x.String() {
		case "event:name", "link:traceID":
			return StringValue("")
		case "event:timeSinceStart":
			return DurationValue(0)
		case "link:spanID":
			return StringValue("0000000000000000")
		}
	}
	return v
}

func (o oracle) truth(x Expr, i int) bool {
	if o.event == 0 && o.link == 0 {
		return o.truthOfSpan(x, i)
	}
	return o.truthOf(x, i)
}

// truthOfSpan looks for one event, and one link, of which everything is true that
// a chain of && says about events and links.
func (o oracle) truthOfSpan(x Expr, i int) bool {
	of := map[Scope][]Expr{}
	var chain func(x Expr)
	chain = func(x Expr) {
		if b, ok := x.(*Binary); ok && b.Op == OpAnd {
			chain(b.Left)
			chain(b.Right)
			return
		}
		of[o.about(x)] = append(of[o.about(x)], x)
	}
	chain(x)
	for _, part := range of[ScopeNone] {
		if !o.truthOf(part, i) {
			return false
		}
	}
	all := func(o oracle, parts []Expr) bool {
		return !slices.ContainsFunc(parts, func(x Expr) bool { return !o.truth(x, i) })
	}
	found := len(of[ScopeEvent]) == 0
	for k := range o.Spans[i].Events {
		found = found || all(oracle{o.Trace, k + 1, 0}, of[ScopeEvent])
	}
	if !found {
		return false
	}
	found = len(of[ScopeLink]) == 0
	for k := range o.Spans[i].Links {
		found = found || all(oracle{o.Trace, 0, k + 1}, of[ScopeLink])
	}
	return found
}

// about is the scope that all comparisons of an expression read, if it is that of
// events or links; of a comparison that reads both it is the first.
func (o oracle) about(x Expr) Scope {
	var scopes []Scope
	var collect func(x Expr)
	collect = func(x Expr) {
		if b, ok := x.(*Binary); ok && (b.Op == OpAnd || b.Op == OpOr) {
			collect(b.Left)
			collect(b.Right)
			return
		}
		first := ScopeNone
		if u, ok := x.(*Unary); !ok || isField(u.X) {
			fieldsOf(x, func(f *Field) {
				if m := f.Multiple(); first == ScopeNone {
					first = m
				}
			})
		}
		scopes = append(scopes, first)
	}
	collect(x)
	if len(slices.Compact(scopes)) > 1 {
		return ScopeNone
	}
	return scopes[0]
}

func isField(x Expr) bool {
	_, ok := x.(*Field)
	return ok
}

func (o oracle) truthOf(x Expr, i int) bool {
	switch x := x.(type) {
	case *Literal:
		return x.Value.Bool()
	case *Field:
		return o.compare(OpEqual, o.value(x, i), BoolValue(true), "", strict(x, &Literal{}))
	case *Unary:
		if isField(x.X) {
			return o.compare(OpEqual, o.value(x.X, i), BoolValue(false), "", true)
		}
		return !o.truth(x.X, i)
	}
	b := x.(*Binary)
	switch b.Op {
	case OpAnd:
		return o.truth(b.Left, i) && o.truth(b.Right, i)
	case OpOr:
		return o.truth(b.Left, i) || o.truth(b.Right, i)
	}
	l, r := o.value(b.Left, i), o.value(b.Right, i)
	switch {
	case isNilLiteral(b.Right):
		return l.IsNil() == (b.Op == OpEqual)
	case isNilLiteral(b.Left):
		return r.IsNil() == (b.Op == OpEqual)
	}
	return o.compare(b.Op, l, r, r.Str(), strict(b.Left, b.Right))
}

// strict is whether an attribute is compared with a literal.
func strict(l, r Expr) bool {
	if isField(r) {
		l, r = r, l
	}
	f, ok := l.(*Field)
	_, literal := r.(*Literal)
	return ok && literal && f.Intrinsic == IntrinsicNone
}

func (o oracle) value(x Expr, i int) Value {
	switch x := x.(type) {
	case *Literal:
		return x.Value
	case *Field:
		for _, v := range o.values(x.Attribute, i) {
			if !v.IsNil() {
				return v
			}
		}
		return Nil
	case *Unary:
		if x.Op == OpNeg {
			return o.arithmetic(OpMul, o.value(x.X, i), IntValue(-1))
		}
	case *Binary:
		if x.Op.Arithmetic() {
			return o.arithmetic(x.Op, o.value(x.Left, i), o.value(x.Right, i))
		}
	}
	return BoolValue(o.truth(x, i))
}

func (o oracle) values(a Attribute, i int) []Value {
	if a.Parent {
		a.Parent = false
		if p := o.parent(i); p >= 0 {
			return o.values(a, p)
		}
		return nil
	}
	s := &o.Spans[i]
	find := func(attributes []span.Attribute) []Value {
		if v, ok := span.Get(attributes, a.Name); ok && !ValueOf(v).IsNil() {
			return []Value{ValueOf(v)}
		}
		return nil
	}
	var service []Value // every span has one
	if a.Name == "service.name" {
		service = []Value{StringValue("")}
	}
	left, right, above := 0, 0, 0
	if strings.HasPrefix(a.String(), "nestedSet") {
		left, right, above = o.nested(i)
	}
	var first, last uint64 = math.MaxUint64, 0
	root := -1
	children := 0
	for j := range o.Spans {
		first, last = min(first, o.Spans[j].StartTime), max(last, o.Spans[j].EndTime)
		if o.parent(j) == NoParent && root < 0 {
			root = j
		}
		if o.parent(j) == i {
			children++
		}
	}
	var out []Value
	switch a.Intrinsic {
	case IntrinsicNone:
		switch a.Scope {
		case ScopeSpan:
			return find(s.Attributes)
		case ScopeResource:
			found := append(find(s.Resource.Attributes), service...)
			return found[:min(1, len(found))]
		case ScopeInstrumentation:
			return find(s.Scope.Attributes)
		case ScopeEvent:
			for k, e := range s.Events {
				if o.event == 0 || o.event == k+1 {
					out = append(out, append(find(e.Attributes), Nil)[0])
				}
			}
		case ScopeLink:
			for k, l := range s.Links {
				if o.link == 0 || o.link == k+1 {
					out = append(out, append(find(l.Attributes), Nil)[0])
				}
			}
		default:
			found := append(append(find(s.Attributes), find(s.Resource.Attributes)...), service...)
			return found[:min(1, len(found))]
		}
		return out
	case IntrinsicName:
		return []Value{StringValue(s.Name)}
	case IntrinsicStatus:
		return []Value{StatusValue(s.Status.Code)}
	case IntrinsicStatusMessage:
		return []Value{StringValue(s.Status.Message)}
	case IntrinsicKind:
		return []Value{KindValue(s.Kind)}
	case IntrinsicDuration:
		return []Value{DurationValue(s.Duration())}
	case IntrinsicChildCount:
		return []Value{IntValue(int64(children))}
	case IntrinsicNestedSetLeft:
		return []Value{IntValue(int64(left))}
	case IntrinsicNestedSetRight:
		return []Value{IntValue(int64(right))}
	case IntrinsicNestedSetParent:
		return []Value{IntValue(int64(above))}
	case IntrinsicTraceDuration:
		return []Value{{typ: TypeDuration, num: last - first}}
	case IntrinsicRootName:
		if root < 0 {
			return []Value{StringValue("")}
		}
		return []Value{StringValue(o.Spans[root].Name)}
	case IntrinsicRootService:
		if root >= 0 {
			return append(o.values(Attribute{Scope: ScopeResource, Name: "service.name"}, root), StringValue(""))[:1]
		}
		return []Value{StringValue("")}
	case IntrinsicEventName:
		for k, e := range s.Events {
			if o.event == 0 || o.event == k+1 {
				out = append(out, StringValue(e.Name))
			}
		}
	case IntrinsicEventTimeSinceStart:
		for k, e := range s.Events {
			if o.event == 0 || o.event == k+1 {
				out = append(out, Value{typ: TypeDuration, num: e.Time - s.StartTime})
			}
		}
	case IntrinsicInstrumentationName:
		return []Value{StringValue(s.Scope.Name)}
	case IntrinsicParent:
		if o.parent(i) != NoParent {
			return []Value{{typ: TypeOther}}
		}
	}
	return out
}

// compare compares two values. If strict, a number compares only with one of its type.
func (o oracle) compare(op Op, l, r Value, pattern string, strict bool) bool {
	for _, e := range l.List() {
		if o.compare(op, ValueOf(e), r, pattern, strict) {
			return true
		}
	}
	for _, e := range r.List() {
		if o.compare(op, l, ValueOf(e), pattern, strict) {
			return true
		}
	}
	if strict && l.typ != r.typ {
		return false
	}
	if !o.fit(l, r) {
		return false
	}
	switch op {
	case OpMatch, OpNotMatch:
		return regexp.MustCompile("^(?s:"+pattern+")$").MatchString(l.text) == (op == OpMatch)
	}
	less, equal := false, false
	a, isNumber := l.Number()
	b, _ := r.Number()
	switch {
	case isNumber:
		less, equal = a < b, a == b
	case l.typ == TypeString:
		less, equal = l.text < r.text, l.text == r.text
	default:
		return op == OpEqual && l.num == r.num || op == OpNotEqual && l.num != r.num
	}
	return map[Op]bool{
		OpEqual: equal, OpNotEqual: !equal, OpLess: less, OpLessEqual: less || equal,
		OpGreater: a == a && b == b && !less && !equal, OpGreaterEqual: a == a && b == b && !less,
	}[op]
}

// fit reports whether two values may be compared at all.
func (o oracle) fit(l, r Value) bool {
	_, a := l.Number()
	_, b := r.Number()
	return a && b || l.typ == r.typ && l.typ != TypeNil && l.typ != TypeOther
}

func (o oracle) arithmetic(op Op, l, r Value) Value {
	a, ok1 := l.Number()
	b, ok2 := r.Number()
	if !ok1 || !ok2 {
		return Nil
	}
	f := map[Op]float64{OpAdd: a + b, OpSub: a - b, OpMul: a * b, OpDiv: a / b, OpMod: math.Mod(a, b), OpPow: math.Pow(a, b)}[op]
	whole := l.typ != TypeFloat && r.typ != TypeFloat && op != OpPow
	if op == OpDiv || op == OpMod {
		if whole && b == 0 {
			return Nil
		}
		if op == OpDiv && whole {
			f = math.Trunc(f)
		}
	}
	switch {
	case whole && (l.typ == TypeDuration || r.typ == TypeDuration):
		return Value{typ: TypeDuration, num: uint64(int64(f))}
	case whole:
		return IntValue(int64(f))
	}
	return FloatValue(f)
}
