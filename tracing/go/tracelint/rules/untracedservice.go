package rules

import (
	"fmt"
	"go/ast"
	"go/types"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"
)

// UntracedService reports services of which some or all methods have no span.
var UntracedService = &analysis.Analyzer{
	Name: "untracedservice",
	Doc: `check for services whose methods have no spans

A service is an exported interface with methods that take a context. The rule
reports a type that implements one and starts spans in two thirds of its methods or more, but not
in all ("Service: 3 of 4 methods instrumented"), which is what becomes of a wrapper
when the interface grows. It also reports a service without any span that another
package constructs and never wraps, if a tracing wrapper for it exists or if its
name ends in Service and the constructing package traces.

Methods such as Close and Ping, and those that call nothing, are not counted.`,
	URL:       home + "untracedservice",
	Run:       runUntracedService,
	FactTypes: []analysis.Fact{new(coverageFact)},
	Requires:  []*analysis.Analyzer{functionFacts, Ignore},
}

// A coverageFact says how many methods of an interface a type instruments. It
// is attached to the type, and to functions that make and return one.
type coverageFact struct {
	Interface string   // import path and name
	Wrapper   bool     // the type has a field of the interface
	Traced    []string // methods that start a span
	Missing   []string // methods that should
}

func (*coverageFact) AFact() {}

func (f *coverageFact) String() string {
	name := f.Interface[strings.LastIndexAny(f.Interface, "/.")+1:]
	return fmt.Sprintf("%s: %d of %d methods instrumented", name, len(f.Traced), f.total())
}

func (f *coverageFact) total() int { return len(f.Traced) + len(f.Missing) }

func runUntracedService(pass *analysis.Pass) (any, error) {
	if pass.Module == nil {
		return nil, nil // the standard library
	}
	s := &services{pass: pass, bodies: bodies(pass), found: make(map[*types.TypeName]*coverageFact)}
	s.spans = s.spanning()
	s.types()
	s.constructors()
	s.constructed()
	return nil, nil
}

type services struct {
	pass   *analysis.Pass
	bodies map[*types.Func]*ast.FuncDecl
	spans  map[*types.Func]bool // functions of the package that start a span, directly or not
	found  map[*types.TypeName]*coverageFact
}

func bodies(pass *analysis.Pass) map[*types.Func]*ast.FuncDecl {
	out := make(map[*types.Func]*ast.FuncDecl)
	for _, file := range pass.Files {
		for _, d := range file.Decls {
			if d, ok := d.(*ast.FuncDecl); ok && d.Body != nil {
				if fn, ok := pass.TypesInfo.Defs[d.Name].(*types.Func); ok {
					out[fn] = d
				}
			}
		}
	}
	return out
}

func (s *services) spanning() map[*types.Func]bool {
	spans := make(map[*types.Func]bool)
	for changed := true; changed; {
		changed = false
		for fn, d := range s.bodies {
			if spans[fn] {
				continue
			}
			ast.Inspect(d.Body, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok {
					_, starts := startOf(s.pass.TypesInfo, call)
					if starts || spans[calleeFunc(s.pass.TypesInfo, call)] {
						spans[fn], changed = true, true
					}
				}
				return !spans[fn]
			})
		}
	}
	return spans
}

// types finds the coverage of each type of the package, exports it, and reports
// those that are nearly complete.
func (s *services) types() {
	scope := s.pass.Pkg.Scope()
	for _, name := range scope.Names() {
		obj, ok := scope.Lookup(name).(*types.TypeName)
		if !ok || obj.IsAlias() || types.IsInterface(obj.Type()) {
			continue
		}
		if named, ok := obj.Type().(*types.Named); !ok || named.TypeParams().Len() > 0 {
			continue
		}
		fact := s.coverage(obj)
		if fact == nil {
			continue
		}
		s.found[obj] = fact
		s.pass.ExportObjectFact(obj, fact)
		if len(fact.Missing) > 0 && s.habit(obj, fact) && s.written(obj) {
			report(s.pass, analysis.Diagnostic{
				Pos: obj.Pos(), End: obj.Pos() + 1,
				Message: fmt.Sprintf("%s by %s; not %s", fact, name, list(fact.Missing)),
			})
		}
	}
}

// habit reports whether at least two thirds of the methods that count start a
// span by themselves, so that its author means each to have one.
func (s *services) habit(obj *types.TypeName, fact *coverageFact) bool {
	direct := 0
	for fn, d := range s.bodies {
		r := receiver(fn)
		if r == nil || d.Recv == nil || typeObject(r) != obj || !slices.Contains(fact.Traced, fn.Name()) {
			continue
		}
		starts := false
		ast.Inspect(d.Body, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				_, span := startOf(s.pass.TypesInfo, call)
				starts = starts || span || s.spans[calleeFunc(s.pass.TypesInfo, call)] && makesContext(s.pass.TypesInfo.TypeOf(call))
			}
			return !starts
		})
		if starts {
			direct++
		}
	}
	return direct*3 >= fact.total()*2
}

// makesContext reports whether a context is among the results of a call, as of
// a function that starts a span for its caller.
func makesContext(t types.Type) bool {
	tuple, ok := t.(*types.Tuple)
	if !ok {
		return isContext(t)
	}
	for v := range tuple.Variables() {
		if isContext(v.Type()) {
			return true
		}
	}
	return false
}

func typeObject(t types.Type) *types.TypeName {
	if p, ok := types.Unalias(t).(*types.Pointer); ok {
		t = p.Elem()
	}
	if n, ok := types.Unalias(t).(*types.Named); ok {
		return n.Obj()
	}
	return nil
}

// written reports whether obj stands in a file that a person wrote and ships.
func (s *services) written(obj types.Object) bool {
	for f := range files(s.pass) {
		if f.FileStart <= obj.Pos() && obj.Pos() < f.FileEnd {
			return true
		}
	}
	return false
}

func list(names []string) string {
	if len(names) > 4 {
		return strings.Join(names[:4], ", ") + fmt.Sprintf(" and %d more", len(names)-4)
	}
	return strings.Join(names, ", ")
}

// coverage returns what the type instruments of the service with the most
// methods among those it implements.
func (s *services) coverage(obj *types.TypeName) *coverageFact {
	pointer := types.NewPointer(obj.Type())
	var best *coverageFact
	for _, iface := range s.interfaces() {
		it := iface.Type().Underlying().(*types.Interface)
		if !types.Implements(pointer, it) {
			continue
		}
		c := &coverageFact{Interface: iface.Pkg().Path() + "." + iface.Name()}
		if st, ok := obj.Type().Underlying().(*types.Struct); ok {
			for f := range st.Fields() {
				c.Wrapper = c.Wrapper || types.Identical(f.Type(), iface.Type())
			}
		}
		for m := range it.Methods() {
			if !takesContext(m) || lifecycle[m.Name()] {
				continue
			}
			o, _, _ := types.LookupFieldOrMethod(pointer, true, obj.Pkg(), m.Name())
			fn, ok := o.(*types.Func)
			if !ok {
				continue
			}
			body := s.bodies[fn.Origin()]
			if body != nil && !callsAnything(body.Body) {
				continue
			}
			switch traced, known := s.traced(c, fn, body); {
			case !known:
			case traced:
				c.Traced = append(c.Traced, m.Name())
			default:
				c.Missing = append(c.Missing, m.Name())
			}
		}
		if c.total() >= 2 && (best == nil || c.total() > best.total()) {
			best = c
		}
	}
	return best
}

// traced reports whether the method starts a span, and whether that is known: of
// a method that is promoted from a type of another package, by that type's fact;
// of one that is promoted from an interface, if that is the service itself, which
// is wrapped.
func (s *services) traced(c *coverageFact, fn *types.Func, body *ast.FuncDecl) (traced, known bool) {
	if body != nil {
		return s.spans[fn.Origin()], true
	}
	if types.IsInterface(receiver(fn)) {
		return false, c.Wrapper
	}
	if promoted := s.of(receiver(fn)); promoted != nil {
		traced = slices.Contains(promoted.Traced, fn.Name())
		return traced, traced || slices.Contains(promoted.Missing, fn.Name())
	}
	return false, false
}

// interfaces lists the exported interfaces of this package and of those it imports.
func (s *services) interfaces() []*types.TypeName {
	var out []*types.TypeName
	add := func(p *types.Package) {
		for _, name := range p.Scope().Names() {
			obj, ok := p.Scope().Lookup(name).(*types.TypeName)
			if !ok || !obj.Exported() || obj.IsAlias() || !types.IsInterface(obj.Type()) {
				continue
			}
			if named, ok := obj.Type().(*types.Named); !ok || named.TypeParams().Len() > 0 {
				continue
			}
			out = append(out, obj)
		}
	}
	add(s.pass.Pkg)
	for _, p := range s.pass.Pkg.Imports() {
		if s.sameModule(p.Path()) {
			add(p)
		}
	}
	return out
}

func (s *services) sameModule(path string) bool {
	if m := s.pass.Module; m != nil && m.Path != "" {
		return path == m.Path || strings.HasPrefix(path, m.Path+"/")
	}
	return false
}

// lifecycle are methods that are no requests, though they take a context.
var lifecycle = map[string]bool{
	"Close": true, "Shutdown": true, "Start": true, "Stop": true, "Run": true, "Ping": true,
	"Health": true, "Healthy": true, "Ready": true, "IsReady": true, "Check": true,
}

func takesContext(m *types.Func) bool {
	p := m.Signature().Params()
	return p.Len() > 0 && isContext(p.At(0).Type())
}

func callsAnything(body ast.Node) bool {
	found := false
	ast.Inspect(body, func(n ast.Node) bool {
		if _, ok := n.(*ast.CallExpr); ok {
			found = true
		}
		return !found
	})
	return found
}

// constructors exports a fact for each function that returns a service it makes.
// The last literal counts: return &traced{next: &service{…}}.
func (s *services) constructors() {
	for fn, d := range s.bodies {
		if fn.Signature().Results().Len() == 0 || fn.Signature().Recv() != nil {
			continue
		}
		var best *coverageFact
		ast.Inspect(d.Body, func(n ast.Node) bool {
			lit, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			if c := s.of(s.pass.TypesInfo.TypeOf(lit)); c != nil && returns(fn, s.pass.TypesInfo.TypeOf(lit)) {
				if best == nil || len(c.Traced) > len(best.Traced) {
					best = c
				}
			}
			return true
		})
		if best != nil {
			s.pass.ExportObjectFact(fn, best)
		}
	}
}

// returns reports whether fn can return a t, or a pointer to one, as its first result.
func returns(fn *types.Func, t types.Type) bool {
	r := fn.Signature().Results().At(0).Type()
	return types.AssignableTo(t, r) || types.AssignableTo(types.NewPointer(t), r)
}

// of returns the coverage of the named type t, of this package or another, or of
// the type t points to.
func (s *services) of(t types.Type) *coverageFact {
	if p, ok := types.Unalias(t).(*types.Pointer); ok {
		t = p.Elem()
	}
	named, ok := types.Unalias(t).(*types.Named)
	if !ok {
		return nil
	}
	if named.Obj().Pkg() == s.pass.Pkg {
		return s.found[named.Obj()]
	}
	fact := new(coverageFact)
	if named.Obj().Pkg() != nil && s.pass.ImportObjectFact(named.Obj(), fact) {
		return fact
	}
	return nil
}

// constructed reports the services without a span that this package gets from
// another one's constructor and does not wrap.
func (s *services) constructed() {
	wrapped := make(map[string]bool)
	type site struct {
		call *ast.CallExpr
		fact *coverageFact
	}
	var sites []site
	for file := range files(s.pass) {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CompositeLit:
				if c := s.of(s.pass.TypesInfo.TypeOf(n)); c != nil && c.Wrapper && len(c.Traced) > 0 {
					wrapped[c.Interface] = true
				}
			case *ast.CallExpr:
				fn := calleeFunc(s.pass.TypesInfo, n)
				if fn == nil {
					return true
				}
				fact := new(coverageFact)
				if !s.pass.ImportObjectFact(fn, fact) {
					return true
				}
				switch {
				case fact.Wrapper && len(fact.Traced) > 0:
					wrapped[fact.Interface] = true
				case !fact.Wrapper && len(fact.Traced) == 0 && fn.Pkg() != s.pass.Pkg && s.sameModule(fn.Pkg().Path()):
					sites = append(sites, site{n, fact})
				}
			}
			return true
		})
	}
	if len(sites) == 0 {
		return
	}
	wrappers := make(map[string]string)
	for _, o := range s.pass.AllObjectFacts() {
		_, isFunc := o.Object.(*types.Func)
		if c, ok := o.Fact.(*coverageFact); ok && isFunc && c.Wrapper && len(c.Traced) > 0 {
			wrappers[c.Interface] = o.Object.Pkg().Name() + "." + o.Object.Name()
		}
	}
	for _, site := range sites {
		wrapper := wrappers[site.fact.Interface]
		if wrapped[site.fact.Interface] || wrapper == "" && !(strings.HasSuffix(site.fact.Interface, "Service") && s.traces()) {
			continue
		}
		message := fmt.Sprintf("%s: %s is never wrapped here", site.fact, source(site.call.Fun))
		if wrapper != "" {
			message += " by " + wrapper
		}
		report(s.pass, analysis.Diagnostic{Pos: site.call.Pos(), End: site.call.End(), Message: message})
	}
}

// traces reports whether the package imports OpenTelemetry.
func (s *services) traces() bool {
	for _, p := range s.pass.Pkg.Imports() {
		if strings.HasPrefix(p.Path(), "go.opentelemetry.io/") {
			return true
		}
	}
	return false
}
