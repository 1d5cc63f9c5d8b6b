package rules

import (
	"go/ast"
	"go/token"
	"go/types"
	"iter"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/passes/ctrlflow"
	"golang.org/x/tools/go/cfg"
)

// A function is a declared function or a function literal, with its
// control-flow graph.
type function struct {
	node ast.Node // *ast.FuncDecl or *ast.FuncLit
	typ  *ast.FuncType
	body *ast.BlockStmt
	cfg  *cfg.CFG
	file *ast.File
}

// functions yields every function of the package that a person wrote: not
// those of generated files, nor those of tests.
func functions(pass *analysis.Pass) iter.Seq[*function] {
	cfgs := pass.ResultOf[ctrlflow.Analyzer].(*ctrlflow.CFGs)
	return func(yield func(*function) bool) {
		for file := range files(pass) {
			more := true
			ast.Inspect(file, func(n ast.Node) bool {
				if !more {
					return false
				}
				switch n := n.(type) {
				case *ast.FuncDecl:
					if n.Body != nil {
						more = yield(&function{n, n.Type, n.Body, cfgs.FuncDecl(n), file})
					}
				case *ast.FuncLit:
					more = yield(&function{n, n.Type, n.Body, cfgs.FuncLit(n), file})
				}
				return more
			})
			if !more {
				return
			}
		}
	}
}

// A derivation is an assignment whose right side makes a context that knows
// more of the trace than its parent: a started span, an extracted or a given
// one.
type derivation struct {
	stmt   ast.Node // the assignment
	call   *ast.CallExpr
	start  *start     // nil unless a span is started
	lhs    ast.Expr   // where the context goes; the blank identifier if it is dropped
	ctx    *types.Var // the variable that takes the context; nil if none does
	span   *types.Var // the variable that takes the span; nil if none does
	parent ast.Expr   // the parent context
}

// derivations lists the assignments in the function itself, not in the
// function literals within it.
func (f *function) derivations(info *types.Info) []*derivation {
	var out []*derivation
	add := func(stmt ast.Node, lhs []ast.Expr, rhs []ast.Expr) {
		if len(rhs) != 1 {
			return
		}
		call, ok := ast.Unparen(rhs[0]).(*ast.CallExpr)
		if !ok {
			return
		}
		d := &derivation{stmt: stmt, call: call}
		if s, ok := startOf(info, call); ok && len(lhs) == 2 {
			d.start, d.parent, d.lhs = &s, s.parent, lhs[s.ctx]
			d.span = variable(info, lhs[s.span])
		} else if len(lhs) == 1 && (isExtract(info, call) || derives(calleeFunc(info, call))) {
			d.parent, d.lhs = ast.Unparen(call.Args[0]), lhs[0]
		} else {
			return
		}
		if !isBlank(d.lhs) {
			d.ctx = variable(info, d.lhs)
		}
		out = append(out, d)
	}
	inspectShallow(f.body, func(n ast.Node) {
		switch n := n.(type) {
		case *ast.AssignStmt:
			add(n, n.Lhs, n.Rhs)
		case *ast.ValueSpec:
			lhs := make([]ast.Expr, len(n.Names))
			for i, id := range n.Names {
				lhs[i] = id
			}
			add(n, lhs, n.Values)
		}
	})
	return out
}

// spanName returns the constant name of the started span, quoted, or "".
func (d *derivation) spanName(info *types.Info) string {
	if d.start == nil || d.start.name == nil {
		return ""
	}
	if v := info.Types[d.start.name].Value; v != nil {
		return v.ExactString()
	}
	return ""
}

// walkAfter visits the nodes of g that can run after the node stmt, in the
// order of execution on each path. A path goes no further when visit returns
// false, or when it comes back to stmt.
func walkAfter(g *cfg.CFG, stmt ast.Node, visit func(ast.Node) bool) {
	if g == nil {
		return
	}
	var from *cfg.Block
	at := -1
	for _, b := range g.Blocks {
		for i, n := range b.Nodes {
			if n == stmt || contains(n, stmt) {
				from, at = b, i
			}
		}
	}
	if from == nil {
		return
	}
	seen := make(map[*cfg.Block]bool)
	var walk func(b *cfg.Block, i int)
	walk = func(b *cfg.Block, i int) {
		for ; i < len(b.Nodes); i++ {
			if b == from && i == at || !visit(b.Nodes[i]) {
				return
			}
		}
		for _, s := range b.Succs {
			if !seen[s] {
				seen[s] = true
				walk(s, 0)
			}
		}
	}
	walk(from, at+1)
}

// contains reports whether the declaration or assignment stmt lies in n.
func contains(n, stmt ast.Node) bool {
	return n.Pos() <= stmt.Pos() && stmt.End() <= n.End()
}

// inspectShallow visits n and its descendants without entering function literals.
func inspectShallow(n ast.Node, visit func(ast.Node)) {
	ast.Inspect(n, func(n ast.Node) bool {
		if _, ok := n.(*ast.FuncLit); ok {
			return false
		}
		if n != nil {
			visit(n)
		}
		return true
	})
}

// assigns reports whether n gives v a new value.
func assigns(info *types.Info, n ast.Node, v *types.Var) bool {
	if v == nil {
		return false
	}
	found := false
	inspectShallow(n, func(n ast.Node) {
		if a, ok := n.(*ast.AssignStmt); ok {
			for _, l := range a.Lhs {
				if variable(info, l) == v {
					found = true
				}
			}
		}
	})
	return found
}

// uses reports whether v is mentioned in n, function literals included.
func uses(info *types.Info, n ast.Node, v *types.Var) bool {
	found := false
	ast.Inspect(n, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && v != nil && info.Uses[id] == v {
			found = true
		}
		return !found
	})
	return found
}

// calls reports whether n holds a call of one of v's methods of these names,
// function literals included.
func calls(info *types.Info, n ast.Node, v *types.Var, methods ...string) bool {
	if v == nil {
		return false
	}
	found := false
	ast.Inspect(n, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return !found
		}
		if x, name := methodCall(call); x != nil && variable(info, x) == v {
			for _, m := range methods {
				found = found || m == name
			}
		}
		return !found
	})
	return found
}

// ends reports whether n ends the span now: a call of End, or a call that
// takes the span, other than a deferred one or one in a goroutine.
func ends(info *types.Info, n ast.Node, span *types.Var) bool {
	if span == nil {
		return false
	}
	switch n.(type) {
	case *ast.DeferStmt, *ast.GoStmt:
		return false
	}
	found := false
	inspectShallow(n, func(n ast.Node) {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return
		}
		if x, name := methodCall(call); x != nil && name == "End" && variable(info, x) == span {
			found = true
		}
		for _, a := range call.Args {
			if variable(info, a) == span && !derives(calleeFunc(info, call)) {
				found = true
			}
		}
	})
	return found
}

// endsDeferred reports whether the function ends the span in a defer
// statement of its own.
func (f *function) endsDeferred(info *types.Info, span *types.Var) bool {
	found := false
	inspectShallow(f.body, func(n ast.Node) {
		d, ok := n.(*ast.DeferStmt)
		if !ok {
			return
		}
		if calls(info, d, span, "End") {
			found = true
		}
		for _, a := range d.Call.Args {
			found = found || variable(info, a) == span && span != nil
		}
	})
	return found
}

// same reports whether a and b are the same chain of identifiers, calls
// without arguments included: ctx, r.Context(), c.Request.Context().
func same(info *types.Info, a, b ast.Expr) bool {
	a, b = ast.Unparen(a), ast.Unparen(b)
	switch a := a.(type) {
	case *ast.Ident:
		b, ok := b.(*ast.Ident)
		return ok && info.ObjectOf(a) != nil && info.ObjectOf(a) == info.ObjectOf(b)
	case *ast.SelectorExpr:
		b, ok := b.(*ast.SelectorExpr)
		return ok && a.Sel.Name == b.Sel.Name && same(info, a.X, b.X)
	case *ast.CallExpr:
		b, ok := b.(*ast.CallExpr)
		return ok && len(a.Args) == 0 && len(b.Args) == 0 && same(info, a.Fun, b.Fun)
	}
	return false
}

// root returns the variable at the start of a chain of identifiers.
func root(info *types.Info, e ast.Expr) *types.Var {
	for {
		switch x := ast.Unparen(e).(type) {
		case *ast.Ident:
			return variable(info, x)
		case *ast.SelectorExpr:
			e = x.X
		case *ast.CallExpr:
			e = x.Fun
		default:
			return nil
		}
	}
}

// visible returns the innermost variable at pos whose type satisfies ok.
func visible(pkg *types.Package, pos token.Pos, ok func(types.Type) bool) *types.Var {
	for s := pkg.Scope().Innermost(pos); s != nil && s != pkg.Scope(); s = s.Parent() {
		var best *types.Var
		for _, name := range s.Names() {
			v, isVar := s.Lookup(name).(*types.Var)
			if !isVar || name == "_" || !ok(v.Type()) {
				continue
			}
			if _, seen := s.LookupParent(name, pos); seen != types.Object(v) {
				continue // declared further on
			}
			if best == nil || v.Pos() > best.Pos() {
				best = v
			}
		}
		if best != nil {
			return best
		}
	}
	return nil
}
