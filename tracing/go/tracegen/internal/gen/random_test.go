package gen

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

var seeds = flag.Uint64("seeds", 2, "how many random packages to wrap")

// difficult are the names that a wrapper could have wanted for itself, or that
// mean something already.
var difficult = strings.Fields(`_ _ _ ctx err span span2 returned returned2 t w s x traced next next2 tracer provider disabled
	yield v seq result0 result1 param0 param1 param2 context trace attribute codes semconv noop fmt errors iter io time len nil
	true false string error bool int max end abort fail otelattribute oteltrace T K V Item tracedS0Client key string2 any`)

var parameterTypes = []string{
	"string", "int", "[]string", "*Item", "Item", "error", "any", "io.Reader", "time.Duration", "[]Item", "map[string]Item",
	"func(string) error", "func(span Item, _ int) (err error)", "<-chan Item", "chan<- Item", "iter.Seq[Item]", "[3]int", "T", "K", "V",
	"[]T", "map[K]V", "List[T]", "Named", "*Generic[K, V]", "struct{ span, t int }", "interface{ M(err error) (span int) }",
}

var resultTypes = append([]string{
	"error", "error", "error", "iter.Seq[Item]", "iter.Seq2[Item, error]", "iter.Seq2[K, V]", "Sequence", "Fault", "context.Context",
}, parameterTypes...)

// randomInterface writes an interface that Generate accepts.
func randomInterface(r *rand.Rand, name string) string {
	pick := func(from []string) string { return from[r.IntN(len(from))] }
	var b strings.Builder
	if r.IntN(3) == 0 {
		fmt.Fprintf(&b, "//trace:kind %s\n", pick([]string{"client", "server", "producer"}))
	}
	// The package declares no K, but a T and a V.
	fmt.Fprintf(&b, "type %s[T any, K comparable, V fmt.Stringer] interface {\n", name)
	if r.IntN(4) == 0 {
		b.WriteString("\tEmbedded[K]\n")
	}
	if r.IntN(4) == 0 {
		b.WriteString("\tio.Closer\n")
	}
	for i := range 1 + r.IntN(4) {
		names := map[string]bool{}
		named := func() string {
			for {
				if n := pick(difficult); n == "_" || !names[n] {
					names[n] = true
					return n
				}
			}
		}
		withNames := r.IntN(3) > 0
		var params []string
		var usable []string // attributes of the parameters
		at := r.IntN(3)
		n := at + r.IntN(4)
		for j := 0; j <= n; j++ {
			typ := pick(parameterTypes)
			if j == at {
				typ = "context.Context"
			}
			variadic := j == n && j != at && r.IntN(3) == 0
			ref := fmt.Sprintf("param%d", j)
			p := typ
			if variadic {
				p = "..." + typ
			}
			if withNames {
				id := named()
				p = id + " " + p
			}
			switch {
			case variadic:
				usable = append(usable, "len("+ref+")")
			case typ == "string", typ == "int", typ == "[]string", typ == "time.Duration":
				usable = append(usable, ref)
			case typ == "*Item", typ == "Item":
				usable = append(usable, ref+".Name", ref+".Next.Name", "describe(*"+ref+".Next)")
			case typ == "V":
				usable = append(usable, ref)
			case typ == "T":
				usable = append(usable, "fmt.Sprint("+ref+")")
			case typ == "error":
				usable = append(usable, ref+".Error()", "errors.Is("+ref+", errGone)")
			}
			params = append(params, p)
		}
		var results []string
		failing, iterators := false, 0
		withNames = r.IntN(2) == 0
		for range r.IntN(4) {
			typ := pick(resultTypes)
			if strings.HasPrefix(typ, "iter.") || typ == "Sequence" {
				if iterators++; iterators > 1 {
					typ = "error"
				}
			}
			failing = failing || typ == "error" || typ == "Fault"
			if withNames {
				typ = named() + " " + typ
			}
			results = append(results, typ)
		}
		// A name of this method's may hide param0 and the like, or the
		// packages that the expressions use.
		hidden := false
		for _, word := range []string{"param0", "param1", "param2", "fmt", "errors", "len", "err", "context"} {
			hidden = hidden || names[word]
		}
		if !hidden {
			for k, x := range usable {
				if r.IntN(2) == 0 {
					fmt.Fprintf(&b, "\t//trace:attr a%d=%s\n", k, x)
				}
			}
			if failing {
				fmt.Fprintf(&b, "\t//trace:ignore-error errors.Is(err, errGone) || err == context.Canceled\n")
			}
		}
		method := fmt.Sprintf("Method%d", i)
		if r.IntN(6) == 0 {
			method = []string{"next", "tracer", "end", "fail"}[i]
		}
		fmt.Fprintf(&b, "\t%s(%s) (%s)\n", method, strings.Join(params, ", "), strings.Join(results, ", "))
	}
	b.WriteString("}\n\n")
	return b.String()
}

const randomPackage = `package p

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"
)

type (
	Item     struct { Name string; Next *Item }
	List[T any] []T
	T        struct{}
	V        string
	Named    string
	Generic[A comparable, B any] struct { a A; b B }
	Sequence iter.Seq2[string, error]
	Fault    interface { error; Code() int }
	Embedded[T comparable] interface {
		//trace:attr at=fmt.Sprint(at)
		Embed(ctx context.Context, at T, t V) (T, error)
	}
)

var errGone = errors.New("gone")

func describe(i Item) string { return i.Name }

var _ io.Reader
var _ time.Duration
var _ codes
type codes int

`

// TestRandom wraps interfaces of random shape, names and directives, all in one
// file, and type-checks the result: what Generate accepts must compile.
func TestRandom(t *testing.T) {
	const n = 150
	for seed := range *seeds {
		r := rand.New(rand.NewPCG(seed, 1))
		var src strings.Builder
		src.WriteString(randomPackage)
		opts := Options{Out: "trace_gen.go", Env: append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")}
		for i := range n {
			name := fmt.Sprintf("S%d", i)
			src.WriteString(randomInterface(r, name))
			opts.Interfaces = append(opts.Interfaces, name)
		}
		dir := t.TempDir()
		opts.Dir, opts.WorkDir = dir, dir
		write(t, dir, "go.mod", "module example.com/p\n\ngo 1.26\n")
		write(t, dir, "p.go", src.String())
		file, err := Generate(t.Context(), opts)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, numbered(src.String()))
		}
		for _, e := range typeCheck(t, dir, file) {
			t.Errorf("seed %d: %s", seed, e)
		}
		if t.Failed() {
			t.Log(numbered(src.String()))
			t.Log(numbered(string(file.Source)))
		}
	}
}

// typeCheck compiles the package in dir together with the generated file. It
// takes OpenTelemetry from this module, where the temporary one has none.
func typeCheck(t *testing.T, dir string, file *File) []error {
	cfg := &packages.Config{Mode: packages.LoadTypes, Tests: false}
	deps, err := packages.Load(cfg, tracePath, noopPath, attributePath, codesPath, semconvPath,
		"context", "errors", "fmt", "io", "iter", "time")
	if err != nil {
		t.Fatal(err)
	}
	importer := importerFunc(func(path string) (*types.Package, error) {
		for _, p := range deps {
			if p.PkgPath == path {
				return p.Types, nil
			}
		}
		return nil, fmt.Errorf("no package %q", path)
	})
	fset := token.NewFileSet()
	var files []*ast.File
	own, err := parser.ParseFile(fset, dir+"/p.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	generated, err := parser.ParseFile(fset, "trace_gen.go", file.Source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, own, generated)
	var errs []error
	conf := types.Config{Importer: importer, Error: func(err error) { errs = append(errs, err) }}
	conf.Check("example.com/p", fset, files, nil)
	return errs
}

type importerFunc func(path string) (*types.Package, error)

func (f importerFunc) Import(path string) (*types.Package, error) { return f(path) }

func numbered(src string) string {
	var b strings.Builder
	n := 0
	for line := range strings.Lines(src) {
		n++
		fmt.Fprintf(&b, "%4d %s", n, line)
	}
	return b.String()
}
