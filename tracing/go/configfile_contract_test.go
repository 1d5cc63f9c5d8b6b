package tracing_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	tracing "github.com/throughline/throughline/tracing/go"
)

// TestConfigFileContract: the cases the Python package answers as well.
func TestConfigFileContract(t *testing.T) {
	data, err := os.ReadFile("../../testdata/contracts/config-files.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name    string
		File    string
		Environ map[string]string
		Error   bool
		Want    struct {
			Spans   int
			Service string
			Fields  []string
			Headers map[string]string
			Absent  []string
		}
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			var (
				mu       sync.Mutex
				received bytes.Buffer // protobuf, in which strings are plain
				headers  http.Header
			)
			srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				body := io.Reader(r.Body)
				if r.Header.Get("Content-Encoding") == "gzip" {
					body, _ = gzip.NewReader(body)
				}
				mu.Lock()
				defer mu.Unlock()
				_, _ = io.Copy(&received, body)
				headers = r.Header
			}))
			defer srv.Close()
			file := filepath.Join(t.TempDir(), "otel.yaml")
			if err := os.WriteFile(file, []byte(c.File), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("OTEL_CONFIG_FILE", file)
			t.Setenv("ENDPOINT", srv.URL+"/v1/traces")
			for name, value := range c.Environ {
				t.Setenv(name, value)
			}
			p, err := tracing.New(t.Context(), tracing.Config{Logger: (&lines{}).logger()})
			if (err != nil) != c.Error {
				t.Fatalf("error %v", err)
			}
			if c.Error {
				return
			}
			makeSpans(p, 1)
			if err := p.Shutdown(t.Context()); err != nil {
				t.Fatal(err)
			}
			fields := p.Propagator().Fields()
			slices.Sort(fields)
			if !slices.Equal(fields, c.Want.Fields) {
				t.Errorf("fields %q, want %q", fields, c.Want.Fields)
			}
			mu.Lock()
			defer mu.Unlock()
			if n := strings.Count(received.String(), "span 0"); n != c.Want.Spans {
				t.Errorf("%d spans, want %d", n, c.Want.Spans)
			}
			if c.Want.Spans > 0 && !strings.Contains(received.String(), c.Want.Service) {
				t.Errorf("received %q", received.String())
			}
			for name, value := range c.Want.Headers {
				if got := headers.Get(name); got != value {
					t.Errorf("header %s is %q", name, got)
				}
			}
			for _, name := range c.Want.Absent {
				if headers[http.CanonicalHeaderKey(name)] != nil {
					t.Errorf("header %s is sent", name)
				}
			}
		})
	}
}
