package gen

import (
	"go/ast"
	"go/parser"
	"os"
	"strings"
	"testing"

	"github.com/throughline/throughline/tracing/go/tracegen/internal/directive"
)

// FuzzExpression gives a method arbitrary attributes: each is refused with a
// place in the comment, or becomes Go.
func FuzzExpression(f *testing.F) {
	for _, s := range []string{
		"id", "len(id)", "r.User.Name", "r.Base.Trace", "r.Trace", "(*r).Tags[1]", "r.Check(2)", "err.Error()", "param1 + result0.Name",
		"errors.Is(err, errGone) || r == nil", `[]string{id, "x"}`, "[...]int{1}[0]", "func() {}()", "<-ch", "v.(string)", "G[int](1)",
		"struct{ a int }{1}.a", "time.Second", "1 << 70", "'x'", "!ok", "ctx.Err() == nil", "&r", "*&r", "m[id]", "G", "T", "errors", "_",
		"id; id", "id // comment", "Item{Name: id}.Name", "(*Item).String", "r.Next.Next.Next.Name", "unsafe.Sizeof(r)", "iota", "nil",
	} {
		f.Add(s)
	}
	dir := f.TempDir()
	for name, src := range map[string]string{"go.mod": "module example.com/p\n\ngo 1.26\n", "p.go": fuzzed} {
		if err := os.WriteFile(dir+"/"+name, []byte(src), 0o644); err != nil {
			f.Fatal(err)
		}
	}
	opts := Options{
		Dir: dir, WorkDir: dir, Interfaces: []string{"S"}, Out: "trace_gen.go",
		Env: append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod"),
	}
	requests, err := opts.requests()
	if err != nil {
		f.Fatal(err)
	}
	g, err := load(f.Context(), opts, requests)
	if err != nil {
		f.Fatal(err)
	}
	target := g.resolve(requests)[0]
	m := target.methods[0]
	g.names(target)
	decl := g.methods[m.fn.Pos()]

	f.Fuzz(func(t *testing.T, text string) {
		d, err := directive.Parse("//trace:attr k=" + text)
		if err != nil {
			t.Skip()
		}
		comment := &ast.Comment{Slash: decl.doc.Pos(), Text: "//trace:attr k=" + text}
		g.problems = nil
		a := g.attr(target, m, located{d, comment, decl.file, decl.pkg})
		if (a == nil) != (len(g.problems) > 0) {
			t.Fatalf("%q gives %v and problems %v", text, a, g.problems)
		}
		for _, p := range g.problems {
			if p.Msg == "" || p.Pos.Column < g.position(comment.Slash).Column || p.Pos.Column > g.position(comment.Slash).Column+len(comment.Text) {
				t.Errorf("%q gives a problem outside it: %v", text, p)
			}
		}
		if a == nil {
			return
		}
		out := []string{a.value(g)}
		for _, gd := range a.e.guards {
			out = append(out, a.e.printGuard(gd))
		}
		for _, src := range out {
			if _, err := parser.ParseExpr(strings.TrimSpace(src)); err != nil {
				t.Errorf("%q became %q: %v", text, src, err)
			}
		}
	})
}

const fuzzed = `package p

import (
	"context"
	"errors"
	"time"
)

var errGone = errors.New("gone")

type Base struct{ Trace string }

type Item struct {
	*Base
	Name  string
	Next  *Item
	Tags  []string
	Check func(int) bool
}

func (i *Item) String() string { return i.Name }

func G[T any](v T) T { return v }

type S interface {
	// Do does.
	Do(ctx context.Context, id string, r *Item, ch chan int, v any, m map[string]int, ok bool, d time.Duration) (Item, error)
}
`
