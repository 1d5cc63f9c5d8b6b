package ingest_test

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/throughline/throughline/backend/ingest"
	"github.com/throughline/throughline/backend/span"
)

func dial(t *testing.T, address string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestGRPCExport(t *testing.T) {
	sent, _, _ := request(t)
	r := start(t, ingest.Config{})
	client := ptraceotlp.NewGRPCClient(dial(t, r.grpc))
	for _, options := range [][]grpc.CallOption{nil, {grpc.UseCompressor(gzip.Name)}} {
		resp, err := client.Export(t.Context(), sent, options...)
		if err != nil || resp.PartialSuccess().RejectedSpans() != 0 || resp.PartialSuccess().ErrorMessage() != "" {
			t.Fatal(err, resp.PartialSuccess().ErrorMessage())
		}
	}
	if got := r.db.Stats(); got.Spans != sent.Traces().SpanCount() || got.DuplicateSpans != uint64(got.Spans) {
		t.Errorf("%+v", got)
	}
	resp, err := client.Export(t.Context(), mixed())
	if err != nil || resp.PartialSuccess().RejectedSpans() != 3 || !strings.Contains(resp.PartialSuccess().ErrorMessage(), "span id of zeros") {
		t.Error(err, resp.PartialSuccess().ErrorMessage())
	}
	r.lastRejected(t, "grpc", "3 spans rejected")
	if _, err := client.Export(t.Context(), ptraceotlp.NewExportRequest()); err != nil {
		t.Error("an empty request:", err)
	}
}

func TestGRPCHealth(t *testing.T) {
	r := start(t, ingest.Config{})
	client := healthpb.NewHealthClient(dial(t, r.grpc))
	for _, service := range []string{"", "opentelemetry.proto.collector.trace.v1.TraceService"} {
		resp, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{Service: service})
		if err != nil || resp.Status != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("%q: %v, %v", service, resp, err)
		}
	}
}

func TestGRPCRefusals(t *testing.T) {
	r := start(t, ingest.Config{Limits: ingest.Limits{Body: 10_000, Decompressed: 100_000}})
	conn := dial(t, r.grpc)
	export := func(body []byte, options ...grpc.CallOption) error {
		var out []byte
		return conn.Invoke(t.Context(), "/opentelemetry.proto.collector.trace.v1.TraceService/Export", body, &out,
			append(options, grpc.ForceCodec(rawCodec{}))...)
	}
	large := func(n int) []byte {
		return span.EncodeProto([]span.Span{{Name: strings.Repeat("a", n)}})
	}
	deep := span.EncodeProto([]span.Span{{Attributes: []span.Attribute{{Key: "a", Value: nested(33)}}}})
	for _, c := range []struct {
		name string
		call func() error
		code codes.Code
		want string
	}{
		{"malformed", func() error { return export([]byte("\x0a\xff")) }, codes.InvalidArgument, "decoding OTLP: truncated protobuf"},
		{"too large", func() error { return export(large(20_000)) }, codes.ResourceExhausted, "the limit is 10000 bytes"},
		{"too large for gRPC", func() error { return export(large(200_000)) }, codes.ResourceExhausted, "larger than max"},
		{"bomb", func() error { return export(large(10_000_000), grpc.UseCompressor(gzip.Name)) }, codes.ResourceExhausted, "larger than max"},
		{"nested too deep", func() error { return export(deep) }, codes.ResourceExhausted, "the limit is 32 levels"},
		{"metrics", func() error {
			_, err := pmetricotlp.NewGRPCClient(conn).Export(t.Context(), pmetricotlp.NewExportRequest())
			return err
		}, codes.Unimplemented, "metrics are not received here"},
		{"logs", func() error {
			_, err := plogotlp.NewGRPCClient(conn).Export(t.Context(), plogotlp.NewExportRequest())
			return err
		}, codes.Unimplemented, "logs are not received here"},
		{"unknown", func() error {
			var out []byte
			return conn.Invoke(t.Context(), "/a.B/C", []byte{}, &out, grpc.ForceCodec(rawCodec{}))
		}, codes.Unimplemented, `"/a.B/C": not served here`},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := r.Stats().RejectedRequests
			err := c.call()
			if s := status.Convert(err); s.Code() != c.code || !strings.Contains(s.Message(), c.want) {
				t.Errorf("got %v", err)
			}
			// The reason may be that of the case before, so the count is waited for too.
			for deadline := time.Now().Add(5 * time.Second); r.Stats().RejectedRequests == before && time.Now().Before(deadline); {
				time.Sleep(time.Millisecond)
			}
			r.lastRejected(t, "grpc", c.want)
			if got := r.Stats().RejectedRequests; got != before+1 {
				t.Errorf("%d more requests rejected", got-before)
			}
		})
	}
	if err := export(large(20_000), grpc.UseCompressor(gzip.Name)); err != nil {
		t.Errorf("small when compressed: %v", err)
	}
}

// rawCodec sends bytes as they are.
type rawCodec struct{}

func (rawCodec) Name() string                  { return "proto" }
func (rawCodec) Marshal(v any) ([]byte, error) { return v.([]byte), nil }
func (rawCodec) Unmarshal(b []byte, v any) error {
	*v.(*[]byte) = b
	return nil
}

func TestGRPCUnavailable(t *testing.T) {
	sent, _, _ := request(t)
	r := start(t, ingest.Config{})
	if err := r.db.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := ptraceotlp.NewGRPCClient(dial(t, r.grpc)).Export(t.Context(), sent)
	s := status.Convert(err)
	if s.Code() != codes.Unavailable || len(s.Details()) != 1 {
		t.Fatalf("got %v, %v", err, s.Details())
	}
	if info, ok := s.Details()[0].(*errdetails.RetryInfo); !ok || info.RetryDelay.AsDuration() <= 0 {
		t.Errorf("got %v, want RetryInfo", s.Details()[0])
	}
}

// gRPC sent to the HTTP port gets an answer that gRPC clients show.
func TestGRPCToHTTPPort(t *testing.T) {
	sent, _, _ := request(t)
	r := start(t, ingest.Config{})
	_, err := ptraceotlp.NewGRPCClient(dial(t, r.http)).Export(t.Context(), sent)
	want := "gRPC sent to the HTTP port: OTLP over gRPC goes to " + r.grpc
	if s := status.Convert(err); s.Code() != codes.Unimplemented || s.Message() != want {
		t.Errorf("got %v", err)
	}
	r.lastRejected(t, "http", want)
}

// A client that leaves is no rejection.
func TestGRPCCanceled(t *testing.T) {
	sent, _, _ := request(t)
	r := start(t, ingest.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ptraceotlp.NewGRPCClient(dial(t, r.grpc)).Export(ctx, sent); status.Code(err) != codes.Canceled {
		t.Errorf("got %v", err)
	}
	if n := r.Stats().RejectedRequests; n != 0 {
		t.Errorf("%d rejected", n)
	}
}

// More clients at once than are worked on at once wait for their turn.
func TestGRPCManyClients(t *testing.T) {
	sent, _, _ := request(t)
	r := start(t, ingest.Config{})
	conn := dial(t, r.grpc)
	var clients sync.WaitGroup
	for range 100 {
		clients.Go(func() {
			if _, err := ptraceotlp.NewGRPCClient(conn).Export(t.Context(), sent); err != nil {
				t.Error(err)
			}
		})
	}
	clients.Wait()
	if s := r.Stats(); s.AcceptedSpans != uint64(100*sent.Traces().SpanCount()) {
		t.Errorf("%+v", s)
	}
}

// Clients that begin requests and stall hold up nobody: one of them gives way, and
// is told to try again.
func TestGRPCStalled(t *testing.T) {
	sent, _, _ := request(t)
	r := start(t, ingest.Config{})
	conn := dial(t, r.grpc)
	gone := make(chan error)
	for range 4 * runtime.GOMAXPROCS(0) { // as many as may be in work
		stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true}, "/opentelemetry.proto.collector.trace.v1.TraceService/Export")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			var out []byte
			err := stream.RecvMsg(&out)
			select {
			case gone <- err:
			case <-t.Context().Done():
			}
		}()
	}
	// Those that stall are left after 30 s even if nobody waits.
	ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
	defer cancel()
	client := ptraceotlp.NewGRPCClient(dial(t, r.grpc))
	var given error
	for given == nil {
		if _, err := client.Export(ctx, sent); err != nil {
			t.Fatal(err)
		}
		select {
		case given = <-gone:
		case <-time.After(10 * time.Millisecond):
			// The stalled ones were not all there yet.
		}
	}
	if s := status.Convert(given); s.Code() != codes.Unavailable || !strings.Contains(s.Message(), "while others waited") {
		t.Errorf("who stalled got %v", given)
	}
}
