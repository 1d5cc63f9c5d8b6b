package tracing_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	tracing "github.com/throughline/throughline/tracing/go"
	"github.com/throughline/throughline/tracing/go/tracingtest"
)

// receiver is an OTLP backend for http/json.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	names    []string
	headers  []http.Header
	resource map[string]any
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	type kv struct {
		Key   string
		Value map[string]any
	}
	var body struct {
		ResourceSpans []struct {
			Resource   struct{ Attributes []kv }
			ScopeSpans []struct{ Spans []struct{ Name string } }
		}
	}
	if err := json.NewDecoder(req.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.headers = append(r.headers, req.Header)
	for _, rs := range body.ResourceSpans {
		r.resource = map[string]any{}
		for _, a := range rs.Resource.Attributes {
			for _, v := range a.Value {
				r.resource[a.Key] = v
			}
		}
		for _, ss := range rs.ScopeSpans {
			for _, s := range ss.Spans {
				r.names = append(r.names, s.Name)
			}
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, "{}")
}

func (r *receiver) spans() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.names)
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

// newHung takes requests and answers none.
func newHung(t *testing.T) *httptest.Server {
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	return srv
}

func deadURL(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return "http://" + ln.Addr().String() + "/v1/traces"
}

// newProvider builds a provider on an environment without other settings.
func newProvider(t *testing.T, cfg tracing.Config) *tracing.Provider {
	t.Helper()
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
	p, err := tracing.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
		defer cancel()
		_ = p.Shutdown(ctx)
	})
	return p
}

func makeSpans(p *tracing.Provider, n int) {
	tracer := p.TracerProvider().Tracer("test")
	for i := range n {
		_, span := tracer.Start(context.Background(), fmt.Sprintf("span %d", i))
		span.End()
	}
}

// within is a context that ends after d.
func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestStart(t *testing.T) {
	provider, propagator := otel.GetTracerProvider(), otel.GetTextMapPropagator()
	defer func() { otel.SetTracerProvider(provider); otel.SetTextMapPropagator(propagator) }()
	r := newReceiver(t)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
	t.Setenv("TRACING_BACKEND_URL", r.URL)
	shutdown, err := tracing.Start(t.Context(), tracing.Config{ServiceName: "svc"})
	if err != nil {
		t.Fatal(err)
	}
	_, span := otel.Tracer("test").Start(t.Context(), "a span")
	span.End()
	if err := shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r.spans() != 1 || r.resource["service.name"] != "svc" {
		t.Errorf("%d spans of %v", r.spans(), r.resource)
	}
	if s := tracing.Stats(); len(s) != 1 || s[0].Exported != 1 || s[0].Backend != r.URL+"/v1/traces" {
		t.Errorf("stats %+v", s)
	}
	if f := fmt.Sprint(otel.GetTextMapPropagator().Fields()); !strings.Contains(f, "traceparent") || !strings.Contains(f, "baggage") {
		t.Errorf("propagator of %s", f)
	}
	if err := shutdown(t.Context()); err != nil {
		t.Errorf("second shutdown: %v", err)
	}
}

// TestDisabled: no span is made, and an incoming context goes on unchanged.
func TestDisabled(t *testing.T) {
	t.Setenv("OTEL_SDK_DISABLED", "True")
	t.Setenv("TRACING_BACKEND_URL", deadURL(t))
	p := newProvider(t, tracing.Config{})
	in := mapCarrier{"traceparent": remoteSampled, "tracestate": "foo@=1"}
	ctx, span := p.TracerProvider().Tracer("t").Start(p.Propagator().Extract(t.Context(), in), "s")
	if span.IsRecording() {
		t.Error("a recording span")
	}
	span.End()
	out := mapCarrier{}
	p.Propagator().Inject(ctx, out)
	if fmt.Sprint(out) != fmt.Sprint(in) {
		t.Errorf("injected %v, want %v", out, in)
	}
	if len(p.Stats()) != 0 || p.ForceFlush(t.Context()) != nil || p.Shutdown(t.Context()) != nil {
		t.Error("a disabled provider does something")
	}
}

// TestSeveralBackends: each gets every span, and one that hangs does not keep the others from theirs, neither in
// operation nor in the flush at the end.
func TestSeveralBackends(t *testing.T) {
	a, b, hung := newReceiver(t), newReceiver(t), newHung(t)
	p := newProvider(t, tracing.Config{BackendURL: hung.URL + "," + deadURL(t) + "," + a.URL + "," + b.URL})
	makeSpans(p, 3)
	if err := p.ForceFlush(within(t, 200*time.Millisecond)); err == nil {
		t.Error("no error of the hung backend")
	}
	if a.spans() != 3 || b.spans() != 3 {
		t.Errorf("%d and %d spans, want 3", a.spans(), b.spans())
	}
	makeSpans(p, 2)
	start := time.Now()
	err := p.Shutdown(within(t, 200*time.Millisecond))
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("the shutdown took %v", took)
	}
	if err == nil || !strings.Contains(err.Error(), hung.URL) || strings.Contains(err.Error(), a.URL) {
		t.Errorf("error %v, want one of the hung backend", err)
	}
	if a.spans() != 5 || b.spans() != 5 {
		t.Errorf("%d and %d spans, want 5", a.spans(), b.spans())
	}
	for i, s := range p.Stats() {
		if lost := s.Dropped + s.Failed; s.Exported+lost != 5 || s.Queued != 0 || (lost == 0) != (i >= 2) {
			t.Errorf("stats %+v", s)
		}
	}
}

// newTokenServer is an https backend that demands a bearer token; its certificate is written to a file.
func newTokenServer(t *testing.T, token string) (r *receiver, certificate string) {
	r = &receiver{}
	r.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Authorization") != "Bearer "+token {
			http.Error(w, "who are you", http.StatusUnauthorized)
			return
		}
		r.ServeHTTP(w, req)
	}))
	t.Cleanup(r.Close)
	certificate = filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Certificate().Raw})
	if err := os.WriteFile(certificate, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return r, certificate
}

// TestTokens: https with a token per backend, next to a plaintext one that gets none; a wrong token loses the spans,
// says so once, and does not say the token.
func TestTokens(t *testing.T) {
	one, ca := newTokenServer(t, "first token")
	two, _ := newTokenServer(t, "second") // the test certificate is the same for all
	open := newReceiver(t)
	t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", ca)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-all=yes,authorization=Basic%20none")
	log := &lines{}
	p := newProvider(t, tracing.Config{
		Logger: log.logger(),
		BackendURL: one.URL + "/v1/traces;bearer=first%20token," + two.URL + "/v1/traces;bearer=wrong;x-team=core," +
			two.URL + "/v1/traces;authorization=Bearer%20second," + open.URL,
	})
	makeSpans(p, 2)
	if err := p.Shutdown(within(t, 5*time.Second)); err == nil || !strings.Contains(err.Error(), "2 spans lost") {
		t.Errorf("error %v", err)
	}
	if one.spans() != 2 || two.spans() != 2 || open.spans() != 2 {
		t.Errorf("%d, %d, %d spans, want 2 each", one.spans(), two.spans(), open.spans())
	}
	if s := p.Stats()[1]; s.Failed != 2 || s.Exported != 0 {
		t.Errorf("stats with a wrong token: %+v", s)
	}
	if h := one.headers[0]; h.Get("X-All") != "yes" {
		t.Errorf("headers %v", h)
	}
	if h := open.headers[0]; h.Get("Authorization") != "Basic none" || h.Get("X-All") != "yes" {
		t.Errorf("headers %v", h)
	}
	if n := log.count("spans are being lost"); n != 1 || strings.Contains(log.String(), "wrong") {
		t.Errorf("%d reports: %s", n, log)
	}
}

// TestDrops: a backend that hangs never blocks the spans' makers; what does not fit is dropped and counted exactly.
func TestDrops(t *testing.T) {
	t.Setenv("OTEL_BSP_MAX_QUEUE_SIZE", "64")
	t.Setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "16")
	hung := newHung(t)
	log := &lines{}
	p := newProvider(t, tracing.Config{BackendURL: hung.URL, Logger: log.logger()})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { makeSpans(p, 1000) })
	}
	wg.Wait()
	if s := p.Stats()[0]; s.Dropped != 8000-64 || s.Queued != 64 || s.Exported+s.Failed != 0 {
		t.Errorf("stats %+v", s)
	}
	err := p.Shutdown(within(t, 50*time.Millisecond))
	if err == nil || !strings.Contains(err.Error(), "64 spans lost") {
		t.Errorf("error %v", err)
	}
	if s := p.Stats()[0]; s.Dropped+s.Failed != 8000 || s.Queued != 0 {
		t.Errorf("stats after the shutdown %+v", s)
	}
	makeSpans(p, 1)
	if s := p.Stats()[0]; s.Dropped+s.Failed+uint64(s.Queued) > 8001 {
		t.Errorf("stats of a span after the shutdown %+v", s)
	}
}

// TestUnsampledSpansAreNotCounted: what is not to be sent is no loss.
func TestUnsampledSpansAreNotCounted(t *testing.T) {
	t.Setenv("OTEL_TRACES_SAMPLER", "traceidratio")
	t.Setenv("OTEL_TRACES_SAMPLER_ARG", "0")
	r := newReceiver(t)
	p := newProvider(t, tracing.Config{BackendURL: r.URL})
	makeSpans(p, 10)
	if err := p.Shutdown(t.Context()); err != nil || r.spans() != 0 {
		t.Errorf("%v, %d spans", err, r.spans())
	}
	if s := p.Stats()[0]; s.Dropped+s.Failed+s.Exported != 0 {
		t.Errorf("stats %+v", s)
	}
}

// TestSamplers: parent-based by default, the environment's when set, the program's above all.
func TestSamplers(t *testing.T) {
	for _, c := range []struct {
		sampler, parent string
		want            bool
	}{
		{"", "", true},
		{"", remoteSampled, true},
		{"", remoteUnsampled, false},
		{"always_off", remoteSampled, false},
		{"always_on", remoteUnsampled, true},
		{"parentbased_always_off", "", false},
		{"parentbased_always_off", remoteSampled, true},
	} {
		t.Setenv("OTEL_TRACES_SAMPLER", c.sampler)
		t.Setenv("OTEL_TRACES_EXPORTER", "none")
		p := newProvider(t, tracing.Config{})
		ctx := p.Propagator().Extract(t.Context(), mapCarrier{"traceparent": c.parent})
		if _, span := p.TracerProvider().Tracer("t").Start(ctx, "s"); span.SpanContext().IsSampled() != c.want {
			t.Errorf("%+v: sampled %t", c, !c.want)
		}
	}
}

// TestResource: the program's attributes, the process's, and the environment's over both.
func TestResource(t *testing.T) {
	r := newReceiver(t)
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "team=core,color=red,service.version=2")
	p := newProvider(t, tracing.Config{
		BackendURL: r.URL, ServiceName: "svc", ServiceVersion: "1",
		Attributes: []attribute.KeyValue{attribute.String("color", "blue"), attribute.String("shape", "round")},
	})
	makeSpans(p, 1)
	if err := p.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	host, _ := os.Hostname()
	for key, want := range map[string]any{
		"service.name": "svc", "service.version": "2", "team": "core", "color": "red", "shape": "round",
		"telemetry.sdk.language": "go", "host.name": host, "process.pid": fmt.Sprint(os.Getpid()),
		"process.runtime.version": runtime.Version(), "os.type": "linux",
	} {
		if got := fmt.Sprint(r.resource[key]); got != fmt.Sprint(want) {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	if id, _ := r.resource["service.instance.id"].(string); len(id) != 36 {
		t.Errorf("service.instance.id %q", id)
	}
	if _, there := r.resource["process.command_args"]; there {
		t.Error("the command line, which may hold secrets, is in the resource")
	}
}

func TestMalformedResourceIsNoFailure(t *testing.T) {
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "=,novalue")
	t.Setenv("OTEL_TRACES_EXPORTER", "none")
	log := &lines{}
	newProvider(t, tracing.Config{Logger: log.logger()})
	if n := log.count("the trace resource is incomplete"); n != 1 {
		t.Errorf("%d warnings: %s", n, log)
	}
}

// TestFaultsOfTheEnvironment: what Start refuses, all at once; Validate says the same.
func TestFaultsOfTheEnvironment(t *testing.T) {
	for name, c := range map[string]struct {
		env  map[string]string
		want []string
	}{
		"backends": {map[string]string{"TRACING_BACKEND_URL": "ftp://x,localhost:0"}, []string{"scheme", "port", "TRACING_BACKEND_URL"}},
		"exporters": {
			map[string]string{"OTEL_TRACES_EXPORTER": "otlp,zipkin,prometheus", "TRACING_BACKEND_URL": "ftp://x"},
			[]string{`"zipkin"`, `"prometheus"`, "scheme"},
		},
		"protocol":        {map[string]string{"OTEL_EXPORTER_OTLP_PROTOCOL": "thrift"}, []string{`"thrift"`}},
		"traces protocol": {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "avro"}, []string{`"avro"`}},
	} {
		t.Run(name, func(t *testing.T) {
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			_, err := tracing.New(t.Context(), tracing.Config{})
			if err == nil {
				t.Fatal("no error")
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not say %s", err, part)
				}
			}
			if v := tracing.Validate(tracing.Config{}); v == nil || v.Error() != err.Error() {
				t.Errorf("Validate says %v, New %v", v, err)
			}
		})
	}
}

// TestStandardEndpoint: without TRACING_BACKEND_URL the OTEL_* variables hold.
func TestStandardEndpoint(t *testing.T) {
	r := newReceiver(t)
	for _, env := range []map[string]string{
		{"OTEL_EXPORTER_OTLP_ENDPOINT": r.URL},
		{"OTEL_EXPORTER_OTLP_ENDPOINT": deadURL(t), "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": r.URL + "/v1/traces"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT": r.URL, "TRACING_BACKEND_URL": "  "},
		{"OTEL_EXPORTER_OTLP_ENDPOINT": r.URL, "OTEL_TRACES_EXPORTER": " OTLP "},
	} {
		t.Run(fmt.Sprint(env), func(t *testing.T) {
			for k, v := range env {
				t.Setenv(k, v)
			}
			before := r.spans()
			p := newProvider(t, tracing.Config{})
			makeSpans(p, 1)
			if err := p.Shutdown(t.Context()); err != nil || r.spans() != before+1 {
				t.Errorf("%v, %d spans", err, r.spans()-before)
			}
		})
	}
}

func TestNoExporter(t *testing.T) {
	t.Setenv("OTEL_TRACES_EXPORTER", "none")
	t.Setenv("TRACING_BACKEND_URL", deadURL(t))
	p := newProvider(t, tracing.Config{})
	makeSpans(p, 1)
	if err := p.Shutdown(t.Context()); err != nil || len(p.Stats()) != 0 {
		t.Errorf("%v, %v", err, p.Stats())
	}
}

// TestFixedIDs: tests may choose the ids, which are then not called random.
func TestFixedIDs(t *testing.T) {
	t.Setenv("OTEL_TRACES_EXPORTER", "none")
	p := newProvider(t, tracing.Config{IDGenerator: &tracingtest.IDGenerator{}})
	_, span := p.TracerProvider().Tracer("t").Start(t.Context(), "s")
	if sc := span.SpanContext(); sc.TraceID() != (trace.TraceID{15: 1}) || sc.TraceFlags() != trace.FlagsSampled {
		t.Errorf("%v", sc)
	}
}

// TestShutdownLeavesNoGoroutines: with backends that work, hang and are dead, also when there was no time for them.
func TestShutdownLeavesNoGoroutines(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
	hung, ok, dead := newHung(t), newReceiver(t), deadURL(t)
	before := runtime.NumGoroutine()
	for range 5 {
		p, err := tracing.New(t.Context(), tracing.Config{
			BackendURL: hung.URL + "," + ok.URL + "," + dead, Propagator: propagation.TraceContext{},
			Logger: (&lines{}).logger(),
		})
		if err != nil {
			t.Fatal(err)
		}
		makeSpans(p, 10)
		_ = p.Shutdown(within(t, 20*time.Millisecond))
	}
	http.DefaultClient.CloseIdleConnections()
	hung.CloseClientConnections()
	ok.CloseClientConnections()
	eventually(t, "the goroutines end", func() bool { return runtime.NumGoroutine() <= before+2 })
}
