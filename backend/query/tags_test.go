package query_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/throughline/throughline/backend/query"
	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
	"github.com/throughline/throughline/backend/traceql"
)

// values is what the traces have for an attribute in spans that a query selects.
func (h held) values(q *traceql.Query, a traceql.Attribute) map[string]bool {
	stages := append(slices.Clip(q.Pipeline.Stages), &traceql.GroupBy{Expr: &traceql.Field{Attribute: a}})
	p := traceql.Compile(&traceql.Query{Pipeline: &traceql.Pipeline{Stages: stages}})
	e, v := p.NewEvaluator(), traceql.NewView(p)
	out := map[string]bool{}
	var add func(v traceql.Value)
	add = func(v traceql.Value) {
		if v.Type() == traceql.TypeList {
			for _, element := range v.List() {
				add(traceql.ValueOf(element))
			}
			return
		}
		service := a.Intrinsic == traceql.IntrinsicRootService || a.Scope == traceql.ScopeResource && !a.Parent && a.Name == "service.name"
		if !v.IsNil() && !(service && v.Equal(traceql.StringValue(""))) {
			out[fmt.Sprint(v.Type(), v)] = true
		}
	}
	for _, t := range h {
		for _, set := range e.Search(v.Reset(t)) {
			for _, i := range set.Spans {
				if a.Multiple() != traceql.ScopeNone {
					for _, v := range v.AppendValues(nil, int(i), slices.Index(p.Attributes(), a)) {
						add(v)
					}
					continue
				}
				add(set.Attributes[len(set.Attributes)-1].Value)
			}
		}
	}
	return out
}

// keys is the keys of the attributes of spans that a filter of spans selects.
func (h held) keys(q *traceql.Query) store.Keys {
	p := traceql.Compile(q)
	e, v := p.NewEvaluator(), traceql.NewView(p)
	found := [5]map[string]bool{}
	add := func(kind int, attributes []span.Attribute) {
		for _, a := range attributes {
			if found[kind] == nil {
				found[kind] = map[string]bool{}
			}
			found[kind][a.Key] = true
		}
	}
	for _, t := range h {
		for _, set := range e.Search(v.Reset(t)) {
			for _, i := range set.Spans {
				s := &t.Spans[i]
				add(0, s.Attributes)
				add(1, s.Resource.Attributes)
				add(2, s.Scope.Attributes)
				for i := range s.Events {
					add(3, s.Events[i].Attributes)
				}
				for i := range s.Links {
					add(4, s.Links[i].Attributes)
				}
			}
		}
	}
	var keys store.Keys
	for i, list := range []*[]string{&keys.Span, &keys.Resource, &keys.Scope, &keys.Event, &keys.Link} {
		for k := range found[i] {
			*list = append(*list, k)
		}
		slices.Sort(*list)
	}
	return keys
}

// compareTags holds the names and values of attributes against those of all traces.
func compareTags(t *testing.T, rng *rand.Rand, e *query.Engine, h held, n int) {
	t.Helper()
	w := words{rng}
	got, err := e.TagNames(t.Context(), query.TagNames{})
	if err != nil {
		t.Fatal(err)
	}
	every := parse(t, func() string { return "{ }" })
	if d := gocmp.Diff(h.keys(every), got, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("names (-want +got):\n%s", d)
	}
	for range n {
		q := parse(t, func() string { return "{ " + w.expr(1) + " }" })
		names, err := e.TagNames(t.Context(), query.TagNames{Query: q})
		if err != nil {
			t.Fatal(err)
		}
		// Of several versions of a span, and of events and links, more may be told.
		want := h.keys(q)
		for i, all := range [][2][]string{{want.Span, names.Span}, {want.Resource, names.Resource}, {want.Scope, names.Scope}, {want.Event, names.Event}, {want.Link, names.Link}} {
			for _, name := range all[0] {
				if !slices.Contains(all[1], name) {
					t.Errorf("%s: name %q of kind %d is missing", q, name, i)
				}
			}
		}

		field := parse(t, func() string { return "{ " + w.field() + " != nil }" })
		a := field.Pipeline.Stages[0].(*traceql.SpansetFilter).Expr.(*traceql.Binary).Left.(*traceql.Field).Attribute
		switch a.Intrinsic {
		case traceql.IntrinsicDuration, traceql.IntrinsicChildCount, traceql.IntrinsicNestedSetParent:
			continue
		}
		of := q
		if rng.IntN(3) == 0 {
			q, of = nil, every
		}
		if q == nil && (a.Intrinsic == traceql.IntrinsicRootName || a.Intrinsic == traceql.IntrinsicRootService) {
			continue // of traces with several roots it has the names of all
		}
		values, err := e.TagValues(t.Context(), query.TagValues{Attribute: a, Query: q})
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, v := range values.List {
			seen[fmt.Sprint(v.Type(), v)] = true
		}
		if d := gocmp.Diff(h.values(of, a), seen); d != "" || len(seen) != len(values.List) {
			t.Errorf("values of %s in %s (-want +got):\n%s", a, of, d)
		}
		if len(values.List) > 1 {
			some, err := e.TagValues(t.Context(), query.TagValues{Attribute: a, Query: q, Limit: len(values.List) - 1})
			if err != nil || !some.Truncated || len(some.List) != len(values.List)-1 {
				t.Errorf("%d values of %d, truncated %v, %v", len(some.List), len(values.List), some.Truncated, err)
			}
		}
	}
}
