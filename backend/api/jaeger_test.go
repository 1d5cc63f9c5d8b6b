package api_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// jaegerClient reads Jaeger's API as its documentation has it. It takes no field
// that it does not know and no null where Jaeger has none.
type jaegerClient struct{ url string }

type jaegerTrace struct {
	TraceID string `json:"traceID"`
	Spans   []struct {
		TraceID       string `json:"traceID"`
		SpanID        string `json:"spanID"`
		OperationName string `json:"operationName"`
		References    []struct {
			RefType string `json:"refType"`
			TraceID string `json:"traceID"`
			SpanID  string `json:"spanID"`
		} `json:"references"`
		StartTime uint64     `json:"startTime"`
		Duration  uint64     `json:"duration"`
		Tags      []jaegerKV `json:"tags"`
		Logs      []struct {
			Timestamp uint64     `json:"timestamp"`
			Fields    []jaegerKV `json:"fields"`
		} `json:"logs"`
		ProcessID string   `json:"processID"`
		Warnings  []string `json:"warnings"`
	} `json:"spans"`
	Processes map[string]struct {
		ServiceName string     `json:"serviceName"`
		Tags        []jaegerKV `json:"tags"`
	} `json:"processes"`
	Warnings []string `json:"warnings"`
}

type jaegerKV struct {
	Key   string `json:"key"`
	Type  string `json:"type"`
	Value any    `json:"value"`
}

type jaegerOperation struct {
	Name     string `json:"name"`
	SpanKind string `json:"spanKind"`
}

type jaegerLink struct {
	Parent    string `json:"parent"`
	Child     string `json:"child"`
	CallCount uint64 `json:"callCount"`
}

type jaegerFault struct {
	Code    int    `json:"code"`
	Msg     string `json:"msg"`
	TraceID string `json:"traceID"`
}

// call gets path into data and returns the status and the errors of the answer.
func (c *jaegerClient) call(path string, query url.Values, data any) (int, []jaegerFault, error) {
	resp, err := http.Get(c.url + path + "?" + query.Encode())
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil, err
	}
	var envelope struct {
		Data   json.RawMessage `json:"data"`
		Total  *int            `json:"total"`
		Limit  *int            `json:"limit"`
		Offset *int            `json:"offset"`
		Errors []jaegerFault   `json:"errors"`
	}
	if err := strict(body, &envelope); err != nil {
		return 0, nil, fmt.Errorf("%s: %w: %s", resp.Status, err, body)
	}
	if envelope.Total == nil || envelope.Limit == nil || envelope.Offset == nil {
		return 0, nil, fmt.Errorf("envelope is not whole: %s", body)
	}
	if resp.StatusCode != http.StatusOK {
		if len(envelope.Errors) != 1 || envelope.Errors[0].Code != resp.StatusCode || string(envelope.Data) != "null" {
			return 0, nil, fmt.Errorf("%s without its error: %s", resp.Status, body)
		}
		return resp.StatusCode, envelope.Errors, nil
	}
	if string(envelope.Data) == "null" {
		return 0, nil, errors.New("data is null")
	}
	return resp.StatusCode, envelope.Errors, strict(envelope.Data, data)
}

func strict(text []byte, out any) error {
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.DisallowUnknownFields()
	return d.Decode(out)
}

// traces gets and checks what Jaeger's UI and Grafana rely on.
func (c *jaegerClient) traces(path string, query url.Values) ([]jaegerTrace, []jaegerFault, error) {
	var list []jaegerTrace
	status, faults, err := c.call(path, query, &list)
	if err != nil || status != http.StatusOK {
		return nil, faults, err
	}
	for _, t := range list {
		if len(t.Spans) == 0 || t.Processes == nil {
			return nil, nil, fmt.Errorf("trace %s has %d spans, processes %v", t.TraceID, len(t.Spans), t.Processes)
		}
		for _, s := range t.Spans {
			p, ok := t.Processes[s.ProcessID]
			switch {
			case !ok || p.ServiceName == "" || p.Tags == nil:
				return nil, nil, fmt.Errorf("span %s: process %q is %+v", s.SpanID, s.ProcessID, p)
			case s.TraceID != t.TraceID || len(s.SpanID) != 16 || s.OperationName == "":
				return nil, nil, fmt.Errorf("span %+v of trace %s", s, t.TraceID)
			case s.Tags == nil || s.Logs == nil || s.References == nil:
				return nil, nil, fmt.Errorf("span %s has a null list", s.SpanID)
			}
			for _, r := range s.References {
				if r.RefType != "CHILD_OF" && r.RefType != "FOLLOWS_FROM" {
					return nil, nil, fmt.Errorf("span %s: reference %+v", s.SpanID, r)
				}
			}
			for _, kv := range s.Tags {
				if !strings.Contains(" string bool int64 float64 binary ", " "+kv.Type+" ") {
					return nil, nil, fmt.Errorf("span %s: tag %+v", s.SpanID, kv)
				}
			}
		}
	}
	return list, faults, nil
}

// Each golden trace as Jaeger's JSON, by search and by id, as it is and sorted.
func TestJaegerGoldenTraces(t *testing.T) {
	for _, file := range goldenTraces(t) {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			f := serve(t, file)
			c := &jaegerClient{f.web.URL}
			var services []string
			if _, _, err := c.call("/api/services", nil, &services); err != nil || len(services) == 0 {
				t.Fatalf("%v: %v", services, err)
			}
			found := map[string]bool{}
			for _, s := range services {
				list, _, err := c.traces("/api/traces", url.Values{"service": {s}})
				if err != nil || len(list) == 0 {
					t.Fatalf("service %q: %d traces, %v", s, len(list), err)
				}
				for _, tr := range list {
					found[tr.TraceID] = true
					one, _, err := c.traces("/api/traces/"+tr.TraceID, nil)
					if err != nil || len(one) != 1 || len(one[0].Spans) != len(tr.Spans) {
						t.Fatalf("by id: %d, %v", len(one), err)
					}
				}
				var names []string
				if _, _, err := c.call("/api/services/"+url.PathEscape(s)+"/operations", nil, &names); err != nil || len(names) == 0 {
					t.Fatalf("operations of %q: %v, %v", s, names, err)
				}
				var ops []jaegerOperation
				if _, _, err := c.call("/api/operations", url.Values{"service": {s}}, &ops); err != nil || len(ops) < len(names) {
					t.Fatalf("operations of %q: %v, %v", s, ops, err)
				}
			}
			if got := f.db.Stats().Traces; len(found) != got {
				t.Errorf("%d traces found by service, %d held", len(found), got)
			}
			_, body := f.get(t, "/api/traces?prettyPrint=true&service="+url.QueryEscape(services[0]))
			golden(t, "jaeger/"+name, body)
		})
	}
}

func TestJaegerSearch(t *testing.T) {
	f := serve(t, goldenTraces(t)...)
	c := &jaegerClient{f.web.URL}
	all, _, err := c.traces("/api/traces", url.Values{"service": {"articles-service"}})
	if err != nil || len(all) != 1 {
		t.Fatalf("%d traces, %v", len(all), err)
	}
	id, start := all[0].TraceID, all[0].Spans[0].StartTime
	micros := func(n uint64) []string { return []string{fmt.Sprint(n)} }
	for _, q := range []struct {
		query url.Values
		want  int
	}{
		{url.Values{"service": {"nobody"}}, 0},
		{url.Values{"service": {"articles-service"}, "operation": {"GET /articles/v1/"}}, 1},
		{url.Values{"service": {"articles-service"}, "operation": {"SuggestionsService.get_suggestions_for_article"}}, 0},
		{url.Values{"service": {"articles-service"}, "start": micros(start)}, 1},
		{url.Values{"service": {"articles-service"}, "start": micros(start + 3600e6)}, 0},
		{url.Values{"service": {"articles-service"}, "end": micros(start)}, 1},
		{url.Values{"service": {"articles-service"}, "end": micros(start - 1)}, 0},
		{url.Values{"service": {"articles-service"}, "minDuration": {"100us"}, "maxDuration": {"10s"}}, 1},
		{url.Values{"service": {"articles-service"}, "minDuration": {"1h"}}, 0},
		{url.Values{"service": {"articles-service"}, "tag": {"span.kind:client"}}, 1},
		{url.Values{"service": {"articles-service"}, "tag": {"span.kind:producer"}}, 0},
		{url.Values{"service": {"articles-service"}, "tags": {`{"span.kind":"server","http.route":"/articles/v1/"}`}}, 1},
		{url.Values{"service": {"articles-service"}, "tags": {`{"span.kind":"client","http.route":"/articles/v1/"}`}}, 0},
		{url.Values{"service": {"articles-service"}, "tag": {"error:true"}}, 0},
		{url.Values{"service": {"articles-service"}, "tag": {"error:false"}}, 1},
		{url.Values{"service": {"fulfilment"}, "tag": {"error:true"}}, 1},
		{url.Values{"service": {"fulfilment"}, "tag": {"otel.status_code:ERROR"}}, 1},
		{url.Values{"service": {"articles-service"}, "tag": {"resource.service.name:articles-service"}}, 1},
		{url.Values{"traceID": {id}}, 1},
		{url.Values{"traceID": {id, strings.ToUpper(id), id}}, 1},
		{url.Values{"service": {"missing-service-name"}}, 1},
		{url.Values{"service": {"empty-service-name"}}, 1},
	} {
		got, faults, err := c.traces("/api/traces", q.query)
		if err != nil || len(faults) > 0 || len(got) != q.want {
			t.Errorf("%v: %d traces, %v, %v; want %d", q.query, len(got), faults, err, q.want)
		}
	}
	got, faults, err := c.traces("/api/traces", url.Values{"traceID": {"abc", id}})
	if err != nil || len(got) != 1 || len(faults) != 1 || faults[0].TraceID != "0000000000000abc" {
		t.Errorf("one id of two: %d traces, %v, %v", len(got), faults, err)
	}
	var links []jaegerLink
	if _, _, err := c.call("/api/dependencies", url.Values{"endTs": {"1790000060000"}, "lookback": {"3600000"}}, &links); err != nil {
		t.Fatal(err)
	}
	calls := map[string]uint64{}
	for _, l := range links {
		calls[l.Parent+" → "+l.Child] = l.CallCount
	}
	if calls["articles-service → suggestions-service"] != 2 || calls["A → B"] != 1 {
		t.Errorf("dependencies: %v", calls)
	}
	if _, _, err := c.call("/api/dependencies", url.Values{"endTs": {"1789990000000"}, "lookback": {"1000"}}, &links); err != nil || len(links) != 0 {
		t.Errorf("dependencies of another time: %v, %v", links, err)
	}
	// Grafana sends the range of a trace by id in milliseconds.
	if got, _, err := c.traces("/api/traces/"+id, url.Values{"start": {"1790000000000"}, "end": {"1790000001000"}}); err != nil || len(got) != 1 {
		t.Errorf("with Grafana's range: %d, %v", len(got), err)
	}
}

func TestJaegerErrors(t *testing.T) {
	f := serve(t, "testdata/example.json")
	c := &jaegerClient{f.web.URL}
	for path, want := range map[string]struct {
		status int
		msg    string
	}{
		"/api/traces":                                         {400, "parameter 'service' is required"},
		"/api/traces?service=a&limit=0":                       {400, "'limit'"},
		"/api/traces?service=a&limit=x":                       {400, "'limit'"},
		"/api/traces?service=a&start=yesterday":               {400, "'start'"},
		"/api/traces?service=a&minDuration=5":                 {400, "'minDuration'"},
		"/api/traces?service=a&minDuration=2s&maxDuration=1s": {400, "'maxDuration' should be greater"},
		"/api/traces?service=a&tag=error":                     {400, "malformed 'tag'"},
		"/api/traces?service=a&tags={}}":                      {400, "malformed 'tags'"},
		"/api/traces?service=a&raw=maybe":                     {400, "'raw'"},
		"/api/traces?traceID=xyz":                             {400, "traceID"},
		"/api/traces/xyz":                                     {400, "not a hexadecimal digit"},
		"/api/traces/abc":                                     {404, "trace not found"},
		"/api/operations":                                     {400, "parameter 'service' is required"},
		"/api/dependencies?endTs=now":                         {400, "'endTs'"},
		"/api/dependencies?lookback=1d":                       {400, "'lookback'"},
		"/api/metrics/latencies?service=a":                    {400, "'quantile'"},
		"/api/metrics/latencies?service=a&quantile=NaN":       {400, "'quantile'"},
		"/api/metrics/calls":                                  {400, "at least one service"},
		"/api/metrics/calls?service=a&step=0":                 {400, "'step'"},
		"/api/metrics/calls?service=a&step=1":                 {400, "at most 11000 points"},
		"/api/metrics/calls?service=a&ratePer=9999999999":     {400, "ratePer"},
		"/api/metrics/errors?service=a&spanKind=cat":          {400, "unsupported span kind"},
		"/api/metrics/calls?service=a&groupByOperation=2":     {400, "'groupByOperation'"},
		"/api/metrics/nothing":                                {404, "no such path"},
		"/api/traces?service=a&limit=100001":                  {400, "'limit'"},
		"/api/quality-metrics":                                {501, "not supported"},
		"/api/deep-dependencies":                              {501, "not supported"},
		"/api/archive/abc":                                    {405, "want POST"},
		"/api/transform":                                      {405, "want POST"},
		"/api/nothing":                                        {404, "no such path"},
	} {
		path, query, _ := strings.Cut(path, "?")
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		status, faults, err := c.call(path, values, nil)
		if err != nil || status != want.status || len(faults) != 1 || !strings.Contains(faults[0].Msg, want.msg) {
			t.Errorf("%s?%s: %d, %v, %v; want %d, %q", path, query, status, faults, err, want.status, want.msg)
		}
	}
}

func TestJaegerMetrics(t *testing.T) {
	f := serve(t, goldenTraces(t)...)
	golden(t, "jaeger/metrics.txt", f.exchange(t,
		"/api/metrics/calls?service=articles-service&lookback=120000&step=60000&ratePer=60000",
		"/api/metrics/calls?service=articles-service&service=suggestions-service&groupByOperation=true&lookback=0&step=60000&spanKind=server&spanKind=client",
		"/api/metrics/latencies?service=articles-service&quantile=0.95&lookback=60000&step=60000",
		"/api/metrics/errors?service=articles-service&service=fulfilment&lookback=0&step=60000&spanKind=server&spanKind=consumer",
		"/api/metrics/errors?service=nobody&lookback=0&step=60000",
		"/api/metrics/calls?service=missing-service-name&lookback=0&spanKind=internal&prettyPrint=true",
	))
}

// The answer to a body of OTLP JSON is that to the trace when it is stored.
func TestJaegerTransform(t *testing.T) {
	for _, file := range goldenTraces(t) {
		name := filepath.Base(file)
		if name == "duplicate-spans.json" {
			continue // which of them is kept is the store's affair
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		f := serve(t, file)
		resp, err := http.Post(f.web.URL+"/api/transform", "application/json", strings.NewReader(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		var answer struct{ Data []json.RawMessage }
		if err := json.Unmarshal([]byte(readAll(t, resp)), &answer); err != nil || len(answer.Data) != f.db.Stats().Traces {
			t.Fatalf("%s: %v, %d traces of %d", name, err, len(answer.Data), f.db.Stats().Traces)
		}
		for _, got := range answer.Data {
			var id struct{ TraceID string }
			if err := json.Unmarshal(got, &id); err != nil {
				t.Fatal(err)
			}
			_, body := f.get(t, "/api/traces/"+id.TraceID)
			var stored struct{ Data []json.RawMessage }
			if err := json.Unmarshal([]byte(body), &stored); err != nil || len(stored.Data) != 1 {
				t.Fatal(err, body)
			}
			if d := cmp.Diff(string(stored.Data[0]), string(got)); d != "" {
				t.Errorf("%s (-stored +transformed):\n%s", name, d)
			}
		}
	}
	f := serve(t)
	for body, want := range map[string]int{"": 400, "{}": 200, "[": 400, `{"resourceSpans": 5}`: 400, strings.Repeat(" ", 64<<20+1): 413} {
		resp, err := http.Post(f.web.URL+"/api/transform", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if text := readAll(t, resp); resp.StatusCode != want {
			t.Errorf("%.20q: %d, want %d: %s", body, resp.StatusCode, want, text)
		}
	}
	resp, err := http.Post(f.web.URL+"/api/archive/abc", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if text := readAll(t, resp); resp.StatusCode != 501 || !strings.Contains(text, `"errors":[{"code":501`) {
		t.Errorf("archive: %d: %s", resp.StatusCode, text)
	}
}
