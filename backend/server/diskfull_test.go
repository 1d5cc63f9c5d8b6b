package server_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/throughline/throughline/backend/server"
	"github.com/throughline/throughline/backend/store"
	"github.com/throughline/throughline/backend/store/storetest"
)

// While the disk is full, exports are refused so that clients try again, readiness
// says so, and queries are answered; when there is room again, all is as before.
func TestDiskFull(t *testing.T) {
	fs := storetest.NewCrashFS(0)
	var full atomic.Bool
	fs.Fail(func(op, name string) error {
		if full.Load() && op != "remove" && strings.HasSuffix(name, ".wal") {
			return syscall.ENOSPC
		}
		return nil
	})
	a := start(t, server.Config{Data: "data", Store: store.Options{FS: fs, Durability: store.Durability{Sync: true}}})
	conn, err := grpc.NewClient(a.OTLPGRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	request := func(id byte) ptraceotlp.ExportRequest {
		td := ptrace.NewTraces()
		s := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans().AppendEmpty()
		s.SetTraceID([16]byte{id})
		s.SetSpanID([8]byte{1})
		s.SetStartTimestamp(1_790_000_000_000_000_000)
		s.SetEndTimestamp(1_790_000_000_000_000_001)
		return ptraceotlp.NewExportRequestFromTraces(td)
	}
	viaGRPC := func(id byte) error {
		_, err := ptraceotlp.NewGRPCClient(conn).Export(t.Context(), request(id))
		return err
	}
	viaHTTP := func(id byte) *http.Response {
		t.Helper()
		body, err := request(id).MarshalProto()
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.Post("http://"+a.OTLPHTTP+"/v1/traces", "application/x-protobuf", strings.NewReader(string(body)))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp
	}
	get := func(url string) (int, string) {
		t.Helper()
		resp, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	health := func() healthpb.HealthCheckResponse_ServingStatus {
		t.Helper()
		h, err := healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return h.Status
	}

	if err := viaGRPC(1); err != nil {
		t.Fatal(err)
	}
	full.Store(true)
	if resp := viaHTTP(2); resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("over HTTP: %s, Retry-After %q", resp.Status, resp.Header.Get("Retry-After"))
	}
	err = viaGRPC(3)
	st := status.Convert(err)
	retry := false
	for _, d := range st.Details() {
		_, ok := d.(*errdetails.RetryInfo)
		retry = retry || ok
	}
	if st.Code() != codes.Unavailable || !retry || !strings.Contains(st.Message(), "the store cannot write now") {
		t.Errorf("over gRPC: %v, RetryInfo %t", err, retry)
	}
	if code, body := get("http://" + a.OTLPHTTP + "/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "cannot be stored") {
		t.Errorf("readiness of the receiver: %d %s", code, body)
	}
	if h := health(); h != healthpb.HealthCheckResponse_NOT_SERVING {
		t.Error("gRPC health:", h)
	}
	if code, body := get(a.URL() + "/readyz"); code != http.StatusOK || !strings.Contains(body, "spans are refused") {
		t.Errorf("readiness of the UI's port: %d %s", code, body)
	}
	if code, body := get(a.URL() + "/api/native/v1/status"); code != http.StatusOK || !strings.Contains(body, `"writable":false,"unwritableReason":"`) {
		t.Errorf("status: %d %s", code, body)
	}
	if families := scrape(t, a); value(t, families, "throughline_store_writable") != 0 || value(t, families, "throughline_store_refused_total") < 2 {
		t.Error("the metrics do not tell")
	}
	if code, _ := get(a.URL() + "/api/native/v1/traces/01" + strings.Repeat("0", 30)); code != http.StatusOK {
		t.Errorf("reading what is stored: %d", code)
	}

	full.Store(false)
	for deadline := time.Now().Add(20 * time.Second); viaGRPC(4) != nil; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("exports are refused for ever")
		}
	}
	if code, _ := get("http://" + a.OTLPHTTP + "/readyz"); code != http.StatusOK {
		t.Errorf("readiness afterwards: %d", code)
	}
	if h := health(); h != healthpb.HealthCheckResponse_SERVING {
		t.Error("gRPC health afterwards:", h)
	}
	for id, want := range map[string]int{"01": http.StatusOK, "04": http.StatusOK} {
		if code, _ := get(a.URL() + "/api/native/v1/traces/" + id + strings.Repeat("0", 30)); code != want {
			t.Errorf("trace %s: %d", id, code)
		}
	}
}
