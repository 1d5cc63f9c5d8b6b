package api_test

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/throughline/throughline/backend/api/jaeger"
	"github.com/throughline/throughline/backend/span"
)

// day is the range of the golden traces, as version 3 demands one.
const day = "query.startTimeMin=2026-09-20T00:00:00Z&query.startTimeMax=2026-09-23T00:00:00Z"

// inspected is what a search looked at, which depends on how fast which of its
// goroutines was.
var inspected = regexp.MustCompile(`"(inspectedTraces|inspectedSpans)": "?\d+"?`)

// exchange writes requests and their answers, one after the other.
func (f *fixture) exchange(t *testing.T, paths ...string) string {
	t.Helper()
	var b strings.Builder
	for _, path := range paths {
		resp, err := http.Get(f.web.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body := readAll(t, resp)
		shown, err := url.PathUnescape(strings.ReplaceAll(path, "+", "%20"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "GET %s\n\n%d %s\n", shown, resp.StatusCode, resp.Header.Get("Content-Type"))
		if resp.Header.Get("Content-Type") == "application/json" {
			body = indent(t, body)
		}
		b.WriteString(strings.TrimRight(inspected.ReplaceAllString(body, `"$1": "…"`), "\n") + "\n\n")
	}
	return b.String()
}

// The golden traces by version 3: their spans are those that were sent.
func TestJaegerV3GoldenTraces(t *testing.T) {
	for _, file := range goldenTraces(t) {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			f := serve(t, file)
			golden(t, "jaeger-v3/"+name+".txt", f.exchange(t,
				"/api/v3/services",
				"/api/v3/operations",
				"/api/v3/trace-summaries?"+day,
				"/api/v3/traces?"+day,
				"/api/v3/dependencies?startTime=2026-09-20T00:00:00Z&endTime=2026-09-23T00:00:00Z",
			))
		})
	}
}

func TestJaegerV3(t *testing.T) {
	f := serve(t, "testdata/example.json")
	const id = "5b8efff798038103d269b633813fc60c"
	golden(t, "jaeger-v3/requests.txt", f.exchange(t,
		"/api/v3/operations?service=articles-service",
		"/api/v3/operations?service=articles-service&spanKind=client",
		"/api/v3/operations?service=articles-service&span_kind=server",
		"/api/v3/operations?service=nobody",
		"/api/v3/traces/"+id+"?start_time=2026-09-21T00:00:00.5Z&endTime=2026-09-22T00:00:00Z&raw_traces=true",
		"/api/v3/traces/W47%2F95gDgQPSabYzgT%2FGDA==",
		"/api/v3/trace-summaries?"+day+"&query.serviceName=articles-service&query.operationName=GET+/articles/v1/&query.durationMin=12ms&query.durationMax=13ms&query.searchDepth=1&query.rawTraces=true",
		"/api/v3/trace-summaries?query.start_time_min=2026-09-20T00:00:00Z&query.start_time_max=2026-09-23T00:00:00Z&query.service_name=suggestions-service&query.operation_name=GET+/suggestions/v1/<article_id>&query.duration_min=1ms&query.duration_max=1s&query.num_traces=5&query.raw_traces=false",
		"/api/v3/trace-summaries?"+day+`&query.attributes={"error":"true","http.response.status_code":"500"}`,
		"/api/v3/trace-summaries?"+day+`&query.attributes={"http.response.status_code":"200"}`,
		"/api/v3/traces?"+day+"&query.serviceName=nobody",
		"/api/v3/traces/"+strings.Repeat("1", 32),
		"/api/v3/traces/xyz",
		"/api/v3/traces/"+id+"?startTime=yesterday",
		"/api/v3/traces/"+id+"?rawTraces=maybe",
		"/api/v3/traces",
		"/api/v3/traces?query.startTimeMin=2026-09-20T00:00:00Z",
		"/api/v3/traces?query.startTimeMin=now&query.startTimeMax=2026-09-23T00:00:00Z",
		"/api/v3/traces?query.startTimeMin=2026-09-23T00:00:00Z&query.startTimeMax=2026-09-20T00:00:00Z",
		"/api/v3/traces?"+day+"&query.searchDepth=0",
		"/api/v3/traces?"+day+"&query.searchDepth=many",
		"/api/v3/traces?"+day+"&query.durationMin=5",
		"/api/v3/traces?"+day+"&query.attributes={}}",
		"/api/v3/traces?"+day+"&query.filter={}",
		"/api/v3/dependencies",
		"/api/v3/nothing",
	))
}

// jaegerRPC serves the query service of the fixture's store.
func (f *fixture) jaegerRPC(t *testing.T) *rpc {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := (&jaeger.Handler{Store: f.db, Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Now: func() time.Time { return received }}).GRPC()
	go s.Serve(l)
	t.Cleanup(s.Stop)
	return dial(t, "api_v3.proto", l.Addr().String())
}

func TestJaegerGRPC(t *testing.T) {
	f := serve(t, goldenTraces(t)...)
	c := f.jaegerRPC(t)
	const day = `"start_time_min": "2026-09-20T00:00:00Z", "start_time_max": "2026-09-23T00:00:00Z"`
	var b strings.Builder
	for _, call := range []struct{ method, request, in, answer string }{
		{"GetServices", "GetServicesRequest", `{}`, "GetServicesResponse"},
		{"GetOperations", "GetOperationsRequest", `{"service": "articles-service"}`, "GetOperationsResponse"},
		{"GetOperations", "GetOperationsRequest", `{"service": "articles-service", "span_kind": "client"}`, "GetOperationsResponse"},
		{"GetOperations", "GetOperationsRequest", `{}`, "GetOperationsResponse"},
		{"GetDependencies", "GetDependenciesRequest", `{"start_time": "2026-09-20T00:00:00Z", "end_time": "2026-09-23T00:00:00Z"}`, "DependenciesResponse"},
		{"GetDependencies", "GetDependenciesRequest", `{}`, "DependenciesResponse"},
		{"FindTraceSummaries", "FindTraceSummariesRequest", `{"query": {` + day + `}}`, "FindTraceSummariesResponse"},
		{"FindTraceSummaries", "FindTraceSummariesRequest", `{"query": {` + day + `, "service_name": "fulfilment", "attributes": {"error": "true"}, "duration_min": "0.000001s", "duration_max": "100s", "search_depth": 1}}`, "FindTraceSummariesResponse"},
		{"FindTraceSummaries", "FindTraceSummariesRequest", `{"query": {` + day + `, "filter": "AA=="}}`, "FindTraceSummariesResponse"},
		{"FindTraceSummaries", "FindTraceSummariesRequest", `{"query": {}}`, "FindTraceSummariesResponse"},
		{"FindTraceSummaries", "FindTraceSummariesRequest", `{}`, "FindTraceSummariesResponse"},
	} {
		out, err := c.json(t, "/jaeger.api_v3.QueryService/"+call.method, call.request, call.in, call.answer)
		fmt.Fprintf(&b, "%s %s\n\n%s %s\n%s\n", call.method, call.in, status.Code(err), status.Convert(err).Message(), out)
	}
	golden(t, "jaeger-v3/grpc.txt", b.String())
}

// Traces come as OTLP, whole, in chunks that clients take.
func TestJaegerGRPCTraces(t *testing.T) {
	f := serve(t, "testdata/example.json")
	large := traces(0, 1)
	for i := range 2500 {
		s := large.Spans[0]
		s.SpanID = span.SpanID{1, byte(i >> 8), byte(i), 1}
		s.Resource, s.Scope = &span.Resource{}, &span.Scope{}
		large.Spans = append(large.Spans, s)
	}
	if err := f.db.Append(t.Context(), large); err != nil {
		t.Fatal(err)
	}
	c := f.jaegerRPC(t)
	count := func(method, request, in string) (messages int, spans map[string]int) {
		answers, err := c.call(t, "/jaeger.api_v3.QueryService/"+method, request, in)
		if err != nil {
			t.Fatalf("%s %s: %v", method, in, err)
		}
		spans = map[string]int{}
		for _, a := range answers {
			td, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(a)
			if err != nil {
				t.Fatal(err)
			}
			for _, rs := range td.ResourceSpans().All() {
				for _, ss := range rs.ScopeSpans().All() {
					for _, s := range ss.Spans().All() {
						spans[s.TraceID().String()]++
					}
				}
			}
		}
		return len(answers), spans
	}
	const id = "5b8efff798038103d269b633813fc60c"
	largeID := large.Spans[0].TraceID.String()
	if n, spans := count("GetTrace", "GetTraceRequest", `{"trace_id": "`+id+`", "start_time": "2026-09-20T00:00:00Z"}`); n != 1 || spans[id] != 3 || len(spans) != 1 {
		t.Errorf("%d messages, %v", n, spans)
	}
	if n, spans := count("GetTrace", "GetTraceRequest", `{"trace_id": "`+largeID+`"}`); n != 3 || spans[largeID] != 2501 {
		t.Errorf("the large one: %d messages, %v", n, spans)
	}
	const day = `"start_time_min": "2026-09-20T00:00:00Z", "start_time_max": "2026-09-23T00:00:00Z"`
	if n, spans := count("FindTraces", "FindTracesRequest", `{"query": {`+day+`}}`); n != 4 || spans[largeID] != 2501 || spans[id] != 3 {
		t.Errorf("FindTraces: %d messages, %v", n, spans)
	}
	if n, _ := count("FindTraces", "FindTracesRequest", `{"query": {`+day+`, "service_name": "nobody"}}`); n != 0 {
		t.Errorf("FindTraces of nobody: %d messages", n)
	}
	for _, bad := range []struct {
		id   string
		code codes.Code
	}{{"xyz", codes.InvalidArgument}, {"", codes.InvalidArgument}, {strings.Repeat("1", 32), codes.OK}} {
		if _, err := c.call(t, "/jaeger.api_v3.QueryService/GetTrace", "GetTraceRequest", `{"trace_id": "`+bad.id+`"}`); status.Code(err) != bad.code {
			t.Errorf("GetTrace %q: %v, want %s", bad.id, err, bad.code)
		}
	}
}
