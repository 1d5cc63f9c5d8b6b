package rules

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"maps"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/passes/ctrlflow"
	"golang.org/x/tools/go/cfg"
)

// ErrorStatus reports spans that look successful although their function
// returned an error.
var ErrorStatus = &analysis.Analyzer{
	Name: "errorstatus",
	Doc: `check for error returns that leave the span's status unset

A function that starts a span and returns an error should say so on the span, by
SetStatus or RecordError, directly, in a deferred function or through a helper. The
rule makes one report per span and lists the returns. It knows which branches of a
condition have a nil error, and accepts an error that is expressly picked out, as
in if errors.Is(err, ErrGone), a variable such as io.EOF or ErrNotFound that names
an outcome, and ctx.Err().`,
	URL:      home + "errorstatus",
	Run:      runErrorStatus,
	Requires: []*analysis.Analyzer{ctrlflow.Analyzer, functionFacts, Ignore},
}

func runErrorStatus(pass *analysis.Pass) (any, error) {
	k := pass.ResultOf[functionFacts].(*known)
	for f := range functions(pass) {
		index := f.errorResult(pass.TypesInfo)
		if index < 0 {
			continue
		}
		for _, d := range f.derivations(pass.TypesInfo) {
			if d.start == nil || d.span == nil || f.handedOn(pass.TypesInfo, k, d.span) {
				continue
			}
			e := &errorPaths{pass: pass, known: k, f: f, d: d, index: index, unset: make(map[*ast.ReturnStmt]bool)}
			e.explore()
			e.report()
		}
	}
	return nil, nil
}

// errorResult returns the index of the last result if it is an error, or -1.
func (f *function) errorResult(info *types.Info) int {
	if f.typ.Results == nil {
		return -1
	}
	n := f.typ.Results.NumFields()
	last := f.typ.Results.List[len(f.typ.Results.List)-1]
	if !isError(info.TypeOf(last.Type)) {
		return -1
	}
	return n - 1
}

// namedError returns the name of the function's error result, or "".
func (f *function) namedError() string {
	last := f.typ.Results.List[len(f.typ.Results.List)-1]
	if n := len(last.Names); n > 0 && last.Names[n-1].Name != "_" {
		return last.Names[n-1].Name
	}
	return ""
}

// handedOn reports whether the span leaves the function, so that its status may
// be set elsewhere: it is an argument, a result, or stored. A helper that is
// known to set the status keeps it here.
func (f *function) handedOn(info *types.Info, k *known, span *types.Var) bool {
	if span.Pos() < f.node.Pos() || span.Pos() >= f.node.End() {
		return true
	}
	found := false
	ast.Inspect(f.body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			callee := calleeFunc(info, n)
			for i, a := range n.Args {
				if variable(info, a) == span && !derives(callee) && !k.setsStatusOf(callee, i) {
					found = true
				}
			}
		case *ast.UnaryExpr:
			found = found || n.Op == token.AND && variable(info, n.X) == span
		case *ast.ReturnStmt:
			for _, r := range n.Results {
				found = found || variable(info, r) == span
			}
		case *ast.CompositeLit:
			for _, e := range n.Elts {
				if kv, ok := e.(*ast.KeyValueExpr); ok {
					e = kv.Value
				}
				found = found || variable(info, e) == span
			}
		case *ast.SelectorExpr: // a method value: defer stop(span.End)
			found = found || variable(info, n.X) == span && n.Sel.Name == "RecordError" && !called(f.body, n)
		case *ast.AssignStmt:
			for _, r := range n.Rhs {
				found = found || variable(info, r) == span
			}
		}
		return !found
	})
	return found
}

func called(body ast.Node, fun ast.Expr) bool {
	found := false
	ast.Inspect(body, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && call.Fun == fun {
			found = true
		}
		return !found
	})
	return found
}

// errorPaths follows the paths from the start of one span to the returns.
type errorPaths struct {
	pass  *analysis.Pass
	known *known
	f     *function
	d     *derivation
	index int // of the error result
	unset map[*ast.ReturnStmt]bool
	seen  map[string]bool
	gaveU bool
}

// maxStates bounds the exploration of one function; beyond it nothing is reported.
const maxStates = 20000

// explore visits every path after the start with what is known of the errors on it.
func (e *errorPaths) explore() {
	e.seen = make(map[string]bool)
	if e.f.cfg == nil {
		return
	}
	for _, b := range e.f.cfg.Blocks {
		for i, n := range b.Nodes {
			if contains(n, e.d.stmt) {
				e.walk(b, i+1, nil)
				return
			}
		}
	}
}

// errorsKnown maps error variables to whether they are nil on a path.
type errorsKnown map[*types.Var]bool

func (k errorsKnown) with(v *types.Var, null bool) errorsKnown {
	c := maps.Clone(k)
	if c == nil {
		c = make(errorsKnown)
	}
	c[v] = null
	return c
}

func (k errorsKnown) key() string {
	var parts []string
	for v, null := range k {
		parts = append(parts, fmt.Sprintf("%d=%t", v.Pos(), null))
	}
	slices.Sort(parts)
	return strings.Join(parts, ",")
}

func (e *errorPaths) walk(b *cfg.Block, i int, errs errorsKnown) {
	info := e.pass.TypesInfo
	key := fmt.Sprintf("%d/%d/%s", b.Index, i, errs.key())
	if e.seen[key] || len(e.seen) > maxStates {
		e.gaveU = e.gaveU || len(e.seen) > maxStates
		return
	}
	e.seen[key] = true
	for ; i < len(b.Nodes); i++ {
		n := b.Nodes[i]
		if contains(n, e.d.stmt) || e.sets(n) || assigns(info, n, e.d.span) {
			return
		}
		if ends(info, n, e.d.span) {
			e.ended(b.Nodes[i+1:], errs)
			return
		}
		if r, ok := n.(*ast.ReturnStmt); ok {
			if e.returnsError(r, errs) {
				e.unset[r] = true
			}
			return
		}
		errs = e.assigned(n, errs)
	}
	if len(b.Succs) == 2 && len(b.Nodes) > 0 {
		if cond, ok := b.Nodes[len(b.Nodes)-1].(ast.Expr); ok {
			for side, s := range b.Succs {
				for _, after := range e.branch(cond, side == 0, errs) {
					e.walk(s, 0, after)
				}
			}
			return
		}
	}
	for _, s := range b.Succs {
		e.walk(s, 0, errs)
	}
}

// ended looks at what follows the end of the span in its block: an error that
// was known before it, and is returned at once, happened within the span.
func (e *errorPaths) ended(rest []ast.Node, errs errorsKnown) {
	failed := false
	for _, null := range errs {
		failed = failed || !null
	}
	for _, n := range rest {
		if r, ok := n.(*ast.ReturnStmt); ok && failed && e.returnsError(r, errs) {
			e.unset[r] = true
		}
	}
}

// sets reports whether n gives the span its status, or arranges for that.
func (e *errorPaths) sets(n ast.Node) bool {
	info := e.pass.TypesInfo
	if calls(info, n, e.d.span, "SetStatus", "RecordError") {
		return true
	}
	found := false
	ast.Inspect(n, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || found {
			return !found
		}
		f := calleeFunc(info, call)
		for i, a := range call.Args {
			if v := variable(info, a); v != nil && (v == e.d.ctx || v == e.d.span) && e.known.setsStatusOf(f, i) {
				found = true
			}
		}
		if x, name := methodCall(call); name == "SetStatus" || name == "RecordError" {
			// trace.SpanFromContext(ctx).RecordError(err)
			found = found || isSpan(info.TypeOf(x)) && e.d.ctx != nil && uses(info, x, e.d.ctx)
		}
		return !found
	})
	return found
}

// assigned forgets what is known of the errors that n assigns, and notes those
// that it sets to nil or to an error.
func (e *errorPaths) assigned(n ast.Node, errs errorsKnown) errorsKnown {
	info := e.pass.TypesInfo
	note := func(l ast.Expr, r ast.Expr) {
		v := variable(info, l)
		if v == nil || !isError(v.Type()) {
			return
		}
		if _, ok := errs[v]; ok {
			errs = maps.Clone(errs)
			delete(errs, v)
		}
		switch {
		case r == nil:
		case info.Types[r].IsNil():
			errs = errs.with(v, true)
		case makesError(info, r):
			errs = errs.with(v, false)
		}
	}
	inspectShallow(n, func(n ast.Node) {
		switch n := n.(type) {
		case *ast.AssignStmt:
			for i, l := range n.Lhs {
				var r ast.Expr
				if len(n.Rhs) == len(n.Lhs) {
					r = n.Rhs[i]
				}
				note(l, r)
			}
		case *ast.ValueSpec:
			for i, id := range n.Names {
				switch {
				case len(n.Values) == len(n.Names):
					note(id, n.Values[i])
				case len(n.Values) == 0:
					if v, ok := info.Defs[id].(*types.Var); ok && isError(v.Type()) {
						errs = errs.with(v, true)
					}
				}
			}
		}
	})
	return errs
}

// branch returns what may be known of the errors if cond has the given value,
// one for each way to that value. Left out are ways of no concern: those that
// cannot be gone, on which the span does not record, or on which the error is
// expressly picked out.
func (e *errorPaths) branch(cond ast.Expr, value bool, errs errorsKnown) []errorsKnown {
	info := e.pass.TypesInfo
	same := []errorsKnown{errs}
	unless := func(handled bool) []errorsKnown {
		if handled {
			return nil
		}
		return same
	}
	switch c := ast.Unparen(cond).(type) {
	case *ast.UnaryExpr:
		if c.Op == token.NOT {
			return e.branch(c.X, !value, errs)
		}
	case *ast.BinaryExpr:
		switch c.Op {
		case token.LAND, token.LOR:
			// The value that decides without the second operand.
			short := c.Op == token.LOR
			var out []errorsKnown
			if value == short {
				out = e.branch(c.X, short, errs)
			}
			for _, after := range e.branch(c.X, !short, errs) {
				out = append(out, e.branch(c.Y, value, after)...)
			}
			return out
		case token.EQL, token.NEQ:
			equal := value == (c.Op == token.EQL)
			v, other := variable(info, c.X), c.Y
			if v == nil || !isError(v.Type()) {
				v, other = variable(info, c.Y), c.X
			}
			if v == nil || !isError(v.Type()) { // status.Code(err) == codes.NotFound
				return unless(equal && (codeOf(info, c.X) || codeOf(info, c.Y)))
			}
			if !info.Types[other].IsNil() { // err == io.EOF
				return unless(equal)
			}
			if null, ok := errs[v]; ok && null != equal {
				return nil
			}
			return []errorsKnown{errs.with(v, equal)}
		}
	case *ast.CallExpr:
		if x, name := methodCall(c); x != nil && name == "IsRecording" {
			return unless(!value)
		}
		for _, a := range c.Args { // errors.Is(err, …), apierrors.IsNotFound(err)
			if v := variable(info, a); v != nil && isError(v.Type()) && value {
				return nil
			}
		}
	}
	return same
}

// returnsError reports whether the return may have an error other than nil.
func (e *errorPaths) returnsError(r *ast.ReturnStmt, errs errorsKnown) bool {
	info := e.pass.TypesInfo
	if len(r.Results) == 0 { // a bare return
		name := e.f.namedError()
		for v, null := range errs {
			if v.Name() == name {
				return !null
			}
		}
		return false
	}
	if len(r.Results) <= e.index {
		return true // return f()
	}
	result := ast.Unparen(r.Results[e.index])
	if info.Types[result].IsNil() {
		return false
	}
	if v := variable(info, result); v != nil {
		if null, ok := errs[v]; ok {
			return !null
		}
	}
	if expected(leaf(info, result)) {
		return false
	}
	call, ok := result.(*ast.CallExpr)
	if ok && cancellation(info, call) {
		return false
	}
	if ok && wraps(info, call) {
		// A wrapper such as errors.Wrap(err, "…") is nil for a nil error.
		for _, a := range call.Args {
			if v := variable(info, a); v != nil {
				if null, ok := errs[v]; ok && null {
					return false
				}
			}
		}
	}
	return true
}

func (e *errorPaths) report() {
	if e.gaveU || len(e.unset) == 0 {
		return
	}
	returns := slices.SortedFunc(maps.Keys(e.unset), func(a, b *ast.ReturnStmt) int { return int(a.Pos() - b.Pos()) })
	lines := make([]string, 0, len(returns))
	d := analysis.Diagnostic{Pos: e.d.call.Pos(), End: e.d.call.End()}
	for _, r := range returns {
		lines = append(lines, fmt.Sprint(e.pass.Fset.Position(r.Pos()).Line))
	}
	noun := "line"
	if len(lines) > 1 {
		noun = "lines"
	}
	d.Message = fmt.Sprintf("span%s stays unset when an error is returned (%s %s): call SetStatus or RecordError",
		e.d.named(e.pass.TypesInfo), noun, strings.Join(lines, ", "))
	d.SuggestedFixes = e.fix(returns)
	report(e.pass, d)
}
