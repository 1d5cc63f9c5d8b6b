package rules

import (
	"fmt"
	"go/types"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/passes/ctrlflow"
)

// ParentContext reports calls that take a span's parent context although the
// span is open and its own context is at hand.
var ParentContext = &analysis.Analyzer{
	Name: "parentcontext",
	Doc: `check for a parent context where the context of the open span is meant

A call that takes the context a span was started from makes siblings of the span,
not children, although it runs within it. The rule reports the first such call
between a span's start and its end, on any path.`,
	URL:      home + "parentcontext",
	Run:      runParentContext,
	Requires: []*analysis.Analyzer{ctrlflow.Analyzer, functionFacts, Ignore},
}

func runParentContext(pass *analysis.Pass) (any, error) {
	info := pass.TypesInfo
	k := pass.ResultOf[functionFacts].(*known)
	for f := range functions(pass) {
		for _, d := range f.derivations(info) {
			if d.ctx == nil || !f.reads(info, d) {
				continue
			}
			strays := f.strays(pass, k, d)
			if len(strays) == 0 {
				continue
			}
			first := strays[0]
			what := fmt.Sprintf("the context with span%s", d.named(info))
			if d.start == nil {
				what = fmt.Sprintf("the context that %s returned", source(d.call.Fun))
			}
			diagnostic := analysis.Diagnostic{
				Pos: first.arg.Pos(), End: first.arg.End(),
				Message: fmt.Sprintf("%s takes %s, but %s is %s",
					source(first.call.Fun), source(first.arg), what, d.ctx.Name()),
				SuggestedFixes: takeDerived(pass, d, strays),
				Related: []analysis.RelatedInformation{{
					Pos: d.call.Pos(), End: d.call.End(), Message: "derived here",
				}},
			}
			if d.ctx.Name() == source(first.arg) {
				diagnostic.Message = fmt.Sprintf("%s takes %s without the open span%s: the context with it is a variable of an inner block",
					source(first.call.Fun), source(first.arg), d.named(info))
			}
			for _, s := range strays[1:] {
				diagnostic.Related = append(diagnostic.Related, analysis.RelatedInformation{
					Pos: s.arg.Pos(), End: s.arg.End(), Message: "takes the parent context too",
				})
			}
			report(pass, diagnostic)
		}
	}
	return nil, nil
}

// takeDerived suggests the derived context for every stray use, if each can see it.
func takeDerived(pass *analysis.Pass, d *derivation, strays []stray) []analysis.SuggestedFix {
	fix := analysis.SuggestedFix{Message: fmt.Sprintf("Pass %s", d.ctx.Name())}
	for _, s := range strays {
		scope := pass.Pkg.Scope().Innermost(s.arg.Pos())
		if scope == nil {
			return nil
		}
		if _, obj := scope.LookupParent(d.ctx.Name(), s.arg.Pos()); obj != types.Object(d.ctx) {
			return nil
		}
		fix.TextEdits = append(fix.TextEdits, s.replace(d.ctx.Name()))
	}
	return []analysis.SuggestedFix{fix}
}
