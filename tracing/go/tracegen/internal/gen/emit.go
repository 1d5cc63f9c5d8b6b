package gen

import (
	"bytes"
	"fmt"
	"go/build/constraint"
	goformat "go/format"
	"maps"
	"slices"
	"strings"
)

// format is gofmt's.
func format(src []byte) ([]byte, error) { return goformat.Source(src) }

// emitter writes the body of the output.
type emitter struct {
	*generator
	bytes.Buffer
}

func (e *emitter) printf(form string, args ...any) { fmt.Fprintf(&e.Buffer, form, args...) }

// emit writes the whole file.
func (g *generator) emit(targets []*target) []byte {
	body := &emitter{generator: g}
	for _, t := range targets {
		body.target(t)
	}
	var file bytes.Buffer
	fmt.Fprintf(&file, "%s\n\n", Header)
	if c := g.buildConstraint(targets); c != "" {
		fmt.Fprintf(&file, "//go:build %s\n\n", c)
	}
	fmt.Fprintf(&file, "package %s\n\n%s", g.out.Name, g.imports.declaration(g.isStd))
	file.Write(body.Bytes())
	return file.Bytes()
}

// buildConstraint returns what the output must be constrained to: whatever the
// files are that declare its types.
func (g *generator) buildConstraint(targets []*target) string {
	found := ""
	for i, t := range targets {
		c := ""
		if t.path == "" {
			c = fileConstraint(g.fset.Position(t.decl.file.Package).Filename, t.decl.file)
		}
		if i > 0 && c != found {
			g.problemf(g.position(t.obj.Pos()), "%s and %s are declared under different build constraints: generate them into different files",
				targets[0].name, t.name)
			return ""
		}
		found = c
	}
	if found == "" {
		return ""
	}
	x, err := constraint.Parse("//go:build " + found)
	if err != nil {
		return found
	}
	return x.String()
}

// optionsVar names the variable with the start options of spans of one kind.
func (t *target) optionsVar(kind string) string { return t.wrapper + title(kind) }

var kindNames = map[string]string{
	"server": "SpanKindServer", "client": "SpanKindClient",
	"producer": "SpanKindProducer", "consumer": "SpanKindConsumer",
}

// typeParams returns t's type parameters as declared, "[K comparable, V any]",
// and as used, "[K, V]".
func (e *emitter) typeParams(t *target) (declared, used string) {
	if len(t.tparams) == 0 {
		return "", ""
	}
	names := make([]string, len(t.tparams))
	constraints := make([]string, len(t.tparams))
	for i, p := range t.tparams {
		names[i] = e.imports.tparams[p]
		c, err := e.typeString(p.Constraint())
		if err != nil { // a constraint that cannot be named may be spelt out
			c, err = e.typeString(p.Constraint().Underlying())
		}
		if err != nil {
			e.problemf(e.position(t.obj.Pos()), "%s cannot be wrapped: constraint of %s: %v", t.name, p.Obj().Name(), err)
		}
		if strings.HasPrefix(c, "*") || strings.HasPrefix(c, "(") { // [P *T] would be an array type
			c = "interface{ " + c + " }"
		}
		constraints[i] = c
	}
	return "[" + grouped(names, constraints) + "]", "[" + strings.Join(names, ", ") + "]"
}

// grouped writes a parameter list, the type once for neighbours that share it.
func grouped(names, typs []string) string {
	var b strings.Builder
	for i := range names {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(names[i])
		if i == len(names)-1 || typs[i] != typs[i+1] {
			b.WriteString(" " + typs[i])
		}
	}
	return b.String()
}

func (e *emitter) target(t *target) {
	l := e.names(t)
	declared, used := e.typeParams(t)
	service := t.service(e) + used
	if t.api != "" {
		e.derivedInterface(t, declared, used)
	}
	wrapper := t.wrapper + used

	e.constructor(t, l, declared, service, wrapper)
	e.printf("// %s is the %s of %s.\n", t.wrapper, t.service(e), t.function)
	e.printf("type %s%s struct {\n\t%s %s\n\t%s %s\n}\n\n", t.wrapper, declared, l.next, service,
		l.tracer, e.imports.qualify(tracePath, "Tracer"))
	if declared == "" {
		e.printf("var _ %s = (*%s)(nil)\n\n", service, wrapper)
	} else {
		e.printf("func _%s() { var _ %s = (*%s)(nil) }\n\n", declared, service, wrapper)
	}
	e.startOptions(t)
	for _, m := range t.methods {
		e.method(t, m, l, wrapper)
	}
	e.helpers(t, l, wrapper)
}

func (e *emitter) derivedInterface(t *target, declared, used string) {
	e.printf("// %s has the exported methods of %s.\ntype %s%s interface {\n", t.api, e.qualified(t.obj), t.api, declared)
	for _, m := range t.methods {
		e.printf("\t%s%s\n", m.fn.Name(), e.signature(m))
	}
	e.printf("}\n\n")
	implementation := e.qualified(t.obj) + used
	if declared == "" {
		e.printf("var _ %s = (*%s)(nil)\n\n", t.api, implementation)
	} else {
		e.printf("func _%s() { var _ %s%s = (*%s)(nil) }\n\n", declared, t.api, used, implementation)
	}
}

func (e *emitter) constructor(t *target, l locals, declared, service, wrapper string) {
	taken := maps.Clone(e.imports.taken)
	next := unique("next", taken)
	provider := unique("provider", taken)
	tracer := unique("tracer", taken)
	disabled := unique("disabled", taken)

	e.printf("// %s returns %s that calls each method of %s in a span.\n", t.function, article(t.service(e)), next)
	e.printf("// When %s is nil or a no-op, it returns %s itself: tracing that is off\n", provider, next)
	e.printf("// here costs nothing afterwards.\n")
	e.printf("func %s%s(%s %s, %s %s) %s {\n", t.function, declared, next, service, provider,
		e.imports.qualify(tracePath, "TracerProvider"), service)
	e.printf("\tif %s == nil || %s == nil {\n\t\treturn %s\n\t}\n", next, provider, next)
	e.printf("\t%s := %s.Tracer(%q)\n", tracer, provider, e.out.PkgPath)
	e.printf("\tif _, %s := %s.(%s); %s {\n\t\treturn %s\n\t}\n", disabled, tracer,
		e.imports.qualify(noopPath, "Tracer"), disabled, next)
	e.printf("\treturn &%s{%s: %s, %s: %s}\n}\n\n", wrapper, l.next, next, l.tracer, tracer)
}

// service names the interface that t wraps, without type arguments.
func (t *target) service(e *emitter) string {
	if t.api != "" {
		return t.api
	}
	return e.qualified(t.obj)
}

// article puts a or an before a name.
func article(name string) string {
	if strings.ContainsRune("AEIOaeio", rune(name[0])) {
		return "an " + name
	}
	return "a " + name
}

// startOptions declares the start options that t's methods share.
func (e *emitter) startOptions(t *target) {
	kinds := map[string]bool{}
	for _, m := range t.methods {
		if m.traced && m.kind != "internal" {
			kinds[m.kind] = true
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		e.printf("var %s = []%s{%s(%s)}\n\n", t.optionsVar(kind), e.imports.qualify(tracePath, "SpanStartOption"),
			e.imports.qualify(tracePath, "WithSpanKind"), e.imports.qualify(tracePath, kindNames[kind]))
	}
}
