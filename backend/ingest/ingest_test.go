package ingest_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/throughline/throughline/backend/ingest"
	"github.com/throughline/throughline/backend/store"
)

// receiver is one that serves on free ports until the test ends.
type receiver struct {
	*ingest.Receiver
	db         *store.DB
	grpc, http string
}

func start(t *testing.T, config ingest.Config) *receiver {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	r := &receiver{db: store.New(store.Options{Log: log})}
	t.Cleanup(func() { r.db.Close() })
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	g, h := listen(), listen()
	r.grpc, r.http = g.Addr().String(), h.Addr().String()
	config.Store, config.Log = r.db, log
	config.GRPCAddress, config.HTTPAddress = r.grpc, r.http
	r.Receiver = ingest.New(config)
	ended := make(chan error, 2)
	go func() { ended <- r.ServeGRPC(g) }()
	go func() { ended <- r.ServeHTTP(h) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := r.Shutdown(ctx); err != nil {
			t.Errorf("shutting down: %v", err)
		}
		for range 2 {
			if err := <-ended; err != nil {
				t.Errorf("serving: %v", err)
			}
		}
	})
	return r
}

func (r *receiver) url(path string) string { return "http://" + r.http + path }

func (r *receiver) post(t *testing.T, path string, header map[string]string, body []byte) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url(path), bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		request.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// lastRejected waits until the reason of the last rejection has want in it:
// a gRPC call ends at its client before the server has counted it.
func (r *receiver) lastRejected(t *testing.T, protocol, want string) {
	t.Helper()
	var last ingest.Rejection
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		last = r.Stats().LastRejected
		if last.Protocol == protocol && strings.Contains(last.Reason, want) && time.Since(last.Time) < time.Minute {
			return
		}
	}
	t.Errorf("last rejected is %+v, want %s, %q", last, protocol, want)
}

// request is a golden trace in both forms.
func request(t *testing.T) (request ptraceotlp.ExportRequest, protobuf, json []byte) {
	t.Helper()
	json, err := os.ReadFile("../../testdata/traces/articles-with-suggested.json")
	if err != nil {
		t.Fatal(err)
	}
	td, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(json)
	if err != nil {
		t.Fatal(err)
	}
	request = ptraceotlp.NewExportRequestFromTraces(td)
	if protobuf, err = request.MarshalProto(); err != nil {
		t.Fatal(err)
	}
	return request, protobuf, json
}

// mixed is a request of one good span and some that are rejected.
func mixed() ptraceotlp.ExportRequest {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "mixed")
	spans := rs.ScopeSpans().AppendEmpty().Spans()
	for i := range 4 {
		s := spans.AppendEmpty()
		s.SetTraceID([16]byte{1})
		s.SetSpanID([8]byte{byte(i)}) // the first is zero
		s.SetName("good")
		s.SetStartTimestamp(1_790_000_000_000_000_000)
		s.SetEndTimestamp(1_790_000_000_000_000_001)
	}
	spans.At(2).SetEndTimestamp(1)
	spans.At(3).SetStartTimestamp(1_790_000_000)
	return ptraceotlp.NewExportRequestFromTraces(td)
}

func zip(t *testing.T, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
