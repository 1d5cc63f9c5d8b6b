package rules

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"strings"
	"unicode"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/passes/ctrlflow"
)

// SpanName reports span names that hold a path, an id or the like.
var SpanName = &analysis.Analyzer{
	Name: "spanname",
	Doc: `check for span names built from a path or an id

A span's name stands for a class of operations; a name per path or id makes as many
classes as there are requests, and puts what users send into a place that is never
redacted. The rule follows the name through concatenation, fmt.Sprintf, variables
and functions that pass a name on, and reports parts that come from the URL of a
request or whose names say that they tell one thing from another (id, key, path,
…). Put such values into attributes and use the route in the name.`,
	URL:      home + "spanname",
	Run:      runSpanName,
	Requires: []*analysis.Analyzer{ctrlflow.Analyzer, functionFacts, Ignore},
}

func runSpanName(pass *analysis.Pass) (any, error) {
	k := pass.ResultOf[functionFacts].(*known)
	info := pass.TypesInfo
	for f := range functions(pass) {
		n := &namer{pass: pass, known: k, f: f}
		inspectShallow(f.body, func(node ast.Node) {
			call, ok := node.(*ast.CallExpr)
			if !ok {
				return
			}
			names := k.spanNames(call)
			if isFunc(calleeFunc(info, call), otelhttpPath, "WithSpanNameFormatter") && len(call.Args) == 1 {
				if lit, ok := call.Args[0].(*ast.FuncLit); ok {
					names = append(names, results(lit)...)
				}
			}
			for _, name := range names {
				if part := n.unbounded(name, 0); part != "" {
					report(pass, analysis.Diagnostic{
						Pos: name.Pos(), End: name.End(),
						Message: fmt.Sprintf("span name is built from %s: use a constant or the route, and an attribute for the value", part),
					})
				}
			}
		})
	}
	return nil, nil
}

// results lists what a function literal with one result returns.
func results(lit *ast.FuncLit) []ast.Expr {
	var out []ast.Expr
	inspectShallow(lit.Body, func(n ast.Node) {
		if r, ok := n.(*ast.ReturnStmt); ok && len(r.Results) == 1 {
			out = append(out, r.Results[0])
		}
	})
	return out
}

// A namer judges the span names made in one function.
type namer struct {
	pass  *analysis.Pass
	known *known
	f     *function
}

// maxDepth bounds how far a name is followed through variables.
const maxDepth = 6

// unbounded returns the part of the string e that has a value of its own for
// each request or thing, or "" if none is seen.
func (n *namer) unbounded(e ast.Expr, depth int) string {
	info := n.pass.TypesInfo
	e = ast.Unparen(e)
	if tv := info.Types[e]; tv.Value != nil || depth > maxDepth || n.enumerated(tv.Type) {
		return ""
	}
	switch e := e.(type) {
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			return first(n.unbounded(e.X, depth+1), n.unbounded(e.Y, depth+1))
		}
	case *ast.Ident:
		return n.variable(e, depth)
	case *ast.SelectorExpr:
		if n.ofURL(e) || tells(e.Sel.Name) {
			return source(e)
		}
	case *ast.IndexExpr:
		if key := info.Types[e.Index].Value; key != nil && key.Kind() == constant.String {
			if tells(constant.StringVal(key)) {
				return source(e)
			}
			return ""
		}
		return n.unbounded(e.X, depth+1)
	case *ast.StarExpr:
		return n.unbounded(e.X, depth+1)
	case *ast.CallExpr:
		return n.call(e, depth)
	}
	return ""
}

func first(parts ...string) string {
	for _, p := range parts {
		if p != "" {
			return p
		}
	}
	return ""
}

// variable judges a variable by the values it is given, else by its name.
func (n *namer) variable(id *ast.Ident, depth int) string {
	info := n.pass.TypesInfo
	v, ok := info.ObjectOf(id).(*types.Var)
	if !ok || v.Parent() == nil || v.Pkg() != nil && v.Parent() == v.Pkg().Scope() {
		return ""
	}
	assigned := false
	part := ""
	ast.Inspect(n.f.file, func(node ast.Node) bool {
		var lhs, rhs []ast.Expr
		switch node := node.(type) {
		case *ast.AssignStmt:
			lhs, rhs = node.Lhs, node.Rhs
		case *ast.ValueSpec:
			for _, id := range node.Names {
				lhs = append(lhs, id)
			}
			rhs = node.Values
		default:
			return true
		}
		for i, l := range lhs {
			if variable(info, l) != v || len(rhs) == 0 {
				continue
			}
			assigned = true
			if len(lhs) == len(rhs) {
				part = first(part, n.unbounded(rhs[i], depth+1))
			}
		}
		return true
	})
	if assigned {
		return part
	}
	if tells(v.Name()) {
		return v.Name()
	}
	return ""
}

// call judges a function's result.
func (n *namer) call(call *ast.CallExpr, depth int) string {
	info := n.pass.TypesInfo
	if info.Types[call.Fun].IsType() && len(call.Args) == 1 { // string(x)
		return n.unbounded(call.Args[0], depth+1)
	}
	f := calleeFunc(info, call)
	switch {
	case isFunc(f, "fmt", "Sprintf") && len(call.Args) > 0:
		return n.formatted(call, depth)
	case isFunc(f, "fmt", "Sprint", "Sprintln"),
		isFunc(f, "strings", "ToLower", "ToUpper", "TrimPrefix", "TrimSuffix", "TrimSpace", "Trim", "TrimLeft", "TrimRight", "Join"),
		isFunc(f, "path", "Join", "Clean"),
		isFunc(f, "strconv", "Itoa", "FormatInt", "FormatUint", "Quote"):
		for _, a := range call.Args {
			if part := n.unbounded(a, depth+1); part != "" {
				return part
			}
		}
		return ""
	}
	x, name := methodCall(call)
	if x == nil || f == nil {
		return ""
	}
	if isNamed(receiver(f), "net/url", "URL") {
		return source(call)
	}
	if f.Signature().Recv() == nil {
		if f.Pkg() != nil && strings.HasSuffix(f.Pkg().Path(), "/uuid") {
			return source(call)
		}
		return ""
	}
	switch {
	case name == "String":
		if tells(typeName(info.TypeOf(x))) {
			return source(call)
		}
		return n.unbounded(x, depth+1)
	case tellsOne(strings.TrimPrefix(name, "Get")):
		return source(call)
	}
	return ""
}

// formatted judges the operands of fmt.Sprintf; %T prints one of the program's types.
func (n *namer) formatted(call *ast.CallExpr, depth int) string {
	info := n.pass.TypesInfo
	var verbs []rune
	if v := info.Types[call.Args[0]].Value; v != nil && v.Kind() == constant.String {
		format := []rune(strings.ReplaceAll(constant.StringVal(v), "%%", ""))
		for i := 0; i < len(format); i++ {
			if format[i] != '%' {
				continue
			}
			for i++; i < len(format) && !unicode.IsLetter(format[i]); i++ {
			}
			if i < len(format) {
				verbs = append(verbs, format[i])
			}
		}
	}
	for i, a := range call.Args[1:] {
		if i < len(verbs) && verbs[i] == 'T' {
			continue
		}
		if part := n.unbounded(a, depth+1); part != "" {
			return part
		}
	}
	return ""
}

// ofURL reports whether sel is a part of a request's URL.
func (n *namer) ofURL(sel *ast.SelectorExpr) bool {
	t := n.pass.TypesInfo.TypeOf(sel.X)
	switch sel.Sel.Name {
	case "Path", "RawPath", "RawQuery", "Opaque", "Fragment":
		return isNamed(t, "net/url", "URL")
	case "RequestURI", "URL":
		return isRequest(t)
	}
	return false
}

// enumerated reports whether t is a named type with constants: its values are few.
func (n *namer) enumerated(t types.Type) bool {
	named, ok := types.Unalias(t).(*types.Named)
	if !ok || named.Obj().Pkg() == nil {
		return false
	}
	if _, ok := named.Underlying().(*types.Basic); !ok {
		return false
	}
	scope := named.Obj().Pkg().Scope()
	for _, name := range scope.Names() {
		if c, ok := scope.Lookup(name).(*types.Const); ok && types.Identical(c.Type(), t) {
			return true
		}
	}
	return false
}

func typeName(t types.Type) string {
	if p, ok := types.Unalias(t).(*types.Pointer); ok {
		t = p.Elem()
	}
	if n, ok := types.Unalias(t).(*types.Named); ok {
		return n.Obj().Name()
	}
	return ""
}

// telling are the words for what tells one thing of a kind from another.
var telling = map[string]bool{
	"id": true, "ids": true, "uid": true, "uuid": true, "guid": true, "cid": true,
	"key": true, "path": true, "url": true, "uri": true, "email": true,
	"hash": true, "digest": true, "token": true, "filename": true,
	"query": true, "sql": true, "address": true, "addr": true, "ip": true,
	"ref": true, "user": true, "username": true,
}

// tells reports whether the last word of an identifier is a telling one.
func tells(identifier string) bool {
	return telling[lastWord(identifier)]
}

// tellsOne is tells for the names of methods, of which Path or Key may as well
// return a template.
func tellsOne(method string) bool {
	switch lastWord(method) {
	case "id", "uuid", "cid", "digest", "hash":
		return true
	}
	return false
}

// lastWord returns the last word of a camelCase or snake_case identifier, lower-cased.
func lastWord(s string) string {
	r := []rune(s)
	i := len(r)
	for i > 0 {
		c := r[i-1]
		if c == '_' || c == '-' {
			break
		}
		i--
		if unicode.IsUpper(c) && (i == 0 || !unicode.IsUpper(r[i-1])) {
			break
		}
		if unicode.IsUpper(c) && i+1 < len(r) && unicode.IsLower(r[i+1]) {
			break
		}
	}
	return strings.ToLower(string(r[i:]))
}
