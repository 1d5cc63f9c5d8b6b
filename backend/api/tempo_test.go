package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// seconds is the range of the golden traces.
const seconds = "start=1789990000&end=1790010000"

func tempoPath(path string, query ...string) string {
	q := url.Values{}
	for i := 0; i < len(query); i += 2 {
		q.Set(query[i], query[i+1])
	}
	return "/tempo/api/" + path + "?" + seconds + "&" + q.Encode()
}

// The golden traces by id, in JSON of both versions.
func TestTempoGoldenTraces(t *testing.T) {
	for _, file := range goldenTraces(t) {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			f := serve(t, file)
			_, body := f.get(t, "/api/native/v1/traces")
			var list struct{ Traces []struct{ TraceID string } }
			if err := json.Unmarshal([]byte(body), &list); err != nil {
				t.Fatal(err)
			}
			var paths []string
			for i, tr := range list.Traces {
				paths = append(paths, "/tempo/api/v2/traces/"+tr.TraceID)
				if i == 0 {
					paths = append(paths, "/tempo/api/traces/"+strings.TrimLeft(strings.ToUpper(tr.TraceID), "0"))
				}
			}
			golden(t, "tempo/"+name+".txt", f.exchange(t, append(paths, tempoPath("search", "q", "{}", "spss", "100"))...))
		})
	}
}

// In protobuf a trace is the OTLP that was sent, inside of what clients take for
// granted: field 1 of the second version's answer, and a status of every span.
func TestTempoProtobuf(t *testing.T) {
	f := serve(t, "testdata/example.json")
	get := func(path, accept string) (*http.Response, []byte) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.web.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Accept", accept)
		resp, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		return resp, []byte(readAll(t, resp))
	}
	const id = "5b8efff798038103d269b633813fc60c"
	resp, v1 := get("/tempo/api/traces/"+id, "text/html, application/protobuf;q=0.9")
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/protobuf" {
		t.Fatalf("%s %s", resp.Status, resp.Header.Get("Content-Type"))
	}
	td, err := (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces(v1)
	if err != nil || td.SpanCount() != 3 {
		t.Fatalf("%v, %d spans", err, td.SpanCount())
	}
	_, v2 := get("/tempo/api/v2/traces/"+id, "application/protobuf")
	m := dial(t, "tempopb.proto", "127.0.0.1:1").message(t, "TraceByIDResponse")
	if err := proto.Unmarshal(v2, m); err != nil || len(m.GetUnknown()) > 0 {
		t.Fatal(err, m.GetUnknown())
	}
	fields := m.Descriptor().Fields()
	if !m.Has(fields.ByName("metrics")) || m.Get(fields.ByName("status")).Enum() != 0 {
		t.Errorf("answer is %v", m)
	}
	if d := cmp.Diff(v1, m.Get(fields.ByName("trace")).Bytes()); d != "" {
		t.Error(d)
	}
	// Each span has field 15, the one of the root an empty message.
	if n := strings.Count(string(v1), "\x7a"); n < 3 || !strings.Contains(string(v1), "\x7a\x00") {
		t.Errorf("%d statuses in %q", n, v1)
	}
	if resp, body := get("/tempo/api/v2/traces/"+strings.Repeat("1", 32), "application/protobuf"); resp.StatusCode != 404 {
		t.Errorf("%s: %s", resp.Status, body)
	}
}

func TestTempoSearch(t *testing.T) {
	f := serve(t, goldenTraces(t)...)
	golden(t, "tempo/search.txt", f.exchange(t,
		"/tempo/api/echo",
		"/tempo/ready",
		tempoPath("search", "q", `{ resource.service.name = "articles-service" && kind = client } | select(span.http.response.status_code, .http.route, event:name)`, "limit", "1", "spss", "1"),
		tempoPath("search", "q", `{ status = error } | by(resource.service.name) | count() > 0`),
		tempoPath("search", "q", `({ nestedSetParent<0 } &>> { kind = client }) || ({ nestedSetParent<0 }) | select(status, resource.service.name, name, nestedSetParent, nestedSetLeft, nestedSetRight)`, "limit", "2", "spss", "20"),
		tempoPath("search", "q", `{ } | rate()`, "limit", "1", "spss", "1"),
		tempoPath("search", "q", `{ resource.service.name = "nobody" }`),
		tempoPath("search", "tags", `service.name=ARTICLES http.route="/articles/v1/"`),
		tempoPath("search", "tags", "status.code=error error=true name=process", "minDuration", "1ms", "maxDuration", "1h"),
		"/tempo/api/search?start=1&end=2",
		"/tempo/api/search?limit=1",
	))
	golden(t, "tempo/errors.txt", f.exchange(t,
		tempoPath("search", "q", `{ status = `),
		tempoPath("search", "q", `{} | rate() | rate()`),
		tempoPath("search", "tags", `a="b`),
		tempoPath("search", "minDuration", "soon"),
		tempoPath("search", "limit", "-1"),
		tempoPath("search", "limit", "many"),
		tempoPath("search", "spss", "x"),
		"/tempo/api/search?start=2&end=1",
		"/tempo/api/search?start=yesterday",
		"/tempo/api/search?start=99999999999999999999",
		"/tempo/api/traces/xyz",
		"/tempo/api/traces/"+strings.Repeat("1", 32),
		"/tempo/api/v2/traces/"+strings.Repeat("1", 32),
		"/tempo/api/traces/1?start=x",
		"/tempo/api/metrics/query_range?q={}",
		"/tempo/api/metrics/query_range?q=",
		"/tempo/api/metrics/query_range?q={}|rate()&start=2026-09-21T00:00:00Z&end=2026-09-20T00:00:00Z",
		"/tempo/api/metrics/query_range?q={}|rate()&step=fast",
		"/tempo/api/metrics/query_range?q={}|rate()&step=1ms&since=24h",
		"/tempo/api/metrics/query?q={}|rate()&since=-1h",
		"/tempo/api/metrics/query?q={}|rate()&start=sometime",
		"/tempo/api/nothing",
	))
	resp, err := http.Post(f.web.URL+"/tempo/api/search", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if body := readAll(t, resp); resp.StatusCode != 405 {
		t.Errorf("POST: %s: %s", resp.Status, body)
	}
}

func TestTempoMetrics(t *testing.T) {
	f := serve(t, goldenTraces(t)...)
	golden(t, "tempo/metrics.txt", f.exchange(t,
		tempoPath("metrics/query_range", "q", `{ resource.service.name =~ "articles.*" } | rate() by(resource.service.name)`, "step", "10000", "exemplars", "1"),
		tempoPath("metrics/query_range", "q", `{ } | histogram_over_time(duration) with(sample=true)`, "step", "10000s"),
		tempoPath("metrics/query_range", "q", `{ kind = server } | quantile_over_time(duration, 0.5, 0.9) by(kind)`, "step", "10000s"),
		tempoPath("metrics/query_range", "q", `{ nestedSetParent<0 } | compare({ status = error }, 2)`, "step", "20000s"),
		"/tempo/api/metrics/query_range?q={}|count_over_time()&start=1790000000000000000&end=2026-09-21T14:14:00Z&step=1m",
		"/tempo/api/metrics/query_range?q={}|count_over_time()&since=1m",
		tempoPath("metrics/query", "q", `{ } | count_over_time() by(status)`),
		tempoPath("metrics/query", "q", `{ resource.service.name = "nobody" } | max_over_time(duration)`),
	))
}

func TestTempoTags(t *testing.T) {
	f := serve(t, goldenTraces(t)...)
	paths := []string{
		tempoPath("search/tags"),
		tempoPath("search/tags", "scope", "event"),
		tempoPath("search/tags", "scope", "intrinsic"),
		tempoPath("v2/search/tags"),
		tempoPath("v2/search/tags", "scope", "resource", "limit", "2"),
		tempoPath("v2/search/tags", "q", `{ resource.service.name = "shop" && `),
		"/tempo/api/v2/search/tags?start=1&end=2",
		"/tempo/api/v2/search/tags?scope=planet",
		"/tempo/api/v2/search/tags?limit=x",
	}
	for _, tag := range []string{
		"service.name", "resource.service.name", ".http.route", "span.http.response.status_code", "name", "status", "kind", "rootName",
		"event:name", "duration", "span.nothing", `span."a b"`, "a/b", "{",
	} {
		paths = append(paths,
			tempoPath("search/tag/"+url.PathEscape(tag)+"/values", "limit", "3"),
			tempoPath("v2/search/tag/"+url.PathEscape(tag)+"/values", "tag", tag),
		)
	}
	paths = append(paths,
		tempoPath("v2/search/tag/name/values", "q", `{ resource.service.name="shop" && span.ht`),
		"/tempo/api/v2/search/tag/name/values?start=2&end=1",
	)
	golden(t, "tempo/tags.txt", f.exchange(t, paths...))
}

// The streaming querier answers on the port of the API what HTTP answers.
func TestTempoGRPC(t *testing.T) {
	f := serve(t, goldenTraces(t)...)
	c := dial(t, "tempopb.proto", strings.TrimPrefix(f.web.URL, "http://"))
	const day = `"start": 1789990000, "end": 1790010000`
	for _, call := range []struct{ method, request, in, answer, path string }{
		{
			"Search", "SearchRequest", `{` + day + `, "Query": "{ status = error } | select(.http.route)", "Limit": 5, "SpansPerSpanSet": 1}`, "SearchResponse",
			tempoPath("search", "q", "{ status = error } | select(.http.route)", "limit", "5", "spss", "1"),
		},
		{
			"Search", "SearchRequest", `{"Tags": {"service.name": "articles"}, "MinDurationMs": 1, "MaxDurationMs": 100000}`, "SearchResponse",
			"/tempo/api/search?tags=service.name=articles&minDuration=1ms&maxDuration=100s",
		},
		{
			"MetricsQueryRange", "QueryRangeRequest", `{"start": 1789990000000000000, "end": 1790010000000000000, "step": 10000000000000, "exemplars": 1, "query": "{} | rate() by(kind)"}`, "QueryRangeResponse",
			tempoPath("metrics/query_range", "q", "{} | rate() by(kind)", "step", "10000s", "exemplars", "1"),
		},
		{"SearchTags", "SearchTagsRequest", `{` + day + `}`, "SearchTagsResponse", tempoPath("search/tags")},
		{"SearchTagsV2", "SearchTagsRequest", `{` + day + `, "scope": "span", "maxTagsPerScope": 2}`, "SearchTagsV2Response", tempoPath("v2/search/tags", "scope", "span", "limit", "2")},
		{"SearchTagValues", "SearchTagValuesRequest", `{` + day + `, "tagName": "service.name"}`, "SearchTagValuesResponse", tempoPath("search/tag/service.name/values")},
		{
			"SearchTagValuesV2", "SearchTagValuesRequest", `{` + day + `, "tagName": "name", "query": "{ kind = server }", "maxTagValues": 3}`, "SearchTagValuesV2Response",
			tempoPath("v2/search/tag/name/values", "q", "{ kind = server }", "limit", "3"),
		},
		{
			"MetricsQueryInstant", "QueryInstantRequest", `{` + day + `, "query": "{} | avg_over_time(duration) by(kind)"}`, "QueryInstantResponse",
			tempoPath("metrics/query", "q", "{} | avg_over_time(duration) by(kind)"),
		},
	} {
		got, err := c.json(t, "/tempopb.StreamingQuerier/"+call.method, call.request, call.in, call.answer)
		if err != nil {
			t.Fatalf("%s: %v", call.method, err)
		}
		resp, err := http.Get(f.web.URL + call.path)
		if err != nil {
			t.Fatal(err)
		}
		// JSON that is strictly of the message, read and written again.
		m := c.message(t, call.answer)
		body := readAll(t, resp)
		if err := protojson.Unmarshal([]byte(body), m); err != nil {
			t.Fatalf("%s: %v: %s", call.path, err, body)
		}
		text, err := protojson.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(inspected.ReplaceAllString(indent(t, string(text)), ""), inspected.ReplaceAllString(indent(t, got), "")); d != "" {
			t.Errorf("%s (-HTTP +gRPC):\n%s", call.method, d)
		}
	}
	for _, bad := range []struct{ method, request, in, want string }{
		{"Search", "SearchRequest", `{"Query": "{ status ="}`, "InvalidArgument"},
		{"Search", "SearchRequest", `{"start": 5, "end": 4}`, "InvalidArgument"},
		{"MetricsQueryRange", "QueryRangeRequest", `{"query": "{}"}`, "InvalidArgument"},
		{"Nothing", "SearchRequest", `{}`, "Unimplemented"},
	} {
		_, err := c.json(t, "/tempopb.StreamingQuerier/"+bad.method, bad.request, bad.in, "SearchResponse")
		if got := fmt.Sprint(status.Code(err)); got != bad.want {
			t.Errorf("%s %s: %v, want %s", bad.method, bad.in, err, bad.want)
		}
	}
}

// Everything that Traces Drilldown sends is answered, with the labels and
// attributes that it expects.
func TestTempoDrilldown(t *testing.T) {
	f := serve(t, goldenTraces(t)...)
	type attributes []struct {
		Key   string
		Value map[string]any
	}
	for _, signal := range []string{"nestedSetParent<0", "true", "kind=server", "kind=consumer", `span.db.system.name!=""`} {
		for _, q := range []struct {
			query  string
			labels []string // of every series
		}{
			{"{} | rate()", []string{"__name__"}},
			{"{" + signal + "} | rate() by(resource.service.name)", []string{"resource.service.name"}},
			{"{" + signal + " && status=error} | rate()", []string{"__name__"}},
			{"{" + signal + " && resource.service.name != nil} | rate() by(resource.service.name) with(sample=true)", []string{"resource.service.name"}},
			{"{" + signal + "} | quantile_over_time(duration, 0.9) by(name)", []string{"name", "p"}},
			{"{" + signal + "} | quantile_over_time(duration, 0.5, 0.95)", []string{"p"}},
			{"{" + signal + "} | histogram_over_time(duration) with(sample=true)", []string{"__bucket"}},
			{"{" + signal + "} | compare({status = error && duration >= 1ms && duration <= 100s}, 10)", []string{"__meta_type"}},
			{"{" + signal + "} | compare({status = error}, 10, 1789990000000000000, 1790010000000000000)", []string{"__meta_type"}},
		} {
			status, body := f.get(t, tempoPath("metrics/query_range", "q", q.query, "step", "20000s"))
			var answer struct {
				Series []struct {
					Labels  attributes
					Samples []struct{ TimestampMs string }
				}
			}
			if err := json.Unmarshal([]byte(body), &answer); err != nil || status != 200 || answer.Series == nil {
				t.Errorf("%s: %d, %v: %s", q.query, status, err, body)
				continue
			}
			for _, s := range answer.Series {
				has := map[string]bool{}
				for _, l := range s.Labels {
					has[l.Key] = len(l.Value) == 1
				}
				for _, want := range q.labels {
					if !has[want] {
						t.Errorf("%s: series %v has no label %s", q.query, s.Labels, want)
					}
				}
			}
		}
		for _, root := range []string{"{" + signal + "}", "{" + signal + " && resource.service.name=`articles-service`}"} {
			query := "(" + root + " &>> {kind = server}) || (" + root + ") | select(status, resource.service.name, name, nestedSetParent, nestedSetLeft, nestedSetRight)"
			status, body := f.get(t, tempoPath("search", "q", query, "limit", "200", "spss", "20"))
			var answer struct {
				Traces []struct {
					SpanSets []struct {
						Spans []struct{ Attributes attributes }
					}
				}
			}
			if err := json.Unmarshal([]byte(body), &answer); err != nil || status != 200 || answer.Traces == nil {
				t.Errorf("%s: %d, %v: %s", query, status, err, body)
			}
			for _, tr := range answer.Traces {
				for _, set := range tr.SpanSets {
					for _, s := range set.Spans {
						has := map[string]bool{}
						for _, a := range s.Attributes {
							has[a.Key] = true
						}
						// The Structure tab throws without these.
						if !has["nestedSetLeft"] || !has["nestedSetRight"] || !has["nestedSetParent"] || !has["status"] {
							t.Errorf("%s: attributes %v", query, s.Attributes)
						}
					}
				}
			}
		}
		query := "{" + signal + " && status = error} | select(resource.service.name, event.exception.message, event.exception.stacktrace, event.exception.type) with(most_recent=true)"
		if status, body := f.get(t, tempoPath("search", "q", query, "limit", "400")); status != 200 {
			t.Errorf("%s: %d: %s", query, status, body)
		}
	}
}
