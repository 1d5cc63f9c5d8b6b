package rules

import (
	"go/ast"
	"go/types"
	"strings"
)

// codeOf reports whether x is a call that takes an error, as status.Code(err).
func codeOf(info *types.Info, x ast.Expr) bool {
	call, ok := ast.Unparen(x).(*ast.CallExpr)
	if !ok {
		return false
	}
	for _, a := range call.Args {
		if isError(info.TypeOf(a)) {
			return true
		}
	}
	return false
}

// expected reports whether v is an error variable of a package that names an
// outcome rather than a failure: the end, or nothing there.
func expected(v *types.Var) bool {
	if v == nil || v.Pkg() == nil || v.Parent() != v.Pkg().Scope() || !isError(v.Type()) {
		return false
	}
	for _, word := range []string{"EOF", "NotFound", "NoRows", "Done", "Skip", "Closed", "Exists"} {
		if strings.Contains(v.Name(), word) {
			return true
		}
	}
	return false
}

// cancellation reports whether call is ctx.Err() or context.Cause(ctx): the
// caller gave up, and knows.
func cancellation(info *types.Info, call *ast.CallExpr) bool {
	if x, name := methodCall(call); name == "Err" && isContext(info.TypeOf(x)) {
		return true
	}
	return isFunc(calleeFunc(info, call), "context", "Cause")
}

// wraps reports whether call takes an error and returns one.
func wraps(info *types.Info, call *ast.CallExpr) bool {
	return codeOf(info, call) && isError(info.TypeOf(call)) && !makesError(info, call)
}

// makesError reports whether e is an error other than nil for certain.
func makesError(info *types.Info, e ast.Expr) bool {
	switch e := ast.Unparen(e).(type) {
	case *ast.CallExpr:
		f := calleeFunc(info, e)
		return isFunc(f, "fmt", "Errorf") || isFunc(f, "errors", "New") ||
			isFunc(f, "google.golang.org/grpc/status", "Error", "Errorf")
	case *ast.UnaryExpr:
		_, ok := e.X.(*ast.CompositeLit)
		return ok
	case *ast.SelectorExpr:
		v, ok := info.Uses[e.Sel].(*types.Var)
		return ok && v.Pkg() != nil && v.Parent() == v.Pkg().Scope()
	case *ast.Ident:
		v, ok := info.Uses[e].(*types.Var)
		return ok && v.Pkg() != nil && v.Parent() == v.Pkg().Scope()
	}
	return false
}
