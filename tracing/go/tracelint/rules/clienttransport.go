package rules

import (
	"go/ast"
	"go/token"
	"go/types"
	"strings"

	"golang.org/x/tools/go/analysis"
)

// ClientTransport reports HTTP clients without a tracing transport in packages
// that start spans.
var ClientTransport = &analysis.Analyzer{
	Name: "clienttransport",
	Doc: `check for HTTP clients without a tracing transport in a package that traces

A client whose transport is net/http's own starts no span for a request and sends
no trace context with it, so the trace ends here. The rule looks at packages that
start spans, and not at those that inject the trace context by hand or export
telemetry.`,
	URL:      home + "clienttransport",
	Run:      runClientTransport,
	Requires: []*analysis.Analyzer{Ignore},
}

func runClientTransport(pass *analysis.Pass) (any, error) {
	if !tracesByHand(pass) {
		return nil, nil
	}
	info := pass.TypesInfo
	for file := range files(pass) {
		configured := transportsSet(info, file)
		assigned := make(map[ast.Expr]*types.Var)
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				for i, r := range n.Rhs {
					if len(n.Lhs) == len(n.Rhs) {
						assigned[literal(r)] = leaf(info, n.Lhs[i])
					}
				}
			case *ast.ValueSpec:
				for i, r := range n.Values {
					if len(n.Names) == len(n.Values) {
						assigned[literal(r)] = variable(info, n.Names[i])
					}
				}
			case *ast.KeyValueExpr:
				assigned[literal(n.Value)] = leaf(info, n.Key)
			case *ast.CompositeLit:
				if !isNamed(info.TypeOf(n), "net/http", "Client") {
					return true
				}
				if v := assigned[n]; v != nil && configured[v] {
					return true
				}
				plainTransport(pass, file, n)
			case *ast.CallExpr:
				x, name := methodCall(n)
				if name == "Do" && isDefault(info, x, "DefaultClient") {
					report(pass, analysis.Diagnostic{
						Pos: n.Pos(), End: n.End(),
						Message: "http.DefaultClient sends no trace context: use a client with a tracing transport such as otelhttp.NewTransport",
					})
				}
			}
			return true
		})
	}
	return nil, nil
}

// tracesByHand reports whether the package starts spans, neither injects the
// trace context itself nor is a part of an exporter.
func tracesByHand(pass *analysis.Pass) bool {
	if strings.Contains(pass.Pkg.Path(), "exporter") {
		return false
	}
	starts, injects := false, false
	for file := range files(pass) {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if _, ok := startOf(pass.TypesInfo, call); ok {
				starts = true
			}
			if f := calleeFunc(pass.TypesInfo, call); f != nil && f.Name() == "Inject" {
				p := f.Signature().Params()
				injects = injects || p.Len() > 0 && isContext(p.At(0).Type())
			}
			return true
		})
	}
	return starts && !injects
}

// plainTransport reports the client literal if its transport is net/http's own.
func plainTransport(pass *analysis.Pass, file *ast.File, lit *ast.CompositeLit) {
	var transport ast.Expr
	for _, e := range lit.Elts {
		kv, ok := e.(*ast.KeyValueExpr)
		if !ok {
			return
		}
		if key, ok := kv.Key.(*ast.Ident); ok && key.Name == "Transport" {
			transport = ast.Unparen(kv.Value)
		}
	}
	plain := transport == nil || isDefault(pass.TypesInfo, transport, "DefaultTransport")
	if l := literal(transport); l != nil && isNamed(pass.TypesInfo.TypeOf(l), "net/http", "Transport") {
		plain = true
	}
	if !plain {
		return
	}
	d := analysis.Diagnostic{
		Pos: lit.Pos(), End: lit.End(),
		Message: "this http.Client sends no trace context: give it a tracing transport such as otelhttp.NewTransport",
	}
	otelhttp := importName(file, otelhttpPath, "otelhttp")
	nethttp := importName(file, "net/http", "http")
	if otelhttp != "" && nethttp != "" {
		fix := analysis.SuggestedFix{Message: "Wrap the transport with otelhttp"}
		switch {
		case transport != nil:
			fix.TextEdits = []analysis.TextEdit{
				{Pos: transport.Pos(), End: transport.Pos(), NewText: []byte(otelhttp + ".NewTransport(")},
				{Pos: transport.End(), End: transport.End(), NewText: []byte(")")},
			}
		default:
			field := "Transport: " + otelhttp + ".NewTransport(" + nethttp + ".DefaultTransport)"
			if len(lit.Elts) > 0 {
				field += ", "
			}
			fix.TextEdits = []analysis.TextEdit{{Pos: lit.Lbrace + 1, End: lit.Lbrace + 1, NewText: []byte(field)}}
		}
		d.SuggestedFixes = []analysis.SuggestedFix{fix}
	}
	report(pass, d)
}

// transportsSet lists the variables and fields whose Transport is set by an
// assignment somewhere in the file.
func transportsSet(info *types.Info, file *ast.File) map[*types.Var]bool {
	set := make(map[*types.Var]bool)
	ast.Inspect(file, func(n ast.Node) bool {
		a, ok := n.(*ast.AssignStmt)
		if !ok {
			return true
		}
		for _, l := range a.Lhs {
			if sel, ok := l.(*ast.SelectorExpr); ok && sel.Sel.Name == "Transport" {
				if v := leaf(info, sel.X); v != nil {
					set[v] = true
				}
			}
		}
		return true
	})
	return set
}

// leaf returns the variable or field that e names.
func leaf(info *types.Info, e ast.Expr) *types.Var {
	if sel, ok := ast.Unparen(e).(*ast.SelectorExpr); ok {
		e = sel.Sel
	}
	return variable(info, e)
}

// literal returns the composite literal in e, without the & before it.
func literal(e ast.Expr) ast.Expr {
	if e == nil {
		return nil
	}
	e = ast.Unparen(e)
	if u, ok := e.(*ast.UnaryExpr); ok && u.Op == token.AND {
		e = ast.Unparen(u.X)
	}
	if l, ok := e.(*ast.CompositeLit); ok {
		return l
	}
	return nil
}

// isDefault reports whether e is the variable name of net/http.
func isDefault(info *types.Info, e ast.Expr, name string) bool {
	if e == nil {
		return false
	}
	v := leaf(info, e)
	return v != nil && v.Name() == name && v.Pkg() != nil && v.Pkg().Path() == "net/http"
}
