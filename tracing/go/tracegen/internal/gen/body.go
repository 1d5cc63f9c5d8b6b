package gen

import (
	"fmt"
	"go/ast"
	"go/types"
	"slices"
	"strings"
)

// signature returns m's parameters and results. Parameters are named, results
// if the interface names them.
func (e *emitter) signature(m *method) string {
	lists := func(vs []*variable) (names, typs []string) {
		for _, v := range vs {
			names, typs = append(names, v.name), append(typs, v.typ)
		}
		return names, typs
	}
	// A struct or interface that takes several lines makes the list's end take
	// one too.
	list := func(names, typs []string) string {
		s := grouped(names, typs)
		if strings.Contains(s, "; ") {
			s += ",\n"
		}
		return "(" + s + ")"
	}
	s := list(lists(m.params))
	names, typs := lists(m.results)
	switch {
	case len(names) == 0:
	case m.namedResults():
		s += " " + list(names, typs)
	case len(names) == 1:
		s += " " + typs[0]
	default:
		s += " (" + strings.Join(typs, ", ") + ")"
	}
	return s
}

// namedResults reports whether the wrapper names its results as the interface
// does. With an iterator it must not: the return statement would make the
// result that the new iterator calls the new iterator itself.
func (m *method) namedResults() bool {
	return len(m.results) > 0 && m.results[0].v.Name() != "" && (m.seq == nil || !m.traced)
}

func (e *emitter) method(t *target, m *method, l locals, wrapper string) {
	call := fmt.Sprintf("%s.%s.%s(%s)", l.receiver, l.next, m.fn.Name(), arguments(m))
	open := fmt.Sprintf("func (%s *%s) %s%s {\n", l.receiver, wrapper, m.fn.Name(), e.signature(m))
	if !m.traced {
		e.printf("// %s is not traced: %s.\n%s\t", m.fn.Name(), m.untraced, open)
		if len(m.results) > 0 {
			e.printf("return ")
		}
		e.printf("%s\n}\n\n", call)
		return
	}

	// The words below are the generator's own: they give way to m's.
	taken := e.freeNames(t, m)
	for _, v := range append(append([]*variable(nil), m.params...), m.results...) {
		taken[v.name] = true
	}
	taken[l.receiver] = true
	span := unique("span", taken)
	returned := unique("returned", taken)

	e.printf("%s", open)
	options := ""
	if m.kind != "internal" {
		options = ", " + t.optionsVar(m.kind) + "..."
	}
	e.printf("\t%s, %s := %s.%s.Start(%s, %q%s)\n", m.ctx.name, span, l.receiver, l.tracer, m.ctx.name, m.spanName, options)
	e.printf("\t%s := false\n", returned)
	deferred := l.end
	if m.seq != nil {
		deferred = l.abort
	}
	e.printf("\tdefer %s.%s(%s, &%s)\n\n", l.receiver, deferred, span, returned)
	e.attributes(m, span, false)

	names := make([]string, len(m.results))
	for i, v := range m.results {
		names[i] = v.name
	}
	results := strings.Join(names, ", ")
	switch {
	case len(names) == 0:
		e.printf("\t%s\n", call)
	case m.namedResults():
		e.printf("\t%s = %s\n", results, call)
	default:
		e.printf("\t%s := %s\n", results, call)
	}
	if m.err != nil {
		e.printf("\tif %s {\n\t\t%s(%s, %s)\n\t}\n", m.failed(m.err), e.fail(l), span, m.err.name)
	}
	e.attributes(m, span, true)
	e.printf("\t%s = true\n", returned)
	if m.seq != nil {
		e.iteration(m, l, span, returned, taken)
	} else if len(names) > 0 {
		e.printf("\treturn %s\n", results)
	}
	e.printf("}\n\n")
}

// fail returns the function that marks a span as failed.
func (e *emitter) fail(l locals) string {
	if e.failFunc != nil {
		return e.qualified(e.failFunc)
	}
	return l.receiver + "." + l.fail
}

func arguments(m *method) string {
	args := make([]string, len(m.params))
	for i, p := range m.params {
		args[i] = p.name
		if p.variadic {
			args[i] += "..."
		}
	}
	return strings.Join(args, ", ")
}

// failed returns the condition under which err is a failure.
func (m *method) failed(err *variable) string {
	conditions := []string{err.name + " != nil"}
	for _, e := range m.ignore {
		x := e.String()
		if len(e.guards) > 0 {
			parts := []string{}
			for _, gd := range e.guards {
				parts = append(parts, e.printGuard(gd))
			}
			x = strings.Join(append(parts, operand(x)), " && ")
		}
		if _, binary := e.node.(*ast.BinaryExpr); binary || len(e.guards) > 0 {
			x = "(" + x + ")"
		}
		conditions = append(conditions, operand("!"+x))
	}
	return strings.Join(conditions, " && ")
}

// attributes writes the statements that set m's attributes before the call, or
// after it.
func (e *emitter) attributes(m *method, span string, after bool) {
	type block struct {
		condition string
		guards    []string
		values    [][]string // by guard
	}
	var blocks []*block
	for _, a := range m.attrs {
		if a.after != after {
			continue
		}
		condition := span + ".IsRecording()"
		if a.onSuccess {
			condition = m.err.name + " == nil && " + condition
		}
		parts := make([]string, len(a.e.guards))
		for i, gd := range a.e.guards {
			parts[i] = a.e.printGuard(gd)
		}
		guard := strings.Join(parts, " && ")
		value := a.value(e.generator)
		i := slices.IndexFunc(blocks, func(b *block) bool { return b.condition == condition })
		if i < 0 {
			blocks = append(blocks, &block{condition: condition})
			i = len(blocks) - 1
		}
		b := blocks[i]
		j := slices.Index(b.guards, guard)
		if j < 0 {
			b.guards = append(b.guards, guard)
			b.values = append(b.values, nil)
			j = len(b.guards) - 1
		}
		b.values[j] = append(b.values[j], value)
	}
	for _, b := range blocks {
		if len(b.guards) == 1 && b.guards[0] != "" {
			b.condition += " && " + b.guards[0]
			b.guards[0] = ""
		}
		e.printf("\tif %s {\n", b.condition)
		for i, guard := range b.guards {
			if guard != "" {
				e.printf("\tif %s {\n", guard)
			}
			if len(b.values[i]) == 1 {
				e.printf("\t%s.SetAttributes(%s)\n", span, b.values[i][0])
			} else {
				e.printf("\t%s.SetAttributes(\n%s,\n)\n", span, strings.Join(b.values[i], ",\n"))
			}
			if guard != "" {
				e.printf("\t}\n")
			}
		}
		e.printf("\t}\n")
	}
}

// iteration returns an iterator that ends the span when its loop ends.
func (e *emitter) iteration(m *method, l locals, span, returned string, taken map[string]bool) {
	names := make([]string, len(m.results))
	for i, v := range m.results {
		names[i] = v.name
	}
	none := m.seq.name + " == nil"
	if m.err != nil {
		none = m.err.name + " != nil || " + none
	}
	e.printf("\tif %s {\n\t\t%s.End()\n\t\treturn %s\n\t}\n", none, span, strings.Join(names, ", "))

	yield := unique("yield", taken)
	yieldType, err := e.typeString(m.seq.v.Type().Underlying().(*types.Signature).Params().At(0).Type())
	if err != nil {
		e.problemf(m.pos, "%s cannot be wrapped: %v", m.fn.Name(), err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "func(%s %s) {\n\t\t%s := false\n\t\tdefer %s.%s(%s, &%s)\n\n", yield, yieldType,
		returned, l.receiver, l.end, span, returned)
	if m.yielded == nil {
		fmt.Fprintf(&b, "\t\t%s(%s)\n", m.seq.name, yield)
	} else {
		v := unique("v", taken)
		fmt.Fprintf(&b, "\t\tfor %s, %s := range %s {\n", v, m.yielded.name, m.seq.name)
		fmt.Fprintf(&b, "\t\t\tif %s {\n\t\t\t\t%s(%s, %s)\n\t\t\t}\n", m.failed(m.yielded), e.fail(l), span, m.yielded.name)
		fmt.Fprintf(&b, "\t\t\tif !%s(%s, %s) {\n\t\t\t\tbreak\n\t\t\t}\n\t\t}\n", yield, v, m.yielded.name)
	}
	fmt.Fprintf(&b, "\t\t%s = true\n\t}", returned)
	for i, v := range m.results {
		if v == m.seq {
			names[i] = b.String()
		}
	}
	e.printf("\treturn %s\n", strings.Join(names, ", "))
}

// helpers writes the methods that end spans, as far as they are used.
func (e *emitter) helpers(t *target, l locals, wrapper string) {
	var ends, aborts, fails bool
	for _, m := range t.methods {
		ends = ends || m.traced
		aborts = aborts || m.traced && m.seq != nil
		fails = fails || m.traced && m.failure() != nil
	}
	name := e.imports.qualify
	if ends {
		e.printf(`// %s ends span. A method that has not returned panics, or calls runtime.Goexit:
// its span gets an error, and the panic goes on with its stack untouched.
func (*%s) %s(span %s, returned *bool) {
	if !*returned {
		span.SetAttributes(%s("panic"))
		span.SetStatus(%s, "panic")
	}
	span.End()
}

`, l.end, wrapper, l.end, name(tracePath, "Span"), name(semconvPath, "ErrorTypeKey.String"), name(codesPath, "Error"))
	}
	if aborts {
		receiver := unique(l.receiver, map[string]bool{"span": true, "returned": true})
		e.printf(`// %s ends span if the method has not returned; else its iterator does.
func (%s *%s) %s(span %s, returned *bool) {
	if !*returned {
		%s.%s(span, returned)
	}
}

`, l.abort, receiver, wrapper, l.abort, name(tracePath, "Span"), receiver, l.end)
	}
	if fails && e.failFunc == nil {
		record := ""
		if e.opts.RecordErrors {
			record = "span.RecordError(err)\n"
		}
		e.printf(`// %s marks span as failed with err. A cancellation is no failure of the method:
// its caller went away.
func (*%s) %s(span %s, err error) {
	if !span.IsRecording() || %s(err, %s) {
		return
	}
	%sspan.SetAttributes(%s(err))
	span.SetStatus(%s, %s(err)) // not err.Error(), which may panic on a nil receiver
}

`, l.fail, wrapper, l.fail, name(tracePath, "Span"), name("errors", "Is"), name("context", "Canceled"),
			record, name(semconvPath, "ErrorType"), name(codesPath, "Error"), name(fmtPath, "Sprint"))
	}
}
