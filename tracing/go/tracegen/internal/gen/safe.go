package gen

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"slices"
)

// guard is a condition without which an expression would panic: x is not nil,
// or x is longer than index.
type guard struct {
	x     ast.Expr
	index int64 // -1 for not nil
}

func (gd guard) key() string { return fmt.Sprintf("%s %d", types.ExprString(gd.x), gd.index) }

func (e *expr) printGuard(gd guard) string {
	if gd.index < 0 {
		return operand(e.print(gd.x) + " != nil")
	}
	e.free["len"] = true
	return fmt.Sprintf("len(%s) > %d", e.print(gd.x), gd.index)
}

// require notes that x must not be nil, or be longer than index, for what
// follows; known are the conditions that hold already.
func (e *expr) require(gd guard, known []string) {
	if slices.Contains(known, gd.key()) {
		return
	}
	if id, ok := ast.Unparen(gd.x).(*ast.Ident); ok && gd.index < 0 {
		if v := e.vars[e.info.Uses[id]]; v != nil && slices.Contains(e.sure, v) {
			return
		}
	}
	if !e.repeatable(gd.x) {
		what := "may be nil"
		if gd.index >= 0 {
			what = "may be too short"
		}
		e.failf(gd.x.Pos(), "%s %s, which cannot be checked without evaluating it twice: call a function that takes care of it",
			types.ExprString(gd.x), what)
		return
	}
	if pos, hidden := e.g.declared[e.g.out.Name]["len"]; hidden && gd.index >= 0 {
		e.failf(gd.x.Pos(), "%s may be too short, which cannot be checked: the package declares its own len at %s", types.ExprString(gd.x), pos)
		return
	}
	for _, old := range e.guards {
		if old.key() == gd.key() {
			return
		}
	}
	e.guards = append(e.guards, gd)
}

// repeatable reports whether evaluating x twice is as good as once.
func (e *expr) repeatable(x ast.Expr) bool {
	ok := true
	ast.Inspect(x, func(n ast.Node) bool {
		if call, isCall := n.(*ast.CallExpr); isCall && !e.info.Types[call.Fun].IsType() {
			ok = false
		}
		return ok
	})
	return ok
}

// safe walks over x and collects the guards it needs; what cannot be guarded is
// reported.
func (e *expr) safe(x ast.Expr, known []string) {
	switch x := x.(type) {
	case *ast.ParenExpr:
		e.safe(x.X, known)
	case *ast.SelectorExpr:
		e.safeSelector(x, known)
	case *ast.StarExpr:
		if e.info.Types[x].IsType() {
			return
		}
		e.safe(x.X, known)
		e.require(guard{x.X, -1}, known)
	case *ast.IndexExpr:
		e.safeIndex(x, known)
	case *ast.CallExpr:
		e.safeCall(x, known)
	case *ast.UnaryExpr:
		switch x.Op {
		case token.ARROW:
			e.failf(x.Pos(), "receiving from a channel takes the value from its reader")
		case token.AND:
			e.failf(x.Pos(), "taking an address lets the value be changed")
		}
		e.safe(x.X, known)
	case *ast.BinaryExpr:
		e.safeBinary(x, known)
	case *ast.CompositeLit:
		if _, isMap := e.info.Types[x].Type.Underlying().(*types.Map); isMap {
			e.failf(x.Pos(), "a map made at each call is too costly here")
		}
		for _, elt := range x.Elts {
			if kv, ok := elt.(*ast.KeyValueExpr); ok {
				elt = kv.Value
			}
			e.safe(elt, known)
		}
	case *ast.FuncLit:
		e.failf(x.Pos(), "function literals are not for directives: declare a function and call it")
	case *ast.TypeAssertExpr:
		e.failf(x.Pos(), "a type assertion may panic: call a function that takes care of it")
	case *ast.SliceExpr:
		e.failf(x.Pos(), "slicing may panic: call a function that takes care of the length")
	}
}

// safeSelector guards the pointers and interfaces on the way to a field or
// method, those of embedded fields included.
func (e *expr) safeSelector(x *ast.SelectorExpr, known []string) {
	sel := e.info.Selections[x]
	if sel == nil {
		return // a name in a package
	}
	if sel.Kind() == types.MethodExpr {
		e.failf(x.Pos(), "method expressions are not for directives")
		return
	}
	e.safe(x.X, known)
	operand, typ := x.X, sel.Recv()
	path := sel.Index()
	for i, index := range path {
		last := i == len(path)-1
		if nilable(typ) {
			e.require(guard{operand, -1}, known)
		}
		if ptr, ok := typ.Underlying().(*types.Pointer); ok {
			typ = ptr.Elem()
		}
		if last {
			break
		}
		st, ok := typ.Underlying().(*types.Struct)
		if !ok {
			return
		}
		field := st.Field(index)
		if !field.Exported() && field.Pkg().Path() != e.g.out.PkgPath && nilable(field.Type()) {
			e.failf(x.Sel.Pos(), "embedded field %s of package %q may be nil, which cannot be checked from here", field.Name(), field.Pkg().Path())
			return
		}
		operand, typ = &ast.SelectorExpr{X: operand, Sel: ast.NewIdent(field.Name())}, field.Type()
	}
}

// nilable reports whether a value of type t may be nil and is of no use then.
func nilable(t types.Type) bool {
	if _, ok := types.Unalias(t).(*types.TypeParam); ok {
		return false
	}
	switch t.Underlying().(type) {
	case *types.Pointer, *types.Interface, *types.Signature:
		return true
	}
	return false
}

func (e *expr) safeIndex(x *ast.IndexExpr, known []string) {
	tv := e.info.Types[x.X]
	if _, isFunc := tv.Type.Underlying().(*types.Signature); isFunc || tv.IsType() {
		return // an instantiation
	}
	e.safe(x.X, known)
	e.safe(x.Index, known)
	typ := tv.Type.Underlying()
	if m, ok := typ.(*types.Map); ok {
		if types.IsInterface(m.Key()) {
			e.failf(x.Index.Pos(), "looking up an interface value may panic: call a function that takes care of it")
		}
		return
	}
	if ptr, ok := typ.(*types.Pointer); ok { // to an array
		e.require(guard{x.X, -1}, known)
		typ = ptr.Elem().Underlying()
	}
	index := e.info.Types[x.Index].Value
	if _, ok := types.Unalias(tv.Type).(*types.TypeParam); ok || index == nil {
		e.failf(x.Index.Pos(), "index %s may be out of range: only a constant can be checked", types.ExprString(x.Index))
		return
	}
	if _, isArray := typ.(*types.Array); isArray || tv.Value != nil {
		return // checked by the compiler
	}
	if n, ok := constant.Int64Val(constant.ToInt(index)); ok {
		e.require(guard{x.X, n}, known)
	}
}

// harmless are the builtins that have no effect and cannot panic.
var harmless = []string{"len", "cap", "min", "max", "real", "imag", "complex"}

func (e *expr) safeCall(x *ast.CallExpr, known []string) {
	for _, arg := range x.Args {
		if tv := e.info.Types[arg]; !tv.IsType() {
			e.safe(arg, known)
		}
	}
	fun := e.info.Types[x.Fun]
	switch {
	case fun.IsBuiltin():
		if id, ok := ast.Unparen(x.Fun).(*ast.Ident); ok && !slices.Contains(harmless, id.Name) {
			e.failf(x.Pos(), "%s is not for directives", id.Name)
		}
	case fun.IsType():
		from := e.info.Types[x.Args[0]].Type.Underlying()
		to := fun.Type.Underlying()
		if ptr, ok := to.(*types.Pointer); ok {
			to = ptr.Elem().Underlying()
		}
		_, slice := from.(*types.Slice)
		if _, array := to.(*types.Array); array && slice {
			e.failf(x.Pos(), "converting a slice to an array may panic: call a function that takes care of the length")
		}
	default:
		e.safe(x.Fun, known)
		if e.isVariable(x.Fun) {
			e.require(guard{x.Fun, -1}, known)
		}
	}
}

// isVariable reports whether fun is a function value, not a declared function
// or method.
func (e *expr) isVariable(fun ast.Expr) bool {
	switch f := ast.Unparen(fun).(type) {
	case *ast.Ident:
		_, isFunc := e.info.Uses[f].(*types.Func)
		return !isFunc
	case *ast.SelectorExpr:
		_, isFunc := e.info.Uses[f.Sel].(*types.Func)
		return !isFunc
	case *ast.IndexExpr:
		return e.isVariable(f.X)
	case *ast.IndexListExpr:
		return e.isVariable(f.X)
	}
	return true
}

func (e *expr) safeBinary(x *ast.BinaryExpr, known []string) {
	e.safe(x.X, known)
	switch x.Op {
	case token.LAND:
		known = e.facts(x.X, token.NEQ, token.LAND, known)
	case token.LOR:
		known = e.facts(x.X, token.EQL, token.LOR, known)
	case token.QUO, token.REM:
		if t, ok := e.info.Types[x].Type.Underlying().(*types.Basic); !ok || t.Info()&types.IsFloat == 0 {
			if e.info.Types[x.Y].Value == nil {
				e.failf(x.Y.Pos(), "%s may be zero: call a function that takes care of it", types.ExprString(x.Y))
			}
		}
	case token.SHL, token.SHR:
		if t, ok := e.info.Types[x.Y].Type.Underlying().(*types.Basic); e.info.Types[x.Y].Value == nil && (!ok || t.Info()&types.IsUnsigned == 0) {
			e.failf(x.Y.Pos(), "%s may be negative: call a function that takes care of it", types.ExprString(x.Y))
		}
	}
	e.safe(x.Y, known)
}

// facts adds to known what holds to the right of a && or ||: the operands that
// x compares with nil.
func (e *expr) facts(x ast.Expr, op, join token.Token, known []string) []string {
	b, ok := ast.Unparen(x).(*ast.BinaryExpr)
	if !ok {
		return known
	}
	switch b.Op {
	case join:
		return e.facts(b.Y, op, join, e.facts(b.X, op, join, known))
	case op:
		for _, pair := range [][2]ast.Expr{{b.X, b.Y}, {b.Y, b.X}} {
			if e.info.Types[pair[1]].IsNil() {
				known = append(slices.Clone(known), guard{pair[0], -1}.key())
			}
		}
	}
	return known
}
