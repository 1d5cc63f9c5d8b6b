package rules

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"strings"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/passes/ctrlflow"
)

// EndedSpan reports contexts that outlive the span they hold: in a goroutine
// that nobody waits for, or returned to the caller.
var EndedSpan = &analysis.Analyzer{
	Name: "endedspan",
	Doc: `check for contexts that are used after the end of their span

A goroutine that outlives the function that started it makes children of a span
that has ended, and its context is cancelled when the request is done. The rule
reports a go statement that passes the context of a span on, if the function ends
the span without waiting after the go statement: no receive, no select, no Wait.
It also reports a context returned to the caller with a span that has ended.`,
	URL:      home + "endedspan",
	Run:      runEndedSpan,
	Requires: []*analysis.Analyzer{ctrlflow.Analyzer, functionFacts, Ignore},
}

func runEndedSpan(pass *analysis.Pass) (any, error) {
	info := pass.TypesInfo
	k := pass.ResultOf[functionFacts].(*known)
	for f := range functions(pass) {
		for _, d := range f.derivations(info) {
			if d.start == nil || d.span == nil || d.ctx == nil {
				continue
			}
			deferred := f.endsDeferred(info, d.span)
			if !deferred && f.passedOn(info, d.span) {
				continue
			}
			walkAfter(f.cfg, d.stmt, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.GoStmt:
					f.goes(pass, k, d, n, deferred)
				case *ast.ReturnStmt:
					if deferred {
						returnsEnded(pass, d, n)
					}
				}
				return !ends(info, n, d.span) && !assigns(info, n, d.ctx)
			})
		}
	}
	return nil, nil
}

// passedOn reports whether the span leaves the function: it is returned, stored,
// or ended in a function literal that may run later.
func (f *function) passedOn(info *types.Info, span *types.Var) bool {
	found := false
	ast.Inspect(f.body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			found = found || calls(info, n, span, "End")
		case *ast.ReturnStmt:
			for _, r := range n.Results {
				found = found || variable(info, r) == span
			}
		case *ast.KeyValueExpr:
			found = found || variable(info, n.Value) == span
		case *ast.AssignStmt:
			for _, r := range n.Rhs {
				found = found || variable(info, r) == span
			}
		}
		return !found
	})
	return found
}

// returnsEnded reports the return of the context of a span that has ended by the
// time the caller has it.
func returnsEnded(pass *analysis.Pass, d *derivation, r *ast.ReturnStmt) {
	for _, result := range r.Results {
		if variable(pass.TypesInfo, result) == d.ctx {
			report(pass, analysis.Diagnostic{
				Pos: result.Pos(), End: result.End(),
				Message: fmt.Sprintf("returned %s holds span%s, which ends when the function returns: return the parent context, or let the caller end the span",
					d.ctx.Name(), d.named(pass.TypesInfo)),
			})
		}
	}
}

// goes reports the go statement if it uses d's context beyond the end of d's span.
func (f *function) goes(pass *analysis.Pass, k *known, d *derivation, g *ast.GoStmt, deferred bool) {
	info := pass.TypesInfo
	if calls(info, g, d.span, "End") {
		return // the goroutine ends the span itself
	}
	use := k.passedIn(g, d.ctx)
	if use == nil {
		return
	}
	waits, ended := f.waitsDeferred(info, g), deferred
	walkAfter(f.cfg, g, func(n ast.Node) bool {
		waits = waits || f.waits(info, n, d.ctx)
		if ends(info, n, d.span) {
			ended = true
		}
		return !waits && !ends(info, n, d.span)
	})
	if waits || !ended {
		return
	}
	end := "when the function returns"
	if !deferred {
		end = "without waiting for it"
	}
	report(pass, analysis.Diagnostic{
		Pos: g.Pos(), End: g.Call.Fun.Pos(),
		Message: fmt.Sprintf("goroutine passes %s to %s, but span%s ends %s: wait for the goroutine, or start a span in it with trace.WithNewRoot and a link to this one",
			d.ctx.Name(), source(use.Fun), d.named(info), end),
		Related: []analysis.RelatedInformation{
			{Pos: d.call.Pos(), End: d.call.End(), Message: "the span starts here"},
			{Pos: use.Pos(), End: use.End(), Message: "its context is used here"},
		},
	})
}

// passedIn returns the first call in the goroutine that takes ctx and may make
// a child of its span. Spans that are roots or have links are meant to outlive it.
func (k *known) passedIn(g *ast.GoStmt, ctx *types.Var) *ast.CallExpr {
	info := k.pass.TypesInfo
	var use *ast.CallExpr
	ast.Inspect(g, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || use != nil {
			return use == nil
		}
		for i, a := range call.Args {
			if variable(info, a) != ctx {
				continue
			}
			if lit, ok := ast.Unparen(call.Fun).(*ast.FuncLit); ok {
				// go func(ctx context.Context) { … }(ctx)
				if p := parameter(info, lit, i); p != nil && k.onlyValues(lit.Body, p) {
					continue
				}
			}
			if !k.valuesOnly(call, i) && !detached(info, call) {
				use = call
			}
		}
		return use == nil
	})
	return use
}

func parameter(info *types.Info, lit *ast.FuncLit, i int) *types.Var {
	sig, ok := info.TypeOf(lit).(*types.Signature)
	if !ok || i >= sig.Params().Len() {
		return nil
	}
	return sig.Params().At(i)
}

// detached reports whether call starts a span that is a root or has links.
func detached(info *types.Info, call *ast.CallExpr) bool {
	if _, ok := startOf(info, call); !ok {
		return false
	}
	found := false
	for _, a := range call.Args {
		if opt, ok := a.(*ast.CallExpr); ok && isFunc(calleeFunc(info, opt), tracePath, "WithNewRoot", "WithLinks") {
			found = true
		}
	}
	return found
}

// waits reports whether n may wait for a goroutine: a receive, a range over a
// channel or an iterator, or a call of a method that is named for waiting.
func (f *function) waits(info *types.Info, n ast.Node, ctx *types.Var) bool {
	found := false
	if g, ok := n.(*ast.GoStmt); ok {
		return f.waitsDeferred(info, g)
	}
	if e, ok := n.(ast.Expr); ok && isChan(info.TypeOf(e)) {
		return true // the operand of a range statement
	}
	inspectShallow(n, func(n ast.Node) {
		switch n := n.(type) {
		case *ast.UnaryExpr:
			found = found || n.Op == token.ARROW
		case *ast.SelectStmt:
			found = true
		case *ast.CallExpr:
			_, name := methodCall(n)
			if id, ok := n.Fun.(*ast.Ident); ok {
				name = id.Name
			}
			name = strings.ToLower(name)
			for _, w := range []string{"wait", "join", "collect", "drain", "gather"} {
				found = found || strings.Contains(name, w)
			}
			for _, a := range n.Args { // a channel handed on may be read there
				found = found || isChan(info.TypeOf(a)) && !isBuiltin(info, n)
			}
		}
	})
	return found
}

// waitsDeferred reports whether a deferred call, which runs before the span's
// deferred end if it comes after it, waits.
func (f *function) waitsDeferred(info *types.Info, g *ast.GoStmt) bool {
	found := false
	inspectShallow(f.body, func(n ast.Node) {
		d, ok := n.(*ast.DeferStmt)
		if !ok {
			return
		}
		ast.Inspect(d, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.UnaryExpr:
				found = found || n.Op == token.ARROW
			case *ast.CallExpr:
				_, name := methodCall(n)
				found = found || strings.Contains(strings.ToLower(name), "wait")
			}
			return !found
		})
	})
	return found
}

func isChan(t types.Type) bool {
	if t == nil {
		return false
	}
	_, ok := t.Underlying().(*types.Chan)
	return ok
}

func isBuiltin(info *types.Info, call *ast.CallExpr) bool {
	id, ok := ast.Unparen(call.Fun).(*ast.Ident)
	if !ok {
		return false
	}
	_, ok = info.Uses[id].(*types.Builtin)
	return ok
}
