//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The script of the article, with its two arguments.
func TestGenerateMocks(t *testing.T) {
	script := filepath.Join(checkout, "scripts", "generate_mocks")
	dir := t.TempDir()
	run := func(args ...string) (string, error) {
		cmd := exec.Command(script, args...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	articles, suggestions := filepath.Join(dir, "a.json"), filepath.Join(dir, "s.json")
	if out, err := run("10", "5", "--articles-file", articles, "--suggestions-file", suggestions); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var list []struct{ ID, Author, Title, Text string }
	read(t, articles, &list)
	var ids map[string][]string
	read(t, suggestions, &ids)
	if len(list) != 10 || len(ids) != 10 || len(ids[list[0].ID]) != 5 {
		t.Errorf("%d articles, %d with suggestions", len(list), len(ids))
	}
	for _, args := range [][]string{{}, {"10"}, {"5", "5"}, {"ten", "5"}, {"10; touch x", "5"}} {
		out, err := run(args...)
		if err == nil || out == "" {
			t.Errorf("%q: error %v, output %q", args, err, out)
		}
	}
	if out, _ := run("5", "5"); !strings.Contains(out, "4 at most") {
		t.Errorf("%s", out)
	}
}

func read(t *testing.T, name string, into any) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatal(err)
	}
}
