package gen

import (
	"fmt"
	"go/scanner"
	"go/token"
	"maps"
	"strings"
)

// locals are the names that the generator itself needs in a wrapper's methods.
type locals struct {
	receiver string
	next     string // field
	tracer   string // field
	end      string // method
	abort    string // method
	fail     string // method
}

// names chooses every name in t's methods. Parameters and results keep theirs
// unless the body needs the word for something else; the generator's own names
// give way to them.
func (g *generator) names(t *target) locals {
	methods := map[string]bool{}
	for _, m := range t.methods {
		methods[m.fn.Name()] = true
	}
	member := func(name string) string {
		name = unique(name, methods)
		methods[name] = true
		return name
	}
	l := locals{
		next: member("next"), tracer: member("tracer"),
		end: member("end"), abort: member("abort"), fail: member("fail"),
	}

	used := map[string]bool{}
	for _, m := range t.methods {
		taken := g.freeNames(t, m)
		chosen := map[string]bool{}
		keep := func(v *variable, otherwise string) {
			name := v.v.Name()
			if name == "" || name == "_" {
				name = otherwise
				// A name that a later parameter has by right is not for this one.
				for _, other := range append(append([]*variable(nil), m.params...), m.results...) {
					if other.v.Name() == name {
						name = unique(name+"2", taken)
					}
				}
			}
			v.name = unique(name, taken)
			taken[v.name] = true
			chosen[v.name] = true
		}
		for i, v := range m.params {
			otherwise := fmt.Sprintf("param%d", i)
			if v == m.ctx {
				otherwise = "ctx"
			}
			keep(v, otherwise)
		}
		for i, v := range m.results {
			otherwise := fmt.Sprintf("result%d", i)
			switch v {
			case m.err:
				otherwise = "err"
			case m.seq:
				otherwise = "seq"
			}
			keep(v, otherwise)
		}
		if m.yielded != nil {
			if m.err != nil {
				m.yielded.name = m.err.name
			} else {
				m.yielded.name = unique("err", taken)
				taken[m.yielded.name] = true
			}
		}
		maps.Copy(used, taken)
	}
	for _, candidate := range []string{"t", "w", "s", "x", "traced"} {
		if l.receiver == "" && !used[candidate] {
			l.receiver = candidate
		}
	}
	if l.receiver == "" {
		l.receiver = unique("traced", used)
	}
	return l
}

// freeNames are the names that m's body needs for what is not a variable.
func (g *generator) freeNames(t *target, m *method) map[string]bool {
	free := map[string]bool{"nil": true, "true": true, "false": true}
	for _, p := range t.tparams {
		free[g.imports.tparams[p]] = true
	}
	if !m.traced {
		return free
	}
	if len(m.attrs) > 0 {
		free[g.imports.byPath[attributePath].name] = true
	}
	if m.kind != "internal" {
		free[t.optionsVar(m.kind)] = true
	}
	if g.failFunc != nil && m.failure() != nil {
		first, _, _ := strings.Cut(g.qualified(g.failFunc), ".")
		free[first] = true
	}
	for _, a := range m.attrs {
		maps.Copy(free, a.e.free)
		if len(a.e.guards) > 0 {
			free["len"] = true
		}
	}
	for _, e := range m.ignore {
		maps.Copy(free, e.free)
		if len(e.guards) > 0 {
			free["len"] = true
		}
	}
	if m.seq != nil {
		free["bool"] = true
		for v := range m.yield.Params().Variables() {
			if s, err := g.typeString(v.Type()); err == nil {
				maps.Copy(free, identifiers(s))
			}
		}
	}
	return free
}

// identifiers returns the identifiers in a piece of Go.
func identifiers(src string) map[string]bool {
	ids := map[string]bool{}
	var s scanner.Scanner
	s.Init(token.NewFileSet().AddFile("", -1, len(src)), []byte(src), nil, 0)
	for {
		_, tok, lit := s.Scan()
		switch tok {
		case token.EOF:
			return ids
		case token.IDENT:
			ids[lit] = true
		}
	}
}
