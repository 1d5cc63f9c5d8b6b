package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// harness stands for the suite: it takes the callbacks and keeps their headers.
type harness struct {
	*httptest.Server
	mu      sync.Mutex
	headers []http.Header
}

func newHarness(t *testing.T) *harness {
	h := &harness{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.headers = append(h.headers, r.Header)
	}))
	t.Cleanup(h.Close)
	return h
}

// post makes the service call back n times and returns the headers of the callbacks.
func (h *harness) post(t *testing.T, endpoint string, n int, header http.Header) []http.Header {
	t.Helper()
	h.mu.Lock()
	h.headers = nil
	h.mu.Unlock()
	body := fmt.Sprintf("[%s]", strings.TrimSuffix(strings.Repeat(`{"url":"`+h.URL+`","arguments":[]},`, n), ","))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for key, values := range header {
		req.Header[key] = values
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if b, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusOK {
		t.Fatalf("status %d: %s", res.StatusCode, b)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.headers) != n {
		t.Fatalf("%d callbacks, want %d", len(h.headers), n)
	}
	return h.headers
}

// start runs the real program and returns its endpoint.
func start(t *testing.T) string {
	t.Helper()
	t.Setenv("OTEL_TRACES_EXPORTER", "none")
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"--port", "0"}, w, io.Discard)
		w.CloseWithError(io.EOF)
		ended <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	line := make([]byte, 256)
	n, err := r.Read(line)
	if err != nil {
		t.Fatal(err, <-ended)
	}
	return string(bytes.TrimSpace(line[:n]))
}

// TestSuiteRules runs the contract's cases through the real service: the callback continues the trace with a parent of
// its own, or starts a new one, and passes the tracestate on.
func TestSuiteRules(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "testdata", "contracts", "tracecontext.json"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name        string                                     `json:"name"`
		Traceparent []string                                   `json:"traceparent"`
		Tracestate  []string                                   `json:"tracestate"`
		Want        *struct{ Flags, Tracestate, Trace string } `json:"want"`
	}
	if err := json.Unmarshal(bytes.ReplaceAll(data, []byte(`"trace_id"`), []byte(`"trace"`)), &cases); err != nil {
		t.Fatal(err)
	}
	endpoint, h := start(t), newHarness(t)
	run := 0
	for _, c := range cases {
		sendable := true
		for _, v := range append(append([]string{}, c.Traceparent...), c.Tracestate...) {
			sendable = sendable && !strings.ContainsFunc(v, func(r rune) bool { return r < ' ' && r != '\t' || r > '~' })
		}
		if !sendable {
			continue
		}
		run++
		t.Run(c.Name, func(t *testing.T) {
			out := h.post(t, endpoint, 1, http.Header{"Traceparent": c.Traceparent, "Tracestate": c.Tracestate})[0]
			if n := len(out["Traceparent"]); n != 1 {
				t.Fatalf("%d traceparent headers", n)
			}
			parts := strings.Split(out.Get("Traceparent"), "-")
			if len(parts) != 4 || parts[0] != "00" || len(parts[1]) != 32 || len(parts[2]) != 16 {
				t.Fatalf("traceparent %q", out.Get("Traceparent"))
			}
			if c.Want == nil {
				if strings.Contains(strings.Join(c.Traceparent, ""), parts[1]) || out.Get("Tracestate") != "" {
					t.Fatalf("continued by %v", out)
				}
				return
			}
			if parts[1] != c.Want.Trace || parts[3] != c.Want.Flags || strings.Contains(c.Traceparent[0], parts[2]) {
				t.Errorf("traceparent %q", out.Get("Traceparent"))
			}
			// net/http trims white space at the ends of a value, as HTTP says.
			if got := out.Get("Tracestate"); got != c.Want.Tracestate {
				t.Errorf("tracestate %q, want %q", got, c.Want.Tracestate)
			}
		})
	}
	if run < 70 {
		t.Errorf("%d cases could be sent", run)
	}
}

// TestSeveralCallbacks: one trace, a parent id for each call.
func TestSeveralCallbacks(t *testing.T) {
	endpoint, h := start(t), newHarness(t)
	for _, parent := range [][]string{nil, {"00-12345678901234567890123456789012-1234567890123456-01"}} {
		traces, parents := map[string]bool{}, map[string]bool{}
		for _, header := range h.post(t, endpoint, 3, http.Header{"Traceparent": parent}) {
			parts := strings.Split(header.Get("Traceparent"), "-")
			traces[parts[1]], parents[parts[2]] = true, true
		}
		if len(traces) != 1 || len(parents) != 3 {
			t.Errorf("traces %v, parents %v", traces, parents)
		}
	}
}
