package gen

import (
	"go/ast"
	"go/build"
	"go/build/constraint"
	"io"
	"path/filepath"
	"strings"
)

// fileConstraint returns the build constraint of a file, from its //go:build
// line and from its name, or "".
func fileConstraint(name string, f *ast.File) string {
	var parts []string
	if c := nameConstraint(filepath.Base(name)); c != "" {
		parts = append(parts, c)
	}
	for _, group := range f.Comments {
		if group.Pos() > f.Package {
			break
		}
		for _, c := range group.List {
			if constraint.IsGoBuild(c.Text) {
				text := strings.TrimSpace(strings.TrimPrefix(c.Text, "//go:build"))
				if len(parts) > 0 {
					text = "(" + text + ")"
				}
				parts = append(parts, text)
			}
		}
	}
	return strings.Join(parts, " && ")
}

// nameConstraint returns what a file name such as store_linux_amd64.go implies.
// Which words are operating systems and architectures, go/build knows.
func nameConstraint(name string) string {
	matches := func(goos, goarch string) bool {
		ctxt := build.Context{
			GOOS: goos, GOARCH: goarch, Compiler: "gc",
			OpenFile: func(string) (io.ReadCloser, error) {
				return io.NopCloser(strings.NewReader("package p\n")), nil
			},
		}
		ok, err := ctxt.MatchFile("", name)
		return ok && err == nil
	}
	const none = "none"
	if matches(none, none) {
		return ""
	}
	words := strings.Split(strings.TrimSuffix(strings.TrimSuffix(name, ".go"), "_test"), "_")
	last := words[len(words)-1]
	switch {
	case matches(last, none):
		return last
	case matches(none, last):
		return last
	case len(words) > 2 && matches(words[len(words)-2], last):
		return words[len(words)-2] + " && " + last
	}
	return ""
}
