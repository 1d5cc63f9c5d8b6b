package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/throughline/throughline/backend/api"
	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
)

var update = flag.Bool("update", false, "rewrite the golden files and the answers in api.md")

// received is the time at which the fixtures' spans arrive.
var received = time.Unix(0, 1_790_000_000_200_000_000)

type fixture struct {
	db  *store.DB
	web *httptest.Server
}

// serve starts the API over a store that holds the OTLP JSON files.
func serve(t *testing.T, files ...string) *fixture {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	f := &fixture{db: store.New(store.Options{Log: log, Now: func() time.Time { return received }})}
	t.Cleanup(func() { f.db.Close() })
	for _, name := range files {
		f.send(t, name)
	}
	f.web = httptest.NewServer(api.New(api.Config{
		Store: f.db, Version: "0.1.0", Started: received.Add(-61 * time.Second), Log: log,
		Now:       func() time.Time { return received },
		Receivers: []api.Receiver{{Protocol: "grpc", Address: "127.0.0.1:4317"}, {Protocol: "http", Address: "127.0.0.1:4318"}},
		Ingest: func() api.Ingest {
			return api.Ingest{
				AcceptedSpans: 3, RejectedRequests: 1, LastAccepted: received,
				LastRejected: api.Rejection{Time: received, Protocol: "http", Reason: "POST /v1/trace: no such path, OTLP traces go to /v1/traces"},
			}
		},
		AllowHost: api.HostCheck("127.0.0.1:16686", []string{"traces.example"}),
	}))
	t.Cleanup(f.web.Close)
	return f
}

func (f *fixture) send(t *testing.T, name string) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	batch, err := span.DecodeJSON(text, span.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	batch.Validate(received)
	if err := f.db.Append(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if batch.Rejected.Count > 0 {
		t.Fatal(batch.Rejected.String())
	}
}

func (f *fixture) get(t *testing.T, path string) (int, string) {
	t.Helper()
	resp, err := http.Get(f.web.URL + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("GET %s: content type %q", path, got)
	}
	return resp.StatusCode, string(body)
}

// golden compares text with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got, -update accepts):\n%s", path, d)
	}
}

func indent(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Indent(&out, []byte(strings.TrimSpace(text)), "", "  "); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return out.String() + "\n"
}

func goldenTraces(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../testdata/traces/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("golden traces: %v, %d files", err, len(files))
	}
	return files
}

func readAll(t *testing.T, resp *http.Response) string {
	t.Helper()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
