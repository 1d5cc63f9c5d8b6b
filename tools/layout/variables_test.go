package layout

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const operating = "docs/operating-services.md"

// readByTheSDKs are the variables that are documented and that no code of ours names.
var readByTheSDKs = []string{"OTEL_SERVICE_NAME", "OTEL_EXPORTER_OTLP_INSECURE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_KEY"}

// variablesOf returns the names of environment variables that stand as strings in the sources below dir.
func variablesOf(t *testing.T, dir, suffix string) map[string]string {
	t.Helper()
	name := regexp.MustCompile(`"((?:OTEL|TRACING|THROUGHLINE)_[A-Z_]*[A-Z])"`)
	found := map[string]string{}
	err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{"tests", "testdata", "bench", "benchmarks", "tracegen", "tracelint"}, d.Name()) {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, suffix) || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range name.FindAllStringSubmatch(string(b), -1) {
			found[m[1]] = path
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 10 {
		t.Fatalf("only %d variables in %s", len(found), dir)
	}
	return found
}

// Every variable that the tracing packages read is documented, and every documented one is read.
func TestTracingVariablesAreDocumented(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(root, operating))
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(b), "\n## Tracing\n")
	if !ok {
		t.Fatalf("%s has no section Tracing", operating)
	}
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile("`((?:OTEL|TRACING|THROUGHLINE)_[A-Z_]+)`").FindAllStringSubmatch(section, -1) {
		documented[m[1]] = true
	}
	read := map[string]bool{}
	for dir, suffix := range map[string]string{"tracing/go": ".go", "tracing/python/src": ".py"} {
		for name, path := range variablesOf(t, dir, suffix) {
			read[name] = true
			if !documented[name] {
				t.Errorf("%s reads %s, which is not in %s", path, name, operating)
			}
		}
	}
	for name := range documented {
		if !read[name] && !slices.Contains(readByTheSDKs, name) {
			// The general variable of two is put together from parts.
			if strings.HasPrefix(name, "OTEL_EXPORTER_OTLP_") {
				continue
			}
			t.Errorf("%s has %s, which nothing reads", operating, name)
		}
	}
}
