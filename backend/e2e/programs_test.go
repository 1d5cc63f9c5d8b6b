//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The programs under test, built once from the checkout.
var (
	checkout    string
	throughline string
	articlesBin string
	pythonBin   string
)

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	var err error
	if checkout, err = filepath.Abs("../.."); err != nil {
		return fail(err)
	}
	dir, err := os.MkdirTemp("", "throughline-e2e-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	throughline = filepath.Join(dir, "throughline")
	articlesBin = filepath.Join(dir, "articles")
	pythonBin = filepath.Join(checkout, ".venv", "bin", "python")
	if _, err := os.Stat(pythonBin); err != nil {
		return fail(fmt.Errorf("%w: run these tests by `make e2e`, which makes .venv", err))
	}
	for _, b := range []struct{ out, dir, pkg string }{
		{throughline, filepath.Join(checkout, "backend"), "./cmd/throughline"},
		{articlesBin, filepath.Join(checkout, "apps", "articles"), "."},
	} {
		cmd := exec.Command("go", "build", "-o", b.out, b.pkg)
		cmd.Dir = b.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fail(fmt.Errorf("building %s: %w\n%s", b.pkg, err, out))
		}
	}
	return m.Run()
}

// program is one running process and what it has printed.
type program struct {
	name   string
	cmd    *exec.Cmd
	out    *log
	exited chan struct{}
}

type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// launch starts a program; it is killed at the test's end, and its output is
// shown when the test failed.
func launch(t testing.TB, name, dir string, env []string, argv ...string) *program {
	t.Helper()
	p := &program{name: name, out: &log{}, exited: make(chan struct{})}
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Dir = dir
	p.cmd.Env = append(cleanEnv(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.WaitDelay = 5 * time.Second
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(func() {
		p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.exited:
		case <-time.After(10 * time.Second):
			p.cmd.Process.Kill()
			<-p.exited
		}
		if t.Failed() {
			t.Logf("%s printed:\n%s", name, p.out)
		}
	})
	return p
}

// cleanEnv is this process's environment without what would steer the programs.
func cleanEnv() []string {
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		switch {
		case strings.HasPrefix(name, "OTEL_"), strings.HasPrefix(name, "TRACING_"), strings.HasPrefix(name, "THROUGHLINE_"),
			name == "PORT", name == "HOST":
		default:
			env = append(env, kv)
		}
	}
	return env
}

// signal sends it and waits for the end.
func (p *program) signal(t testing.TB, s os.Signal) {
	t.Helper()
	p.cmd.Process.Signal(s)
	select {
	case <-p.exited:
	case <-time.After(15 * time.Second):
		t.Fatalf("%s has not ended 15 s after %v", p.name, s)
	}
}

// freePort returns a port that nothing listens on.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// eventually waits until ok returns "", and fails with what it said last.
func eventually(t testing.TB, within time.Duration, ok func() string) {
	t.Helper()
	end := time.Now().Add(within)
	for {
		said := ok()
		if said == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("after %v: %s", within, said)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

var client = &http.Client{Timeout: 30 * time.Second}

// get returns the status and the body; the error is of the connection.
func get(ctx context.Context, url string, headers ...string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// mustGet fails the test unless the answer has the status.
func mustGet(t testing.TB, status int, url string, headers ...string) string {
	t.Helper()
	got, body, err := get(t.Context(), url, headers...)
	if err != nil {
		t.Fatal(err)
	}
	if got != status {
		t.Fatalf("GET %s: status %d, want %d: %s", url, got, status, body)
	}
	return body
}

func (p *program) awaitReady(t testing.TB, url string) {
	t.Helper()
	eventually(t, 30*time.Second, func() string {
		select {
		case <-p.exited:
			t.Fatalf("%s ended before it was ready:\n%s", p.name, p.out)
		default:
		}
		status, body, err := get(t.Context(), url)
		if err != nil {
			return err.Error()
		}
		if status != http.StatusOK {
			return fmt.Sprintf("%s: %d %s", url, status, body)
		}
		return ""
	})
}
