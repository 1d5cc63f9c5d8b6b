package gen

import (
	"fmt"
	"go/types"
	"strconv"
	"strings"
)

// typeWriter spells types as the output must: packages by their names there,
// type parameters by theirs. A type that cannot be spelt outside its package
// stops it.
type typeWriter struct {
	g   *generator
	b   strings.Builder
	err error
}

// typeString spells t.
func (g *generator) typeString(t types.Type) (string, error) {
	w := typeWriter{g: g}
	w.write(t)
	return w.b.String(), w.err
}

func (w *typeWriter) failf(form string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(form, args...)
	}
}

func (w *typeWriter) print(s string) { w.b.WriteString(s) }

func (w *typeWriter) write(t types.Type) {
	switch t := t.(type) {
	case *types.Basic:
		w.basic(t)
	case *types.Alias:
		if obj := t.Obj(); !w.speakable(obj) && obj.Pkg() != nil {
			w.write(t.Rhs())
			return
		}
		w.object(t.Obj())
		w.typeArgs(t.TypeArgs())
	case *types.Named:
		if obj := t.Obj(); !w.speakable(obj) {
			if c, ok := strings.CutPrefix(obj.Name(), cgoPrefix); ok {
				w.failf("C.%s can be named only where C is imported", c)
			} else {
				w.failf("type %s of package %q cannot be named outside it", obj.Name(), obj.Pkg().Path())
			}
			return
		}
		w.object(t.Obj())
		w.typeArgs(t.TypeArgs())
	case *types.TypeParam:
		name, ok := w.g.imports.tparams[t]
		if !ok {
			name = t.Obj().Name()
		}
		w.print(name)
	case *types.Pointer:
		w.print("*")
		w.write(t.Elem())
	case *types.Slice:
		w.print("[]")
		w.write(t.Elem())
	case *types.Array:
		w.print("[" + strconv.FormatInt(t.Len(), 10) + "]")
		w.write(t.Elem())
	case *types.Map:
		w.print("map[")
		w.write(t.Key())
		w.print("]")
		w.write(t.Elem())
	case *types.Chan:
		w.channel(t)
	case *types.Signature:
		w.print("func")
		w.signature(t)
	case *types.Struct:
		w.structure(t)
	case *types.Interface:
		w.interfaceType(t)
	case *types.Union:
		for i := range t.Len() {
			if i > 0 {
				w.print(" | ")
			}
			if t.Term(i).Tilde() {
				w.print("~")
			}
			w.write(t.Term(i).Type())
		}
	default:
		w.failf("type %s cannot be written in Go", t)
	}
}

func (w *typeWriter) basic(t *types.Basic) {
	switch {
	case t.Kind() == types.Invalid:
		w.failf("its type has an error")
	case t.Kind() == types.UnsafePointer:
		w.print(w.g.imports.qualify("unsafe", "Pointer"))
	default:
		w.predeclared(t.Name())
	}
}

func (w *typeWriter) predeclared(name string) {
	if _, hidden := w.g.declared[w.g.out.Name][name]; hidden {
		w.failf("package %s declares its own %q", w.g.out.Name, name)
	}
	w.print(name)
}

// cgoPrefix starts the names of C's types.
const cgoPrefix = "_Ctype_"

// speakable reports whether the output can name obj.
func (w *typeWriter) speakable(obj types.Object) bool {
	switch pkg := obj.Pkg(); {
	case pkg == nil || pkg.Path() == w.g.out.PkgPath:
		return !strings.HasPrefix(obj.Name(), cgoPrefix)
	case !obj.Exported() || obj.Parent() != pkg.Scope():
		return false
	default:
		return w.g.importable(pkg)
	}
}

// importable reports whether the output's package may import pkg.
func (g *generator) importable(pkg *types.Package) bool {
	path := pkg.Path()
	if pkg.Name() == "main" || strings.HasPrefix(path, "vendor/") {
		return false
	}
	i := strings.LastIndex("/"+path+"/", "/internal/")
	if i < 0 {
		return true
	}
	parent := strings.TrimSuffix(path[:max(i-1, 0)], "/")
	own := strings.TrimSuffix(g.out.PkgPath, "_test")
	if parent == "" {
		return g.isStd(own)
	}
	return own == parent || strings.HasPrefix(own, parent+"/")
}

func (w *typeWriter) object(obj *types.TypeName) {
	if obj.Pkg() == nil {
		w.predeclared(obj.Name())
		return
	}
	w.print(w.g.qualified(obj))
}

// qualified names a package-level object of any package.
func (g *generator) qualified(obj types.Object) string {
	if name := g.imports.use(obj.Pkg().Path(), obj.Pkg().Name()); name != "" {
		return name + "." + obj.Name()
	}
	return obj.Name()
}

func (w *typeWriter) typeArgs(args *types.TypeList) {
	if args.Len() == 0 {
		return
	}
	w.print("[")
	for i := range args.Len() {
		if i > 0 {
			w.print(", ")
		}
		w.write(args.At(i))
	}
	w.print("]")
}

func (w *typeWriter) channel(t *types.Chan) {
	switch t.Dir() {
	case types.SendOnly:
		w.print("chan<- ")
	case types.RecvOnly:
		w.print("<-chan ")
	default:
		w.print("chan ")
		if elem, ok := t.Elem().(*types.Chan); ok && elem.Dir() == types.RecvOnly {
			w.print("(")
			w.write(elem)
			w.print(")")
			return
		}
	}
	w.write(t.Elem())
}

// signature writes parameters and results, with their names if they have any.
func (w *typeWriter) signature(sig *types.Signature) {
	w.print("(")
	w.tuple(sig.Params(), sig.Variadic())
	w.print(")")
	switch results := sig.Results(); {
	case results.Len() == 0:
	case results.Len() == 1 && results.At(0).Name() == "":
		w.print(" ")
		w.write(results.At(0).Type())
	default:
		w.print(" (")
		w.tuple(results, false)
		w.print(")")
	}
}

func (w *typeWriter) tuple(vars *types.Tuple, variadic bool) {
	for i := range vars.Len() {
		if i > 0 {
			w.print(", ")
		}
		v := vars.At(i)
		if v.Name() != "" {
			w.print(v.Name() + " ")
		}
		if variadic && i == vars.Len()-1 {
			w.variadic(v.Type())
		} else {
			w.write(v.Type())
		}
	}
}

func (w *typeWriter) variadic(t types.Type) {
	slice, ok := t.(*types.Slice)
	if !ok { // append's string, which no method has
		w.failf("variadic parameter of type %s", t)
		return
	}
	w.print("...")
	w.write(slice.Elem())
}

func (w *typeWriter) structure(t *types.Struct) {
	w.print("struct{")
	for i := range t.NumFields() {
		f := t.Field(i)
		if !f.Exported() && f.Pkg().Path() != w.g.out.PkgPath {
			w.failf("field %s of an unnamed struct belongs to package %q", f.Name(), f.Pkg().Path())
			return
		}
		if i > 0 {
			w.print("; ")
		} else {
			w.print(" ")
		}
		if !f.Embedded() {
			w.print(f.Name() + " ")
		}
		w.write(f.Type())
		if tag := t.Tag(i); tag != "" {
			quoted := "`" + tag + "`"
			if !strconv.CanBackquote(tag) {
				quoted = strconv.Quote(tag)
			}
			w.print(" " + quoted)
		}
	}
	if t.NumFields() > 0 {
		w.print(" ")
	}
	w.print("}")
}

func (w *typeWriter) interfaceType(t *types.Interface) {
	if t.IsImplicit() && t.NumEmbeddeds() == 1 && t.NumExplicitMethods() == 0 {
		w.write(t.EmbeddedType(0))
		return
	}
	if t.NumExplicitMethods() == 0 && t.NumEmbeddeds() == 0 {
		if _, hidden := w.g.declared[w.g.out.Name]["any"]; hidden {
			w.print("interface{}")
		} else {
			w.print("any")
		}
		return
	}
	w.print("interface{ ")
	sep := ""
	for m := range t.ExplicitMethods() {
		if !m.Exported() && m.Pkg().Path() != w.g.out.PkgPath {
			w.failf("method %s of an unnamed interface belongs to package %q", m.Name(), m.Pkg().Path())
			return
		}
		w.print(sep + m.Name())
		w.signature(m.Signature())
		sep = "; "
	}
	for e := range t.EmbeddedTypes() {
		w.print(sep)
		w.write(e)
		sep = "; "
	}
	w.print(" }")
}
