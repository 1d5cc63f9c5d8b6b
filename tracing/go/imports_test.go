package tracing

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestImports: the library's packages import the standard library, OpenTelemetry and each other, so that a service
// which uses them takes on nothing else of ours.
func TestImports(t *testing.T) {
	allowed := []string{"go.opentelemetry.io/otel", "go.opentelemetry.io/contrib", "github.com/throughline/throughline/tracing/go"}
	files := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			// The others are modules of their own.
			if path == "tracegen" || path == "tracelint" || path == "bench" || d.Name() == "testdata" {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		files++
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			first, _, _ := strings.Cut(name, "/")
			ok := !strings.Contains(first, ".")
			for _, prefix := range allowed {
				ok = ok || name == prefix || strings.HasPrefix(name, prefix+"/")
			}
			if !ok {
				t.Errorf("%s imports %s", path, name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 20 {
		t.Errorf("%d files looked at", files)
	}
}
