package main

import (
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.opentelemetry.io/otel"

	"github.com/throughline/throughline/apps/articles/articles"
	"github.com/throughline/throughline/tracing/go/tracingtest"
)

// recorded is the API over a real listener with its spans in memory, for services that cannot be had from outside.
type recorded struct {
	*tracingtest.Recorder
	URL string
}

func newRecorded(t *testing.T, service articles.Service, timeout time.Duration) recorded {
	t.Helper()
	r := tracingtest.Install(t)
	endpoints := articles.MakeEndpoints(articles.TraceService(service, otel.GetTracerProvider()), timeout)
	srv := httptest.NewServer(articles.NewHandler(endpoints, false, slog.New(slog.DiscardHandler)))
	t.Cleanup(srv.Close)
	return recorded{r, srv.URL}
}

// writeData writes a data source and returns its path.
func writeData(t *testing.T, data string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "articles.json")
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
