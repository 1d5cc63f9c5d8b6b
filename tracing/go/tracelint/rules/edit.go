package rules

import (
	"go/ast"
	"go/token"
	"strconv"

	"golang.org/x/tools/go/analysis"
)

// importName returns the name by which file refers to the imported package
// path, whose own name is base; "" if it does not import it or not by a name.
func importName(file *ast.File, path, base string) string {
	for _, spec := range file.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err != nil || p != path {
			continue
		}
		switch {
		case spec.Name == nil:
			return base
		case spec.Name.Name != "_" && spec.Name.Name != ".":
			return spec.Name.Name
		}
	}
	return ""
}

// addImport returns the edit that imports path, and false if the file has no
// import to put it beside. The spec goes before the first one that sorts after
// it among those of the same module, else after the last.
func addImport(file *ast.File, path string) (analysis.TextEdit, bool) {
	line := "\t" + strconv.Quote(path)
	for _, decl := range file.Decls {
		g, ok := decl.(*ast.GenDecl)
		if !ok || g.Tok != token.IMPORT || !g.Lparen.IsValid() {
			continue
		}
		var after *ast.ImportSpec
		for _, s := range g.Specs {
			spec := s.(*ast.ImportSpec)
			p, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				continue
			}
			if len(p) >= len(otelPath) && p[:len(otelPath)] == otelPath && p < path {
				after = spec
			}
		}
		if after == nil {
			continue
		}
		return analysis.TextEdit{Pos: after.End(), End: after.End(), NewText: []byte("\n" + line)}, true
	}
	if len(file.Imports) > 0 {
		for _, decl := range file.Decls {
			if g, ok := decl.(*ast.GenDecl); ok && g.Tok == token.IMPORT {
				return analysis.TextEdit{Pos: g.End(), End: g.End(), NewText: []byte("\n\nimport " + strconv.Quote(path))}, true
			}
		}
	}
	return analysis.TextEdit{}, false
}
