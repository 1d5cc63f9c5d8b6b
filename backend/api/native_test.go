package api_test

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/throughline/throughline/backend/api"
	"github.com/throughline/throughline/backend/span"
)

// Each golden trace: its summary against a golden file, its OTLP equal to what
// was sent, order and duplicates aside.
func TestNativeGoldenTraces(t *testing.T) {
	for _, file := range goldenTraces(t) {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			f := serve(t, file)
			status, body := f.get(t, "/api/native/v1/traces")
			if status != http.StatusOK {
				t.Fatalf("%d: %s", status, body)
			}
			golden(t, "native/"+name, indent(t, body))
			if name == "duplicate-spans.json" {
				return
			}
			var list struct{ Traces []struct{ TraceID string } }
			if err := json.Unmarshal([]byte(body), &list); err != nil {
				t.Fatal(err)
			}
			var got []span.Span
			for _, tr := range list.Traces {
				_, body := f.get(t, "/api/native/v1/traces/"+tr.TraceID)
				batch, err := span.DecodeJSON([]byte(body), span.Limits{}) // the summary beside it is an unknown field
				if err != nil || batch.Rejected.Count > 0 {
					t.Fatal(err, batch.Rejected.String())
				}
				got = append(got, batch.Spans...)
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want, err := span.DecodeJSON(text, span.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(want.Spans, got, cmpopts.EquateEmpty(), cmpopts.SortSlices(func(a, b span.Span) bool {
				return a.TraceID.String()+a.SpanID.String() < b.TraceID.String()+b.SpanID.String()
			})); d != "" {
				t.Errorf("what came back (-sent +got):\n%s", d)
			}
		})
	}
}

func TestNativeFilters(t *testing.T) {
	f := serve(t, goldenTraces(t)...)
	for query, want := range map[string]int{
		"":                         10,
		"limit=3":                  3,
		"service=articles-service": 1,
		"service=":                 1,
		"service=nobody":           0,
		"name=GET+/articles/v1/":   1,
		"kind=consumer":            1,
		"status=error":             2,
		"service=fulfilment&status=error&kind=consumer":              1,
		"service=fulfilment&status=error&kind=server":                0,
		"attr=http.route=/articles/v1/":                              1,
		"attr=service.name=articles-service":                         1,
		"attr=http.route=/articles/v1/&attr=service.name=nobody":     0,
		"minDuration=400ms":                                          1,
		"minDuration=400ms&maxDuration=1s":                           1,
		"maxDuration=0s":                                             0,
		"start=1790000000000000000":                                  10,
		"start=2027-01-01T00:00:00Z":                                 0,
		"end=2020-01-01T00:00:00Z":                                   0,
		"start=2026-09-21T00:00:00Z&end=2026-09-22T00:00:00%2B02:00": 10,
	} {
		status, body := f.get(t, "/api/native/v1/traces?"+query)
		var list struct {
			Traces    []struct{}
			Truncated bool
		}
		if err := json.Unmarshal([]byte(body), &list); err != nil || status != http.StatusOK {
			t.Errorf("%s: %d, %v: %s", query, status, err, body)
			continue
		}
		if len(list.Traces) != want || list.Truncated != (query == "limit=3") || !strings.Contains(body, `"traces":[`) {
			t.Errorf("%s: %d traces, truncated %t; want %d", query, len(list.Traces), list.Truncated, want)
		}
	}
}

func TestNativeErrors(t *testing.T) {
	f := serve(t, "testdata/example.json")
	for path, want := range map[string]string{
		"traces?limit=0":                          `400 invalid_argument limit "0": want a number from 1 to 1000`,
		"traces?limit=1001":                       `400 invalid_argument limit "1001": want a number from 1 to 1000`,
		"traces?kind=Server":                      `400 invalid_argument kind "Server": want unspecified, internal, server, client, producer or consumer`,
		"traces?status=fine":                      `400 invalid_argument status "fine": want unset, ok or error`,
		"traces?attr=novalue":                     `400 invalid_argument attr "novalue": want key=value`,
		"traces?minDuration=-1s":                  `400 invalid_argument minDuration "-1s": want a duration such as 250ms or 1.5s`,
		"traces?minDuration=2s&maxDuration=1s":    `400 invalid_argument minDuration 2s is more than maxDuration 1s`,
		"traces?start=soon":                       `400 invalid_argument start "soon": want unix nanoseconds or a time such as 2026-01-02T15:04:05Z`,
		"traces?start=2&end=1":                    `400 invalid_argument start is after end`,
		"traces?servce=a":                         `400 invalid_argument parameter "servce" is unknown`,
		"operations?service=a&service=b":          `400 invalid_argument service is given 2 times`,
		"traces?service=%zz":                      `400 invalid_argument query "service=%zz": invalid URL escape "%zz"`,
		"traces?status=error;limit=1":             `400 invalid_argument query "status=error;limit=1": invalid semicolon separator in query`,
		"traces?service=a&service=b":              `400 invalid_argument service is given 2 times`,
		"services?x=1":                            `400 invalid_argument parameter "x" is unknown`,
		"stream?limit=3":                          `400 invalid_argument parameter "limit" is unknown`,
		"traces/xyz":                              `400 invalid_argument trace id "xyz": 'z' is not a hexadecimal digit`,
		"traces/" + strings.Repeat("0", 32):       `400 invalid_argument trace id "00000000000000000000000000000000": all zeros`,
		"traces/5b8efff798038103d269b633813fc60d": `404 not_found trace not found: 5b8efff798038103d269b633813fc60d`,
		"nothing": `404 not_found /api/native/v1/nothing: no such path`,
	} {
		status, body := f.get(t, "/api/native/v1/"+path)
		if got := fmt.Sprint(status, " ", errorOf(t, body)); got != want {
			t.Errorf("%s: got %s\nwant %s", path, got, want)
		}
	}
	resp, err := http.Post(f.web.URL+"/api/native/v1/traces", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got := errorOf(t, string(body)); resp.StatusCode != 405 || got != "method_not_allowed POST: want GET" || resp.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %s, %s, Allow %q", resp.Status, got, resp.Header.Get("Allow"))
	}
	// Short and upper-case ids are the same trace.
	if status, _ := f.get(t, "/api/native/v1/traces/5B8EFFF798038103D269B633813FC60C"); status != 200 {
		t.Errorf("upper-case id: %d", status)
	}
}

func errorOf(t *testing.T, body string) string {
	t.Helper()
	var e struct {
		Error struct{ Code, Message string }
	}
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return e.Error.Code + " " + e.Error.Message
}

func TestHeaders(t *testing.T) {
	f := serve(t, goldenTraces(t)...)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.web.URL+"/api/native/v1/traces", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept-Encoding", "gzip")
	request.Header.Set("Origin", "https://evil.example")
	resp, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	z, err := gzip.NewReader(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(z); err != nil || !json.Valid(body) {
		t.Errorf("%v: %s", err, body)
	}
	for name, want := range map[string]string{
		"Content-Encoding": "gzip", "Content-Type": "application/json", "X-Content-Type-Options": "nosniff",
		"X-Frame-Options": "DENY", "Cache-Control": "private, no-cache", "Access-Control-Allow-Origin": "",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// A page of another host that was made to resolve to this address reads nothing.
func TestHostCheck(t *testing.T) {
	f := serve(t, "testdata/example.json")
	for host, want := range map[string]int{
		"evil.example": 403, "evil.example:16686": 403, "localhost.evil.example": 403, "127.0.0.1.evil.example": 403,
		"localhost": 200, "LOCALHOST:1": 200, "ui.localhost:16686": 200, "127.0.0.1:16686": 200, "[::1]:16686": 200,
		"192.168.1.5": 200, "throughline:16686": 200, "host.docker.internal:16686": 200, "traces.example": 200, "Traces.Example.:80": 200,
	} {
		for _, path := range []string{"/api/native/v1/services", "/api/services", "/healthz"} {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.web.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			request.Host = host
			resp, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("Host: %s, %s: %d, want %d", host, path, resp.StatusCode, want)
			}
		}
	}
	for _, c := range []struct {
		address, host string
		allowed       []string
		want          bool
	}{
		{"0.0.0.0:16686", "traces.example", nil, true},
		{"[::]:16686", "traces.example", nil, true},
		{"0.0.0.0:16686", "traces.example", []string{"other.example"}, false},
		{"0.0.0.0:16686", "other.example", []string{"other.example"}, true},
		{"localhost:16686", "traces.example", nil, false},
		{"[::1]:16686", "traces.example", nil, false},
		{"127.0.0.1:16686", "", nil, true},
	} {
		if got := api.HostCheck(c.address, c.allowed)(c.host); got != c.want {
			t.Errorf("bound to %s, allowed %v: host %q: got %t", c.address, c.allowed, c.host, got)
		}
	}
}

func TestPanicIs500(t *testing.T) {
	h := api.New(api.Config{UI: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("in a test") })})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: h, ReadHeaderTimeout: time.Second}
	go web.Serve(l)
	defer web.Close()
	resp, err := http.Get("http://" + l.Addr().String() + "/page")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 500 || strings.Contains(string(body), "in a test") {
		t.Errorf("%s: %v: %s", resp.Status, err, body)
	}
}

// events reads a stream's events as they come.
type events struct {
	lines *bufio.Scanner
	close func() error
}

func (f *fixture) stream(t *testing.T, query string) *events {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.web.URL+"/api/native/v1/stream?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); resp.Body.Close() })
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	return &events{lines, resp.Body.Close}
}

// next returns the name and the data of the next event that is not a status.
func (e *events) next(t *testing.T) (string, string) {
	t.Helper()
	name, data := "", ""
	for e.lines.Scan() {
		line := e.lines.Text()
		switch {
		case line == "" && name != "" && name != "status":
			return name, data
		case strings.HasPrefix(line, "event: "):
			name = line[7:]
		case strings.HasPrefix(line, "data: "):
			data = line[6:]
		}
	}
	t.Fatalf("the stream ended: %v", e.lines.Err())
	return "", ""
}

func TestStreamFilter(t *testing.T) {
	f := serve(t)
	e := f.stream(t, url.Values{"service": {"fulfilment"}, "attr": {"messaging.destination.name=orders"}}.Encode())
	all := f.stream(t, "")
	for _, file := range goldenTraces(t) {
		f.send(t, file)
	}
	name, data := e.next(t)
	if name != "trace" || !strings.Contains(data, `"rootService":"fulfilment"`) {
		t.Errorf("got %s %s", name, data)
	}
	seen := map[string]bool{}
	for len(seen) < f.db.Stats().Traces {
		_, data := all.next(t)
		var s struct{ TraceID string }
		if err := json.Unmarshal([]byte(data), &s); err != nil {
			t.Fatal(err)
		}
		seen[s.TraceID] = true
	}
}
