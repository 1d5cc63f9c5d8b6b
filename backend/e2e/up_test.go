//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/throughline/throughline/backend/system"
)

// freeOffset returns an offset at which all ports are free.
func freeOffset(t *testing.T) int {
	t.Helper()
	for range 100 {
		offset := 1000 + rand.IntN(25_000)
		if allFree(system.DefaultPorts(offset)) == "" {
			return offset
		}
	}
	t.Fatal("no free offset found")
	return 0
}

func numbers(p system.Ports) []int {
	return []int{p.UI, p.OTLPGRPC, p.OTLPHTTP, p.JaegerGRPC, p.Articles, p.Suggestions}
}

// allFree returns "" when nothing listens on any of the ports.
func allFree(p system.Ports) string {
	for _, port := range numbers(p) {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return err.Error()
		}
		l.Close()
	}
	return ""
}

type upSystem struct {
	*program
	*world
	offset int
	ports  system.Ports
}

// up runs `throughline up` in the checkout, as `make up` does, and waits for its
// table. What it kept is removed with the test.
func up(t *testing.T, args ...string) *upSystem {
	t.Helper()
	offset := freeOffset(t)
	t.Cleanup(func() { os.RemoveAll(system.Checkout(checkout).DataDir(offset)) })
	return upAt(t, offset, args...)
}

func upAt(t *testing.T, offset int, args ...string) *upSystem {
	t.Helper()
	u := &upSystem{offset: offset, ports: system.DefaultPorts(offset)}
	u.program = launch(t, "up", filepath.Join(checkout, "apps"), nil,
		append([]string{throughline, "up", "--port-offset", strconv.Itoa(offset)}, args...)...)
	eventually(t, 90*time.Second, func() string {
		select {
		case <-u.exited:
			t.Fatalf("up ended before it was ready:\n%s", u.out)
		default:
		}
		if strings.Contains(u.out.String(), "Throughline is ready.") {
			return ""
		}
		return "no table yet:\n" + u.out.String()
	})
	u.world = &world{
		ui:             fmt.Sprintf("http://localhost:%d", u.ports.UI),
		articlesURL:    fmt.Sprintf("http://localhost:%d", u.ports.Articles),
		suggestionsURL: fmt.Sprintf("http://localhost:%d", u.ports.Suggestions),
	}
	return u
}

func TestUpRunsEverythingAndStopsOnCtrlC(t *testing.T) {
	u := up(t)
	for _, want := range []string{u.ui, u.articlesURL + "/articles/v1/", u.suggestionsURL + "/suggestions/v1", strconv.Itoa(u.ports.OTLPGRPC), strconv.Itoa(u.ports.OTLPHTTP), "curl '"} {
		if !strings.Contains(u.out.String(), want) {
			t.Errorf("the table does not have %q:\n%s", want, u.out)
		}
	}
	// A trace of both services is there within a second of its request.
	before := len(u.traces(t, url.Values{"service": {"suggestions-service"}}))
	mustGet(t, http.StatusOK, u.articlesURL+"/articles/v1/?with_suggested=1")
	eventually(t, time.Second, func() string {
		for _, s := range u.traces(t, url.Values{"service": {"suggestions-service"}}) {
			if s.HasRoot && s.RootName == "GET /articles/v1/" && s.SpanCount >= 35 {
				return ""
			}
		}
		return "the trace is not there (before: " + strconv.Itoa(before) + ")"
	})
	if !strings.Contains(u.out.String(), "articles    | {") {
		t.Errorf("no prefixed log line of articles:\n%s", u.out)
	}
	u.signal(t, os.Interrupt)
	if code := u.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit status %d after Ctrl-C", code)
	}
	u.assertNothingLeft(t)
}

func TestUpKilledLeavesNothing(t *testing.T) {
	u := up(t)
	u.signal(t, syscall.SIGKILL)
	u.assertNothingLeft(t)
}

// Traces are there the next time, also after a kill -9.
func TestUpKeepsTraces(t *testing.T) {
	u := up(t)
	mustGet(t, http.StatusOK, u.articlesURL+"/articles/v1/?with_suggested=1")
	both := url.Values{"service": {"suggestions-service"}}
	whole := func(u *upSystem) func() string {
		return func() string {
			for _, s := range u.traces(t, both) {
				if s.HasRoot && s.RootName == "GET /articles/v1/" && s.SpanCount >= 35 {
					return ""
				}
			}
			return "the trace is not there"
		}
	}
	eventually(t, 15*time.Second, whole(u))
	u.signal(t, syscall.SIGKILL)
	u.assertNothingLeft(t)
	again := upAt(t, u.offset)
	eventually(t, 15*time.Second, whole(again))
	again.signal(t, os.Interrupt)
	again.assertNothingLeft(t)
	if problem := whole(upAt(t, u.offset))(); problem != "" {
		t.Error(problem)
	}
}

func TestUpStopsWhenAServiceEnds(t *testing.T) {
	u := up(t)
	articles := u.process(t, "bin/articles")
	syscall.Kill(articles, syscall.SIGKILL)
	select {
	case <-u.exited:
	case <-time.After(15 * time.Second):
		t.Fatal("up goes on without articles")
	}
	if code := u.cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(u.out.String(), "articles was ended by signal 9") {
		t.Errorf("exit status %d:\n%s", code, u.out)
	}
	u.assertNothingLeft(t)
}

// process finds the system's process whose command line has a word.
func (u *upSystem) process(t *testing.T, word string) int {
	t.Helper()
	for pid, line := range u.processes() {
		if strings.Contains(line, word) && !strings.Contains(line, system.GuardCommand) {
			return pid
		}
	}
	t.Fatalf("no process with %q", word)
	return 0
}

// processes are those with one of this system's ports in their environment, by
// pid, with their command lines.
func (u *upSystem) processes() map[int]string {
	found := map[int]string{}
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		env, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err != nil {
			continue
		}
		if bytes.Contains(env, fmt.Appendf(nil, "PORT=%d\x00", u.ports.Articles)) || bytes.Contains(env, fmt.Appendf(nil, "PORT=%d\x00", u.ports.Suggestions)) {
			line, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
			pid, _ := strconv.Atoi(filepath.Base(dir))
			found[pid] = string(bytes.ReplaceAll(line, []byte{0}, []byte{' '}))
		}
	}
	return found
}

func (u *upSystem) assertNothingLeft(t *testing.T) {
	t.Helper()
	eventually(t, 15*time.Second, func() string {
		if left := u.processes(); len(left) > 0 {
			return fmt.Sprintf("still running: %v", left)
		}
		return allFree(u.ports)
	})
}

func TestTwoSystemsRunSideBySide(t *testing.T) {
	one, two := up(t), up(t)
	mustGet(t, 200, one.articlesURL+"/articles/v1/?with_suggested=1")
	eventually(t, 5*time.Second, func() string {
		if len(one.traces(t, nil)) > 0 {
			return ""
		}
		return "no trace in the first system"
	})
	if got := two.traces(t, nil); len(got) != 0 {
		t.Errorf("the second system has the first one's traces: %+v", got)
	}
}

// upFails runs up and returns what it printed.
func upFails(t *testing.T, dir string, env []string, args ...string) string {
	t.Helper()
	cmd := exec.Command(throughline, append([]string{"up"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(cleanEnv(), env...)
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Fatalf("up %v did not fail:\n%s", args, out)
	}
	return string(out)
}

func TestUpSaysWhichPortIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	out := upFails(t, checkout, nil, "--port-offset", strconv.Itoa(freeOffset(t)), "--articles-port", port)
	for _, want := range []string{"port " + port + " for articles is taken", "--articles-port"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in: %s", want, out)
		}
	}
}

func TestUpOutsideACheckout(t *testing.T) {
	if out := upFails(t, t.TempDir(), nil); !strings.Contains(out, "not inside a checkout") {
		t.Errorf("%s", out)
	}
}

// scratch is a checkout in which nothing has been made yet.
func scratch(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, part := range []string{"apps", "tracing", "go.work", "backend/go.mod", "backend/go.sum"} {
		to := filepath.Join(dir, filepath.Dir(part))
		if err := os.MkdirAll(to, 0o755); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("cp", "-r", filepath.Join(checkout, part), to).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	for _, service := range []string{"articles", "suggestions"} {
		os.Remove(filepath.Join(dir, "apps", service, "mocks", service+".json"))
	}
	return dir
}

func TestUpWithoutPython(t *testing.T) {
	dir := scratch(t)
	out := upFails(t, dir, []string{"PATH=" + t.TempDir()}, "--port-offset", strconv.Itoa(freeOffset(t)))
	if !strings.Contains(out, "python 3 is not on PATH") {
		t.Errorf("%s", out)
	}
	for _, service := range []string{"articles", "suggestions"} {
		if _, err := os.Stat(filepath.Join(dir, "apps", service, "mocks", service+".json")); err != nil {
			t.Errorf("the mock data was not made: %v", err)
		}
	}
}

func TestUpWithHalfOfTheData(t *testing.T) {
	dir := scratch(t)
	mocks := filepath.Join(dir, "apps", "articles", "mocks")
	if err := os.MkdirAll(mocks, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(mocks, "articles.json"), []byte("[]"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out := upFails(t, dir, nil, "--port-offset", strconv.Itoa(freeOffset(t))); !strings.Contains(out, "scripts/generate_mocks") {
		t.Errorf("%s", out)
	}
}
