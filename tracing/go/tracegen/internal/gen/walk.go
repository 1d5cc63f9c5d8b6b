package gen

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"

	"github.com/throughline/throughline/tracing/go/tracegen/internal/directive"
)

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
