package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/throughline/throughline/backend/server"
)

// start runs a server on free ports until the test ends.
func start(t *testing.T, config server.Config) server.Addresses {
	t.Helper()
	config.Listen, config.OTLPGRPC, config.OTLPHTTP, config.JaegerGRPC = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	config.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	ctx, cancel := context.WithCancel(context.Background())
	ready := make(chan server.Addresses, 1)
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx, config, func(a server.Addresses) { ready <- a }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("stopping: %v", err)
		}
	})
	select {
	case a := <-ready:
		return a
	case err := <-ended:
		ended <- err
		t.Fatalf("starting: %v", err)
		return server.Addresses{}
	}
}

func getJSON(t *testing.T, url string, out any) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s: %s", url, resp.Status, body)
	}
	if err := json.Unmarshal(body, out); err != nil {
		t.Fatalf("GET %s: %v: %s", url, err, body)
	}
}

// A golden trace sent in every way arrives and is answered, whole and once.
func TestSendAndRead(t *testing.T) {
	text, err := os.ReadFile("../../testdata/traces/articles-with-suggested.json")
	if err != nil {
		t.Fatal(err)
	}
	td, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(text)
	if err != nil {
		t.Fatal(err)
	}
	request := ptraceotlp.NewExportRequestFromTraces(td)
	a := start(t, server.Config{})

	conn, err := grpc.NewClient(a.OTLPGRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := ptraceotlp.NewGRPCClient(conn).Export(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post("http://"+a.OTLPHTTP+"/v1/traces", "application/json", strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("POST: %s", resp.Status)
	}

	var list struct {
		Traces []struct {
			TraceID   string
			SpanCount int
		}
	}
	getJSON(t, a.URL()+"/api/native/v1/traces", &list)
	if len(list.Traces) != 1 || list.Traces[0].SpanCount != td.SpanCount() {
		t.Fatalf("got %+v, want one trace of %d spans", list, td.SpanCount())
	}
	var one struct{ ResourceSpans json.RawMessage }
	getJSON(t, a.URL()+"/api/native/v1/traces/"+list.Traces[0].TraceID, &one)
	back, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces([]byte(`{"resourceSpans":` + string(one.ResourceSpans) + `}`))
	if err != nil || back.SpanCount() != td.SpanCount() {
		t.Fatalf("%v, %d spans, want %d", err, back.SpanCount(), td.SpanCount())
	}
}

func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	err = server.Run(t.Context(), server.Config{Listen: "127.0.0.1:0", OTLPGRPC: l.Addr().String()}, nil)
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if !errors.Is(err, server.ErrPortTaken) || !strings.Contains(err.Error(), "--otlp-grpc") || !strings.Contains(err.Error(), "port "+port) {
		t.Errorf("got %v", err)
	}
}

func TestStopEndsStreams(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ready := make(chan server.Addresses, 1)
	ended := make(chan error, 1)
	config := server.Config{Listen: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)}
	go func() { ended <- server.Run(ctx, config, func(a server.Addresses) { ready <- a }) }()
	resp, err := http.Get((<-ready).URL() + "/api/native/v1/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	first := make([]byte, 14)
	if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != "event: status\n" {
		t.Fatalf("%q, %v", first, err)
	}
	began := time.Now()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("stopping took %s with a stream open", took)
	}
}

// One trace of 100,000 spans is taken over gRPC and given back whole by both APIs.
func TestLargeTrace(t *testing.T) {
	const n, per = 100_000, 10_000
	a := start(t, server.Config{})
	conn, err := grpc.NewClient(a.OTLPGRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := ptraceotlp.NewGRPCClient(conn)
	for from := 0; from < n; from += per {
		td := ptrace.NewTraces()
		rs := td.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("service.name", "large")
		spans := rs.ScopeSpans().AppendEmpty().Spans()
		for i := range per {
			s := spans.AppendEmpty()
			s.SetTraceID([16]byte{1})
			s.SetSpanID([8]byte{byte(from / per), byte(i >> 8), byte(i), 1})
			s.SetName("step")
			s.SetStartTimestamp(1_790_000_000_000_000_000 + pcommon.Timestamp(from+i))
			s.SetEndTimestamp(1_790_000_001_000_000_000)
			s.Attributes().PutInt("i", int64(from+i))
		}
		if _, err := client.Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(td)); err != nil {
			t.Fatal(err)
		}
	}
	count := func(path, key string) int {
		resp, err := http.Get(a.URL() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || !json.Valid(body) {
			t.Fatalf("GET %s: %v, %d bytes", path, err, len(body))
		}
		return strings.Count(string(body), `"`+key+`":"`)
	}
	id := "01" + strings.Repeat("0", 30)
	if got := count("/api/native/v1/traces/"+id, "spanId"); got != n {
		t.Errorf("native API: %d spans", got)
	}
	if got := count("/api/traces/"+id, "spanID"); got != n {
		t.Errorf("Jaeger API: %d spans", got)
	}
}

// The health routes and the UI's port answer as configured.
func TestWiring(t *testing.T) {
	a := start(t, server.Config{UI: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "the UI") }), AllowedHosts: []string{"traces.example"}})
	for _, c := range []struct {
		url, host string
		status    int
		body      string
	}{
		{a.URL() + "/healthz", "", 200, "ok"},
		{a.URL() + "/readyz", "", 200, "ok"},
		{a.URL() + "/", "", 200, "the UI"},
		{a.URL() + "/trace/abc", "traces.example", 200, "the UI"},
		{a.URL() + "/", "evil.example", 403, "forbidden_host"},
		{"http://" + a.OTLPHTTP + "/readyz", "", 200, "ok"},
		{"http://" + a.OTLPHTTP + "/readyz", "evil.example", 403, "not allowed"},
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = c.host
		resp, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != c.status || !strings.Contains(string(body), c.body) {
			t.Errorf("%s, host %q: %s, %v, %s", c.url, c.host, resp.Status, err, body)
		}
	}
}

// gRPC of Tempo's API comes on the port of the UI beside HTTP, and Jaeger's on its
// own.
func TestQueryOverGRPC(t *testing.T) {
	a := start(t, server.Config{})
	for _, c := range []struct{ address, method string }{
		{a.Listen, "/tempopb.StreamingQuerier/SearchTagsV2"},
		{a.JaegerGRPC, "/jaeger.api_v3.QueryService/GetServices"},
		{a.JaegerGRPC, "/grpc.health.v1.Health/Check"},
	} {
		conn, err := grpc.NewClient(c.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		// Any of the answers is an empty message with fields that it does not know.
		if err := conn.Invoke(t.Context(), c.method, &emptypb.Empty{}, &emptypb.Empty{}); err != nil {
			t.Errorf("%s: %v", c.method, err)
		}
	}
	getJSON(t, a.URL()+"/tempo/api/v2/search/tags", &struct{}{})
}
