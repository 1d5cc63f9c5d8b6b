package rules

import (
	"go/ast"
	"go/types"
	"strings"

	"golang.org/x/tools/go/analysis"
)

// A stray is an argument that passes on the parent of a derived context while
// the span of the derived one is open.
type stray struct {
	arg     ast.Expr // the parent context, or the request that holds it
	call    *ast.CallExpr
	request bool // arg is a request
}

// strays lists the uses of d's parent that should have been uses of the context
// that d makes: those on a path after d, before the span ends and before the
// parent itself takes a new value.
//
// Deferred calls and goroutines are left out, as they may run when the span has
// ended, and so are calls that read nothing but values of the context, and those
// that are given the span beside it.
func (f *function) strays(pass *analysis.Pass, k *known, d *derivation) []stray {
	info := pass.TypesInfo
	parent := f.tracked(info, d)
	if parent == nil {
		return nil
	}
	if d.start != nil && (d.span == nil || !f.endsDeferred(info, d.span) && !f.endsInBody(info, d.span)) {
		return nil
	}
	if f.repeated(d) && d.start != nil && f.endsDeferred(info, d.span) {
		return nil // a defer in a loop: the span stays open past what it is meant for
	}
	holder := root(info, parent)
	var out []stray
	walkAfter(f.cfg, d.stmt, func(n ast.Node) bool {
		switch n.(type) {
		case *ast.DeferStmt, *ast.GoStmt:
			return true
		}
		for _, s := range k.passes(n, parent, holder) {
			if !takes(info, s.call, d.span) {
				out = append(out, s)
			}
		}
		return !ends(info, n, d.span) && !assigns(info, n, holder) && !assigns(info, n, d.span)
	})
	return out
}

// takes reports whether v is an argument of call.
func takes(info *types.Info, call *ast.CallExpr, v *types.Var) bool {
	for _, a := range call.Args {
		if v != nil && variable(info, a) == v {
			return true
		}
	}
	return false
}

// repeated reports whether d stands in a loop of the function.
func (f *function) repeated(d *derivation) bool {
	found := false
	inspectShallow(f.body, func(n ast.Node) {
		switch n.(type) {
		case *ast.ForStmt, *ast.RangeStmt:
			found = found || contains(n, d.stmt)
		}
	})
	return found
}

// tracked returns d's parent if its uses can be told: a variable, or the
// context of one.
func (f *function) tracked(info *types.Info, d *derivation) ast.Expr {
	parent := d.parent
	for {
		call, ok := parent.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 || !isExtract(info, call) && !derives(calleeFunc(info, call)) {
			break
		}
		parent = ast.Unparen(call.Args[0])
	}
	switch p := parent.(type) {
	case *ast.Ident:
		if v := variable(info, p); v == nil || v == d.ctx || v.Parent() == v.Pkg().Scope() {
			return nil
		}
		return p
	case *ast.CallExpr:
		if _, name := methodCall(p); name != "Context" || len(p.Args) != 0 || root(info, p) == nil {
			return nil
		}
		return p
	}
	return nil
}

// endsInBody reports whether the function ends the span in a statement, and no
// function literal does, which may run at any time.
func (f *function) endsInBody(info *types.Info, span *types.Var) bool {
	literal := false
	ast.Inspect(f.body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.DeferStmt:
			return false
		case *ast.FuncLit:
			literal = literal || calls(info, n, span, "End")
		}
		return !literal
	})
	return !literal && calls(info, f.body, span, "End")
}

// passes lists the arguments in n, function literals included, that are parent
// or the request that holds it.
func (k *known) passes(n ast.Node, parent ast.Expr, holder *types.Var) []stray {
	info := k.pass.TypesInfo
	_, method := parent.(*ast.CallExpr)
	request := method && isRequest(holder.Type())
	var out []stray
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.DeferStmt, *ast.GoStmt:
			return false
		case *ast.CallExpr:
			for i, a := range n.Args {
				switch {
				case same(info, a, parent):
					if !k.valuesOnly(n, i) {
						out = append(out, stray{arg: a, call: n})
					}
				case request && variable(info, a) == holder && serves(info, n):
					out = append(out, stray{arg: a, call: n, request: true})
				}
			}
		}
		return true
	})
	return out
}

// serves reports whether call hands a request to an HTTP handler.
func serves(info *types.Info, call *ast.CallExpr) bool {
	sig, ok := info.TypeOf(call.Fun).(*types.Signature)
	if !ok {
		if n, isNamed := types.Unalias(info.TypeOf(call.Fun)).(*types.Named); isNamed {
			sig, ok = n.Underlying().(*types.Signature)
		}
	}
	return ok && len(call.Args) == 2 && sig.Params().Len() == 2 &&
		isNamed(sig.Params().At(0).Type(), "net/http", "ResponseWriter") && isRequest(sig.Params().At(1).Type())
}

// source renders an expression for a message, shortened.
func source(e ast.Expr) string {
	s := types.ExprString(e)
	if i := strings.IndexByte(s, '\n'); i >= 0 {
		s = s[:i] + "…"
	}
	if len(s) > 60 {
		s = s[:60] + "…"
	}
	return s
}

// named renders " %q" of a span's constant name, or nothing.
func (d *derivation) named(info *types.Info) string {
	if name := d.spanName(info); name != "" {
		return " " + name
	}
	return ""
}
