package gen

import (
	"go/ast"
	"strings"

	"github.com/throughline/throughline/tracing/go/tracegen/internal/directive"
)

// checkStray reports directives of the output's package that stand where none
// can have an effect.
func (g *generator) checkStray() {
	for _, f := range g.out.Syntax {
		if ast.IsGenerated(f) {
			continue
		}
		valid := map[*ast.CommentGroup]bool{}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				valid[d.Doc] = d.Recv != nil
			case *ast.GenDecl:
				for _, s := range d.Specs {
					ts, ok := s.(*ast.TypeSpec)
					if !ok {
						continue
					}
					valid[g.types[ts.Name.Pos()].doc] = true
					if it, ok := ast.Unparen(ts.Type).(*ast.InterfaceType); ok {
						for _, m := range it.Methods.List {
							valid[m.Doc] = true
						}
					}
				}
			}
		}
		for _, group := range f.Comments {
			for _, c := range group.List {
				if g.attached[c.Pos()] || !strings.HasPrefix(c.Text, directive.Prefix) {
					continue
				}
				l := located{nil, c, f, g.out}
				if _, err := directive.Parse(c.Text); err != nil {
					g.problemf(g.at(l, err.(*directive.Error).Offset), "%v", err)
				} else if !valid[group] {
					g.problemf(g.at(l, 0), "this directive has no effect here: it belongs in the doc comment of a method, or of the type")
				}
			}
		}
	}
}
