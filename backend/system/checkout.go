// Package system runs the whole example system from a checkout: the backend in
// this process, articles and suggestions as child processes.
//
// It sets up what is missing (the articles binary, the Python environment, the
// mock data), starts the services in the order of their dependencies, waits
// until each is ready, and stops all of them together. A service that it
// started never outlives it: each hangs on a pipe whose other end only this
// process holds, so that even SIGKILL here ends them. It does not restart a
// service that ends: that is shown, and everything stops.
package system

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// ErrNoCheckout says that no directory upward holds the example services.
var ErrNoCheckout = errors.New("not inside a checkout")

// Checkout is the root directory of the project's source.
type Checkout string

// FindCheckout looks for the go.work that has the example services beside it,
// from dir upward.
func FindCheckout(dir string) (Checkout, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for at := abs; ; at = filepath.Dir(at) {
		c := Checkout(at)
		if isFile(c.path("go.work")) && isFile(c.path("apps", "articles", "go.mod")) {
			return c, nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("%w: no go.work with apps/articles beside it in %q or above; clone the repository and run this inside it, or run `throughline serve` for the backend alone",
				ErrNoCheckout, abs)
		}
	}
}

func (c Checkout) path(elem ...string) string {
	return filepath.Join(append([]string{string(c)}, elem...)...)
}

// ArticlesFile is where articles reads its data.
func (c Checkout) ArticlesFile() string {
	return c.path("apps", "articles", "mocks", "articles.json")
}

// SuggestionsFile is where suggestions reads its data.
func (c Checkout) SuggestionsFile() string {
	return c.path("apps", "suggestions", "mocks", "suggestions.json")
}

// DataDir is where the system with these ports moved keeps its spans, so that
// two systems of one checkout do not share a directory.
func (c Checkout) DataDir(offset int) string {
	name := "data"
	if offset != 0 {
		name += "-" + strconv.Itoa(offset)
	}
	return c.path(".throughline", name)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
