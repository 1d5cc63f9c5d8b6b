// Package gen writes wrappers that run every method of an interface in a span.
//
// Generate loads the package with go/packages, so it sees what the compiler
// sees: embedded and generic interfaces, aliases, build constraints. Attribute
// expressions are type-checked where they stand and rewritten for the place
// where they run. What Generate returns compiles, is formatted, and depends on
// nothing but the input. What cannot be wrapped faithfully is refused, with
// the place and the reason.
//
// An expression that Generate accepts cannot panic by itself: what may be nil
// or too short is guarded, and what cannot be guarded is refused. A function
// that an expression calls may still panic.
package gen

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// Options say what to generate.
type Options struct {
	// Dir is the directory of the package that gets the output.
	Dir string
	// Package is the name of that package; needed only where the directory has
	// two, because of an external test package. By default it is the one that
	// declares the types.
	Package string
	// Interfaces are the interfaces to wrap: "Service", or
	// "example.com/store.Store" for one of another package.
	Interfaces []string
	// Structs are the structs (or other defined types) for which to derive an
	// interface of their exported methods, and wrap that: "Client", or
	// "Client=Store" to name the interface, which is ClientAPI otherwise.
	Structs []string
	// Out is the file to write, in Dir; by default the first type's name in
	// lower case and "_trace.go".
	Out string
	// Test looks at the test files of the package too. It is implied by an Out
	// that is a test file.
	Test bool
	// Tags are build tags, separated by commas.
	Tags string
	// Func names the constructor, Trace and the interface's name by default.
	Func string
	// RecordErrors has errors recorded as exception events too.
	RecordErrors bool
	// Fail is a function to call with the span and the error when a method
	// fails, instead of what the output does by itself: "markFailed", or
	// "example.com/telemetry.Fail" for one of another package.
	Fail string
	// WorkDir is what file names in problems are relative to.
	WorkDir string
	// Env is the environment of the go command; nil is the process's own.
	Env []string
}

// File is a generated file.
type File struct {
	Name   string // absolute
	Source []byte
	// Warnings are what the reader of the output might not expect: methods
	// that are not traced although nobody said so.
	Warnings Problems
}

// errNoTypes is returned when the options name nothing to wrap.
var errNoTypes = errors.New("no interface and no struct named")

// Generate returns the file that opts describe, without writing it. Problems
// in the input are returned as Problems.
func Generate(ctx context.Context, opts Options) (*File, error) {
	requests, err := opts.requests()
	if err != nil {
		return nil, err
	}
	if opts.Fail != "" {
		if _, err := parseRequest(opts.Fail); err != nil {
			return nil, fmt.Errorf("failure function: %w", err)
		}
		if opts.RecordErrors {
			return nil, fmt.Errorf("recording errors is up to the failure function %s", opts.Fail)
		}
	}
	if opts.Out == "" {
		opts.Out = requests[0].defaultFile(opts.Test)
	}
	if filepath.Base(opts.Out) != opts.Out {
		return nil, fmt.Errorf("output file %q is not in the package's own directory: give the directory as argument", opts.Out)
	}
	if !strings.HasSuffix(opts.Out, ".go") {
		return nil, fmt.Errorf("output file %q does not end in .go", opts.Out)
	}
	opts.Test = opts.Test || strings.HasSuffix(opts.Out, "_test.go")

	g, err := load(ctx, opts, requests)
	if err != nil {
		return nil, err
	}
	targets := g.resolve(requests)
	g.checkStray()
	if len(g.problems) > 0 {
		return nil, g.problems.sorted()
	}
	src := g.emit(targets)
	if len(g.problems) > 0 {
		return nil, g.problems.sorted()
	}
	formatted, err := format(src)
	if err != nil {
		return nil, fmt.Errorf("formatting the output: %w", err)
	}
	return &File{Name: g.outFile, Source: formatted, Warnings: g.warnings.sorted()}, nil
}

// request is one type that the options name.
type request struct {
	path   string // import path of its package; empty for the output's own
	name   string
	api    string // name of the interface to derive; empty to wrap an interface
	option string // as given, for messages
}

func (o *Options) requests() ([]request, error) {
	var rs []request
	for _, s := range o.Interfaces {
		r, err := parseRequest(s)
		if err != nil {
			return nil, err
		}
		rs = append(rs, r)
	}
	for _, s := range o.Structs {
		name, api, named := strings.Cut(s, "=")
		r, err := parseRequest(name)
		if err != nil {
			return nil, err
		}
		if !named {
			api = r.name + "API"
		}
		if !isIdent(api) {
			return nil, fmt.Errorf("%q: %q is not an identifier", s, api)
		}
		r.api = api
		rs = append(rs, r)
	}
	if len(rs) == 0 {
		return nil, errNoTypes
	}
	if o.Func != "" && len(rs) > 1 {
		return nil, fmt.Errorf("constructor %q: one name for %d types", o.Func, len(rs))
	}
	if o.Func != "" && !isIdent(o.Func) {
		return nil, fmt.Errorf("constructor %q is not an identifier", o.Func)
	}
	return rs, nil
}

func parseRequest(s string) (request, error) {
	r := request{name: s, option: s}
	if i := strings.LastIndexByte(s, '.'); i >= 0 {
		r.path, r.name = s[:i], s[i+1:]
		if r.path == "" {
			return r, fmt.Errorf("%q has no package before the dot", s)
		}
	}
	if !isIdent(r.name) {
		return r, fmt.Errorf("%q: %q is not an identifier", s, r.name)
	}
	return r, nil
}

func (r request) defaultFile(test bool) string {
	if test {
		return strings.ToLower(r.name) + "_trace_test.go"
	}
	return strings.ToLower(r.name) + "_trace.go"
}
