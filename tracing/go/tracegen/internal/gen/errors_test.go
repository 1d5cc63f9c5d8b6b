package gen

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// refusal is an interface that cannot be wrapped as it says, and what Generate
// says of it. The source follows a package clause and an import on four lines.
type refusal struct {
	name string
	src  string
	want string
}

// file returns the file to put the interface in, X replaced by its name.
func (r refusal) file() string {
	src := strings.ReplaceAll(strings.TrimLeft(r.src, "\n"), "X", title(r.name))
	if strings.HasPrefix(src, "package") {
		return src
	}
	return "package p\n\nimport \"context\"\n\n" + src
}

// declarations are refused before methods are looked at.
var declarations = []refusal{
	{"constraint", `
type X interface {
	~int | ~string
}
`, `5:6: Constraint is a constraint: it has no values to wrap`},
	{"comparableOnly", `
type X interface {
	comparable
	Do(ctx context.Context)
}
`, `5:6: ComparableOnly is a constraint: it has no values to wrap`},
	{"empty", `
type X interface{}
`, `5:6: Empty has no methods`},
	{"notInterface", `
type X struct{}
`, `5:6: NotInterface is not an interface: use -struct NotInterface to derive one of its exported methods`},
	{"undefined", `
type X Y
`, `5:16: undefined: Y`},
	{"type", `
type X interface {
	Do(ctx context.Context, a Nowhere) error
}
`, `6:28: undefined: Nowhere`},
	{"duplicate", `
type X interface {
	//trace:kind client
	Do(ctx context.Context)
	Do(ctx context.Context) error
}
`, `8:2: duplicate method Do`},
	{"verb", `
type X interface {
	//trace:skp
	Do(ctx context.Context)
}
`, `6:2: unknown directive //trace:skp (did you mean //trace:skip?)`},
	{"space", `
type X interface {
	// Do does.
	// trace:skip
	Do(ctx context.Context)
}
`, `7:2: this comment is not a directive: write //trace:skip`},
	{"kind", `
type X interface {
	//trace:kind clint
	Do(ctx context.Context)
}
`, `6:15: unknown span kind "clint" (did you mean client?)`},
	{"key", `
type X interface {
	//trace:attr article id=id
	Do(ctx context.Context, id string)
}
`, `6:22: attribute key "article id" contains ' '`},
	{"skipType", `
//trace:skip
type X interface {
	Do(ctx context.Context)
}
`, `5:1: //trace:skip belongs on a method: to leave all of SkipType untraced, do not wrap it`},
	{"attrType", `
// X is documented.
//
//trace:attr id=id
type X interface {
	Do(ctx context.Context, id string)
}
`, `7:1: //trace:attr belongs on a method`},
	{"twiceType", `
//trace:kind client
//trace:kind server
type X interface {
	Do(ctx context.Context)
}
`, `6:1: //trace:kind is given twice`},
	{"element", `
type Other interface { Do(ctx context.Context) }

type X interface {
	//trace:name x
	//trace:skip
	//trace:skip
	Other
}
`, `8:2: //trace:name has no meaning on an embedded interface: declare the method here to give it directives
10:2: //trace:skip is given twice`},
	{"diamond", `
type Left interface {
	//trace:kind client
	Do(ctx context.Context)
}

type Right interface {
	//trace:kind server
	Do(ctx context.Context)
}

type X interface {
	Left
	Right
}
`, `12:2: Do has different directives at diamond.go:7:2: declare it in Diamond with those it shall have`},
}

// methods are refused one by one.
var methods = []refusal{
	{"skipped", `
type X interface {
	//trace:skip
	//trace:kind client
	Do(ctx context.Context)
}
`, `7:2: //trace:kind has no effect on Do, which is skipped`},
	{"noContext", `
type X interface {
	//trace:name x
	Do(id string) error
	With(ctx context.Context)
}
`, `6:2: //trace:name has no effect on Do, which takes no context.Context and gets no span`},
	{"twice", `
type X interface {
	//trace:name x
	//trace:attr id=id
	//trace:name y
	//trace:attr id="x"
	Do(ctx context.Context, id string)
}
`, `8:2: //trace:name is given twice
9:2: attribute "id" is set twice`},
	{"undefinedName", `
type X interface {
	//trace:attr article.id=ide
	Do(ctx context.Context, id string)
}
`, `6:26: undefined: ide`},
	{"undefinedField", `
type ReqX struct{ ID string }

type X interface {
	//trace:attr a=1 + len(r.Id)
	Do(ctx context.Context, r ReqX)
}
`, `8:27: r.Id undefined (type ReqUndefinedField has no field or method Id, but does have field ID)`},
	{"syntax", `
type X interface {
	//trace:attr a=len(id
	Do(ctx context.Context, id string)
}
`, `6:23: missing ',' before newline in argument list`},
	{"mismatch", `
type X interface {
	//trace:attr  a = id + 1
	Do(ctx context.Context, id string)
}
`, `6:20: invalid operation: id + 1 (mismatched types string and untyped int)`},
	{"notAValue", `
type X interface {
	//trace:attr a=string
	Do(ctx context.Context)
}
`, `6:17: string is not a value`},
	{"void", `
type X interface {
	//trace:attr a=f()
	Do(ctx context.Context, f func())
}
`, `6:17: f() is not a value`},
	{"attributeType", `
type X interface {
	//trace:attr a=a
	//trace:attr b=b
	//trace:attr c=c
	//trace:attr d=d
	//trace:attr e=err
	//trace:attr f=nil
	Do(ctx context.Context, a any, b uint64, c []byte, d *string) error
}
`, `6:17: a is of type any, not a string, boolean, integer, float, slice of these, or fmt.Stringer
7:17: b is of type uint64, not a string, boolean, integer, float, slice of these, or fmt.Stringer: it may not fit; if it does, write int64(b)
8:17: c is of type []byte, not a string, boolean, integer, float, slice of these, or fmt.Stringer
9:17: d is of type *string, not a string, boolean, integer, float, slice of these, or fmt.Stringer
10:17: err is of type error, not a string, boolean, integer, float, slice of these, or fmt.Stringer: the error is on the span already; if you must, take err.Error()
11:17: nil is of type untyped nil, not a string, boolean, integer, float, slice of these, or fmt.Stringer`},
	{"tooBig", `
type X interface {
	//trace:attr a=1<<63
	Do(ctx context.Context)
}
`, `6:17: 9223372036854775808 does not fit an attribute, which is an int64`},
	{"condition", `
type X interface {
	//trace:ignore-error err
	//trace:ignore-error id == 1
	Do(ctx context.Context, id string) error
}
`, `6:23: err is of type error, not a condition
7:29: invalid operation: id == 1 (mismatched types string and untyped int)`},
	{"noError", `
type X interface {
	//trace:ignore-error true
	Do(ctx context.Context, id string)
}
`, `6:2: //trace:ignore-error has no effect on Do, which returns no error`},
	{"inherited", `
//trace:ignore-error id == ""
type X interface {
	Do(ctx context.Context, id string) error
}
`, `5:22: undefined: id`},
	{"unsafe", `
type PX struct{ Name string; Next *PX }

func (p *PX) Self() *PX { return p }

func get() *PX { return nil }

type X interface {
	//trace:attr a=get().Name
	//trace:attr b=p.Self().Name
	//trace:attr c=v.(string)
	//trace:attr d=s[i]
	//trace:attr e=id[1:]
	//trace:attr f=<-ch
	//trace:attr g=func() int { return 1 }()
	//trace:attr h=i / i
	//trace:attr i=1 << i
	//trace:attr j=m[v]
	//trace:attr k=len([4]int(s))
	//trace:attr l=(*PX).Self(p).Name
	//trace:attr m=len(append(s, 1))
	//trace:attr n=len(map[string]int{})
	//trace:attr o=*&i
	//trace:attr p=p.Next.Self().Name + id
	Do(ctx context.Context, p *PX, v any, s []int, i int, id string, ch chan int, m map[any]string)
}
`, `12:17: get() may be nil, which cannot be checked without evaluating it twice: call a function that takes care of it
13:17: p.Self() may be nil, which cannot be checked without evaluating it twice: call a function that takes care of it
14:17: a type assertion may panic: call a function that takes care of it
15:19: index i may be out of range: only a constant can be checked
16:17: slicing may panic: call a function that takes care of the length
17:17: receiving from a channel takes the value from its reader
18:17: function literals are not for directives: declare a function and call it
19:21: i may be zero: call a function that takes care of it
20:22: i may be negative: call a function that takes care of it
21:19: looking up an interface value may panic: call a function that takes care of it
22:21: converting a slice to an array may panic: call a function that takes care of the length
23:17: (*PUnsafe).Self(p) may be nil, which cannot be checked without evaluating it twice: call a function that takes care of it
23:17: method expressions are not for directives
24:21: append is not for directives
25:21: a map made at each call is too costly here
26:18: taking an address lets the value be changed
27:17: p.Next.Self() may be nil, which cannot be checked without evaluating it twice: call a function that takes care of it`},
	{"inert", `

//trace:ignore-error err == nil
type X interface {
	Do(ctx context.Context)
	Close() error
	//trace:ignore-error err != nil
	Faultless
	//trace:ignore-error err == context.Canceled
	WithError2
}

type Faultless interface { None(ctx context.Context) }

type WithError2 interface { Some(ctx context.Context) error }
`, `9:2: //trace:ignore-error has no effect: no method it is for is traced and returns an error`},
	{"twoIterators", `
type X interface {
	Do(ctx context.Context) (func(func(int) bool), func(func(int) bool))
}
`, `6:2: TwoIterators.Do returns two iterators: whose end would end the span? (//trace:skip leaves it untraced)`},
	{"yieldedError", `
type X interface {
	//trace:attr e=err.Error()
	Do(ctx context.Context) func(func(int, error) bool)
}
`, `6:17: the error is one of each iteration: it has no attribute`},
	{"typeParameter", `
type RepoX[T any] interface {
	//trace:attr a=any(T(v)) == nil
	Do(ctx context.Context, v T)
}

type X interface{ RepoX[string] }
`, `6:21: undefined: T`},
	{"stray", `package p

import (
	"context"
	"os"
)

type X interface {
	Do(ctx context.Context, e os.DirEntry) error
}

//trace:kind client
var floating int

//trace:skip
func function() {}

type inner struct {
	//trace:skip
	field int
}

type Line interface {
	Do(ctx context.Context) //trace:skip
	//trace:kind clent

	With(ctx context.Context)
}
`, `12:1: this directive has no effect here: it belongs in the doc comment of a method, or of the type
15:1: this directive has no effect here: it belongs in the doc comment of a method, or of the type
19:2: this directive has no effect here: it belongs in the doc comment of a method, or of the type
24:26: this directive has no effect here: it belongs in the doc comment of a method, or of the type
25:15: unknown span kind "clent" (did you mean client?)`},
}

func TestRefusals(t *testing.T) {
	for name, batch := range map[string][]refusal{"declarations": declarations, "methods": methods} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "go.mod", "module example.com/p\n\ngo 1.26\n")
			opts := Options{Dir: dir, WorkDir: dir, Out: "trace_gen.go", Env: append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")}
			for _, r := range batch {
				write(t, dir, r.name+".go", r.file())
				opts.Interfaces = append(opts.Interfaces, title(r.name))
			}
			_, err := Generate(t.Context(), opts)
			var problems Problems
			if !errors.As(err, &problems) {
				t.Fatalf("got error %v, want problems", err)
			}
			got := map[string]string{}
			for _, p := range problems {
				file, at, ok := strings.Cut(p.String(), ".go:")
				if !ok {
					t.Errorf("problem without a place: %s", p)
				}
				got[file] += at + "\n"
			}
			for _, r := range batch {
				if diff := cmp.Diff(r.want+"\n", got[r.name]); diff != "" {
					t.Errorf("%s (-want +got):\n%s", r.name, diff)
				}
				delete(got, r.name)
			}
			if len(got) > 0 {
				t.Errorf("further problems: %v", got)
			}
		})
	}
}

func write(t *testing.T, dir, name, src string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(src), 0o644); err != nil {
		t.Fatal(err)
	}
}
