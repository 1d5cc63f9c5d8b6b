//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// guide returns the files of docs/instrument-your-service.md, by title.
func guide(t *testing.T) map[string]string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(checkout, "docs", "instrument-your-service.md"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, m := range regexp.MustCompile("(?ms)^```[a-z]+ title=(\\S+)\n(.*?)^```").FindAllStringSubmatch(string(b), -1) {
		files[m[1]] = m[2]
	}
	return files
}

// The guide's two services are run as it says, and make the trace that it shows.
func TestInstrumentYourService(t *testing.T) {
	files := guide(t)
	b := startBackends(t, 1)[0]
	dir := t.TempDir()
	run := func(argv ...string) {
		t.Helper()
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Dir = dir
		cmd.Env = append(cleanEnv(), "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", argv, err, out)
		}
	}
	for _, name := range []string{"main.go", "app.py"} {
		if files[name] == "" {
			t.Fatalf("the guide has no %s", name)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(files[name]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	run("go", "mod", "init", "example.com/shop")
	// The package of this checkout, with the versions that it is tested with.
	run("go", "mod", "edit", "-require=github.com/throughline/throughline/tracing/go@v0.0.0",
		"-replace=github.com/throughline/throughline/tracing/go="+filepath.Join(checkout, "tracing", "go"))
	run("go", "mod", "tidy")
	run("go", "vet", ".")
	run("go", "build", "-o", "shop", ".")

	backend := "TRACING_BACKEND_URL=" + b.otlpGRPC
	delay := "OTEL_BSP_SCHEDULE_DELAY=50"
	pricesPort, shop := freePort(t), fmt.Sprintf("127.0.0.1:%d", freePort(t))
	pricesURL := fmt.Sprintf("http://127.0.0.1:%d", pricesPort)
	prices := launch(t, "prices", dir, []string{backend, delay, fmt.Sprintf("PORT=%d", pricesPort)}, pythonBin, "app.py")
	prices.awaitReady(t, pricesURL+"/healthz")
	p := launch(t, "shop", dir, []string{backend, delay, "LISTEN=" + shop, "PRICES_URL=" + pricesURL}, "./shop")
	eventually(t, 20*time.Second, func() string {
		_, _, err := get(t.Context(), "http://"+shop+"/")
		if err != nil {
			return err.Error()
		}
		return ""
	})

	if body := mustGet(t, http.StatusOK, "http://"+shop+"/items/7", "traceparent", "00-"+callerTrace+"-"+callerSpan+"-01"); body != "a lamp costs 42 crowns\n" {
		t.Errorf("shop says %q", body)
	}
	want := files["trace"]
	got := dump(b.wholeTrace(t, callerTrace, strings.Count(want, "\n")), nil)
	if got != want {
		t.Errorf("the trace is\n%s\nand the guide shows\n%s", got, want)
	}
	if !strings.Contains(p.out.String(), `"trace_id":"`+callerTrace+`"`) {
		t.Errorf("the log has no trace id:\n%s", p.out)
	}
	mustGet(t, http.StatusNotFound, "http://"+shop+"/items/8")
	p.signal(t, os.Interrupt)
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("shop ends with status %d", code)
	}
}
