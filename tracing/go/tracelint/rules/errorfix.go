package rules

import (
	"fmt"
	"go/ast"
	"go/types"

	"golang.org/x/tools/go/analysis"
)

const codesPath = otelPath + "/codes"

// fix suggests to set the status of OpenTelemetry's span that ends by a defer
// statement, so that no return comes after its end. Where the error result
// has a name, one deferred function sees every return. Else each return that
// has its error in a variable is preceded by the two calls; if one of them has
// not, nothing is suggested, because half a repair hides the other half.
func (e *errorPaths) fix(returns []*ast.ReturnStmt) []analysis.SuggestedFix {
	info := e.pass.TypesInfo
	if !isNamed(e.d.span.Type(), tracePath, "Span") || !e.f.endsDeferred(info, e.d.span) || e.someSet() {
		return nil
	}
	codes, imports, ok := e.importCodes()
	if !ok {
		return nil
	}
	record := func(err string) string {
		return fmt.Sprintf("%[1]s.RecordError(%[2]s)\n%[1]s.SetStatus(%[3]s.Error, %[2]s.Error())\n",
			e.d.span.Name(), err, codes)
	}
	fix := analysis.SuggestedFix{Message: "Record the error on the span", TextEdits: imports}
	if name := e.f.namedError(); name != "" {
		deferred := e.deferredEnd()
		if deferred == nil {
			return nil
		}
		if _, obj := e.pass.Pkg.Scope().Innermost(deferred.Pos()).LookupParent(name, deferred.Pos()); obj == nil || obj.Pos() < e.f.typ.Results.Pos() || obj.Pos() > e.f.typ.Results.End() {
			return nil // the result is shadowed here
		}
		fix.TextEdits = append(fix.TextEdits, analysis.TextEdit{Pos: deferred.End(), End: deferred.End(), NewText: fmt.Appendf(nil,
			"\ndefer func() {\nif %s != nil {\n%s}\n}()", name, record(name))})
		return []analysis.SuggestedFix{fix}
	}
	guarded := guardedReturns(info, e.f.body)
	for _, r := range returns {
		if len(r.Results) <= e.index {
			return nil
		}
		v := variable(info, r.Results[e.index])
		if v == nil || guarded[r] != v {
			return nil
		}
		fix.TextEdits = append(fix.TextEdits, analysis.TextEdit{Pos: r.Pos(), End: r.Pos(), NewText: []byte(record(v.Name()))})
	}
	return []analysis.SuggestedFix{fix}
}

// someSet reports whether the function sets the status on some path, in which
// case its author has a way of doing it that the fix should not mix with another.
func (e *errorPaths) someSet() bool {
	return e.sets(e.f.body)
}

// importCodes returns the name of the imported package codes, and the edit that
// imports it where it is not imported yet.
func (e *errorPaths) importCodes() (string, []analysis.TextEdit, bool) {
	if name := importName(e.f.file, codesPath, "codes"); name != "" {
		return name, nil, true
	}
	if _, other := e.pass.Pkg.Scope().Innermost(e.d.call.Pos()).LookupParent("codes", e.d.call.Pos()); other != nil {
		return "", nil, false // such as gRPC's package of that name
	}
	edit, ok := addImport(e.f.file, codesPath)
	return "codes", []analysis.TextEdit{edit}, ok
}

// deferredEnd returns the statement defer span.End() that stands in the block
// of the start.
func (e *errorPaths) deferredEnd() ast.Stmt {
	var found ast.Stmt
	inspectShallow(e.f.body, func(n ast.Node) {
		d, ok := n.(*ast.DeferStmt)
		if ok && found == nil && d.Pos() > e.d.stmt.Pos() && calls(e.pass.TypesInfo, d, e.d.span, "End") {
			found = d
		}
	})
	return found
}

// guardedReturns maps each return that stands directly in if err != nil { … }
// to the variable that is tested.
func guardedReturns(info *types.Info, body ast.Node) map[*ast.ReturnStmt]*types.Var {
	out := make(map[*ast.ReturnStmt]*types.Var)
	inspectShallow(body, func(n ast.Node) {
		s, ok := n.(*ast.IfStmt)
		if !ok {
			return
		}
		c, ok := s.Cond.(*ast.BinaryExpr)
		if !ok || c.Op.String() != "!=" || !info.Types[c.Y].IsNil() {
			return
		}
		v := variable(info, c.X)
		for _, stmt := range s.Body.List {
			if r, ok := stmt.(*ast.ReturnStmt); ok && v != nil {
				out[r] = v
			}
		}
	})
	return out
}
