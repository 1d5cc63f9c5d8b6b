//go:build e2e

package e2e

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
)

// serve runs a handler for the test's time and returns its URL.
func serve(t *testing.T, handler http.HandlerFunc) string {
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL
}

// The article's diagram goes in as OTLP JSON and comes back as it was.
func TestArticleDiagram(t *testing.T) {
	w := startWorld(t, suggestionsAt("http://127.0.0.1:1"))
	body, err := os.ReadFile(filepath.Join(checkout, "testdata", "traces", "article-diagram.json"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Post(w.otlpHTTP+"/v1/traces", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d", resp.StatusCode)
	}
	found := w.traces(t, map[string][]string{"service": {"A"}})
	if len(found) != 1 {
		t.Fatalf("found %+v", found)
	}
	golden(t, "article-diagram.tree", dump(w.trace(t, found[0].TraceID), nil))
}
