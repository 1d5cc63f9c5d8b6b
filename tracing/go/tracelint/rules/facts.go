package rules

import (
	"fmt"
	"go/ast"
	"go/types"
	"reflect"
	"strings"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/types/typeutil"
)

// functionFacts learns what each function does with a context or a span it is
// given, so that the rules can judge a call of it in another package.
var functionFacts = &analysis.Analyzer{
	Name:       "functionfacts",
	Doc:        "learn what functions do with the contexts and spans they are given",
	Run:        runFunctionFacts,
	FactTypes:  []analysis.Fact{new(functionFact)},
	ResultType: reflect.TypeFor[*known](),
}

// A functionFact says what a function does with its parameters. Parameters are
// bits, the first being 1.
type functionFact struct {
	ValuesOf  uint64 // contexts of which only values, deadline and Done are read
	StatusOf  uint64 // contexts and spans whose span is given a status or an error
	SpanNames uint64 // strings that become (a part of) the name of a span
}

func (*functionFact) AFact() {}

func (f *functionFact) String() string {
	var s []string
	for _, p := range []struct {
		name string
		bits uint64
	}{{"valuesOf", f.ValuesOf}, {"statusOf", f.StatusOf}, {"spanNames", f.SpanNames}} {
		if p.bits != 0 {
			s = append(s, fmt.Sprintf("%s=%b", p.name, p.bits))
		}
	}
	return strings.Join(s, " ")
}

// known answers for the functions of this package and of its dependencies.
type known struct {
	pass  *analysis.Pass
	local map[*types.Func]*functionFact
}

func (k *known) fact(f *types.Func) functionFact {
	if f == nil {
		return functionFact{}
	}
	f = f.Origin()
	if fact := k.local[f]; fact != nil {
		return *fact
	}
	var fact functionFact
	if f.Pkg() != nil && f.Pkg() != k.pass.Pkg {
		k.pass.ImportObjectFact(f, &fact)
	}
	return fact
}

// setsStatusOf reports whether f sets the status of the span that is, or is in,
// its argument i.
func (k *known) setsStatusOf(f *types.Func, i int) bool {
	return f != nil && k.fact(f).StatusOf&bit(f, i) != 0
}

// bit returns the bit of parameter i in a functionFact; a variadic function's
// further arguments share the bit of its last parameter.
func bit(f *types.Func, i int) uint64 {
	if n := f.Signature().Params().Len(); f.Signature().Variadic() && i >= n {
		i = n - 1
	}
	if i > 63 {
		return 0
	}
	return 1 << i
}

func runFunctionFacts(pass *analysis.Pass) (any, error) {
	k := &known{pass: pass, local: make(map[*types.Func]*functionFact)}
	type decl struct {
		fn   *types.Func
		body *ast.BlockStmt
	}
	var decls []decl
	for _, file := range pass.Files {
		for _, d := range file.Decls {
			d, ok := d.(*ast.FuncDecl)
			if !ok || d.Body == nil {
				continue
			}
			fn, ok := pass.TypesInfo.Defs[d.Name].(*types.Func)
			if !ok || !concerned(fn) {
				continue
			}
			decls = append(decls, decl{fn, d.Body})
			k.local[fn] = new(functionFact)
		}
	}
	ifaces := implementations(pass.Pkg)
	for method := range ifaces {
		k.local[method] = new(functionFact)
	}
	// A fact may follow from the facts of functions declared further on, so
	// the rounds go on until nothing is learned. Bits are only ever added.
	for changed := true; changed; {
		changed = false
		for method, impls := range ifaces {
			values := ^uint64(0)
			for _, fn := range impls {
				values &= k.fact(fn).ValuesOf
			}
			if fact := k.local[method]; fact.ValuesOf != values {
				fact.ValuesOf, changed = values, true
			}
		}
		for _, d := range decls {
			fact := k.learn(d.fn, d.body)
			if fact != *k.local[d.fn] {
				*k.local[d.fn] = fact
				changed = true
			}
		}
	}
	for fn, fact := range k.local {
		if *fact != (functionFact{}) {
			pass.ExportObjectFact(fn, fact)
		}
	}
	return k, nil
}

// implementations maps each context-taking method of the package's interfaces
// to the methods of the package's types that implement it. What all of them do,
// a call through the interface is taken to do.
func implementations(pkg *types.Package) map[*types.Func][]*types.Func {
	out := make(map[*types.Func][]*types.Func)
	var ifaces []*types.Interface
	var impls []types.Type
	for _, name := range pkg.Scope().Names() {
		obj, ok := pkg.Scope().Lookup(name).(*types.TypeName)
		if !ok || obj.IsAlias() {
			continue
		}
		named, ok := obj.Type().(*types.Named)
		if !ok || named.TypeParams().Len() > 0 {
			continue
		}
		if it, ok := named.Underlying().(*types.Interface); ok {
			ifaces = append(ifaces, it)
		} else {
			impls = append(impls, types.NewPointer(named))
		}
	}
	for _, it := range ifaces {
		for m := range it.Methods() {
			if m.Pkg() != pkg || !concerned(m) {
				continue
			}
			for _, t := range impls {
				if !types.Implements(t, it) {
					continue
				}
				if obj, _, _ := types.LookupFieldOrMethod(t, true, pkg, m.Name()); obj != nil {
					if fn, ok := obj.(*types.Func); ok && fn != m {
						out[m] = append(out[m], fn.Origin())
					}
				}
			}
		}
	}
	return out
}

// concerned reports whether fn takes a context or a span, or returns a span.
func concerned(fn *types.Func) bool {
	for _, tuple := range []*types.Tuple{fn.Signature().Params(), fn.Signature().Results()} {
		for v := range tuple.Variables() {
			if isContext(v.Type()) || isSpan(v.Type()) {
				return true
			}
		}
	}
	return false
}

func (k *known) learn(fn *types.Func, body *ast.BlockStmt) functionFact {
	var fact functionFact
	info := k.pass.TypesInfo
	i := 0
	for v := range fn.Signature().Params().Variables() {
		b := bit(fn, i)
		i++
		switch {
		case isContext(v.Type()):
			if k.onlyValues(body, v) {
				fact.ValuesOf |= b
			}
			if k.setsStatus(body, v) {
				fact.StatusOf |= b
			}
		case isSpan(v.Type()):
			if k.setsStatus(body, v) {
				fact.StatusOf |= b
			}
		case types.Identical(v.Type(), types.Typ[types.String]) && !tells(v.Name()): // else it is reported here
			ast.Inspect(body, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok {
					for _, name := range k.spanNames(call) {
						if partOf(info, name, v) {
							fact.SpanNames |= b
						}
					}
				}
				return true
			})
		}
	}
	return fact
}

// onlyValues reports whether body reads nothing of ctx but its values, its
// deadline and its end: no span can become a child of the one ctx holds.
func (k *known) onlyValues(body *ast.BlockStmt, ctx *types.Var) bool {
	info := k.pass.TypesInfo
	harmless := make(map[*ast.Ident]bool)
	total := 0
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Ident:
			if info.Uses[n] == ctx {
				total++
			}
		case *ast.SelectorExpr:
			if id, ok := n.X.(*ast.Ident); ok && info.Uses[id] == ctx {
				harmless[id] = true
			}
		case *ast.BinaryExpr:
			for _, e := range []ast.Expr{n.X, n.Y} {
				if id, ok := e.(*ast.Ident); ok && info.Uses[id] == ctx {
					harmless[id] = true
				}
			}
		case *ast.CallExpr:
			for i, a := range n.Args {
				if id, ok := a.(*ast.Ident); ok && info.Uses[id] == ctx && k.valuesOnly(n, i) {
					harmless[id] = true
				}
			}
		}
		return true
	})
	return len(harmless) == total
}

// valuesOnly reports whether the call reads nothing of its argument i, a
// context, but values.
func (k *known) valuesOnly(call *ast.CallExpr, i int) bool {
	callee := typeutil.Callee(k.pass.TypesInfo, call)
	if isLogging(callee) || readsOrWrites(k.pass.TypesInfo.TypeOf(call)) {
		return true
	}
	f, ok := callee.(*types.Func)
	if !ok {
		return false
	}
	f = f.Origin()
	switch {
	case isFunc(f, tracePath, "SpanFromContext", "SpanContextFromContext", "LinkFromContext"),
		isFunc(f, baggagePath, "FromContext"),
		isFunc(f, "context", "Cause", "AfterFunc", "WithoutCancel"),
		isMetric(f):
		return true
	}
	return k.fact(f).ValuesOf&bit(f, i) != 0
}

// readsOrWrites reports whether t is a reader or writer of package io: a
// context given to one's constructor is there to stop it.
func readsOrWrites(t types.Type) bool {
	n, ok := types.Unalias(t).(*types.Named)
	return ok && n.Obj().Pkg() != nil && n.Obj().Pkg().Path() == "io"
}

// setsStatus reports whether body gives a status or an error to the span v, or
// to the span in the context v.
func (k *known) setsStatus(body *ast.BlockStmt, v *types.Var) bool {
	info := k.pass.TypesInfo
	spans := map[*types.Var]bool{v: true}
	found := false
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if len(n.Lhs) == 1 && len(n.Rhs) == 1 && k.spanFrom(n.Rhs[0], spans) {
				if s := variable(info, n.Lhs[0]); s != nil {
					spans[s] = true
				}
			}
		case *ast.CallExpr:
			if x, name := methodCall(n); name == "SetStatus" || name == "RecordError" {
				if s := variable(info, x); s != nil && spans[s] || k.spanFrom(x, spans) {
					found = true
				}
			}
			if f := calleeFunc(info, n); f != nil {
				for i, a := range n.Args {
					if s := variable(info, a); s != nil && spans[s] && k.setsStatusOf(f, i) {
						found = true
					}
				}
			}
		}
		return !found
	})
	return found
}

// spanFrom reports whether e takes the span out of one of the contexts.
func (k *known) spanFrom(e ast.Expr, contexts map[*types.Var]bool) bool {
	call, ok := ast.Unparen(e).(*ast.CallExpr)
	if !ok || len(call.Args) != 1 || !isSpan(k.pass.TypesInfo.TypeOf(call)) {
		return false
	}
	v := variable(k.pass.TypesInfo, call.Args[0])
	return v != nil && contexts[v]
}

// spanNames returns the arguments of call that become a part of a span's name.
func (k *known) spanNames(call *ast.CallExpr) []ast.Expr {
	info := k.pass.TypesInfo
	if s, ok := startOf(info, call); ok && s.name != nil {
		return []ast.Expr{s.name}
	}
	if x, name := methodCall(call); name == "SetName" && len(call.Args) == 1 && isSpan(info.TypeOf(x)) {
		return call.Args
	}
	f := calleeFunc(info, call)
	names := k.fact(f).SpanNames
	if names == 0 {
		return nil
	}
	var out []ast.Expr
	for i, a := range call.Args {
		if names&bit(f, i) != 0 {
			out = append(out, a)
		}
	}
	return out
}

// partOf reports whether the string e is v, or v joined to something.
func partOf(info *types.Info, e ast.Expr, v *types.Var) bool {
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		return info.Uses[e] == v
	case *ast.BinaryExpr:
		return partOf(info, e.X, v) || partOf(info, e.Y, v)
	case *ast.CallExpr:
		if f := calleeFunc(info, e); isFunc(f, "fmt", "Sprintf", "Sprint") {
			for _, a := range e.Args {
				if partOf(info, a, v) {
					return true
				}
			}
		}
	}
	return false
}
