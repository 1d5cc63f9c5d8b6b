package gen

import (
	"cmp"
	"fmt"
	"go/token"
	"go/types"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The packages that the templates use.
const (
	attributePath = "go.opentelemetry.io/otel/attribute"
	codesPath     = "go.opentelemetry.io/otel/codes"
	noopPath      = "go.opentelemetry.io/otel/trace/noop"
	tracePath     = "go.opentelemetry.io/otel/trace"
	fmtPath       = "fmt"

	// semconvPath is the oldest version whose ErrorType looks under the
	// wrappers of fmt.Errorf, so that the output asks for no newer
	// OpenTelemetry than it must.
	semconvPath = "go.opentelemetry.io/otel/semconv/v1.40.0"
)

// imports gives each imported package a name in the output that nothing else
// in the file or its package has.
type imports struct {
	own    string // path of the output's package
	byPath map[string]*imported
	taken  map[string]bool // not to be used by an import
	// tparams has the names of the wrapped types' parameters.
	tparams map[*types.TypeParam]string
}

type imported struct {
	path     string
	declared string // the package's own name
	name     string // its name in the output
	used     bool
}

func newImports(own string, declared map[string]token.Position, generated map[string]string, targets []*target) *imports {
	im := &imports{own: own, byPath: map[string]*imported{}, taken: map[string]bool{}, tparams: map[*types.TypeParam]string{}}
	for name := range declared {
		im.taken[name] = true
	}
	for name := range generated {
		im.taken[name] = true
	}
	for _, name := range types.Universe.Names() {
		im.taken[name] = true
	}
	// A type parameter would hide a declaration of the same name, which the
	// signature of an embedded interface may mean.
	hidden := maps.Clone(im.taken)
	for _, name := range []string{"span", "returned", "err"} { // parameters of the helpers
		hidden[name] = true
	}
	for _, t := range targets {
		names := maps.Clone(hidden)
		for _, p := range t.tparams {
			name := p.Obj().Name()
			if name == "_" {
				name = "T"
			}
			name = unique(name, names)
			names[name] = true
			im.taken[name] = true
			im.tparams[p] = name
		}
	}
	for _, known := range []struct{ path, name string }{
		{tracePath, "trace"},
		{attributePath, "attribute"},
		{codesPath, "codes"},
		{noopPath, "noop"},
		{semconvPath, "semconv"},
		{fmtPath, "fmt"},
		{"context", "context"},
		{"errors", "errors"},
	} {
		im.add(known.path, known.name, known.name)
	}
	return im
}

// unique returns name, or name with the first number that makes it so.
func unique(name string, taken map[string]bool) string {
	for n, candidate := 2, name; ; n++ {
		if !taken[candidate] && candidate != "_" {
			return candidate
		}
		candidate = fmt.Sprintf("%s%d", name, n)
	}
}

// add reserves a name for a package: the one wanted, if it is free.
func (im *imports) add(path, declared, want string) *imported {
	if p, ok := im.byPath[path]; ok {
		return p
	}
	name := want
	if im.taken[name] {
		name = declared
	}
	if im.taken[name] {
		// As people do: model of user/model becomes usermodel.
		if prefix := parent(path); prefix != "" && !im.taken[prefix+declared] {
			name = prefix + declared
		}
	}
	name = unique(name, im.taken)
	im.taken[name] = true
	p := &imported{path: path, declared: declared, name: name}
	im.byPath[path] = p
	return p
}

var notLetter = regexp.MustCompile(`[^a-z]`)

// parent returns the element before the last of an import path, as letters.
func parent(p string) string {
	dir := path.Dir(p)
	if versions.MatchString(path.Base(p)) {
		dir = path.Dir(dir)
	}
	return notLetter.ReplaceAllString(strings.ToLower(path.Base(dir)), "")
}

// use returns the name of a package in the output, and notes that it is used;
// "" for the output's own package.
func (im *imports) use(path, declared string) string {
	if path == im.own {
		return ""
	}
	p := im.add(path, declared, declared)
	p.used = true
	return p.name
}

// qualify returns a name of one of the templates' packages.
func (im *imports) qualify(path, name string) string {
	if pkg := im.use(path, base(path)); pkg != "" {
		return pkg + "." + name
	}
	return name
}

// base returns what people take a package's name to be from its path.
func base(p string) string {
	if name := path.Base(p); !version.MatchString(name) {
		return name
	}
	return path.Base(path.Dir(p))
}

var (
	version  = regexp.MustCompile(`^v[0-9]+$`)            // of a module
	versions = regexp.MustCompile(`^v[0-9]+(\.[0-9]+)*$`) // of anything
)

// declaration returns the import declaration: the standard library first.
func (im *imports) declaration(std func(path string) bool) string {
	groups := map[bool][]*imported{}
	for _, p := range im.byPath {
		if p.used {
			groups[std(p.path)] = append(groups[std(p.path)], p)
		}
	}
	var b strings.Builder
	b.WriteString("import (\n")
	for _, isStd := range []bool{true, false} {
		slices.SortFunc(groups[isStd], func(a, b *imported) int { return cmp.Compare(a.path, b.path) })
		for _, p := range groups[isStd] {
			if p.name == p.declared && p.name == base(p.path) {
				fmt.Fprintf(&b, "\t%q\n", p.path)
			} else {
				fmt.Fprintf(&b, "\t%s %q\n", p.name, p.path)
			}
		}
		if isStd && len(groups[true]) > 0 && len(groups[false]) > 0 {
			b.WriteString("\n")
		}
	}
	b.WriteString(")\n")
	return b.String()
}

// isIdent reports whether s can name something that is used.
func isIdent(s string) bool { return token.IsIdentifier(s) && s != "_" }

// title returns s with its first letter in upper case.
func title(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[size:]
}
