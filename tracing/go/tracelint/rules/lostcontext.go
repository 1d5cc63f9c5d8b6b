package rules

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/passes/ctrlflow"
)

// LostContext reports contexts that were extracted or given a span and then
// dropped, so that what follows is no part of the trace.
var LostContext = &analysis.Analyzer{
	Name: "lostcontext",
	Doc: `check for extracted or started contexts that are thrown away

Extract returns a new context; it does not change the one it is given. The
context that Start returns is the only one that makes further spans children of
the started span. The rule reports an Extract whose result is unused, and a Start
whose context is dropped while calls below it take the old one.`,
	URL:      home + "lostcontext",
	Run:      runLostContext,
	Requires: []*analysis.Analyzer{ctrlflow.Analyzer, functionFacts, Ignore},
}

func runLostContext(pass *analysis.Pass) (any, error) {
	info := pass.TypesInfo
	k := pass.ResultOf[functionFacts].(*known)
	for f := range functions(pass) {
		inspectShallow(f.body, func(n ast.Node) {
			var call *ast.CallExpr
			switch n := n.(type) {
			case *ast.ExprStmt:
				call, _ = n.X.(*ast.CallExpr)
			case *ast.AssignStmt:
				if len(n.Lhs) == 1 && len(n.Rhs) == 1 && isBlank(n.Lhs[0]) {
					call, _ = n.Rhs[0].(*ast.CallExpr)
				}
			}
			if call != nil && (isExtract(info, call) || derives(calleeFunc(info, call))) {
				report(pass, analysis.Diagnostic{
					Pos: call.Pos(), End: call.End(),
					Message:        fmt.Sprintf("the context that %s returns is thrown away", source(call.Fun)),
					SuggestedFixes: keepDerived(info, n, call),
				})
			}
		})
		for _, d := range f.derivations(info) {
			f.lost(pass, k, d)
		}
	}
	return nil, nil
}

func (f *function) lost(pass *analysis.Pass, k *known, d *derivation) {
	info := pass.TypesInfo
	unread := isBlank(d.lhs) || d.ctx != nil && !f.reads(info, d)
	if !unread {
		return
	}
	if d.start == nil {
		if !isBlank(d.lhs) { // the blank case is reported as thrown away
			report(pass, analysis.Diagnostic{
				Pos: d.call.Pos(), End: d.call.End(),
				Message: fmt.Sprintf("the context that %s returns is never used", source(d.call.Fun)),
			})
		}
		return
	}
	strays := f.strays(pass, k, d)
	if len(strays) == 0 {
		return // a span without children needs no context
	}
	diagnostic := analysis.Diagnostic{
		Pos: d.call.Pos(), End: d.call.End(),
		Message: fmt.Sprintf("the context of span%s is thrown away, but %s below takes its parent's",
			d.named(info), source(strays[0].call.Fun)),
		SuggestedFixes: f.keepStarted(pass, d, strays),
	}
	for _, s := range strays {
		diagnostic.Related = append(diagnostic.Related, analysis.RelatedInformation{
			Pos: s.arg.Pos(), End: s.arg.End(), Message: "takes the context without the span",
		})
	}
	report(pass, diagnostic)
}

// reads reports whether the context that d makes is read after it.
func (f *function) reads(info *types.Info, d *derivation) bool {
	if d.ctx.Parent() == nil || d.ctx.Parent() == d.ctx.Pkg().Scope() || d.ctx.IsField() {
		return true
	}
	if d.ctx.Pos() < f.node.Pos() || d.ctx.Pos() >= f.node.End() {
		return true // a variable of an enclosing function, which may read it
	}
	found := false
	walkAfter(f.cfg, d.stmt, func(n ast.Node) bool {
		found = found || uses(info, n, d.ctx)
		return !found
	})
	if !found { // a function literal made before may read it
		ast.Inspect(f.body, func(n ast.Node) bool {
			if lit, ok := n.(*ast.FuncLit); ok && uses(info, lit, d.ctx) {
				found = true
			}
			return !found
		})
	}
	if f.typ.Results != nil { // a named result is read by a bare return
		for _, field := range f.typ.Results.List {
			for _, id := range field.Names {
				found = found || info.Defs[id] == d.ctx
			}
		}
	}
	return found
}

func isBlank(e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == "_"
}

// keepDerived suggests an assignment of the dropped result of call to the
// context that it was made from.
func keepDerived(info *types.Info, stmt ast.Node, call *ast.CallExpr) []analysis.SuggestedFix {
	parent := ast.Unparen(call.Args[0])
	var before, after string
	if v := variable(info, parent); v != nil && isContext(v.Type()) {
		before = v.Name() + " = "
	} else if x, name := requestOf(info, parent); x != nil {
		before, after = name+" = "+name+".WithContext(", ")"
	} else {
		return nil
	}
	return []analysis.SuggestedFix{{
		Message: "Keep the context",
		TextEdits: []analysis.TextEdit{
			{Pos: stmt.Pos(), End: call.Pos(), NewText: []byte(before)},
			{Pos: call.End(), End: call.End(), NewText: []byte(after)},
		},
	}}
}

// requestOf returns the request variable r, and its name, of r.Context().
func requestOf(info *types.Info, e ast.Expr) (*types.Var, string) {
	call, ok := e.(*ast.CallExpr)
	if !ok || len(call.Args) != 0 {
		return nil, ""
	}
	x, name := methodCall(call)
	if x == nil || name != "Context" {
		return nil, ""
	}
	v := variable(info, x)
	if v == nil || !isRequest(v.Type()) {
		return nil, ""
	}
	return v, v.Name()
}

// keepStarted suggests to take the context of a started span. It is safe where
// the span ends with the function, so that nothing after the span's end takes
// its context, and where every stray use sees the new variable.
func (f *function) keepStarted(pass *analysis.Pass, d *derivation, strays []stray) []analysis.SuggestedFix {
	info := pass.TypesInfo
	assign, ok := d.stmt.(*ast.AssignStmt)
	if !ok || !isBlank(d.lhs) || !f.endsDeferred(info, d.span) {
		return nil
	}
	scope := pass.Pkg.Scope().Innermost(assign.Pos())
	for _, s := range strays {
		if scope == nil || !scope.Contains(s.arg.Pos()) {
			return nil
		}
	}
	edits := []analysis.TextEdit{{Pos: d.lhs.Pos(), End: d.lhs.End()}}
	if v := variable(info, d.parent); v != nil && isContext(v.Type()) {
		edits[0].NewText = []byte(v.Name())
	} else {
		const name = "ctx"
		if assign.Tok != token.DEFINE {
			return nil
		}
		for _, s := range strays {
			if _, other := pass.Pkg.Scope().Innermost(s.arg.Pos()).LookupParent(name, s.arg.Pos()); other != nil {
				return nil
			}
		}
		edits[0].NewText = []byte(name)
		for _, s := range strays {
			edits = append(edits, s.replace(name))
		}
	}
	return []analysis.SuggestedFix{{Message: "Keep the context of the span", TextEdits: edits}}
}

// replace puts the context variable name in the place of the stray use.
func (s stray) replace(name string) analysis.TextEdit {
	if s.request {
		return analysis.TextEdit{Pos: s.arg.End(), End: s.arg.End(), NewText: []byte(".WithContext(" + name + ")")}
	}
	return analysis.TextEdit{Pos: s.arg.Pos(), End: s.arg.End(), NewText: []byte(name)}
}
