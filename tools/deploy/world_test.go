package deploy

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// root is the repository's.
const root = "../.."

// asCollector makes the test binary be a Collector.
const asCollector = "THROUGHLINE_TEST_COLLECTOR"

// The programs under test, built once.
var throughline, articles, python string

func TestMain(m *testing.M) {
	if os.Getenv(asCollector) != "" {
		runCollector()
		return
	}
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "throughline-deploy-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	throughline, articles = filepath.Join(dir, "throughline"), filepath.Join(dir, "articles")
	for _, b := range []struct{ out, dir, pkg string }{
		{throughline, "backend", "./cmd/throughline"},
		{articles, "apps/articles", "."},
	} {
		cmd := exec.Command("go", "build", "-o", b.out, b.pkg)
		cmd.Dir = filepath.Join(root, b.dir)
		cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "building %s: %v\n%s", b.pkg, err, out)
			return 1
		}
	}
	if python, err = filepath.Abs(filepath.Join(root, ".venv", "bin", "python")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if _, err := os.Stat(python); err != nil {
		fmt.Fprintf(os.Stderr, "%v: run these tests by `make deploy`, which makes .venv\n", err)
		return 1
	}
	return m.Run()
}

// program is one running process and what it has printed.
type program struct {
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

// launch starts a program in dir; it ends with the test, and what it printed is shown when the test failed.
func launch(t *testing.T, dir string, env []string, argv ...string) *program {
	t.Helper()
	p := &program{cmd: exec.Command(argv[0], argv[1:]...), out: &log{}, exited: make(chan struct{})}
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
		p.stop(syscall.SIGTERM)
		if t.Failed() {
			t.Logf("%s printed:\n%s", filepath.Base(argv[0]), p.out)
		}
	})
	return p
}

// stop sends the signal, and kills what does not heed it.
func (p *program) stop(s os.Signal) {
	p.cmd.Process.Signal(s)
	select {
	case <-p.exited:
	case <-time.After(time.Minute):
		p.cmd.Process.Kill()
		<-p.exited
	}
}

// cleanEnv is this process's environment without what would steer the programs.
func cleanEnv() []string {
	return slices.DeleteFunc(os.Environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return strings.HasPrefix(name, "OTEL_") || strings.HasPrefix(name, "TRACING_") || strings.HasPrefix(name, "THROUGHLINE_") ||
			name == "PORT" || name == "HOST" || name == "GOFLAGS" || name == "GOWORK"
	})
}

// freeAddress is one that nothing listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// eventually waits until ok returns "", and fails with what it said last.
func eventually(t *testing.T, within time.Duration, ok func() string) {
	t.Helper()
	for end := time.Now().Add(within); ; time.Sleep(50 * time.Millisecond) {
		said := ok()
		if said == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("after %v: %s", within, said)
		}
	}
}

// awaitOK waits until the URL answers 200.
func (p *program) awaitOK(t *testing.T, url string) {
	t.Helper()
	eventually(t, time.Minute, func() string {
		select {
		case <-p.exited:
			t.Fatalf("it ended before it was ready:\n%s", p.out)
		default:
		}
		status, _, err := get(url)
		if err != nil {
			return err.Error()
		}
		if status != http.StatusOK {
			return fmt.Sprintf("%s: %d", url, status)
		}
		return ""
	})
}

var client = &http.Client{Timeout: 20 * time.Second}

func get(url string, headers ...string) (int, string, error) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
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

// read returns a file of the repository.
func read(t *testing.T, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(append([]string{root}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
