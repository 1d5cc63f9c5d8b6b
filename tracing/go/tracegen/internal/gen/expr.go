package gen

import (
	"errors"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/printer"
	"go/scanner"
	"go/token"
	"go/types"
	"strings"
)

// expr is an expression of a directive, type-checked where the directive
// stands.
type expr struct {
	g      *generator
	d      located
	node   ast.Expr
	info   *types.Info
	typ    types.Type
	value  constant.Value // nil if it is not constant
	vars   map[types.Object]*variable
	guards []guard
	sure   []*variable // not nil where the expression runs
	// free are the identifiers of the output's expression that are no
	// variables: nothing around it may hide them.
	free map[string]bool
	base token.Pos // of the expression's first byte
}

// scope has the variables that a directive sees, by name.
type scope map[string]*variable

func (s scope) add(name string, v *variable) {
	if _, taken := s[name]; !taken && name != "" && name != "_" {
		s[name] = v
	}
}

// declare adds the parameters and results of m by their own names, by param0,
// result0 and so on, and the error as err.
func (s scope) declare(m *method) {
	for _, v := range append(append([]*variable(nil), m.params...), m.results...) {
		s.add(v.v.Name(), v)
	}
	for i, v := range m.params {
		s.add(fmt.Sprintf("param%d", i), v)
	}
	for i, v := range m.results {
		s.add(fmt.Sprintf("result%d", i), v)
	}
	if v := m.failure(); v != nil {
		s.add("err", v)
	}
	if m.ctx != nil {
		s.add("ctx", m.ctx)
	}
}

// expr parses and type-checks the expression of d among the variables of sc,
// of which those in sure are known not to be nil where it runs. Where it is
// wrong, it is reported and nil returned.
func (g *generator) expr(t *target, d located, sc scope, sure ...*variable) *expr {
	node, err := parser.ParseExprFrom(g.fset, "", d.Arg, 0)
	if err != nil {
		offset, msg := 0, err.Error()
		var list scanner.ErrorList
		if errors.As(err, &list) {
			offset, msg = list[0].Pos.Offset, list[0].Msg
		}
		g.problemf(g.at(d, d.ArgOffset+offset), "%s", msg)
		return nil
	}
	e := &expr{
		g: g, d: d, node: node, vars: map[types.Object]*variable{}, free: map[string]bool{}, sure: sure,
		info: &types.Info{
			Types:      map[ast.Expr]types.TypeAndValue{},
			Uses:       map[*ast.Ident]types.Object{},
			Selections: map[*ast.SelectorExpr]*types.Selection{},
			Instances:  map[*ast.Ident]types.Instance{},
		},
	}
	file := g.fset.File(node.Pos())
	e.base = token.Pos(file.Base())
	e.openScope(t, sc, file)
	if err := types.CheckExpr(g.fset, d.pkg.Types, e.base, node, e.info); err != nil {
		pos, msg := e.base, err.Error()
		var te types.Error
		if errors.As(err, &te) {
			pos, msg = te.Pos, te.Msg
		}
		e.failf(pos, "%s", msg)
		return nil
	}
	tv := e.info.Types[node]
	if !tv.IsValue() {
		e.failf(node.Pos(), "%s is not a value", types.ExprString(node))
		return nil
	}
	e.typ, e.value = tv.Type, tv.Value
	if !e.check() {
		return nil
	}
	return e
}

// openScope makes the variables visible to the expression, and behind them
// what its file imports.
func (e *expr) openScope(t *target, sc scope, file *token.File) {
	pkg := e.d.pkg
	end := e.base + token.Pos(file.Size()) + 1
	inner := types.NewScope(pkg.Types.Scope(), e.base, end, "directive")
	for name, v := range sc {
		obj := types.NewParam(token.NoPos, pkg.Types, name, v.v.Type())
		e.vars[obj] = v
		inner.Insert(obj)
	}
	for _, p := range t.tparams {
		if p.Obj().Pkg() == pkg.Types {
			inner.Insert(p.Obj())
		}
	}
	outer := pkg.TypesInfo.Scopes[e.d.file]
	for _, name := range outer.Names() {
		inner.Insert(outer.Lookup(name))
	}
	for _, name := range packageNames(e.node) {
		if inner.Lookup(name) == nil && pkg.Types.Scope().Lookup(name) == nil {
			if p := e.g.unimported(e.d, name); p != nil {
				inner.Insert(types.NewPkgName(token.NoPos, pkg.Types, name, p))
			}
		}
	}
}

// packageNames returns the identifiers before a dot: those that may be packages.
func packageNames(node ast.Expr) []string {
	var names []string
	ast.Inspect(node, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if id, ok := sel.X.(*ast.Ident); ok {
				names = append(names, id.Name)
			}
		}
		return true
	})
	return names
}

// unimported finds the package that a directive means by a name which its file
// does not import, and could not for the directive's sake alone: the one that
// the package's other files import by that name, or the standard library's.
func (g *generator) unimported(d located, name string) *types.Package {
	var found *types.Package
	for _, f := range d.pkg.Syntax {
		obj, ok := d.pkg.TypesInfo.Scopes[f].Lookup(name).(*types.PkgName)
		if !ok {
			continue
		}
		if found != nil && found.Path() != obj.Imported().Path() {
			return nil // they do not agree
		}
		found = obj.Imported()
	}
	if p := g.source[name]; found == nil && p != nil && g.isStd(name) {
		found = p.Types
	}
	return found
}

func (e *expr) failf(pos token.Pos, form string, args ...any) {
	offset := max(int(pos-e.base), 0)
	if offset > len(e.d.Arg) {
		offset = 0
	}
	e.g.problemf(e.g.at(e.d, e.d.ArgOffset+offset), form, args...)
}

// check finds what the expression needs in order not to panic, and translates
// what is not a variable to the output's names.
func (e *expr) check() bool {
	before := len(e.g.problems)
	e.safe(e.node, nil)
	ast.Inspect(e.node, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if id, ok := n.X.(*ast.Ident); ok {
				if pkg, ok := e.info.Uses[id].(*types.PkgName); ok {
					e.packageMember(id, pkg)
					return false
				}
			}
		case *ast.Ident:
			e.translate(n)
		}
		return true
	})
	return len(e.g.problems) == before
}

func (e *expr) packageMember(id *ast.Ident, pkg *types.PkgName) {
	imp := pkg.Imported()
	if !e.g.importable(imp) {
		e.failf(id.Pos(), "package %q cannot be imported by %s", imp.Path(), e.g.out.PkgPath)
		return
	}
	name := e.g.imports.use(imp.Path(), imp.Name())
	id.Name = name
	e.free[name] = true
}

func (e *expr) translate(id *ast.Ident) {
	obj := e.info.Uses[id]
	if obj == nil || e.vars[obj] != nil {
		return
	}
	pkg := obj.Pkg()
	if pkg != nil && pkg.Path() != e.g.out.PkgPath && !obj.Exported() {
		if _, ok := obj.Type().(*types.TypeParam); !ok {
			e.failf(id.Pos(), "%s is not exported by %s", id.Name, pkg.Path())
			return
		}
	}
	if p, ok := obj.Type().(*types.TypeParam); ok {
		if _, isType := obj.(*types.TypeName); isType {
			name, ok := e.g.imports.tparams[p]
			if !ok {
				e.failf(id.Pos(), "type parameter %s has no meaning in the wrapper", id.Name)
				return
			}
			id.Name = name
			e.free[name] = true
			return
		}
	}
	switch {
	case pkg == nil:
		e.free[id.Name] = true
	case obj.Parent() == pkg.Scope():
		if pkg.Path() != e.g.out.PkgPath && !e.g.importable(pkg) {
			e.failf(id.Pos(), "package %q cannot be imported by %s", pkg.Path(), e.g.out.PkgPath)
			return
		}
		id.Name = e.g.qualified(obj)
		first, _, _ := strings.Cut(id.Name, ".")
		e.free[first] = true
	}
}

// uses reports whether the expression mentions v.
func (e *expr) uses(is func(v *variable) bool) bool {
	found := false
	ast.Inspect(e.node, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			if v := e.vars[e.info.Uses[id]]; v != nil && is(v) {
				found = true
			}
		}
		return true
	})
	return found
}

// print writes the expression with the variables' names in the output. The
// nodes are e's own or of its guards.
func (e *expr) print(node ast.Expr) string {
	ast.Inspect(node, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			if v := e.vars[e.info.Uses[id]]; v != nil {
				id.Name = v.name
			}
		}
		return true
	})
	var b strings.Builder
	// The nodes' positions are those of one line.
	if err := printer.Fprint(&b, e.g.fset, node); err != nil {
		return types.ExprString(node)
	}
	return b.String()
}

// String returns the expression in the output.
func (e *expr) String() string { return e.print(e.node) }

// operand returns a Go expression as an operand of && in the head of an if
// statement, where a composite literal would be taken for the block.
func operand(x string) string {
	node, err := parser.ParseExpr(x)
	if b, ok := node.(*ast.BinaryExpr); err == nil && ok && b.Op.Precedence() < token.LAND.Precedence() {
		return "(" + x + ")"
	}
	if _, err := parser.ParseFile(token.NewFileSet(), "", "package p; func _() { if "+x+" {} }", 0); err != nil {
		return "(" + x + ")"
	}
	return x
}

// condition checks that e is one.
func (e *expr) condition() bool {
	if basic, ok := e.typ.Underlying().(*types.Basic); !ok || basic.Info()&types.IsBoolean == 0 {
		e.failf(e.node.Pos(), "%s is of type %s, not a condition", types.ExprString(e.node), types.Default(e.typ))
		return false
	}
	return true
}
