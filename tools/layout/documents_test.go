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

// documents are the Markdown files of the repository, by path.
func documents(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{"node_modules", ".git", ".venv", ".tools", "bin", "testdata"}, d.Name()) {
			return fs.SkipDir
		}
		if filepath.Ext(path) == ".md" {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			found[path] = string(b)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// anchor is the one that a heading gets.
func anchor(heading string) string {
	heading = regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(heading), "")
	return strings.ReplaceAll(heading, " ", "-")
}

func TestLinksBetweenDocumentsLeadSomewhere(t *testing.T) {
	all := documents(t)
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for path, text := range all {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target, fragment, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, ":") {
				continue // of another site
			}
			file := path
			if target != "" {
				file = filepath.Join(filepath.Dir(path), target)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s: %s: %v", path, m[1], err)
				continue
			}
			if fragment == "" {
				continue
			}
			headings := regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(all[file], -1)
			if !slices.ContainsFunc(headings, func(h []string) bool { return anchor(h[1]) == fragment }) {
				t.Errorf("%s: %s has no heading %q", path, file, fragment)
			}
		}
	}
}

// What docs/troubleshooting.md quotes of our programs is what they say.
func TestTroubleshootingQuotesWhatIsSaid(t *testing.T) {
	text := documents(t)[filepath.Join(root, "docs", "troubleshooting.md")]
	for quoted, said := range map[string][2]string{
		"spans are being lost":       {"tracing/go", "spans are being lost"},
		"dropped_total":              {"tracing/go", "dropped_total"},
		"queue full":                 {"tracing/python/src/throughline_tracing", "queue full"},
		"`N spans dropped`":          {"tracing/python/src/throughline_tracing", " dropped, "},
		"gRPC sent to the HTTP port": {"backend/ingest", "gRPC sent to the HTTP port"},
	} {
		files, err := filepath.Glob(filepath.Join(root, said[0], "*.[gp][oy]"))
		if err != nil {
			t.Fatal(err)
		}
		says := slices.ContainsFunc(files, func(file string) bool {
			b, err := os.ReadFile(file)
			return err == nil && !strings.HasSuffix(file, "_test.go") && strings.Contains(string(b), said[1])
		})
		if !says || !strings.Contains(text, quoted) {
			t.Errorf("%q is not what %s says", quoted, said[0])
		}
	}
}
