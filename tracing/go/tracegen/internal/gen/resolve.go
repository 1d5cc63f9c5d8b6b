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

// found is a method as the walk over the embedded interfaces meets it.
type found struct {
	fn     *types.Func
	doc    []located
	levels levels
	depth  int
}

// interfaceMethods collects the methods of an interface in the order of the
// source, each with the directives of its outermost declaration.
func (g *generator) interfaceMethods(t *target) {
	type item struct {
		iface  *types.Interface
		node   *ast.InterfaceType
		pkg    *packages.Package
		levels levels
	}
	methods := map[string]*found{}
	var order []string
	node, pkg, decls := g.interfaceNode(t.decl.spec.Type, t.decl.pkg)
	level := []item{{t.typ.Underlying().(*types.Interface), node, pkg, g.inherit(decls, t.levels)}}
	visited := map[*types.Interface]bool{}
	for depth := 0; len(level) > 0; depth++ {
		var next []item
		for _, it := range level {
			if visited[it.iface] {
				continue
			}
			visited[it.iface] = true
			explicit := slices.Collect(it.iface.ExplicitMethods())
			slices.SortStableFunc(explicit, func(a, b *types.Func) int { return int(a.Pos()) - int(b.Pos()) })
			for _, fn := range explicit {
				decl := g.methods[fn.Pos()]
				f := &found{fn, g.directives(decl.doc, decl.file, decl.pkg), it.levels, depth}
				old := methods[fn.Id()]
				switch {
				case old == nil:
					methods[fn.Id()] = f
					order = append(order, fn.Id())
				case old.depth == depth && text(old) != text(f):
					g.problemf(g.position(fn.Pos()), "%s has different directives at %s: declare it in %s with those it shall have",
						fn.Name(), g.position(old.fn.Pos()), t.name)
				}
			}
			elements := embeddedFields(it.node)
			for i := range it.iface.NumEmbeddeds() {
				typ := it.iface.EmbeddedType(i)
				iface, ok := typ.Underlying().(*types.Interface)
				if !ok {
					continue
				}
				sub := item{iface: iface, levels: it.levels}
				if i < len(elements) && len(elements) == it.iface.NumEmbeddeds() {
					element := g.directives(elements[i].Doc, fileOf(it.pkg, elements[i].Pos()), it.pkg)
					g.checkElement(element)
					if depth == 0 {
						t.own = append(t.own, element...)
					}
					var decls []typeDecl
					sub.node, sub.pkg, decls = g.interfaceNode(elements[i].Type, it.pkg)
					sub.levels = append(levels{element}, g.inherit(decls, it.levels)...)
				}
				next = append(next, sub)
			}
		}
		level = next
	}
	for _, id := range order {
		f := methods[id]
		t.methods = append(t.methods, g.newMethod(t, f.fn, f.doc, f.levels))
	}
}

func text(f *found) string {
	var b strings.Builder
	for _, ds := range append(levels{f.doc}, f.levels...) {
		for _, d := range ds {
			b.WriteString(d.String() + "\n")
		}
	}
	return b.String()
}

func (g *generator) checkElement(ds []located) {
	for _, d := range ds {
		if d.Verb == directive.Name || d.Verb == directive.Attr {
			g.problemf(g.at(d, 0), "//trace:%s has no meaning on an embedded interface: declare the method here to give it directives", d.Verb)
		}
	}
	g.checkRepeated(ds)
}

func embeddedFields(node *ast.InterfaceType) []*ast.Field {
	if node == nil {
		return nil
	}
	var fields []*ast.Field
	for _, f := range node.Methods.List {
		if len(f.Names) == 0 {
			fields = append(fields, f)
		}
	}
	return fields
}

// inherit puts the directives on the declarations that lead to an interface
// before those of what refers to it.
func (g *generator) inherit(decls []typeDecl, outer levels) levels {
	for _, d := range decls {
		outer = append(levels{inheritable(g.directives(d.doc, d.file, d.pkg))}, outer...)
	}
	return outer
}

// interfaceNode finds the interface literal that a type expression stands for,
// the package it is in, and the declarations that lead to it, as far as these
// are loaded.
func (g *generator) interfaceNode(e ast.Expr, p *packages.Package) (*ast.InterfaceType, *packages.Package, []typeDecl) {
	var decls []typeDecl
	for range 100 { // aliases and defined types may be chained
		e = ast.Unparen(e)
		if it, ok := e.(*ast.InterfaceType); ok {
			return it, p, decls
		}
		var obj types.Object
		switch t := p.TypesInfo.TypeOf(e).(type) {
		case *types.Named:
			obj = t.Obj()
		case *types.Alias:
			obj = t.Obj()
		default:
			return nil, p, decls
		}
		decl, ok := g.types[obj.Pos()]
		if !ok {
			return nil, p, decls
		}
		decls = append(decls, decl)
		e, p = decl.spec.Type, decl.pkg
	}
	return nil, p, decls
}

func fileOf(p *packages.Package, pos token.Pos) *ast.File {
	for _, f := range p.Syntax {
		if f.FileStart <= pos && pos <= f.FileEnd {
			return f
		}
	}
	return nil
}

// structMethods collects the exported methods of a defined type and its
// pointer, promoted ones included, in the order of the source.
func (g *generator) structMethods(t *target) {
	for sel := range types.NewMethodSet(types.NewPointer(t.typ)).Methods() {
		fn := sel.Obj().(*types.Func)
		if !fn.Exported() {
			continue
		}
		decl := g.methods[fn.Pos()]
		t.methods = append(t.methods, g.newMethod(t, fn, g.directives(decl.doc, decl.file, decl.pkg), t.levels))
	}
	if len(t.methods) == 0 {
		g.problemf(g.position(t.obj.Pos()), "%s has no exported methods", t.name)
	}
	own := func(m *method) bool { return m.fn.Pkg() == t.obj.Pkg() }
	slices.SortStableFunc(t.methods, func(a, b *method) int {
		switch {
		case own(a) != own(b):
			if own(a) {
				return -1
			}
			return 1
		case a.pos.Filename != b.pos.Filename:
			return strings.Compare(a.pos.Filename, b.pos.Filename)
		}
		return a.pos.Offset - b.pos.Offset
	})
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

// checkStray reports directives of the output's package that stand where none
// can have an effect.
func (g *generator) checkStray() {
	for _, f := range g.out.Syntax {
		if ast.IsGenerated(f) {
			continue
		}
		valid := map[*ast.CommentGroup]bool{}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				valid[d.Doc] = d.Recv != nil
			case *ast.GenDecl:
				for _, s := range d.Specs {
					ts, ok := s.(*ast.TypeSpec)
					if !ok {
						continue
					}
					valid[g.types[ts.Name.Pos()].doc] = true
					if it, ok := ast.Unparen(ts.Type).(*ast.InterfaceType); ok {
						for _, m := range it.Methods.List {
							valid[m.Doc] = true
						}
					}
				}
			}
		}
		for _, group := range f.Comments {
			for _, c := range group.List {
				if g.attached[c.Pos()] || !strings.HasPrefix(c.Text, directive.Prefix) {
					continue
				}
				l := located{nil, c, f, g.out}
				if _, err := directive.Parse(c.Text); err != nil {
					g.problemf(g.at(l, err.(*directive.Error).Offset), "%v", err)
				} else if !valid[group] {
					g.problemf(g.at(l, 0), "this directive has no effect here: it belongs in the doc comment of a method, or of the type")
				}
			}
		}
	}
}
