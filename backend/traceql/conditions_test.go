package traceql

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/throughline/throughline/backend/span"
)

// judge evaluates a predicate on a span with the oracle's words. As a store may,
// it takes every condition that blind names as true.
func judge(o oracle, p Predicate, i int, blind func(Condition) bool) bool {
	switch p.Kind {
	case PredicateTrue:
		return true
	case PredicateFalse:
		return false
	case PredicateAnd:
		return !slices.ContainsFunc(p.Parts, func(p Predicate) bool { return !judge(o, p, i, blind) })
	case PredicateOr:
		return slices.ContainsFunc(p.Parts, func(p Predicate) bool { return judge(o, p, i, blind) })
	}
	c := p.Condition
	if blind(c) {
		return true
	}
	f, lit := &Field{Attribute: c.Attribute}, &Literal{Value: c.Value}
	return o.truth(&Binary{Op: c.Op, Left: f, Right: lit}, i)
}

func judgeTrace(o oracle, n Need, blind func(Condition) bool) bool {
	switch n.Kind {
	case NeedSpan:
		for i := range o.Spans {
			if judge(o, n.Span, i, blind) {
				return true
			}
		}
		return false
	case NeedAll:
		return !slices.ContainsFunc(n.Parts, func(n Need) bool { return !judgeTrace(o, n, blind) })
	case NeedAny:
		return slices.ContainsFunc(n.Parts, func(n Need) bool { return judgeTrace(o, n, blind) })
	}
	return true
}

// Whatever a store leaves out by the conditions, no answer misses.
func TestConditionsAreSound(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	g := generator{r}
	excluded, exact := 0, 0
	for range rounds(t) {
		q, err := Parse(g.query())
		if err != nil {
			continue
		}
		c := q.Conditions()
		p := Compile(q)
		e, view := p.NewEvaluator(), NewView(p)
		blindness := r.IntN(3)
		blind := func(c Condition) bool { return blindness == 2 && c.Attribute.Intrinsic != IntrinsicNone }
		if blindness == 1 {
			blind = func(c Condition) bool { return strings.Contains(c.Attribute.String(), "a") }
		}
		for range 3 {
			tr := randomTrace(r, 12)
			o := oracle{Trace: tr}
			need := judgeTrace(o, c.Need, blind)
			sets := e.Search(view.Reset(tr))
			if !need {
				excluded++
				if len(sets) > 0 {
					t.Fatalf("%s\n%s matches a trace that its conditions exclude: %+v", q, dump(tr), c.Need)
				}
			}
			found := map[int32]bool{}
			for _, s := range sets {
				for _, i := range s.Spans {
					found[i] = true
				}
			}
			for i := range tr.Spans {
				holds := judge(o, c.Spans, i, blind)
				if found[int32(i)] && !holds {
					t.Fatalf("%s\n%s matches span %d, which its conditions exclude: %+v", q, dump(tr), i, c.Spans)
				}
				if c.Exact && blindness == 0 && holds != found[int32(i)] {
					t.Fatalf("%s\n%s span %d: exact conditions say %v", q, dump(tr), i, holds)
				}
			}
			if c.Exact && blindness == 0 && r.IntN(2) == 0 {
				exact++
				candidates := filtered(o, tr, c.Spans)
				if got, want := ids(e.Search(view.Reset(candidates)), candidates), ids(e.Search(view.Reset(tr)), tr); got != want && !readsTree(q) {
					t.Fatalf("%s\n%s the spans that fulfil the conditions give\n%s, all\n%s", q, dump(tr), got, want)
				}
			}
		}
	}
	t.Logf("%d traces excluded, %d answered from candidates alone", excluded, exact)
	if excluded < 100 || exact < 100 {
		t.Error("the test hardly tests")
	}
}

// filtered is the trace without the spans that do not fulfil a predicate.
func filtered(o oracle, t *span.Trace, p Predicate) *span.Trace {
	out := &span.Trace{ID: t.ID}
	for i := range t.Spans {
		if judge(o, p, i, func(Condition) bool { return false }) {
			out.Spans = append(out.Spans, t.Spans[i])
		}
	}
	return out
}

func ids(sets []Spanset, t *span.Trace) string {
	s := ""
	for _, set := range sets {
		for _, i := range set.Spans {
			s += t.Spans[i].SpanID.String() + " "
		}
		s += "\n"
	}
	return s
}

// readsTree reports whether a query reads what depends on the other spans.
func readsTree(q *Query) bool {
	reads := false
	eachField(q.Pipeline, func(f *Field) {
		switch f.Intrinsic {
		case IntrinsicChildCount, IntrinsicNestedSetLeft, IntrinsicNestedSetRight, IntrinsicNestedSetParent,
			IntrinsicTraceDuration, IntrinsicRootName, IntrinsicRootService:
			reads = true
		}
		reads = reads || f.Parent
	})
	return reads
}

func TestConditions(t *testing.T) {
	for text, want := range map[string]string{
		`{ }`:                                           `need nothing; spans true; exact`,
		`{ true }`:                                      `need nothing; spans true; exact`,
		`{ false }`:                                     `need (false); spans false; exact`,
		`{ .a = 1 && 2 > span.b }`:                      `need (.a = 1 & span.b < 2); spans .a = 1 & span.b < 2; exact`,
		`{ .a = 1 || .b =~ "x" }`:                       `need (.a = 1 | .b =~ "x"); spans .a = 1 | .b =~ "x"; exact`,
		`{ .a = 1 && (.b = 2 || .c) }`:                  `need (.a = 1 & (.b = 2 | .c = true)); spans .a = 1 & (.b = 2 | .c = true); exact`,
		`{ .a = 1 && !(.b = 2) }`:                       `need (.a = 1); spans .a = 1`,
		`{ .a = 1 || .b = .c }`:                         `need nothing; spans true`,
		`{ .a != nil && !.b }`:                          `need (.a != nil & .b = false); spans .a != nil & .b = false; exact`,
		`{ true && .a = 1 }`:                            `need (.a = 1); spans .a = 1; exact`,
		`{ event.a = 1 && event.b = 2 }`:                `need (event.a = 1 & event.b = 2); spans event.a = 1 & event.b = 2`,
		`{ event.a = 1 && link.b = 2 }`:                 `need (event.a = 1 & link.b = 2); spans event.a = 1 & link.b = 2; exact`,
		`{ event.a = 1 || event.b = 2 }`:                `need (event.a = 1 | event.b = 2); spans event.a = 1 | event.b = 2; exact`,
		`{ .a = 1 } && { .b = 2 }`:                      `need all[(.a = 1) (.b = 2)]; spans .a = 1 | .b = 2`,
		`{ .a = 1 } || { .b = 2 }`:                      `need any[(.a = 1) (.b = 2)]; spans .a = 1 | .b = 2; exact`,
		`{ .a = 1 } || { }`:                             `need nothing; spans true; exact`,
		`{ .a = 1 } >> { .b = 2 }`:                      `need all[(.a = 1) (.b = 2)]; spans .b = 2`,
		`{ .a = 1 } &>> { .b = 2 }`:                     `need all[(.a = 1) (.b = 2)]; spans .a = 1 | .b = 2`,
		`{ .a = 1 } !>> { .b = 2 }`:                     `need (.b = 2); spans .b = 2`,
		`{ .a = 1 } | { .b = 2 } | select(.c) | rate()`: `need all[(.a = 1) (.b = 2)]; spans .a = 1 & .b = 2; exact`,
		`{ .a = 1 } | count() > 2`:                      `need (.a = 1); spans .a = 1`,
	} {
		q, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		c := q.Conditions()
		got := "need " + describeNeed(c.Need) + "; spans " + describePredicate(c.Spans, false)
		if c.Exact {
			got += "; exact"
		}
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", text, got, want)
		}
	}
}

func describeNeed(n Need) string {
	switch n.Kind {
	case NeedNothing:
		return "nothing"
	case NeedSpan:
		return "(" + describePredicate(n.Span, false) + ")"
	}
	var all []string
	for _, p := range n.Parts {
		all = append(all, describeNeed(p))
	}
	return map[NeedKind]string{NeedAll: "all", NeedAny: "any"}[n.Kind] + "[" + strings.Join(all, " ") + "]"
}

func describePredicate(p Predicate, inner bool) string {
	sep := " & "
	switch p.Kind {
	case PredicateTrue:
		return "true"
	case PredicateFalse:
		return "false"
	case PredicateCondition:
		return p.Condition.Attribute.String() + " " + p.Condition.Op.String() + " " + p.Condition.Value.String()
	case PredicateOr:
		sep = " | "
	}
	var all []string
	for _, p := range p.Parts {
		all = append(all, describePredicate(p, true))
	}
	if s := strings.Join(all, sep); !inner {
		return s
	}
	return "(" + strings.Join(all, sep) + ")"
}
