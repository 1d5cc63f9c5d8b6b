package deploy

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What the article's published scripts, images and stacks do wrong, each a test of its own. Those of the images and
// compose files in general are the tests beside this one.
func TestSeedDefects(t *testing.T) {
	t.Run("D1 the Go image is built in one stage, as root, without a cache", func(t *testing.T) {
		for _, file := range []string{"apps/articles/Dockerfile", "backend/Dockerfile"} {
			text := read(t, file)
			if strings.Contains(text, "COPY . ") {
				t.Errorf("%s copies everything: each change of anything downloads the modules again", file)
			}
			download, code := strings.Index(text, "go mod download"), strings.Index(text, "go build")
			if download < 0 || code < download {
				t.Errorf("%s does not download before it builds", file)
			}
			for _, want := range []string{"FROM scratch\n", "\nUSER ", "\nHEALTHCHECK ", "-trimpath", `-ldflags="-s -w"`} {
				if !strings.Contains(text, want) {
					t.Errorf("%s: no %q", file, want)
				}
			}
		}
		for _, want := range []string{".git", ".venv", "bin"} {
			if !slices.Contains(strings.Split(read(t, ".dockerignore"), "\n"), want) {
				t.Errorf("%s goes into the build context", want)
			}
		}
	})
	t.Run("D2 the Python image runs a development server as root", func(t *testing.T) {
		text := read(t, "apps/suggestions/Dockerfile")
		for _, want := range []string{"--require-hashes", "\nUSER ", `CMD ["python", "app.py"]`} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q", want)
			}
		}
		if strings.Contains(text, "flask run") || strings.Contains(text, "FLASK_") {
			t.Error("the development server")
		}
		// Its stop by SIGTERM is part of TestImageOfSuggestions.
	})
	t.Run("D3 versions float, ports are open, order matters", func(t *testing.T) {
		for _, file := range composeFiles {
			for _, bad := range []string{":latest", "\nversion:", "external: true", "0.0.0.0:8"} {
				if strings.Contains(read(t, file), bad) {
					t.Errorf("%s has %q", file, bad)
				}
			}
		}
	})
	t.Run("D4 Jaeger is one that is no longer made", func(t *testing.T) {
		image := load(t, "jaeger/docker-compose.yaml").Services["jaeger"].Image
		if !strings.HasPrefix(image, "jaegertracing/jaeger:2.") {
			t.Errorf("image %s", image)
		}
	})
	t.Run("D5 Tempo does not load its configuration", func(t *testing.T) {
		text := read(t, "grafana", "tempo.yaml")
		for _, gone := range []string{"search_enabled", "search_tags_deny_list", "vParquet", "opencensus", "ingester:", "compactor:"} {
			if strings.Contains(text, gone) {
				t.Errorf("%s, which Tempo 3 does not know", gone)
			}
		}
		if image := load(t, "grafana/docker-compose.yaml").Services["tempo"].Image; !strings.HasPrefix(image, "grafana/tempo:3.") {
			t.Errorf("image %s", image)
		}
	})
	t.Run("D6 nothing writes to Prometheus", func(t *testing.T) {
		command := load(t, "grafana/docker-compose.yaml").Services["prometheus"].Command
		if slices.Contains(command, "--enable-feature=remote-write-receiver") || !slices.Contains(command, "--web.enable-remote-write-receiver") {
			t.Errorf("%q", command)
		}
		if len(readTempo(t).MetricsGenerator.Storage.RemoteWrite) != 1 {
			t.Error("Tempo writes no metrics")
		}
	})
	t.Run("D7 everybody is Grafana's administrator", func(t *testing.T) {
		env := load(t, "grafana/docker-compose.yaml").Services["grafana"].Environment
		if v := env["GF_AUTH_ANONYMOUS_ENABLED"]; v == nil || *v != "false" || env["GF_AUTH_ANONYMOUS_ORG_ROLE"] != nil || env["GF_AUTH_DISABLE_LOGIN_FORM"] != nil {
			t.Errorf("%v", env)
		}
		// The dashboard and the links have tests of their own.
	})
	t.Run("D8 the README knows one port", func(t *testing.T) {
		readme := read(t, "README.md")
		for _, project := range loadAll(t) {
			for name, s := range project.Services {
				for _, p := range s.Ports {
					if !strings.Contains(readme, p.Published) {
						t.Errorf("port %s of %s is not in the README", p.Published, name)
					}
				}
			}
		}
	})
	t.Run("D9 the data has repetitions", func(t *testing.T) {
		dir := t.TempDir()
		a, s := filepath.Join(dir, "a.json"), filepath.Join(dir, "s.json")
		cmd := exec.Command(throughline, "mocks", "--articles", "30", "--suggestions", "5", "--seed", "1", "--articles-file", a, "--suggestions-file", s)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		b, err := os.ReadFile(s)
		if err != nil {
			t.Fatal(err)
		}
		var suggestions map[string][]string
		if err := json.Unmarshal(b, &suggestions); err != nil {
			t.Fatal(err)
		}
		for id, list := range suggestions {
			slices.Sort(list)
			if len(slices.Compact(slices.Clone(list))) != 5 || slices.Contains(list, id) {
				t.Errorf("%s: %v", id, list)
			}
		}
		if len(suggestions) != 30 {
			t.Errorf("%d articles", len(suggestions))
		}
		if !regexp.MustCompile(`"\$1"[^\n]*"\$2"`).MatchString(read(t, "scripts", "generate_mocks")) {
			t.Error("the script's arguments are not quoted")
		}
	})
	t.Run("D10 no contract, no tests, no licence", func(t *testing.T) {
		for _, path := range []string{"LICENSE", ".ci/run", "testdata/contracts/tracecontext.json", "tracing/go/tracecontext.go", "tracing/python/src/throughline_tracing/_propagation.py"} {
			if _, err := os.Stat(filepath.Join(root, path)); err != nil {
				t.Error(err)
			}
		}
		// The services hold no propagation of their own.
		for _, dir := range []string{"apps/articles", "apps/suggestions"} {
			if _, err := os.Stat(filepath.Join(root, dir, "tracing")); err == nil {
				t.Errorf("%s has a copy of the instrumentation", dir)
			}
		}
	})
}
