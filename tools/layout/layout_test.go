// Package layout holds the rules of the repository that no compiler checks:
// which package may import which, and what each module may depend on.
package layout

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const project = "github.com/throughline/throughline/"

// root is the top of the checkout, as seen from this package.
const root = "../.."

// modules are all Go modules of the project.
var modules = []string{"apps/articles", "backend", "tracing/go"}

// backendImports says which packages of backend each package of it may import,
// by path below backend. A package that is not listed here is a failure: add it
// where it belongs in cmd → {ingest, api, ui, client, analysis} → {store,
// traceql} → span.
var backendImports = map[string][]string{
	"cmd/throughline": {
		"api", "api/jaeger", "client", "export", "ingest", "load", "mcp", "mocks", "query", "server", "span", "store", "system", "terminal", "traceql", "tracefile", "ui",
	},
	"cmd/compare_backends": {"span"},

	"client":            {"span", "traceql"},
	"load":              {},
	"mcp":               {"client", "span", "terminal"},
	"terminal":          {"span"},
	"tracefile":         {"span"},
	"system":            {"mocks", "server", "store", "ui"},
	"server":            {"access", "api", "api/jaeger", "ingest", "store", "ui"},
	"server/servertest": {"server"},
	"api":               {"access", "api/jaeger", "api/reply", "api/tempo", "export", "query", "span", "store", "traceql"},
	"api/jaeger":        {"api/reply", "api/wire", "span", "store"},
	"api/tempo":         {"api/reply", "api/wire", "query", "span", "store", "traceql"},
	"api/reply":         {"query", "store", "traceql"},
	"api/wire":          {"api/reply"},
	"ingest":            {"access", "span", "store"},
	"access":            {},
	"export":            {"span", "store"},
	"query":             {"span", "store", "traceql"},
	"store":             {"span"},
	"store/storetest":   {"span", "store"},
	"ui":                {},
	"mocks":             {},
	"traceql":           {"span"},
	"span":              {},
	"e2e":               {"system"},
}

// directDependencies are the modules each module may require directly, with the
// reason each is there. Tests count too.
var directDependencies = map[string]map[string]string{
	"apps/articles": {
		"github.com/go-kit/kit":                         "the service's framework, as in the article",
		"github.com/google/go-cmp":                      "tests",
		"github.com/throughline/throughline/tracing/go": "its instrumentation",
		"go.opentelemetry.io/otel":                      "the API, for attributes",
		"go.opentelemetry.io/otel/trace":                "the API",
	},
	"tracing/go": {
		"github.com/google/go-cmp":                                        "tests",
		"go.opentelemetry.io/contrib/otelconf":                            "OTEL_CONFIG_FILE",
		"go.opentelemetry.io/contrib/propagators/autoprop":                "OTEL_PROPAGATORS",
		"go.opentelemetry.io/otel":                                        "the API",
		"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc": "OTLP over gRPC",
		"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp": "OTLP over HTTP",
		"go.opentelemetry.io/otel/exporters/stdout/stdouttrace":           "OTEL_TRACES_EXPORTER=console",
		"go.opentelemetry.io/otel/sdk":                                    "the SDK",
		"go.opentelemetry.io/otel/trace":                                  "the API",
	},
	"backend": {
		"github.com/brianvoe/gofakeit/v7":                                 "mock data",
		"github.com/bufbuild/protocompile":                                "tests",
		"github.com/getkin/kin-openapi":                                   "tests: the description of the native API",
		"github.com/go-logfmt/logfmt":                                     "the tags of Tempo's first search",
		"github.com/gofrs/flock":                                          "one set-up of a checkout at a time",
		"github.com/google/go-cmp":                                        "tests",
		"github.com/guptarohit/asciigraph":                                "charts in the terminal",
		"github.com/klauspost/compress":                                   "gzip, zstd",
		"github.com/modelcontextprotocol/go-sdk":                          "the Model Context Protocol",
		"github.com/prometheus/client_golang":                             "/metrics",
		"github.com/prometheus/client_model":                              "tests: what the parser gives",
		"github.com/prometheus/common":                                    "tests: a parser of /metrics",
		"github.com/rivo/uniseg":                                          "how wide text is in a terminal",
		"github.com/rogpeppe/go-internal":                                 "tests: scripts of the command line",
		"github.com/schollz/progressbar/v3":                               "progress of mocks and load",
		"github.com/spf13/cobra":                                          "the command line",
		"github.com/spf13/pflag":                                          "its flags",
		"go.opentelemetry.io/collector/pdata":                             "the oracle that our OTLP is tested against",
		"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc": "tests: the SDK's exporter, with TLS and tokens",
		"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp": "tests: likewise",
		"go.opentelemetry.io/otel/sdk":                                    "tests: likewise",
		"go.opentelemetry.io/proto/slim/otlp":                             "JSON of Tempo's messages",
		"go.uber.org/goleak":                                              "tests",
		"golang.org/x/sync":                                               "errgroup",
		"golang.org/x/term":                                               "is it a terminal",
		"golang.org/x/time":                                               "the rate of load",
		"google.golang.org/genproto/googleapis/rpc":                       "google.rpc.Status of OTLP errors",
		"google.golang.org/grpc":                                          "OTLP over gRPC",
		"google.golang.org/protobuf":                                      "OTLP's wire format",
	},
}

type pkg struct {
	ImportPath                         string
	Imports, TestImports, XTestImports []string
}

// list returns the packages of one module, of every build tag that the project uses.
func list(t *testing.T, module string) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-tags", "e2e", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = filepath.Join(root, module)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list in %s: %v", module, err)
	}
	var all []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestBackendImportsRunOneWay(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range list(t, "backend") {
		name := strings.TrimPrefix(p.ImportPath, project+"backend/")
		allowed, ok := backendImports[name]
		seen[name] = true
		if !ok {
			t.Errorf("package %s is not in the table of allowed imports", name)
			continue
		}
		for _, imported := range p.Imports {
			if to, ok := strings.CutPrefix(imported, project+"backend/"); ok && !slices.Contains(allowed, to) {
				t.Errorf("%s imports %s", name, to)
			}
		}
	}
	for name := range backendImports {
		if !seen[name] {
			t.Errorf("the table names %s, which is no package", name)
		}
	}
}

// What a service imports for its tracing must not bring a store with it, and
// the apps are what a user of the packages would write.
func TestModulesKeepApart(t *testing.T) {
	allowed := map[string][]string{"apps/articles": {"tracing/go"}}
	for _, module := range modules {
		for _, p := range list(t, module) {
			for _, imported := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
				to, ok := strings.CutPrefix(imported, project)
				if !ok || strings.HasPrefix(to+"/", module+"/") {
					continue
				}
				if !slices.ContainsFunc(allowed[module], func(m string) bool { return strings.HasPrefix(to+"/", m+"/") }) {
					t.Errorf("%s of module %s imports %s", p.ImportPath, module, to)
				}
			}
		}
	}
}

type modFile struct {
	Require []struct {
		Path     string
		Indirect bool
	}
	Replace []struct{ Old struct{ Path string } }
}

func readModFile(t *testing.T, module string) modFile {
	t.Helper()
	cmd := exec.Command("go", "mod", "edit", "-json")
	cmd.Dir = filepath.Join(root, module)
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("reading go.mod of %s: %v", module, err)
	}
	var f modFile
	if err := json.Unmarshal(out, &f); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestDirectDependencies(t *testing.T) {
	for _, module := range modules {
		allowed := directDependencies[module]
		required := map[string]bool{}
		for _, r := range readModFile(t, module).Require {
			if r.Indirect {
				continue
			}
			required[r.Path] = true
			if allowed[r.Path] == "" {
				t.Errorf("%s depends on %s, which is not in the table: add it with its reason, or do without", module, r.Path)
			}
		}
		for path := range allowed {
			if !required[path] {
				t.Errorf("the table allows %s for %s, which does not use it", path, module)
			}
		}
	}
}

// `go install …/backend/cmd/throughline@version` refuses a module that has
// replace directives.
func TestBackendHasNoReplace(t *testing.T) {
	for _, r := range readModFile(t, "backend").Replace {
		t.Errorf("backend/go.mod replaces %s", r.Old.Path)
	}
}
