package mcp

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/throughline/throughline/backend/client"
	"github.com/throughline/throughline/backend/server"
	"github.com/throughline/throughline/backend/server/servertest"
	"github.com/throughline/throughline/backend/span"
)

// The golden traces are of this hour.
var now = time.Date(2026, 9, 21, 15, 0, 0, 0, time.UTC)

// start runs a whole server with the golden traces, and MCP before it.
func start(t *testing.T) (*servertest.Server, *sdk.Server) {
	t.Helper()
	s := servertest.Start(t, server.Config{})
	s.SendGolden(t)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := client.Open(t.Context(), client.Options{URL: s.Base, Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	return s, New(Config{Client: c, Version: "test", Now: func() time.Time { return now }})
}

// session connects the SDK's own client over a pipe.
func session(t *testing.T, m *sdk.Server) *sdk.ClientSession {
	t.Helper()
	here, there := net.Pipe()
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { ended <- m.Run(ctx, &sdk.IOTransport{Reader: there, Writer: there}) }()
	c, err := sdk.NewClient(&sdk.Implementation{Name: "test"}, nil).Connect(t.Context(), &sdk.IOTransport{Reader: here, Writer: here}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		cancel()
		<-ended
	})
	return c
}

// call returns the text of a tool's answer, and whether it is an error.
func call(t *testing.T, c *sdk.ClientSession, tool string, arguments map[string]any) (string, bool) {
	t.Helper()
	result, err := c.CallTool(t.Context(), &sdk.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		return err.Error(), true
	}
	var b strings.Builder
	for _, content := range result.Content {
		text, ok := content.(*sdk.TextContent)
		if !ok {
			t.Fatalf("%s answered a %T", tool, content)
		}
		b.WriteString(text.Text)
	}
	return b.String(), result.IsError
}

func TestTools(t *testing.T) {
	_, m := start(t)
	c := session(t, m)
	tools, err := c.ListTools(t.Context(), nil)
	if err != nil || len(tools.Tools) != 5 {
		t.Fatalf("%v, %v", tools, err)
	}
	for _, tool := range tools.Tools {
		if a := tool.Annotations; a == nil || !a.ReadOnlyHint || a.DestructiveHint == nil || *a.DestructiveHint || a.OpenWorldHint == nil || *a.OpenWorldHint {
			t.Errorf("%s: annotations %+v", tool.Name, a)
		}
		schema, err := json.Marshal(tool.InputSchema)
		if err != nil || tool.Description == "" {
			t.Errorf("%s: %q, %v", tool.Name, tool.Description, err)
		}
		var described struct {
			Properties map[string]struct{ Description string }
		}
		if err := json.Unmarshal(schema, &described); err != nil {
			t.Fatal(err)
		}
		for name, p := range described.Properties {
			if p.Description == "" {
				t.Errorf("%s: %s is not described", tool.Name, name)
			}
		}
	}
	for _, q := range []struct {
		tool      string
		arguments map[string]any
		want      []string
		fails     bool
	}{
		{tool: "services", want: []string{`{"errors":0,"name":"articles-service","spans":7}`}},
		{tool: "operations", arguments: map[string]any{"service": "payments"}, want: []string{`{"errors":1,"kind":"client","name":"charge card","spans":1}`}},
		{tool: "operations", arguments: map[string]any{}, want: []string{"service"}, fails: true},
		{tool: "trace", arguments: map[string]any{"traceId": "8be7aac6d07ceea7865625143c7d9f0d"}, want: []string{
			"payments: POST /pay [server] at +0 took 70ms", "  payments: charge card [client] at +10ms took 50ms, ERROR: declined", "{attempt=1}",
		}},
		{tool: "trace", arguments: map[string]any{"traceId": "8be7aac6d07ceea7865625143c7d9f0d", "maxSpans": 1, "brief": true}, want: []string{"… and 1 more span"}},
		{tool: "trace", arguments: map[string]any{"traceId": "ff"}, want: []string{"trace not found"}, fails: true},
		{tool: "trace", arguments: map[string]any{"traceId": "no id"}, want: []string{"not a hexadecimal digit"}, fails: true},
		{tool: "trace", arguments: map[string]any{"traceId": "ff", "maxSpans": 1001}, want: []string{"want 1 to 1000"}, fails: true},
		{tool: "search", arguments: map[string]any{"query": `{ name = "charge card" }`}, want: []string{`"traceId":"8be7aac6d07ceea7865625143c7d9f0d"`, `"name":"charge card"`, `"truncated":false`}},
		{tool: "search", arguments: map[string]any{"status": "error", "limit": 1}, want: []string{`"truncated":true`}},
		{tool: "search", arguments: map[string]any{"service": "A", "from": "2h", "to": "2026-09-21T14:30:00Z"}, want: []string{`"root":"A: A₀"`}},
		{tool: "search", arguments: map[string]any{"service": "A", "from": "10m"}, want: []string{`"traces":[]`}},
		{tool: "search", arguments: map[string]any{"query": `{ name = `}, want: []string{"1:"}, fails: true},
		{tool: "search", arguments: map[string]any{"query": `{}`, "service": "A"}, want: []string{"give one of them"}, fails: true},
		{tool: "search", arguments: map[string]any{"limit": 101}, want: []string{"want 1 to 100"}, fails: true},
		{tool: "search", arguments: map[string]any{"from": "yesterday"}, want: []string{"want a time such as"}, fails: true},
		{tool: "search", arguments: map[string]any{"unknown": 1}, want: []string{"unknown"}, fails: true},
		{tool: "metrics", arguments: map[string]any{"query": `{} | count_over_time() by (resource.service.name)`}, want: []string{`"resource.service.name":"articles-service"`}},
		{tool: "metrics", arguments: map[string]any{"query": `{ resource.service.name = "A" } | count_over_time()`, "instant": true}, want: []string{`"value":4`}},
		{tool: "metrics", arguments: map[string]any{"query": `{} | rate()`, "step": "1s"}, want: []string{"want at most 60"}, fails: true},
		{tool: "metrics", arguments: map[string]any{"query": " "}, want: []string{"query is empty"}, fails: true},
	} {
		t.Run(fmt.Sprint(q.tool, q.arguments), func(t *testing.T) {
			text, failed := call(t, c, q.tool, q.arguments)
			if failed != q.fails {
				t.Errorf("an error is %t: %s", failed, text)
			}
			for _, want := range q.want {
				if !strings.Contains(text, want) {
					t.Errorf("%s is not in %s", want, text)
				}
			}
		})
	}
}

// large is a server that answers everything with more than a model can read.
type large struct{ client.Client }

func (large) Search(_ context.Context, q client.Query) (client.Found, error) {
	var found client.Found
	for i := range q.Limit {
		m := client.Match{Summary: span.Summary{TraceID: span.TraceID{byte(i)}, RootName: strings.Repeat("é", 5000)}}
		for range 3 {
			s := client.SpanMatch{Name: strings.Repeat("n", 5000)}
			for k := range 20 {
				s.Attributes = append(s.Attributes, span.Attribute{Key: fmt.Sprint(k), Value: span.String(strings.Repeat("v", 5000))})
			}
			m.Spans = append(m.Spans, s)
		}
		found.Traces = append(found.Traces, m)
	}
	return found, nil
}

func (large) Trace(_ context.Context, id span.TraceID) (*span.Trace, error) {
	t := &span.Trace{ID: id}
	for i := range 5000 {
		s := span.Span{TraceID: id, SpanID: span.SpanID{byte(i), byte(i >> 8), 1}, Name: strings.Repeat("n", 5000), Resource: &span.Resource{}, Scope: &span.Scope{}}
		s.Attributes = []span.Attribute{{Key: "k", Value: span.String(strings.Repeat("v\n", 5000))}}
		t.Spans = append(t.Spans, s)
	}
	return t, nil
}

func (large) Services(context.Context) ([]client.Service, error) {
	var list []client.Service
	for i := range 2000 {
		list = append(list, client.Service{Name: strings.Repeat("s", 1000) + fmt.Sprint(i)})
	}
	return list, nil
}

func (large) Metrics(context.Context, client.MetricsQuery) ([]client.Series, error) {
	var list []client.Series
	for range 100 {
		s := client.Series{Labels: []span.Attribute{{Key: "k", Value: span.String(strings.Repeat("v", 5000))}}}
		for i := range 1000 {
			s.Points = append(s.Points, client.Point{Time: now.Add(time.Duration(i) * time.Second), Value: 1})
		}
		list = append(list, s)
	}
	return list, nil
}

func TestAnswersAreBounded(t *testing.T) {
	c := session(t, New(Config{Client: large{}}))
	for tool, arguments := range map[string]map[string]any{
		"search": {"limit": 100}, "trace": {"traceId": "1", "maxSpans": 1000}, "services": {}, "metrics": {"query": "{} | rate()"},
	} {
		text, failed := call(t, c, tool, arguments)
		if failed || len(text) > 2*maxAnswer || !strings.Contains(text, "cut") {
			t.Errorf("%s: %d bytes, an error is %t: %.200s", tool, len(text), failed, text)
		}
	}
}

func TestHTTP(t *testing.T) {
	_, m := start(t)
	web := httptest.NewServer(Handler(m, func(host string) bool { return strings.HasPrefix(host, "127.0.0.1:") }))
	t.Cleanup(web.Close)
	c, err := sdk.NewClient(&sdk.Implementation{Name: "test"}, nil).Connect(t.Context(), &sdk.StreamableClientTransport{
		Endpoint: web.URL, HTTPClient: web.Client(), DisableStandaloneSSE: true,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if text, failed := call(t, c, "services", nil); failed || !strings.Contains(text, "articles-service") {
		t.Error(text)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	const body = `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}`
	for name, change := range map[string]func(*http.Request){
		"foreign host":   func(r *http.Request) { r.Host = "evil.example" },
		"foreign origin": func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
		"null origin":    func(r *http.Request) { r.Header.Set("Origin", "null") },
		"cross site":     func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"":               func(*http.Request) {},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, web.URL, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", "application/json, text/event-stream")
		change(r)
		resp, err := web.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if refused := resp.StatusCode == http.StatusForbidden; refused != (name != "") {
			t.Errorf("%s: %s", name, resp.Status)
		}
	}
}
