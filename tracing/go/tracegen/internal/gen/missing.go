package gen

import (
	"context"
	"go/parser"
	"go/types"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/throughline/throughline/tracing/go/tracegen/internal/directive"
)

// missingSources returns the packages, outside the standard library, that
// declare methods of the requested types and are not loaded with syntax.
func (g *generator) missingSources(requests []request) []string {
	missing := map[string]bool{}
	for _, r := range requests {
		obj := g.lookup(r)
		if obj == nil {
			continue
		}
		visit := func(m *types.Func) {
			if p := m.Pkg(); p != nil && g.source[p.Path()] == nil && !g.isStd(p.Path()) {
				missing[p.Path()] = true
			}
		}
		if iface, ok := obj.Type().Underlying().(*types.Interface); ok {
			for m := range iface.Methods() {
				visit(m)
			}
		} else if r.api != "" {
			for sel := range types.NewMethodSet(types.NewPointer(obj.Type())).Methods() {
				visit(sel.Obj().(*types.Func))
			}
		}
	}
	return slices.Sorted(maps.Keys(missing))
}

// missingStd returns the packages of the standard library, such as errors,
// that directives mention in files that do not import them.
func (g *generator) missingStd(ctx context.Context) []string {
	var missing []string
	for _, p := range g.source {
		for _, f := range p.Syntax {
			for _, group := range f.Comments {
				for _, c := range group.List {
					d, err := directive.Parse(c.Text)
					if err != nil || d == nil || d.Verb != directive.Attr && d.Verb != directive.IgnoreError {
						continue
					}
					node, err := parser.ParseExpr(d.Arg)
					if err != nil {
						continue
					}
					for _, name := range packageNames(node) {
						l := located{d, c, f, p}
						if g.source[name] == nil && g.unimported(l, name) == nil && g.inStd(ctx, name) {
							missing = append(missing, name)
						}
					}
				}
			}
		}
	}
	return missing
}

// inStd reports whether the standard library has a package of this path.
func (g *generator) inStd(ctx context.Context, path string) bool {
	if g.goroot == "" {
		cmd := exec.CommandContext(ctx, "go", "env", "GOROOT")
		cmd.Env = g.opts.Env
		out, err := cmd.Output()
		if err != nil {
			return false
		}
		g.goroot = strings.TrimSpace(string(out))
	}
	info, err := os.Stat(filepath.Join(g.goroot, "src", path))
	return err == nil && info.IsDir()
}
