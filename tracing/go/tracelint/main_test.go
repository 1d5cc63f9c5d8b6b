package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// build builds the command once and copies the samples, a module that uses the
// real OpenTelemetry API, to a folder that the test may change.
func build(t *testing.T) (tool, samples string) {
	t.Helper()
	t.Setenv("GOWORK", "off")
	dir := t.TempDir()
	tool = filepath.Join(dir, "tracelint")
	if out, err := exec.Command("go", "build", "-o", tool, ".").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	samples = filepath.Join(dir, "samples")
	if err := os.CopyFS(samples, os.DirFS("rules/testdata")); err != nil {
		t.Fatal(err)
	}
	download := exec.Command("go", "mod", "download")
	download.Dir = samples
	if out, err := download.CombinedOutput(); err != nil {
		t.Fatalf("fetching the samples' dependencies: %v\n%s", err, out)
	}
	return tool, samples
}

func run(t *testing.T, dir, name string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// sorted orders the lines of an output, since go vet prints the rules in any order.
func sorted(text string) string {
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func TestCommand(t *testing.T) {
	tool, samples := build(t)

	t.Run("finds", func(t *testing.T) {
		_, stderr, code := run(t, samples, tool, "./article")
		if code != 1 {
			t.Errorf("exit code %d, want 1", code)
		}
		for _, want := range []string{
			"article/article.go:25:3: the context that otel.GetTextMapPropagator().Extract returns is thrown away",
			"Service: 3 of 4 methods instrumented",
		} {
			if !strings.Contains(stderr, want) {
				t.Errorf("no %q in:\n%s", want, stderr)
			}
		}
	})
	t.Run("finds nothing", func(t *testing.T) {
		stdout, stderr, code := run(t, samples, tool, "./good")
		if code != 0 || stdout != "" || stderr != "" {
			t.Errorf("exit code %d, output %q, %q; want 0 and none", code, stdout, stderr)
		}
	})
	t.Run("is a vet tool", func(t *testing.T) {
		_, direct, _ := run(t, samples, tool, "./article")
		_, vetted, code := run(t, samples, "go", "vet", "-vettool="+tool, "./article")
		if code != 1 || sorted(vetted) != sorted(direct) {
			t.Errorf("exit code %d, output:\n%s\nwant 1 and:\n%s", code, vetted, direct)
		}
	})
	t.Run("one rule", func(t *testing.T) {
		_, stderr, code := run(t, samples, tool, "-tracername", "./article")
		if code != 1 || strings.Count(stderr, "article.go:") != 1 || !strings.Contains(stderr, "without a name") {
			t.Errorf("exit code %d, output:\n%s", code, stderr)
		}
	})
	t.Run("all rules but one", func(t *testing.T) {
		_, stderr, code := run(t, samples, tool, "-tracername=false", "./article")
		if code != 1 || strings.Contains(stderr, "without a name") || !strings.Contains(stderr, "3 of 4") {
			t.Errorf("exit code %d, output:\n%s", code, stderr)
		}
	})
	t.Run("json", func(t *testing.T) {
		stdout, stderr, code := run(t, samples, tool, "-json", "./article")
		if code != 0 {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		// go vet writes a comment line before each package.
		_, object, _ := strings.Cut(stdout+stderr, "{")
		var tree map[string]map[string][]struct {
			Posn, Message string
		}
		if err := json.NewDecoder(strings.NewReader("{" + object)).Decode(&tree); err != nil {
			t.Fatalf("decoding %s: %v", object, err)
		}
		found := tree["example.com/shop/article"]["tracername"]
		if len(found) != 1 || !strings.HasSuffix(found[0].Posn, "article.go:54:23") {
			t.Errorf("findings of tracername: %v", found)
		}
	})
	t.Run("a package that does not compile", func(t *testing.T) {
		broken := filepath.Join(samples, "broken")
		if err := os.Mkdir(broken, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(broken, "broken.go"), []byte("package broken\n\nvar x int = \"\"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, stderr, code := run(t, samples, tool, "./broken")
		if code != 1 || !strings.Contains(stderr, "broken.go:3:13") {
			t.Errorf("exit code %d, output:\n%s", code, stderr)
		}
	})
	t.Run("help", func(t *testing.T) {
		stdout, _, code := run(t, samples, tool, "help", "lostcontext")
		if code != 0 || !strings.Contains(stdout, "Extract returns a new context") {
			t.Errorf("exit code %d, output:\n%s", code, stdout)
		}
	})
	t.Run("diff changes nothing", func(t *testing.T) {
		before, err := os.ReadFile(filepath.Join(samples, "article", "article.go"))
		if err != nil {
			t.Fatal(err)
		}
		stdout, stderr, code := run(t, samples, tool, "-fix", "-diff", "./article")
		if code != 1 {
			t.Errorf("exit code %d, want 1", code)
		}
		if !strings.Contains(stdout+stderr, "+\t\tr = r.WithContext(otel.GetTextMapPropagator().Extract(") {
			t.Errorf("no such line in:\n%s%s", stdout, stderr)
		}
		if after, _ := os.ReadFile(filepath.Join(samples, "article", "article.go")); !bytes.Equal(before, after) {
			t.Error("-diff changed the file")
		}
	})
	// Last, because it changes the samples.
	t.Run("fix", func(t *testing.T) {
		if stdout, stderr, code := run(t, samples, tool, "-fix", "./article"); code != 0 {
			t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
		}
		_, before, _ := run(t, filepath.Join("rules", "testdata"), tool, "./article")
		_, after, _ := run(t, samples, tool, "./article")
		if b, a := strings.Count(before, "article.go:"), strings.Count(after, "article.go:"); a >= b {
			t.Errorf("%d findings before, %d after:\n%s", b, a, after)
		}
		if strings.Contains(after, "thrown away") || strings.Contains(after, "http.NewRequest makes") {
			t.Errorf("left after the fixes:\n%s", after)
		}
		if _, stderr, code := run(t, samples, "go", "build", "./article"); code != 0 {
			t.Errorf("the fixed code does not compile: %s", stderr)
		}
	})
}

// The command is for people who run it without go too; it says what it lacks.
func TestWithoutGo(t *testing.T) {
	t.Setenv("PATH", "")
	var out, errs bytes.Buffer
	if code := vet("tracelint", []string{"./..."}, nil, &out, &errs); code != 2 {
		t.Errorf("exit code %d, want 2", code)
	}
	if !strings.HasPrefix(errs.String(), "tracelint: running go vet: ") {
		t.Errorf("message %q", errs.String())
	}
}
