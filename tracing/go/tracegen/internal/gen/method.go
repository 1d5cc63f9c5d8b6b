package gen

import (
	"go/token"
	"go/types"
	"strings"

	"github.com/throughline/throughline/tracing/go/tracegen/internal/directive"
)

// method is one method of the wrapper.
type method struct {
	fn     *types.Func
	sig    *types.Signature
	pos    token.Position
	doc    []located
	levels levels

	params  []*variable
	results []*variable
	ctx     *variable // the first context.Context; nil if there is none
	err     *variable // the last result that is an error; nil if there is none
	seq     *variable // the result that is an iterator; nil if there is none
	yield   *types.Signature
	// yielded is the error that the iterator yields as second of a pair; nil if
	// it yields none. Its name is that of err, if there are both.
	yielded *variable

	leftOut  bool // of a derived interface, whose package cannot spell it
	traced   bool
	untraced string // why not, for the reader of the output
	spanName string
	kind     string
	attrs    []*attr
	ignore   []*expr
}

// variable is a parameter or result.
type variable struct {
	v        *types.Var
	typ      string // as the output spells it, "..." included
	variadic bool
	result   bool
	name     string // in the output; chosen last
}

func (g *generator) newMethod(t *target, fn *types.Func, doc []located, lv levels) *method {
	m := &method{fn: fn, sig: fn.Signature(), pos: g.position(fn.Pos()), doc: doc, levels: lv}
	if _, ok := g.methods[fn.Pos()]; !ok {
		m.pos = g.position(t.obj.Pos()) // it is declared in a package without syntax
	}
	return m
}

// analyse decides how m is wrapped, and reports what is wrong with it. It
// returns false if no wrapper can have m.
func (g *generator) analyse(t *target, m *method) bool {
	if !m.fn.Exported() && m.fn.Pkg().Path() != g.out.PkgPath {
		g.problemf(m.pos, "%s has the unexported method %s, which no type outside package %s can implement",
			t.name, m.fn.Name(), m.fn.Pkg().Path())
		return false
	}
	if !g.variables(t, m) {
		return true
	}
	g.checkRepeated(m.doc)

	skip := skipping(m)
	switch {
	case skip != nil:
		m.untraced = "//trace:skip"
		for _, d := range m.doc {
			if d.Verb != directive.Skip {
				g.problemf(g.at(d, 0), "//trace:%s has no effect on %s, which is skipped", d.Verb, m.fn.Name())
			}
		}
		return true
	case m.ctx == nil:
		m.untraced = "no context"
		for _, d := range m.doc {
			g.problemf(g.at(d, 0), "//trace:%s has no effect on %s, which takes no context.Context and gets no span", d.Verb, m.fn.Name())
		}
		if len(m.doc) == 0 {
			t.contextless = append(t.contextless, m)
		}
		return true
	}
	m.traced = true
	g.settings(t, m)
	return true
}

// skipping returns the directive that leaves m untraced, or nil.
func skipping(m *method) *located {
	for _, ds := range append(levels{m.doc}, m.levels...) {
		for _, d := range ds {
			if d.Verb == directive.Skip {
				return &d
			}
		}
	}
	return nil
}

// variables finds the parameters and results that matter.
func (g *generator) variables(t *target, m *method) bool {
	ok := true
	list := func(vars *types.Tuple, variadic, result bool) []*variable {
		var vs []*variable
		for i := range vars.Len() {
			v := &variable{v: vars.At(i), variadic: variadic && i == vars.Len()-1, result: result}
			w := typeWriter{g: g}
			if v.variadic {
				w.variadic(v.v.Type())
			} else {
				w.write(v.v.Type())
			}
			v.typ = w.b.String()
			if w.err != nil && ok {
				ok = false
				switch {
				case hasInvalid(v.v.Type()):
					g.invalid(g.declOf(t, m), m.pos, t.name+"."+m.fn.Name())
				case t.api != "":
					m.leftOut = true
					g.warnf(m.pos, "%s of %s is left out of %s: %v", m.fn.Name(), t.name, t.api, w.err)
				default:
					g.problemf(m.pos, "%s.%s cannot be wrapped: %v", t.name, m.fn.Name(), w.err)
				}
			}
			vs = append(vs, v)
		}
		return vs
	}
	m.params = list(m.sig.Params(), m.sig.Variadic(), false)
	m.results = list(m.sig.Results(), false, true)
	for _, p := range m.params {
		if m.ctx == nil && !p.variadic && isContext(p.v.Type()) {
			m.ctx = p
		}
	}
	for _, r := range m.results {
		if isError(r.v.Type()) {
			m.err = r
		}
		if yield := iterator(r.v.Type()); yield != nil {
			if m.seq != nil && m.ctx != nil && skipping(m) == nil && ok {
				g.problemf(m.pos, "%s.%s returns two iterators: whose end would end the span? (//trace:skip leaves it untraced)",
					t.name, m.fn.Name())
				return false
			}
			m.seq, m.yield = r, yield
			if yield.Params().Len() == 2 && isError(yield.Params().At(1).Type()) {
				m.yielded = &variable{v: yield.Params().At(1), result: true}
			}
		}
	}
	return ok
}

func (g *generator) declOf(t *target, m *method) typeDecl {
	for _, d := range g.types {
		if d.spec.Pos() <= m.fn.Pos() && m.fn.Pos() < d.spec.End() {
			return d
		}
	}
	return t.decl
}

// declarationErrors reports what the type checker found wrong in a declaration,
// and whether it found anything.
func (g *generator) declarationErrors(decl typeDecl) bool {
	if decl.spec == nil {
		return false
	}
	before := len(g.problems)
	for _, e := range decl.pkg.TypeErrors {
		if decl.spec.Pos() <= e.Pos && e.Pos < decl.spec.End() && !strings.HasPrefix(e.Msg, "\t") { // a tab continues another error
			g.problemf(g.position(e.Pos), "%s", e.Msg)
		}
	}
	return len(g.problems) > before
}

// invalid reports why the types in a declaration are not known.
func (g *generator) invalid(decl typeDecl, pos token.Position, name string) {
	if g.declarationErrors(decl) {
		return
	}
	g.problemf(pos, "%s: its type has an error", name)
	if decl.pkg == nil {
		return
	}
	for i, e := range decl.pkg.Errors {
		if i == 3 {
			break
		}
		g.problemf(token.Position{}, "%v", e)
	}
}

func hasInvalid(t types.Type) bool {
	return containsInvalid(t, map[types.Type]bool{})
}

func containsInvalid(t types.Type, seen map[types.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	tuple := func(vars *types.Tuple) bool {
		for v := range vars.Variables() {
			if containsInvalid(v.Type(), seen) {
				return true
			}
		}
		return false
	}
	switch t := t.(type) {
	case *types.Basic:
		return t.Kind() == types.Invalid
	case *types.Alias:
		return containsInvalid(types.Unalias(t), seen)
	case *types.Named:
		for a := range t.TypeArgs().Types() {
			if containsInvalid(a, seen) {
				return true
			}
		}
	case *types.Map:
		return containsInvalid(t.Key(), seen) || containsInvalid(t.Elem(), seen)
	case interface{ Elem() types.Type }:
		return containsInvalid(t.Elem(), seen)
	case *types.Signature:
		return tuple(t.Params()) || tuple(t.Results())
	case *types.Struct:
		for f := range t.Fields() {
			if containsInvalid(f.Type(), seen) {
				return true
			}
		}
	}
	return false
}

// settings reads m's directives, its own before those it inherits.
func (g *generator) settings(t *target, m *method) {
	m.spanName = t.prefix + "." + m.fn.Name()
	m.kind = "internal"
	all := append(levels{m.doc}, m.levels...)
	kindSet := false
	for depth, ds := range all {
		for _, d := range ds {
			switch d.Verb {
			case directive.Name:
				m.spanName = d.Arg
			case directive.Kind:
				if !kindSet {
					m.kind = d.Arg
				}
			case directive.IgnoreError:
				g.ignoreError(t, m, d, depth > 0)
			case directive.Attr:
				if a := g.attr(t, m, d); a != nil {
					m.attrs = append(m.attrs, a)
				}
			}
		}
		for _, d := range ds {
			kindSet = kindSet || d.Verb == directive.Kind
		}
	}
}

// ignoreError adds a condition under which m's error is no failure.
func (g *generator) ignoreError(t *target, m *method, d located, inherited bool) {
	failure := m.failure()
	if failure == nil {
		if !inherited {
			g.problemf(g.at(d, 0), "//trace:ignore-error has no effect on %s, which returns no error", m.fn.Name())
		}
		return
	}
	g.applied[d.comment] = true
	sc := scope{}
	if inherited {
		sc.add("err", failure)
	} else {
		sc.declare(m)
	}
	if e := g.expr(t, d, sc, m.ctx, failure); e != nil && e.condition() {
		m.ignore = append(m.ignore, e)
	}
}

// failure returns the error that decides whether m failed; nil if it cannot.
func (m *method) failure() *variable {
	if m.err != nil {
		return m.err
	}
	return m.yielded
}

// isContext reports whether a derived context may take the place of a value of
// type t: context.Context, or an interface with the same methods.
func isContext(t types.Type) bool {
	if named, ok := types.Unalias(t).(*types.Named); ok {
		if obj := named.Obj(); obj.Pkg() != nil && obj.Pkg().Path() == "context" && obj.Name() == "Context" {
			return true
		}
	}
	iface, ok := t.Underlying().(*types.Interface)
	if _, param := types.Unalias(t).(*types.TypeParam); !ok || param || iface.NumMethods() != len(contextMethods) {
		return false
	}
	for i, want := range contextMethods {
		m := iface.Method(i)
		if m.Name()+unnamed(m.Signature()) != want {
			return false
		}
	}
	return true
}

// contextMethods are those of context.Context, in go/types' order.
var contextMethods = []string{
	"Deadline() (time.Time, bool)", "Done() <-chan struct{}", "Err() error", "Value(any) any",
}

// unnamed spells a signature without parameter names.
func unnamed(sig *types.Signature) string {
	strip := func(t *types.Tuple) *types.Tuple {
		var vs []*types.Var
		for v := range t.Variables() {
			vs = append(vs, types.NewVar(token.NoPos, nil, "", v.Type()))
		}
		return types.NewTuple(vs...)
	}
	s := types.NewSignatureType(nil, nil, nil, strip(sig.Params()), strip(sig.Results()), sig.Variadic())
	return strings.TrimPrefix(types.TypeString(s, nil), "func")
}

var errorType = types.Universe.Lookup("error").Type().Underlying().(*types.Interface)

// isError reports whether t is error or an interface that has its method.
func isError(t types.Type) bool {
	if _, ok := types.Unalias(t).(*types.TypeParam); ok {
		return false
	}
	return types.IsInterface(t) && types.Implements(t, errorType)
}

// iterator returns the signature of yield if t is a function that a range loop
// accepts, such as iter.Seq and iter.Seq2.
func iterator(t types.Type) *types.Signature {
	sig, ok := t.Underlying().(*types.Signature)
	if !ok || sig.Params().Len() != 1 || sig.Results().Len() != 0 || sig.Variadic() {
		return nil
	}
	yield, ok := sig.Params().At(0).Type().Underlying().(*types.Signature)
	if !ok || yield.Params().Len() < 1 || yield.Params().Len() > 2 || yield.Results().Len() != 1 || yield.Variadic() {
		return nil
	}
	if basic, ok := yield.Results().At(0).Type().Underlying().(*types.Basic); !ok || basic.Kind() != types.Bool {
		return nil
	}
	return yield
}
