package rules

import (
	"fmt"
	"go/ast"
	"go/types"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/passes/ctrlflow"
	"golang.org/x/tools/go/types/typeutil"
)

// RequestContext reports HTTP requests sent without the context at hand.
var RequestContext = &analysis.Analyzer{
	Name: "requestcontext",
	Doc: `check for HTTP requests without the context in scope

A tracing transport takes the trace from the context of the request. The rule
reports http.NewRequest, a sent http.Request literal, and http.Get, Head, Post and
PostForm (also of a client) where a context is in scope. A request that later gets
a context by WithContext or Clone is left alone.`,
	URL:      home + "requestcontext",
	Run:      runRequestContext,
	Requires: []*analysis.Analyzer{ctrlflow.Analyzer, Ignore},
}

func runRequestContext(pass *analysis.Pass) (any, error) {
	info := pass.TypesInfo
	for f := range functions(pass) {
		inspectShallow(f.body, func(n ast.Node) {
			switch n := n.(type) {
			case *ast.CallExpr:
				callee, _ := typeutil.Callee(info, n).(*types.Func)
				switch {
				case isFunc(callee, "net/http", "NewRequest"):
					f.newRequest(pass, n)
				case isShortcut(callee):
					if ctx := contextAt(pass, n); ctx != "" {
						report(pass, analysis.Diagnostic{
							Pos: n.Pos(), End: n.End(),
							Message: fmt.Sprintf("%s sends a request without %s: make it with http.NewRequestWithContext and call Do", source(n.Fun), ctx),
						})
					}
				}
			case *ast.CompositeLit:
				if isNamed(info.TypeOf(n), "net/http", "Request") {
					f.requestLiteral(pass, n)
				}
			}
		})
	}
	return nil, nil
}

// isShortcut reports whether f is one of the functions and methods of net/http
// that make and send a request without asking for a context.
func isShortcut(f *types.Func) bool {
	if isFunc(f, "net/http", "Get", "Head", "Post", "PostForm") {
		return true
	}
	if f == nil || f.Signature().Recv() == nil || !isNamed(receiver(f), "net/http", "Client") {
		return false
	}
	switch f.Name() {
	case "Get", "Head", "Post", "PostForm":
		return true
	}
	return false
}

func (f *function) newRequest(pass *analysis.Pass, call *ast.CallExpr) {
	ctx := contextAt(pass, call)
	if ctx == "" || f.givenContext(pass.TypesInfo, call) {
		return
	}
	d := analysis.Diagnostic{
		Pos: call.Pos(), End: call.End(),
		Message: fmt.Sprintf("%s makes a request without %s", source(call.Fun), ctx),
	}
	if sel, ok := call.Fun.(*ast.SelectorExpr); ok && len(call.Args) == 3 {
		d.SuggestedFixes = []analysis.SuggestedFix{{
			Message: "Use NewRequestWithContext",
			TextEdits: []analysis.TextEdit{
				{Pos: sel.Sel.Pos(), End: sel.Sel.End(), NewText: []byte("NewRequestWithContext")},
				{Pos: call.Args[0].Pos(), End: call.Args[0].Pos(), NewText: []byte(ctx + ", ")},
			},
		}}
	}
	report(pass, d)
}

func (f *function) requestLiteral(pass *analysis.Pass, lit *ast.CompositeLit) {
	ctx := contextAt(pass, lit)
	if ctx == "" || f.givenContext(pass.TypesInfo, lit) || !f.sends(pass.TypesInfo, lit) {
		return
	}
	report(pass, analysis.Diagnostic{
		Pos: lit.Pos(), End: lit.End(),
		Message: fmt.Sprintf("http.Request literal is sent without %s: make it with http.NewRequestWithContext", ctx),
	})
}

// request returns the variable of the function that the made request is
// assigned to.
func (f *function) request(info *types.Info, made ast.Expr) *types.Var {
	var v *types.Var
	inspectShallow(f.body, func(n ast.Node) {
		var lhs, rhs []ast.Expr
		switch n := n.(type) {
		case *ast.AssignStmt:
			lhs, rhs = n.Lhs, n.Rhs
		case *ast.ValueSpec:
			for _, id := range n.Names {
				lhs = append(lhs, id)
			}
			rhs = n.Values
		default:
			return
		}
		for i, r := range rhs {
			if u, ok := ast.Unparen(r).(*ast.UnaryExpr); ok {
				r = u.X
			}
			if ast.Unparen(r) == made && i < len(lhs) {
				v = variable(info, lhs[i])
			}
		}
	})
	return v
}

// givenContext reports whether the request made by the expression gets a
// context further on.
func (f *function) givenContext(info *types.Info, made ast.Expr) bool {
	v := f.request(info, made)
	if v == nil { // returned or passed on at once: http.NewRequest(…).WithContext(ctx)
		found := false
		ast.Inspect(f.body, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if x, name := methodCall(call); x != nil && (name == "WithContext" || name == "Clone") && contains(x, made) {
					found = true
				}
			}
			return !found
		})
		return found
	}
	return calls(info, f.body, v, "WithContext", "Clone")
}

// sends reports whether the request made by the expression is handed to a
// client or a transport.
func (f *function) sends(info *types.Info, made ast.Expr) bool {
	v := f.request(info, made)
	found := false
	ast.Inspect(f.body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return !found
		}
		if _, name := methodCall(call); name != "Do" && name != "RoundTrip" {
			return !found
		}
		for _, a := range call.Args {
			if v != nil && variable(info, a) == v || contains(a, made) {
				found = true
			}
		}
		return !found
	})
	return found
}

// contextAt returns the expression of the innermost context in scope at n: a
// variable, or the context of a request that is served. It returns "" if there
// is none.
func contextAt(pass *analysis.Pass, n ast.Node) string {
	v := visible(pass.Pkg, n.Pos(), func(t types.Type) bool {
		return isContext(t)
	})
	if v != nil {
		return v.Name()
	}
	served := visible(pass.Pkg, n.Pos(), func(t types.Type) bool {
		_, pointer := t.(*types.Pointer)
		return pointer && isRequest(t)
	})
	writer := visible(pass.Pkg, n.Pos(), func(t types.Type) bool {
		return isNamed(t, "net/http", "ResponseWriter")
	})
	if served != nil && writer != nil {
		return served.Name() + ".Context()"
	}
	return ""
}
