package gen

import (
	"fmt"
	"go/constant"
	"go/types"
)

// attr is a span attribute of a method.
type attr struct {
	key string
	e   *expr
	// function is the constructor in package attribute, and convert the type
	// to convert the expression to first, if any.
	function, convert string
	after             bool // it needs results
	onSuccess         bool // it needs results that an error makes meaningless
}

// attr makes an attribute of a directive, or reports why it cannot.
func (g *generator) attr(t *target, m *method, d located) *attr {
	sc := scope{}
	sc.declare(m)
	e := g.expr(t, d, sc, m.ctx)
	if e == nil {
		return nil
	}
	if e.uses(func(v *variable) bool { return v == m.yielded }) {
		e.failf(e.node.Pos(), "the error is one of each iteration: it has no attribute")
		return nil
	}
	a := &attr{key: d.Key, e: e}
	a.after = e.uses(func(v *variable) bool { return v.result })
	a.onSuccess = m.err != nil && e.uses(func(v *variable) bool { return v.result && v != m.err })
	var ok bool
	if a.function, a.convert, ok = attributeFor(e); !ok {
		return nil
	}
	if a.function == "Stringer" && nilable(e.typ) {
		before := len(g.problems)
		e.require(guard{e.node, -1}, nil)
		if len(g.problems) > before {
			return nil
		}
	}
	if a.convert != "" {
		e.free[a.convert] = true
	}
	return a
}

// attributeFor chooses the attribute type for an expression.
func attributeFor(e *expr) (function, convert string, ok bool) {
	typ := types.Default(e.typ)
	if e.value != nil && e.value.Kind() == constant.Int {
		if _, exact := constant.Int64Val(e.value); !exact {
			e.failf(e.node.Pos(), "%s does not fit an attribute, which is an int64", e.value)
			return "", "", false
		}
	}
	switch u := typ.Underlying().(type) {
	case *types.Basic:
		function, convert = basicAttribute(u)
		if convert != "" && types.Identical(typ, types.Typ[u.Kind()]) && convert == u.Name() {
			convert = ""
		}
	case *types.Slice:
		if elem, isBasic := types.Unalias(u.Elem()).(*types.Basic); isBasic {
			function = map[types.BasicKind]string{
				types.String: "StringSlice", types.Bool: "BoolSlice", types.Int: "IntSlice",
				types.Int64: "Int64Slice", types.Float64: "Float64Slice",
			}[elem.Kind()]
		}
	}
	if _, param := types.Unalias(typ).(*types.TypeParam); param {
		function = ""
	}
	if function == "" && isStringer(typ) {
		return "Stringer", "", true
	}
	if function == "" {
		hint := ""
		if b, ok := typ.Underlying().(*types.Basic); ok && b.Info()&types.IsUnsigned != 0 {
			hint = fmt.Sprintf(": it may not fit; if it does, write int64(%s)", types.ExprString(e.node))
		} else if types.Implements(typ, errorType) {
			hint = ": the error is on the span already; if you must, take err.Error()"
		}
		e.failf(e.node.Pos(), "%s is of type %s, not a string, boolean, integer, float, slice of these, or fmt.Stringer%s",
			types.ExprString(e.node), types.TypeString(typ, types.RelativeTo(e.d.pkg.Types)), hint)
		return "", "", false
	}
	return function, convert, true
}

func basicAttribute(b *types.Basic) (function, convert string) {
	switch b.Kind() {
	case types.String:
		return "String", "string"
	case types.Bool:
		return "Bool", "bool"
	case types.Int:
		return "Int", "int"
	case types.Int8, types.Int16, types.Int32, types.Int64, types.Uint8, types.Uint16, types.Uint32:
		return "Int64", "int64"
	case types.Float32, types.Float64:
		return "Float64", "float64"
	}
	return "", ""
}

func isStringer(t types.Type) bool {
	obj, index, _ := types.LookupFieldOrMethod(t, false, nil, "String")
	fn, ok := obj.(*types.Func)
	return ok && index != nil && unnamed(fn.Signature()) == "() string"
}

// value returns the expression that makes the attribute.
func (a *attr) value(g *generator) string {
	x := a.e.String()
	if a.convert != "" {
		x = a.convert + "(" + x + ")"
	}
	return fmt.Sprintf("%s(%q, %s)", g.imports.qualify(attributePath, a.function), a.key, x)
}
