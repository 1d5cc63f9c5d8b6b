package system

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/throughline/throughline/backend/mocks"
)

// The article's data set.
const (
	mockArticles    = 10
	mockSuggestions = 5
	mockSeed        = 1
)

// setup makes what the services need and is not there yet. Its say is told
// before each step that can take a while; the tools' own output is shown when
// one fails.
type setup struct {
	Checkout
	self string // the guard program
	say  func(format string, args ...any)
}

func (s setup) run(ctx context.Context) error {
	if err := s.mocks(ctx); err != nil {
		return err
	}
	if err := s.environment(ctx); err != nil {
		return err
	}
	return s.articles(ctx)
}

func (s setup) mocks(ctx context.Context) error {
	articles, suggestions := isFile(s.ArticlesFile()), isFile(s.SuggestionsFile())
	switch {
	case articles && suggestions:
		return nil
	case articles != suggestions:
		return fmt.Errorf("one of %q and %q is there without the other, and they belong together: make both anew with scripts/generate_mocks %d %d",
			s.ArticlesFile(), s.SuggestionsFile(), mockArticles, mockSuggestions)
	}
	s.say("making mock data: %d articles with %d suggestions each", mockArticles, mockSuggestions)
	return mocks.Write(ctx, mocks.Config{
		Articles: mockArticles, Suggestions: mockSuggestions, Seed: mockSeed,
		ArticlesFile: s.ArticlesFile(), SuggestionsFile: s.SuggestionsFile(),
	})
}

// articles builds the binary; the Go tool knows whether there is anything
// to do.
func (s setup) articles(ctx context.Context) error {
	binary := s.articlesBinary()
	if _, err := exec.LookPath("go"); err != nil {
		if isFile(binary) {
			s.say("no Go on PATH: using %s as it is", binary)
			return nil
		}
		return errors.New("go is not on PATH, and it is needed to build articles: install Go 1.26 or newer")
	}
	if !isFile(binary) {
		s.say("building articles")
	}
	return s.command(ctx, "go", "build", "-o", binary, "./apps/articles")
}

func (c Checkout) articlesBinary() string { return c.path("bin", "articles") }

// pythons are the names that an interpreter may have, the likeliest to suit first.
var pythons = []string{"python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10", "python"}

// environment makes .venv and fills it with what suggestions needs, unless that
// was done before for the same requirements.
func (s setup) environment(ctx context.Context) error {
	requirements := s.path("apps", "suggestions", "requirements", "requirements.txt")
	stamp, err := digest(requirements, s.path("tracing", "python", "pyproject.toml"))
	if err != nil {
		return err
	}
	stampFile := s.path(".venv", ".throughline-requirements")
	if done, err := os.ReadFile(stampFile); err == nil && string(done) == stamp && isFile(s.python()) {
		return nil
	}
	if !isFile(s.python()) {
		python, err := findPython(ctx)
		if err != nil {
			return err
		}
		s.say("making the Python environment .venv")
		if err := s.command(ctx, python, "-m", "venv", s.path(".venv")); err != nil {
			return fmt.Errorf("%w\nwhere Python comes without its venv module, install that (Debian, Ubuntu: apt-get install python3-venv)", err)
		}
	}
	s.say("installing what suggestions needs into .venv")
	pip := []string{"-m", "pip", "install", "--quiet", "--disable-pip-version-check"}
	if err := s.command(ctx, s.python(), append(pip, "--require-hashes", "-r", requirements)...); err != nil {
		return err
	}
	if err := s.command(ctx, s.python(), append(pip, "--no-deps", "--no-build-isolation", "-e", s.path("tracing", "python"))...); err != nil {
		return err
	}
	return os.WriteFile(stampFile, []byte(stamp), 0o644)
}

func (c Checkout) python() string { return c.path(".venv", "bin", "python") }

// findPython returns the first interpreter that is new enough.
func findPython(ctx context.Context) (string, error) {
	var seen []string
	for _, name := range pythons {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		out, err := exec.CommandContext(ctx, path, "-c", "import sys; print('%d.%d' % sys.version_info[:2], int(sys.version_info >= (3, 10)))").Output()
		version, enough, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
		if err == nil && enough == "1" {
			return path, nil
		}
		seen = append(seen, strings.TrimSpace(name+" "+version))
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if len(seen) > 0 {
		return "", fmt.Errorf("suggestions needs Python 3.10 or newer, and there is only %s: install python3", strings.Join(seen, ", "))
	}
	return "", errors.New("python 3 is not on PATH, and suggestions needs it: install python3 (3.10 or newer) with its venv module")
}

// command runs a tool in the checkout, guarded, so that it ends with the system;
// its output is part of the error.
func (s setup) command(ctx context.Context, name string, args ...string) error {
	path, err := exec.LookPath(name)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	cmd, lifeline, err := startGuarded(s.self, string(s.Checkout), nil, append([]string{path}, args...), &out)
	if err != nil {
		return err
	}
	defer lifeline.Close()
	stop := context.AfterFunc(ctx, func() { lifeline.Close() })
	defer stop()
	err = cmd.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("running %s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), err, strings.TrimSpace(out.String()))
	}
	return nil
}

func digest(files ...string) (string, error) {
	h := sha256.New()
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
