//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"testing"
)

// What a person sees of the system that `throughline up` runs. The pictures are
// kept where THROUGHLINE_SCREENSHOTS says.
func TestBrowserSeesTheTraceAppear(t *testing.T) {
	u := up(t)
	shots := os.Getenv("THROUGHLINE_SCREENSHOTS")
	if shots == "" {
		shots = t.TempDir()
	}
	cmd := exec.Command("node", "browser.mjs", u.ui, u.articlesURL, shots)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
