package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/throughline/throughline/apps/articles/articles"
	tracing "github.com/throughline/throughline/tracing/go"
)

// seedDefects are the faults of the example code this service grew from. Each has a test here that fails on a service
// with the fault; most run the real program against a real receiver. G21 and G23 are faults of the instrumentation
// alone and are tested in tracing/go; G22 is about outdated dependencies and is the vulnerability scan's.
var seedDefects = []struct {
	id, fault string
	test      func(*testing.T)
}{
	{"G1", "the incoming trace is not continued", testRemoteParent},
	{"G2", "a caller's decision not to sample, and OTEL_TRACES_SAMPLER, are overridden", testSampling},
	{"G3", "span names hold the raw path", testSpanNames},
	{"G4", "no kinds, no attributes, no status", testKindsAttributesStatus},
	{"G5", "errors are not on the spans", testErrorsOnSpans},
	{"G6", "failures answer 200 with an error", testStatusCodes},
	{"G7", "the upstream's error body is decoded as data and shown to the client", testUpstreamErrorIsNotShown},
	{"G8", "upstream bodies are not closed, not bounded, and their status is not looked at", testUpstreamBodies},
	{"G9", "ids are spliced into URLs unescaped", testEscaping},
	{"G10", "SIGTERM and SIGINT lose spans and requests", testSignals},
	{"G11", "the shutdown has no deadline", testShutdownDeadline},
	{"G12", "no server timeouts, no policy for panics, PORT unchecked", testServerRobustness},
	{"G13", "scope names are empty", testScopes},
	{"G14", "spans repeat per suggestion (decoder and encoder are wanted)", testSpanBudget},
	{"G15", "a dangling id fails the list, the order is random, lists are null (a call per article is wanted)", testLists},
	{"G16", "the resource is a constant", testResource},
	{"G17", "endpoint, headers and protocol of the environment are not honoured", testExporterEnvironment},
	{"G18", "no baggage, OTEL_PROPAGATORS ignored", testPropagators},
	{"G19", "export failures are unstructured, drops invisible", testExportFailures},
	{"G20", "unchecked type assertions, swallowed parameter errors", testChecks},
	{"G24", "logs have no trace ids", testLogs},
}

func TestSeedDefects(t *testing.T) {
	for _, d := range seedDefects {
		t.Run(d.id, func(t *testing.T) {
			t.Log(d.fault)
			d.test(t)
		})
	}
}

const traceID = "0af7651916cd43dd8448eb211c80319c"

func testRemoteParent(t *testing.T) {
	var downstream atomic.Value
	srv := newSuggestions(t, func(w http.ResponseWriter, r *http.Request) {
		downstream.Store(r.Header.Get("traceparent"))
		suggest("[]")(w, r)
	})
	c := newCollector(t, 200)
	p := start(t, c.env("SUGGESTIONS_SERVICE_HOST="+srv.URL)...)
	get(t, p.URL+"/articles/v1/"+id1+"?with_suggested=1", "traceparent", "00-"+traceID+"-b7ad6b7169203331-01")
	server := c.find(t, "GET /articles/v1/{id}")
	if server.TraceID != traceID || server.ParentSpanID != "b7ad6b7169203331" {
		t.Errorf("trace %s, parent %s", server.TraceID, server.ParentSpanID)
	}
	call := c.find(t, "GET /suggestions/v1/{id}")
	if want := "00-" + traceID + "-" + call.SpanID + "-"; !strings.HasPrefix(downstream.Load().(string), want) {
		t.Errorf("suggestions got traceparent %s, want %s…", downstream.Load(), want)
	}
}

func testSampling(t *testing.T) {
	var flags atomic.Value
	srv := newSuggestions(t, func(w http.ResponseWriter, r *http.Request) {
		parent := r.Header.Get("traceparent")
		flags.Store(parent[strings.LastIndexByte(parent, '-')+1:])
		suggest("[]")(w, r)
	})
	c := newCollector(t, 200)
	p := start(t, c.env("SUGGESTIONS_SERVICE_HOST="+srv.URL)...)
	get(t, p.URL+"/articles/v1/?with_suggested=1", "traceparent", "00-"+traceID+"-b7ad6b7169203331-00")
	if flags.Load() != "00" {
		t.Errorf("flags %s went downstream", flags.Load())
	}
	p.stop(t, syscall.SIGTERM)
	if n := len(c.all()); n != 0 {
		t.Errorf("%d spans of an unsampled trace", n)
	}
	p = start(t, c.env("OTEL_TRACES_SAMPLER=always_off")...)
	get(t, p.URL+"/articles/v1/")
	p.stop(t, syscall.SIGTERM)
	if n := len(c.all()); n != 0 {
		t.Errorf("%d spans with always_off", n)
	}
}

func testSpanNames(t *testing.T) {
	c := newCollector(t, 200)
	p := start(t, c.env()...)
	for i := range 20 {
		get(t, fmt.Sprintf("%s/articles/v1/x%d%%3Fadmin=1%%23/", p.URL, i))
		get(t, fmt.Sprintf("%s/wp-%d.php", p.URL, i))
	}
	p.stop(t, syscall.SIGTERM)
	names := map[string]bool{}
	for _, s := range c.all() {
		names[s.Name] = true
	}
	want := []string{"GET", "GET /articles/v1/{id}", "Service.GetArticle", "get article endpoint", "request decoder"}
	if got := slices.Sorted(keys(names)); !slices.Equal(got, want) {
		t.Errorf("names %q, want %q", got, want)
	}
}

func keys(m map[string]bool) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// Kinds and status codes of OTLP.
const (
	kindInternal, kindServer, kindClient = 1, 2, 3
	statusError                          = 2
)

func testKindsAttributesStatus(t *testing.T) {
	srv := newSuggestions(t, suggest("[]"))
	c := newCollector(t, 200)
	p := start(t, c.env("SUGGESTIONS_SERVICE_HOST="+srv.URL)...)
	get(t, p.URL+"/articles/v1/?with_suggested=1")
	for name, want := range map[string]struct {
		kind       int
		attributes map[string]string
	}{
		"GET /articles/v1/": {kindServer, map[string]string{
			"http.request.method": "GET", "http.route": "/articles/v1/", "http.response.status_code": "200",
			"url.path": "/articles/v1/", "url.scheme": "http", "server.address": "127.0.0.1",
			"client.address": "127.0.0.1", "network.protocol.version": "1.1", "url.query": "with_suggested=1",
		}},
		"GET /suggestions/v1/{id}": {kindClient, map[string]string{
			"http.request.method": "GET", "url.template": "/suggestions/v1/{id}", "http.response.status_code": "200",
			"server.address": "127.0.0.1",
		}},
		"Service.GetArticles": {kindInternal, map[string]string{"articles.count": "2"}},
	} {
		s := c.find(t, name)
		got := s.Attributes.strings()
		if s.Kind != want.kind || s.Status.Code != 0 {
			t.Errorf("%s: kind %d, status %v", name, s.Kind, s.Status)
		}
		for k, v := range want.attributes {
			if got[k] != v {
				t.Errorf("%s: %s is %q, want %q", name, k, got[k], v)
			}
		}
	}
	get(t, p.URL+"/articles/v1/nope")
	if s := c.find(t, "GET /articles/v1/{id}"); s.Status.Code != 0 || s.Attributes.strings()["http.response.status_code"] != "404" {
		t.Errorf("404: status %v, attributes %v", s.Status, s.Attributes.strings())
	}
}

func testErrorsOnSpans(t *testing.T) {
	srv := newSuggestions(t, hang)
	c := newCollector(t, 200)
	p := start(t, c.env("SUGGESTIONS_SERVICE_HOST="+srv.URL, "SUGGESTIONS_TIMEOUT=50ms")...)
	get(t, p.URL+"/articles/v1/?with_suggested=1")
	s := c.find(t, "GET /suggestions/v1/{id}")
	if s.Status.Code != statusError || s.Attributes.strings()["error.type"] != "timeout" {
		t.Errorf("call: status %v, error.type %q", s.Status, s.Attributes.strings()["error.type"])
	}
	// A fault of the service itself marks every layer it passes.
	rec := newRecorded(t, brokenService{}, time.Second)
	if status, body := get(t, rec.URL+"/articles/v1/"); status != 500 || strings.Contains(body, "disk") {
		t.Errorf("status %d, body %s", status, body)
	}
	eventually(t, "the server span", func() bool { return rec.Find("GET /articles/v1/") != nil })
	for _, name := range []string{"Service.GetArticles", "get articles endpoint", "GET /articles/v1/"} {
		if s := rec.Find(name); s.Status.Code.String() != "Error" || s.Attribute("error.type").AsString() == "" {
			t.Errorf("%s: status %v, error.type %v", name, s.Status, s.Attribute("error.type"))
		}
	}
}

// brokenService fails, or panics for one article.
type brokenService struct{}

func (brokenService) GetArticles(context.Context, bool) (articles.ArticleList, error) {
	return articles.ArticleList{}, errors.New("the disk is on fire")
}

func (brokenService) GetArticle(context.Context, articles.ArticleID, bool) (articles.ArticleDetail, error) {
	panic("the disk is gone")
}

func testStatusCodes(t *testing.T) {
	p := start(t, "OTEL_TRACES_EXPORTER=none", "SUGGESTIONS_SERVICE_HOST=http://127.0.0.1:1")
	for path, want := range map[string]int{
		"/articles/v1/?with_suggested=1": 200, // with a warning: the articles are there
		"/articles/v1/?with_suggested=x": 400,
		"/articles/v1/unknown":           404,
		"/articles":                      404,
	} {
		status, body := get(t, p.URL+path)
		if status != want || status == 200 == strings.Contains(body, `"error"`) {
			t.Errorf("%s: status %d, body %s", path, status, body)
		}
	}
	slow := newRecorded(t, slowService{}, 20*time.Millisecond)
	if status, body := get(t, slow.URL+"/articles/v1/"); status != 504 || !strings.Contains(body, `"code":"timeout"`) {
		t.Errorf("too slow: status %d, body %s", status, body)
	}
}

// slowService waits for its context's end.
type slowService struct{ brokenService }

func (slowService) GetArticles(ctx context.Context, _ bool) (articles.ArticleList, error) {
	<-ctx.Done()
	return articles.ArticleList{}, ctx.Err()
}

func testUpstreamErrorIsNotShown(t *testing.T) {
	srv := newSuggestions(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(404)
		_, _ = io.WriteString(w, `{"error":{"code":"not_found","message":"s3cret inner detail"}}`)
	})
	p := start(t, "OTEL_TRACES_EXPORTER=none", "SUGGESTIONS_SERVICE_HOST="+srv.URL)
	status, body := get(t, p.URL+"/articles/v1/"+id1+"?with_suggested=1")
	if status != 200 || strings.Contains(body, "s3cret") || strings.Contains(body, "json:") || strings.Contains(body, "suggested\"") {
		t.Errorf("status %d, body %s", status, body)
	}
	if !strings.Contains(body, `"warnings":["suggestions are unavailable for 1 of 1 articles"]`) {
		t.Errorf("body %s", body)
	}
}

func testUpstreamBodies(t *testing.T) {
	// One connection is enough for many calls only when every body is read and closed.
	var connections atomic.Int64
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: suggest("[]"), ConnState: func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}}
	go func() { _ = srv.Serve(ln) }()
	defer srv.Close()
	p := start(t, "OTEL_TRACES_EXPORTER=none", "SUGGESTIONS_CONCURRENCY=1", "SUGGESTIONS_SERVICE_HOST=http://"+ln.Addr().String())
	for range 20 {
		get(t, p.URL+"/articles/v1/?with_suggested=1")
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("%d connections for 40 calls", n)
	}
	// An endless body ends at the bound.
	var sent atomic.Int64
	endless := newSuggestions(t, func(w http.ResponseWriter, _ *http.Request) {
		chunk := []byte("[" + strings.Repeat(" ", 1<<16))
		for {
			n, err := w.Write(chunk)
			if err != nil {
				return
			}
			sent.Add(int64(n))
		}
	})
	p = start(t, "OTEL_TRACES_EXPORTER=none", "SUGGESTIONS_SERVICE_HOST="+endless.URL)
	if status, body := get(t, p.URL+"/articles/v1/"+id1+"?with_suggested=1"); status != 200 || !strings.Contains(body, "unavailable for 1 of 1") {
		t.Errorf("status %d, body %s", status, body)
	}
	if n := sent.Load(); n > 64<<20 {
		t.Errorf("%d bytes were sent before the connection was cut", n)
	}
}

func testEscaping(t *testing.T) {
	var asked atomic.Value
	srv := newSuggestions(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.RequestURI)
		suggest("[]")(w, r)
	})
	base, _ := url.Parse(srv.URL)
	if _, err := articles.NewSuggestionsClient(base, time.Second).Suggestions(t.Context(), "../../admin?x=1"); err != nil {
		t.Fatal(err)
	}
	if want := "/suggestions/v1/..%2F..%2Fadmin%3Fx=1"; asked.Load() != want {
		t.Errorf("upstream was asked for %s, want %s", asked.Load(), want)
	}
}

func testSignals(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		// The flush alone must bring the spans: the batch would wait for a minute.
		c := newCollector(t, 200)
		arrived, answer := make(chan struct{}), make(chan struct{})
		srv := newSuggestions(t, func(w http.ResponseWriter, r *http.Request) {
			close(arrived)
			<-answer
			suggest("[]")(w, r)
		})
		p := start(t, c.env("OTEL_BSP_SCHEDULE_DELAY=60000", "SUGGESTIONS_SERVICE_HOST="+srv.URL)...)
		body := make(chan string, 1)
		go func() {
			_, b := get(t, p.URL+"/articles/v1/"+id1+"?with_suggested=1")
			body <- b
		}()
		<-arrived
		go func() {
			eventually(t, "the program stops taking requests", func() bool { return p.count("stopping") == 1 })
			close(answer)
		}()
		code, took := p.stop(t, sig)
		if code != 0 || took > 5*time.Second {
			t.Errorf("%v: exit code %d after %v", sig, code, took)
		}
		if b := <-body; !strings.Contains(b, `"suggested":[]`) {
			t.Errorf("%v: the request under way got %q", sig, b)
		}
		if n := len(c.all()); n != 6 {
			t.Errorf("%v: %d spans arrived, want 6", sig, n)
		}
	}
}

func testShutdownDeadline(t *testing.T) {
	hung := newSuggestions(t, hang) // takes connections, answers nothing
	for name, backend := range map[string]string{"hung": hung.URL + "/v1/traces", "dead": "127.0.0.1:1"} {
		p := start(t, "TRACING_BACKEND_URL="+backend, "SHUTDOWN_TIMEOUT=1s", "SUGGESTIONS_SERVICE_HOST="+hung.URL, "SUGGESTIONS_TIMEOUT=1m")
		ctx := within(t, 10*time.Second)
		go func() { // a request that does not end by itself either
			req, _ := http.NewRequestWithContext(ctx, http.MethodGet, p.URL+"/articles/v1/?with_suggested=1", nil)
			if res, err := http.DefaultClient.Do(req); err == nil {
				res.Body.Close()
			}
		}()
		get(t, p.URL+"/articles/v1/")
		code, took := p.stop(t, syscall.SIGTERM)
		if code != 0 || took > 2*time.Second {
			t.Errorf("%s backend: exit code %d after %v, want 0 within a second; log:\n%s", name, code, took, strings.Join(p.lines(), "\n"))
		}
		if p.count("stopping tracing") != 1 {
			t.Errorf("%s backend: the lost spans are not reported: %s", name, p.lines())
		}
	}
}

func testServerRobustness(t *testing.T) {
	p := start(t, "OTEL_TRACES_EXPORTER=none")
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET /articles/v1/ HTTP/1.1\r\nHost: x\r\nX-Slow: ")

	rec := newRecorded(t, brokenService{}, time.Second)
	status, body := get(t, rec.URL+"/articles/v1/"+id1)
	if status != 500 || body != `{"error":{"code":"internal","message":"internal error"}}`+"\n" {
		t.Errorf("panic: status %d, body %s", status, body)
	}
	eventually(t, "the server span", func() bool { return rec.Find("GET /articles/v1/{id}") != nil })
	if s := rec.Find("get article endpoint"); len(s.Events) != 1 || s.Status.Code.String() != "Error" {
		t.Errorf("panic: endpoint span has events %v, status %v", s.Events, s.Status)
	}

	for _, port := range []string{"abc", "-1", "70000"} {
		out, err := command("PORT=" + port).CombinedOutput()
		if err == nil || !strings.Contains(string(out), `PORT "`+port+`"`) {
			t.Errorf("PORT=%s: %v, %s", port, err, out)
		}
	}
	taken := strings.TrimPrefix(p.URL, "http://127.0.0.1:")
	cmd := command("PORT="+taken, "DATA_SOURCE_FILENAME="+writeData(t, twoArticles))
	if out, err := cmd.CombinedOutput(); err == nil || cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "--port") {
		t.Errorf("taken port: %v, %s", err, out)
	}

	_ = conn.SetReadDeadline(time.Now().Add(12 * time.Second))
	if _, err := bufio.NewReader(conn).ReadByte(); err == nil || errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
		t.Errorf("a client that never ends its header is not cut off: %v", err)
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

func testScopes(t *testing.T) {
	srv := newSuggestions(t, suggest("[]"))
	c := newCollector(t, 200)
	p := start(t, c.env("SUGGESTIONS_SERVICE_HOST="+srv.URL)...)
	get(t, p.URL+"/articles/v1/"+id1+"?with_suggested=1")
	p.stop(t, syscall.SIGTERM)
	for _, s := range c.all() {
		want := tracing.ScopeName
		if strings.HasPrefix(s.Name, "Service.") {
			want = "github.com/throughline/throughline/apps/articles/articles"
		}
		if s.Scope != want {
			t.Errorf("span %q has scope %q, want %q", s.Name, s.Scope, want)
		}
	}
}

func testSpanBudget(t *testing.T) {
	srv := newSuggestions(t, suggest(`["`+id1+`","`+id2+`","`+id1+`","`+id2+`","`+id1+`"]`))
	c := newCollector(t, 200)
	p := start(t, c.env("SUGGESTIONS_SERVICE_HOST="+srv.URL)...)
	get(t, p.URL+"/articles/v1/?with_suggested=1")
	p.stop(t, syscall.SIGTERM)
	if n := len(c.all()); n != 7 { // server, decoder, endpoint, service, two calls, encoder
		t.Errorf("%d spans for a list of two with five suggestions each, want 7", n)
	}
	c = newCollector(t, 200)
	p = start(t, c.env("TRACING_DETAIL=lean")...)
	get(t, p.URL+"/articles/v1/")
	get(t, p.URL+"/healthz")
	get(t, p.URL+"/readyz")
	p.stop(t, syscall.SIGTERM)
	if n := len(c.all()); n != 3 { // server, endpoint, service
		t.Errorf("%d lean spans, want 3", n)
	}
}

func testLists(t *testing.T) {
	srv := newSuggestions(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, id2) {
			suggest("[]")(w, r)
			return
		}
		suggest(`["dangling","`+id2+`"]`)(w, r)
	})
	p := start(t, "OTEL_TRACES_EXPORTER=none", "SUGGESTIONS_SERVICE_HOST="+srv.URL)
	want := `{"articles":[` +
		`{"id":"` + id1 + `","author":"Ada","title":"One","text":"x","suggested":[{"id":"` + id2 + `","author":"Bob","title":"Two","text":"y"}]},` +
		`{"id":"` + id2 + `","author":"Bob","title":"Two","text":"y","suggested":[]}],` +
		`"warnings":["1 suggested articles do not exist and were skipped"]}` + "\n"
	for range 10 {
		if status, body := get(t, p.URL+"/articles/v1/?with_suggested=1"); status != 200 || body != want {
			t.Fatalf("status %d, body %s\nwant %s", status, body, want)
		}
	}
}

func testResource(t *testing.T) {
	c := newCollector(t, 200)
	p := start(t, c.env("OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test,service.version=1.2.3")...)
	get(t, p.URL+"/articles/v1/")
	r := c.find(t, "GET /articles/v1/").Resource
	for key, want := range map[string]string{
		"service.name": "articles-service", "service.version": "1.2.3", "deployment.environment.name": "test",
		"telemetry.sdk.language": "go", "process.pid": fmt.Sprint(p.cmd.Process.Pid),
	} {
		if r[key] != want {
			t.Errorf("%s is %q, want %q", key, r[key], want)
		}
	}
	if r["service.instance.id"] == "" || r["host.name"] == "" {
		t.Errorf("resource %v", r)
	}
	p = start(t, c.env("OTEL_SERVICE_NAME=renamed")...)
	get(t, p.URL+"/articles/v1/"+id1)
	if s := c.find(t, "GET /articles/v1/{id}"); s.Resource["service.name"] != "renamed" {
		t.Errorf("service.name is %q", s.Resource["service.name"])
	}
}

func testExporterEnvironment(t *testing.T) {
	c := newCollector(t, 200)
	for name, env := range map[string][]string{
		"TRACING_BACKEND_URL over OTEL": {"TRACING_BACKEND_URL=" + c.URL, "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1"},
		"empty is unset":                {"TRACING_BACKEND_URL=", "OTEL_EXPORTER_OTLP_ENDPOINT=" + c.URL},
		"traces endpoint":               {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=" + c.URL + "/v1/traces"},
	} {
		p := start(t, append(env, "OTEL_EXPORTER_OTLP_PROTOCOL=http/json", "OTEL_EXPORTER_OTLP_HEADERS=x-test="+url.PathEscape(name))...)
		get(t, p.URL+"/articles/v1/")
		p.stop(t, syscall.SIGTERM)
		c.mu.Lock()
		if n := len(c.headers); n == 0 || c.headers[n-1].Get("X-Test") != name {
			t.Errorf("%s: headers %v", name, c.headers)
		}
		c.headers = nil
		c.mu.Unlock()
	}
	if out, err := command("TRACING_BACKEND_URL=ftp://x").CombinedOutput(); err == nil || !strings.Contains(string(out), "scheme") {
		t.Errorf("bad URL: %v, %s", err, out)
	}
}

func testPropagators(t *testing.T) {
	headers := make(chan http.Header, 1)
	srv := newSuggestions(t, func(w http.ResponseWriter, r *http.Request) {
		headers <- r.Header
		suggest("[]")(w, r)
	})
	path := "/articles/v1/" + id1 + "?with_suggested=1"
	p := start(t, "OTEL_TRACES_EXPORTER=none", "SUGGESTIONS_SERVICE_HOST="+srv.URL)
	get(t, p.URL+path, "baggage", "tenant=blue")
	if h := <-headers; h.Get("Baggage") != "tenant=blue" || h.Get("Traceparent") == "" {
		t.Errorf("headers %v", h)
	}
	p = start(t, "OTEL_TRACES_EXPORTER=none", "OTEL_PROPAGATORS=b3", "SUGGESTIONS_SERVICE_HOST="+srv.URL)
	get(t, p.URL+path, "b3", traceID+"-b7ad6b7169203331-1")
	if h := <-headers; !strings.HasPrefix(h.Get("B3"), traceID+"-") || h.Get("Traceparent") != "" {
		t.Errorf("headers %v", h)
	}
}

func testExportFailures(t *testing.T) {
	c := newCollector(t, 400)
	p := start(t, c.env("OTEL_BSP_SCHEDULE_DELAY=1", "OTEL_BSP_MAX_QUEUE_SIZE=4", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=1")...)
	for range 50 {
		get(t, p.URL+"/articles/v1/")
	}
	eventually(t, "the loss is reported", func() bool { return p.count("spans are being lost") > 0 })
	p.stop(t, syscall.SIGTERM)
	if n := p.count("spans are being lost"); n != 1 {
		t.Errorf("%d reports for 50 requests, want 1", n)
	}
	for _, line := range p.lines() {
		if !json.Valid([]byte(line)) {
			t.Errorf("a line that is no JSON: %s", line)
		}
	}
}

func testChecks(t *testing.T) {
	service := articles.NewService(nil, articles.SuggestionsClient{}, 1, slog.New(slog.DiscardHandler))
	e := articles.MakeEndpoints(service, time.Second)
	for _, call := range []func(context.Context, any) (any, error){e.GetArticle, e.GetArticles} {
		var typeError *tracing.RequestTypeError
		if _, err := call(t.Context(), 7); !errors.As(err, &typeError) {
			t.Errorf("error %v for a request of the wrong type", err)
		}
	}
	p := start(t, "OTEL_TRACES_EXPORTER=none")
	if status, _ := get(t, p.URL+"/articles/v1/?with_suggested=perhaps"); status != 400 {
		t.Errorf("status %d for a bad parameter", status)
	}
}

func testLogs(t *testing.T) {
	c := newCollector(t, 200)
	p := start(t, c.env()...)
	get(t, p.URL+"/articles/v1/")
	s := c.find(t, "GET /articles/v1/")
	eventually(t, "the request's line", func() bool { return p.count("request") == 1 })
	for _, line := range p.lines() {
		if strings.Contains(line, `"msg":"request"`) && !strings.Contains(line, `"trace_id":"`+s.TraceID+`","span_id":"`+s.SpanID+`","trace_flags":"03"`) {
			t.Errorf("line %s, want trace %s and span %s", line, s.TraceID, s.SpanID)
		}
	}
}
