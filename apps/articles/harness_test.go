package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
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

// runMain makes the test binary be the program, so that tests have a real process without building one.
const runMain = "ARTICLES_TEST_RUN_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runMain) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// program is a running articles process.
type program struct {
	URL string

	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
	mu   sync.Mutex
	log  []string
}

// command returns the program with env (NAME=value) on top of an environment without settings.
func command(env ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "OTEL_") && !strings.HasPrefix(kv, "TRACING_") && !strings.HasPrefix(kv, "PORT=") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, runMain+"=1", "PORT=0", "GORACE=atexit_sleep_ms=0")
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

// start runs the program with two articles and waits until it serves.
func start(t *testing.T, env ...string) *program {
	t.Helper()
	data := filepath.Join(t.TempDir(), "articles.json")
	if err := os.WriteFile(data, []byte(twoArticles), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &program{cmd: command(append([]string{"DATA_SOURCE_FILENAME=" + data}, env...)...), done: make(chan struct{})}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stderr = p.cmd.Stdout
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // also when the test binary is killed
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	address := make(chan string, 1)
	go func() {
		defer close(p.done)
		for sc := bufio.NewScanner(out); sc.Scan(); {
			var line struct{ Msg, Address string }
			if json.Unmarshal(sc.Bytes(), &line) == nil && line.Msg == "serving" {
				address <- line.Address
			}
			p.mu.Lock()
			p.log = append(p.log, sc.Text())
			p.mu.Unlock()
		}
		_ = p.cmd.Wait()
	}()
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); <-p.done })
	select {
	case a := <-address:
		p.URL = "http://" + a
	case <-p.done:
		t.Fatalf("the program ended: %s", p.lines())
	case <-time.After(10 * time.Second):
		t.Fatal("the program does not serve")
	}
	return p
}

const (
	id1         = "00000000000000000000000000000001"
	id2         = "00000000000000000000000000000002"
	twoArticles = `[{"id":"` + id1 + `","author":"Ada","title":"One","text":"x"},{"id":"` + id2 + `","author":"Bob","title":"Two","text":"y"}]`
)

func (p *program) lines() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.log)
}

// count is the number of log lines with the message msg.
func (p *program) count(msg string) (n int) {
	for _, line := range p.lines() {
		if strings.Contains(line, `"msg":"`+msg+`"`) {
			n++
		}
	}
	return n
}

// stop sends the signal and returns the exit code and the time it took.
func (p *program) stop(t *testing.T, sig syscall.Signal) (code int, took time.Duration) {
	t.Helper()
	begin := time.Now()
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.done:
	case <-time.After(15 * time.Second):
		t.Fatal("the program does not stop")
	}
	return p.cmd.ProcessState.ExitCode(), time.Since(begin)
}

// get returns status and body; header are names and values.
func get(t *testing.T, target string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// collector is an OTLP receiver for http/json.
type collector struct {
	*httptest.Server
	mu      sync.Mutex
	spans   []otlpSpan
	headers []http.Header
}

// otlpSpan is a span as OTLP JSON has it, with its resource and scope.
type otlpSpan struct {
	TraceID      string     `json:"traceId"`
	SpanID       string     `json:"spanId"`
	ParentSpanID string     `json:"parentSpanId"`
	Name         string     `json:"name"`
	Kind         int        `json:"kind"`
	Attributes   attributes `json:"attributes"`
	Status       struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"status"`
	Scope    string            `json:"-"`
	Resource map[string]string `json:"-"`
}

type attributes []struct {
	Key   string         `json:"key"`
	Value map[string]any `json:"value"`
}

// strings returns the attributes with their values printed.
func (a attributes) strings() map[string]string {
	m := make(map[string]string, len(a))
	for _, kv := range a {
		for v := range maps.Values(kv.Value) {
			m[kv.Key] = fmt.Sprint(v)
		}
	}
	return m
}

// newCollector starts a receiver that answers with status.
func newCollector(t *testing.T, status int) *collector {
	t.Helper()
	c := &collector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			ResourceSpans []struct {
				Resource struct {
					Attributes attributes `json:"attributes"`
				} `json:"resource"`
				ScopeSpans []struct {
					Scope struct {
						Name string `json:"name"`
					} `json:"scope"`
					Spans []otlpSpan `json:"spans"`
				} `json:"scopeSpans"`
			} `json:"resourceSpans"`
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Errorf("export request: %v", err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.headers = append(c.headers, r.Header)
		for _, rs := range body.ResourceSpans {
			for _, ss := range rs.ScopeSpans {
				for _, s := range ss.Spans {
					// The encoding's hexadecimal digits are of either case.
					s.TraceID, s.SpanID, s.ParentSpanID = strings.ToLower(s.TraceID), strings.ToLower(s.SpanID), strings.ToLower(s.ParentSpanID)
					s.Scope, s.Resource = ss.Scope.Name, rs.Resource.Attributes.strings()
					c.spans = append(c.spans, s)
				}
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "{}")
	}))
	t.Cleanup(c.Close)
	return c
}

// env is the environment that makes the program export to c at once.
func (c *collector) env(more ...string) []string {
	return append([]string{
		"TRACING_BACKEND_URL=" + c.URL, "OTEL_EXPORTER_OTLP_PROTOCOL=http/json", "OTEL_BSP_SCHEDULE_DELAY=20",
	}, more...)
}

func (c *collector) all() []otlpSpan {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.spans)
}

// find returns the first span called name, once it arrives.
func (c *collector) find(t *testing.T, name string) otlpSpan {
	t.Helper()
	var found otlpSpan
	eventually(t, "a span "+name, func() bool {
		i := slices.IndexFunc(c.all(), func(s otlpSpan) bool { return s.Name == name })
		if i >= 0 {
			found = c.all()[i]
		}
		return i >= 0
	})
	return found
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 10 s: %s", what)
		}
	}
}

// newSuggestions serves h as the suggestions service.
func newSuggestions(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	return srv
}

// suggest answers every request with body.
func suggest(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
}

// hang answers when the caller is gone.
func hang(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // only then does the server notice
	<-r.Context().Done()
}

// within is a context for one operation of a test.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
