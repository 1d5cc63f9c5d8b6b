package rules

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/types"
	"strconv"

	"golang.org/x/tools/go/analysis"
)

// TracerName reports tracers without a name.
var TracerName = &analysis.Analyzer{
	Name: "tracername",
	Doc: `check for empty tracer names

The name of a tracer is the name of the instrumentation scope: the package that
makes the spans. With an empty one the spans of all packages look alike, and a
backend cannot filter by where they come from.`,
	URL:      home + "tracername",
	Run:      runTracerName,
	Requires: []*analysis.Analyzer{Ignore},
}

func runTracerName(pass *analysis.Pass) (any, error) {
	info := pass.TypesInfo
	for file := range files(pass) {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 || !makesTracer(info, call) {
				return true
			}
			name := info.Types[call.Args[0]].Value
			if name == nil || name.Kind() != constant.String || constant.StringVal(name) != "" {
				return true
			}
			d := analysis.Diagnostic{
				Pos: call.Args[0].Pos(), End: call.Args[0].End(),
				Message: fmt.Sprintf("%s makes a tracer without a name: use the import path of the package", source(call.Fun)),
			}
			if path := pass.Pkg.Path(); path != "main" && path != "command-line-arguments" {
				d.SuggestedFixes = []analysis.SuggestedFix{{
					Message: "Use the import path as name",
					TextEdits: []analysis.TextEdit{{
						Pos: call.Args[0].Pos(), End: call.Args[0].End(), NewText: []byte(strconv.Quote(path)),
					}},
				}}
			}
			report(pass, d)
			return true
		})
	}
	return nil, nil
}

func makesTracer(info *types.Info, call *ast.CallExpr) bool {
	f := calleeFunc(info, call)
	if isFunc(f, otelPath, "Tracer") {
		return true
	}
	if f == nil || f.Name() != "Tracer" || f.Signature().Recv() == nil {
		return false
	}
	x, _ := methodCall(call)
	return x != nil && isProvider(info.TypeOf(x)) && !noop(info, x)
}

// noop reports whether e makes a provider whose tracers do nothing.
func noop(info *types.Info, e ast.Expr) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	f := calleeFunc(info, call)
	return isFunc(f, tracePath, "NewNoopTracerProvider") || isFunc(f, tracePath+"/noop", "NewTracerProvider")
}
