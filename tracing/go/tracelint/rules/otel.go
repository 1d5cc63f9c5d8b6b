package rules

import (
	"go/ast"
	"go/types"
	"strings"

	"golang.org/x/tools/go/types/typeutil"
)

const (
	tracePath       = "go.opentelemetry.io/otel/trace"
	baggagePath     = "go.opentelemetry.io/otel/baggage"
	propagationPath = "go.opentelemetry.io/otel/propagation"
	otelPath        = "go.opentelemetry.io/otel"
	otelhttpPath    = "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
)

// isNamed reports whether t, or what t points to, is the type path.name.
func isNamed(t types.Type, path, name string) bool {
	if t == nil {
		return false
	}
	if p, ok := types.Unalias(t).(*types.Pointer); ok {
		t = p.Elem()
	}
	n, ok := types.Unalias(t).(*types.Named)
	if !ok {
		return false
	}
	o := n.Obj()
	return o.Name() == name && o.Pkg() != nil && o.Pkg().Path() == path
}

func isContext(t types.Type) bool { return isNamed(t, "context", "Context") }

func isRequest(t types.Type) bool { return isNamed(t, "net/http", "Request") }

func isError(t types.Type) bool {
	return t != nil && types.Identical(t, types.Universe.Lookup("error").Type())
}

// isSpan reports whether t is a span: OpenTelemetry's, or a type of the
// program's own that can be ended and can record an error.
func isSpan(t types.Type) bool {
	if t == nil {
		return false
	}
	if isNamed(t, tracePath, "Span") {
		return true
	}
	switch types.Unalias(t).(type) {
	case *types.Named, *types.Pointer:
	default:
		return false
	}
	return hasMethod(t, "End") && hasMethod(t, "RecordError")
}

func hasMethod(t types.Type, name string) bool {
	obj, _, _ := types.LookupFieldOrMethod(t, true, nil, name)
	_, ok := obj.(*types.Func)
	return ok
}

// A start is a call that starts a span: Tracer.Start, or any function that
// returns a context and a span.
type start struct {
	call   *ast.CallExpr
	parent ast.Expr // the context argument; nil if there is none
	name   ast.Expr // the name argument of Tracer.Start; nil for other functions
	ctx    int      // index of the context among the results
	span   int      // index of the span among the results
}

func startOf(info *types.Info, call *ast.CallExpr) (start, bool) {
	tuple, ok := info.TypeOf(call).(*types.Tuple)
	if !ok || tuple.Len() != 2 {
		return start{}, false
	}
	s := start{call: call, ctx: -1, span: -1}
	for i := range 2 {
		switch t := tuple.At(i).Type(); {
		case isContext(t):
			s.ctx = i
		case isSpan(t):
			s.span = i
		}
	}
	if s.ctx < 0 || s.span < 0 {
		return start{}, false
	}
	for _, arg := range call.Args {
		if isContext(info.TypeOf(arg)) {
			s.parent = ast.Unparen(arg)
			break
		}
	}
	if f := calleeFunc(info, call); f != nil && f.Name() == "Start" && len(call.Args) >= 2 &&
		s.parent == ast.Unparen(call.Args[0]) && isTracer(receiver(f)) {
		s.name = call.Args[1]
	}
	return s, true
}

// isTracer reports whether t is OpenTelemetry's Tracer or one of its
// implementations.
func isTracer(t types.Type) bool {
	if t == nil {
		return false
	}
	if isNamed(t, tracePath, "Tracer") {
		return true
	}
	obj, _, _ := types.LookupFieldOrMethod(t, true, nil, "Start")
	f, ok := obj.(*types.Func)
	if !ok {
		return false
	}
	p := f.Signature().Params()
	return p.Len() == 3 && isContext(p.At(0).Type()) && f.Signature().Variadic() &&
		isNamed(p.At(2).Type().(*types.Slice).Elem(), tracePath, "SpanStartOption")
}

// isProvider reports whether t can make OpenTelemetry tracers and is not the
// no-op provider, whose tracers need no name.
func isProvider(t types.Type) bool {
	if t == nil || isNamed(t, tracePath+"/noop", "TracerProvider") {
		return false
	}
	obj, _, _ := types.LookupFieldOrMethod(t, true, nil, "Tracer")
	f, ok := obj.(*types.Func)
	if !ok {
		return false
	}
	sig := f.Signature()
	return sig.Results().Len() == 1 && isNamed(sig.Results().At(0).Type(), tracePath, "Tracer") &&
		sig.Params().Len() == 2 && sig.Variadic()
}

// isExtract reports whether call is TextMapPropagator.Extract of any propagator.
func isExtract(info *types.Info, call *ast.CallExpr) bool {
	f := calleeFunc(info, call)
	if f == nil || f.Name() != "Extract" {
		return false
	}
	p, r := f.Signature().Params(), f.Signature().Results()
	return p.Len() == 2 && r.Len() == 1 && isContext(p.At(0).Type()) && isContext(r.At(0).Type()) &&
		isNamed(p.At(1).Type(), propagationPath, "TextMapCarrier")
}

// derives reports whether f returns its context with a span or baggage added.
func derives(f *types.Func) bool {
	switch {
	case isFunc(f, tracePath, "ContextWithSpan", "ContextWithSpanContext", "ContextWithRemoteSpanContext"),
		isFunc(f, baggagePath, "ContextWithBaggage", "ContextWithoutBaggage"):
		return true
	}
	return false
}

// isFunc reports whether f is one of the package-level functions of path.
func isFunc(f *types.Func, path string, names ...string) bool {
	if f == nil || f.Pkg() == nil || f.Pkg().Path() != path || f.Signature().Recv() != nil {
		return false
	}
	for _, n := range names {
		if f.Name() == n {
			return true
		}
	}
	return false
}

func calleeFunc(info *types.Info, call *ast.CallExpr) *types.Func {
	f, _ := typeutil.Callee(info, call).(*types.Func)
	if f != nil {
		f = f.Origin()
	}
	return f
}

func receiver(f *types.Func) types.Type {
	if r := f.Signature().Recv(); r != nil {
		return r.Type()
	}
	return nil
}

// methodCall returns the receiver expression and method name of a call x.m(…).
func methodCall(call *ast.CallExpr) (ast.Expr, string) {
	sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr)
	if !ok {
		return nil, ""
	}
	return ast.Unparen(sel.X), sel.Sel.Name
}

// isLogging reports whether the called function or variable belongs to a logging
// package. Such functions take a context for its values, and are no part of the
// call tree that a trace shows.
func isLogging(f types.Object) bool {
	if f == nil || f.Pkg() == nil {
		return false
	}
	for part := range strings.SplitSeq(f.Pkg().Path(), "/") {
		switch part {
		case "log", "slog", "logr", "zap", "zerolog", "logrus", "klog", "bklog", "logger", "logging", "zapctx":
			return true
		}
	}
	name := strings.ToLower(f.Pkg().Name())
	return strings.HasSuffix(name, "log") || strings.HasPrefix(name, "log")
}

func isMetric(f *types.Func) bool {
	return f != nil && f.Pkg() != nil && strings.HasPrefix(f.Pkg().Path(), otelPath+"/metric")
}

// variable returns the variable that e names, or nil.
func variable(info *types.Info, e ast.Expr) *types.Var {
	id, ok := ast.Unparen(e).(*ast.Ident)
	if !ok {
		return nil
	}
	v, _ := info.ObjectOf(id).(*types.Var)
	return v
}
