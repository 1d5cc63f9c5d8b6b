package gen

import (
	"go/ast"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"

	"github.com/throughline/throughline/tracing/go/tracegen/internal/directive"
)

// target is a type to wrap.
type target struct {
	request
	obj      *types.TypeName
	decl     typeDecl
	typ      types.Type // with its own type parameters as arguments, if generic
	tparams  []*types.TypeParam
	methods  []*method
	levels   levels
	prefix   string // of span names
	wrapper  string // name of the wrapping struct
	function string // name of the constructor

	// own are the directives on the type and on what it embeds.
	own         []located
	contextless []*method // delegated, although nobody said so
}

// located is a directive and where it stands.
type located struct {
	*directive.Directive
	comment *ast.Comment
	file    *ast.File
	pkg     *packages.Package
}

// levels are the directives that a method inherits, innermost first: those of
// the embedding element, of the embedded type, of the wrapped type.
type levels [][]located

// resolve finds the requested types and all there is to know of their methods.
func (g *generator) resolve(requests []request) []*target {
	g.checkPredeclared()
	g.resolveFail()
	var targets []*target
	seen := map[string]bool{}
	for _, r := range requests {
		obj := g.lookup(r)
		if obj == nil {
			g.problemf(token.Position{}, "%s: no such type in package %s", r.name, g.packageOf(r))
			continue
		}
		if seen[r.name] {
			g.problemf(g.position(obj.Pos()), "%s is named twice", r.name)
			continue
		}
		seen[r.name] = true
		t := &target{request: r, obj: obj, decl: g.types[obj.Pos()], typ: obj.Type()}
		if !g.resolveType(t) {
			continue
		}
		g.typeDirectives(t)
		if r.api == "" {
			g.interfaceMethods(t)
		} else {
			g.structMethods(t)
		}
		targets = append(targets, t)
	}
	if len(g.problems) > 0 {
		return nil
	}
	g.nameDeclarations(targets)
	for _, t := range targets {
		for _, m := range t.methods {
			if !g.analyse(t, m) {
				break // it is sealed, and would be for each such method
			}
		}
		t.methods = slices.DeleteFunc(t.methods, func(m *method) bool { return m.leftOut })
		g.checkInert(t)
		g.warnReach(t)
	}
	return targets
}

func (g *generator) packageOf(r request) string {
	if r.path != "" {
		return r.path
	}
	return g.out.PkgPath
}

// checkPredeclared refuses a package in which the words of the output mean
// something else.
func (g *generator) checkPredeclared() {
	for _, name := range []string{"bool", "error", "false", "float64", "int", "int64", "nil", "string", "true"} {
		if pos, ok := g.declared[g.out.Name][name]; ok {
			g.problemf(pos, "package %s declares its own %q: generated code needs the predeclared one", g.out.Name, name)
		}
	}
}

// resolveFail finds the function that marks spans as failed, if one is named.
func (g *generator) resolveFail() {
	if g.opts.Fail == "" {
		return
	}
	r, _ := parseRequest(g.opts.Fail)
	p := g.out
	if r.path != "" {
		p = g.source[r.path]
	}
	var fn *types.Func
	if p != nil && p.Types != nil {
		fn, _ = p.Types.Scope().Lookup(r.name).(*types.Func)
	}
	switch {
	case fn == nil:
		g.problemf(token.Position{}, "%s: no such function in package %s", r.name, g.packageOf(r))
	case p != g.out && !fn.Exported():
		g.problemf(g.position(fn.Pos()), "%s is not exported by %s", r.name, r.path)
	case p != g.out && !g.importable(fn.Pkg()):
		g.problemf(token.Position{}, "package %q cannot be imported by %s", r.path, g.out.PkgPath)
	case unnamed(fn.Signature()) != "("+tracePath+".Span, error)" || fn.Signature().TypeParams().Len() > 0:
		g.problemf(g.position(fn.Pos()), "%s is a func%s, not a func(trace.Span, error)", r.name, unnamed(fn.Signature()))
	default:
		g.failFunc = fn
	}
}

// resolveType checks that t can be wrapped at all.
func (g *generator) resolveType(t *target) bool {
	pos := g.position(t.obj.Pos())
	if t.path != "" && !t.obj.Exported() {
		g.problemf(pos, "%s is not exported by %s", t.name, t.path)
		return false
	}
	if g.declarationErrors(t.decl) {
		return false
	}
	origin := t.obj.Type()
	switch typ := origin.(type) {
	case *types.Alias:
		t.tparams = slices.Collect(typ.TypeParams().TypeParams())
	case *types.Named:
		t.tparams = slices.Collect(typ.TypeParams().TypeParams())
	}
	if len(t.tparams) > 0 {
		args := make([]types.Type, len(t.tparams))
		for i, p := range t.tparams {
			args[i] = p
		}
		inst, err := types.Instantiate(nil, origin, args, false)
		if err != nil {
			g.problemf(pos, "%s: %v", t.name, err)
			return false
		}
		t.typ = inst
	}

	iface, isInterface := t.typ.Underlying().(*types.Interface)
	switch {
	case t.typ.Underlying() == types.Typ[types.Invalid]:
		g.invalid(t.decl, pos, t.name)
	case t.api == "" && !isInterface:
		g.problemf(pos, "%s is not an interface: use -struct %s to derive one of its exported methods", t.name, t.option)
	case t.api != "" && isInterface:
		g.problemf(pos, "%s is an interface: use -iface %s", t.name, t.option)
	case isInterface && !iface.IsMethodSet():
		g.problemf(pos, "%s is a constraint: it has no values to wrap", t.name)
	case isInterface && iface.NumMethods() == 0:
		g.problemf(pos, "%s has no methods", t.name)
	default:
		return true
	}
	return false
}

// typeDirectives reads the directives on t's declaration.
func (g *generator) typeDirectives(t *target) {
	t.prefix = t.name
	ds := g.directives(t.decl.doc, t.decl.file, t.decl.pkg)
	for _, d := range ds {
		switch d.Verb {
		case directive.Name:
			t.prefix = d.Arg
		case directive.Skip:
			g.problemf(g.at(d, 0), "//trace:skip belongs on a method: to leave all of %s untraced, do not wrap it", t.name)
		case directive.Attr:
			g.problemf(g.at(d, 0), "//trace:attr belongs on a method")
		}
	}
	g.checkRepeated(ds)
	t.levels = levels{inheritable(ds)}
	t.own = append(t.own, ds...)
}

// inheritable are the directives that count for each method of a type.
func inheritable(ds []located) []located {
	return slices.DeleteFunc(slices.Clone(ds), func(d located) bool {
		return d.Verb == directive.Name || d.Verb == directive.Attr
	})
}

// checkRepeated reports a directive given twice where one is the limit.
func (g *generator) checkRepeated(ds []located) {
	seen := map[string]bool{}
	for _, d := range ds {
		switch key := string(d.Verb) + " " + d.Key; {
		case d.Verb == directive.IgnoreError:
		case !seen[key]:
			seen[key] = true
		case d.Verb == directive.Attr:
			g.problemf(g.at(d, 0), "attribute %q is set twice", d.Key)
		default:
			g.problemf(g.at(d, 0), "%s%s is given twice", directive.Prefix, d.Verb)
		}
	}
}

// directives reads those of a doc comment.
func (g *generator) directives(doc *ast.CommentGroup, f *ast.File, p *packages.Package) []located {
	if doc == nil {
		return nil
	}
	var ds []located
	for _, c := range doc.List {
		first := !g.attached[c.Pos()]
		g.attached[c.Pos()] = true
		d, err := directive.Parse(c.Text)
		l := located{d, c, f, p}
		if err != nil {
			if first {
				g.problemf(g.at(l, err.(*directive.Error).Offset), "%v", err)
			}
			continue
		}
		if d != nil {
			ds = append(ds, l)
		}
	}
	return ds
}

// at is the position of a byte of a directive's comment.
func (g *generator) at(d located, offset int) token.Position {
	pos := g.position(d.comment.Pos())
	pos.Column += offset
	return pos
}

// nameDeclarations chooses the names that the output declares at package level
// and refuses those that are taken.
func (g *generator) nameDeclarations(targets []*target) {
	declared := g.declared[g.out.Name]
	names := map[string]string{}
	claim := func(t *target, name, what string) {
		if pos, ok := declared[name]; ok {
			g.problemf(g.position(t.obj.Pos()), "%s of %s would be called %s, which %s already declares%s", what, t.name, name, pos, g.leftOver(pos))
		} else if other, ok := names[name]; ok {
			g.problemf(g.position(t.obj.Pos()), "%s of %s would be called %s, like that of %s: generate them in different packages", what, t.name, name, other)
		}
		names[name] = t.name
	}
	for _, t := range targets {
		base := t.name
		if t.api != "" {
			claim(t, t.api, "the interface")
		}
		t.function = "Trace" + base
		if !token.IsExported(base) {
			t.function = "trace" + title(base)
		}
		if g.opts.Func != "" {
			t.function = g.opts.Func
		}
		t.wrapper = "traced" + title(base)
		if _, twin := declared[title(base)]; twin && !token.IsExported(base) {
			t.wrapper = "traced" + base
		}
		claim(t, t.function, "the constructor")
		claim(t, t.wrapper, "the wrapper")
	}
	g.imports = newImports(g.out.PkgPath, declared, names, targets)
}

// leftOver adds to a message that the file at pos is an output too.
func (g *generator) leftOver(pos token.Position) string {
	name := pos.Filename
	if !filepath.IsAbs(name) {
		name = filepath.Join(g.opts.WorkDir, name)
	}
	if src, err := os.ReadFile(name); err != nil || !IsGenerated(src) {
		return ""
	}
	return " (a file of tracegen's: delete it if its type is generated elsewhere now)"
}

// checkInert reports what t's own directives say of errors that no method has.
func (g *generator) checkInert(t *target) {
	for _, d := range t.own {
		if d.Verb == directive.IgnoreError && !g.applied[d.comment] {
			g.problemf(g.at(d, 0), "//trace:ignore-error has no effect: no method it is for is traced and returns an error")
		}
	}
}

// warnReach says which methods get no span for want of a context.
func (g *generator) warnReach(t *target) {
	names := map[token.Position][]string{}
	for _, m := range t.contextless {
		names[m.pos] = append(names[m.pos], m.fn.Name())
	}
	for pos, methods := range names {
		verb := "takes no context.Context: it is"
		if len(methods) > 1 {
			verb = "take no context.Context: they are"
		}
		g.warnf(pos, "%s of %s %s delegated without a span (//trace:skip says that this is meant)",
			strings.Join(methods, ", "), t.name, verb)
	}
	if !slices.ContainsFunc(t.methods, func(m *method) bool { return m.traced }) {
		g.warnf(g.position(t.obj.Pos()), "no method of %s is traced", t.name)
	}
}
