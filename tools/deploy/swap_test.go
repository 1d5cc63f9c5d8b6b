package deploy

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The script's steps, with two servers of Throughline in the places of Jaeger and Tempo; README says with which versions
// of those it was run.
func TestSwapScript(t *testing.T) {
	var args []string
	for range 2 {
		b := backend{otlp: freeAddress(t), ui: freeAddress(t)}
		b.start(t)
		args = append(args, b.otlp+",http://"+b.ui)
	}
	cmd := exec.Command(python, append([]string{filepath.Join(root, "scripts", "swap_backend")}, args...)...)
	cmd.Env = cleanEnv()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	for _, want := range []string{
		"jaeger has trace", "tempo has trace", "spans of articles-service, suggestions-service; parents that are missing: 0",
		"1. stop Jaeger\n2. start Tempo\n3. replace TRACING_BACKEND_URL in both .env.docker\n4. restart the services\n",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is not in what it said:\n%s", want, out)
		}
	}
	// A backend that is not there is said to be.
	out, err = exec.Command(python, filepath.Join(root, "scripts", "swap_backend"), "one").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "scripts/swap_backend JAEGER TEMPO") {
		t.Errorf("%v: %s", err, out)
	}
}
