package rules

import (
	"encoding/json"
	"fmt"
	"go/types"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/analysistest"
)

// The samples are a module of their own, so that they are checked against the
// real OpenTelemetry API and this module does not depend on it. Its
// dependencies are fetched once, when the module cache lacks them.
func TestMain(m *testing.M) {
	cmd := exec.Command("go", "mod", "download")
	cmd.Dir = "testdata"
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "fetching the samples' dependencies: %v\n%s", err, out)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// Each rule finds the faults of its samples and nothing else, and its fixes make
// of them what the golden files hold. All rules together find the faults of the
// published code (article), and none in code that has none (good).
func TestRules(t *testing.T) {
	analysistest.RunWithSuggestedFixes(t, analysistest.TestData(), together(), "./...")
}

// The samples of every rule give what they should when their fixes are applied:
// code that compiles.
func TestFixedSamplesCompile(t *testing.T) {
	golden, err := filepath.Glob("testdata/*/*.golden")
	if err != nil || len(golden) == 0 {
		t.Fatalf("golden files: %d, %v", len(golden), err)
	}
	replace := make(map[string]string)
	for _, g := range golden {
		abs, err := filepath.Abs(g)
		if err != nil {
			t.Fatal(err)
		}
		replace[strings.TrimSuffix(abs, ".golden")] = abs
	}
	file := filepath.Join(t.TempDir(), "overlay.json")
	data, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "-overlay", file, "./...")
	cmd.Dir = "testdata"
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("building the fixed samples: %v\n%s", err, out)
	}
}

// together makes one analyzer of all, so that the samples' dependencies are
// loaded once. In a folder with the name of a rule it runs that rule, elsewhere
// every rule, with the rule's name before each message and without its fixes.
func together() *analysis.Analyzer {
	all := &analysis.Analyzer{Name: "together", Doc: "run the rules", Requires: []*analysis.Analyzer{Ignore}}
	seen := map[*analysis.Analyzer]bool{Ignore: true}
	for _, rule := range All() {
		for _, r := range rule.Requires {
			if !seen[r] {
				seen[r] = true
				all.Requires = append(all.Requires, r)
			}
		}
		all.FactTypes = append(all.FactTypes, rule.FactTypes...)
	}
	all.Run = func(pass *analysis.Pass) (any, error) {
		folder, _, _ := strings.Cut(strings.TrimPrefix(pass.Pkg.Path(), "example.com/shop/"), "/")
		own := ruleNames[folder]
		for _, rule := range All() {
			if own && rule.Name != folder {
				continue
			}
			one := *pass
			one.Analyzer = rule
			if !own {
				one.Report = func(d analysis.Diagnostic) {
					d.Message = rule.Name + ": " + d.Message
					d.SuggestedFixes = nil
					pass.Report(d)
				}
				one.ExportObjectFact = func(types.Object, analysis.Fact) {}
			}
			if _, err := rule.Run(&one); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}
	return all
}

// A comment may name each rule, and no other analyzer.
func TestRuleNames(t *testing.T) {
	for _, rule := range All() {
		if want := rule != Ignore; ruleNames[rule.Name] != want {
			t.Errorf("ruleNames[%q] = %t, want %t", rule.Name, ruleNames[rule.Name], want)
		}
	}
	if want := len(All()) - 1; len(ruleNames) != want {
		t.Errorf("%d names of rules, want %d", len(ruleNames), want)
	}
}
