package bench

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	tracing "github.com/throughline/throughline/tracing/go"
)

// otlpServer is an OTLP backend for gRPC that demands a token, or none.
type otlpServer struct {
	collector.UnimplementedTraceServiceServer
	token string
	mu    sync.Mutex
	names []string
}

func (s *otlpServer) Export(
	ctx context.Context, req *collector.ExportTraceServiceRequest,
) (*collector.ExportTraceServiceResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	if got := md.Get("authorization"); s.token != "" && (len(got) != 1 || got[0] != "Bearer "+s.token) {
		return nil, status.Error(codes.Unauthenticated, "who are you")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rs := range req.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			for _, span := range ss.Spans {
				s.names = append(s.names, span.Name)
			}
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

func (s *otlpServer) spans() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.names)
}

// startOTLP serves s on a free port until the test ends.
func startOTLP(t *testing.T, s *otlpServer, opts ...grpc.ServerOption) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer(opts...)
	collector.RegisterTraceServiceServer(srv, s)
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(srv.Stop)
	return ln.Addr().String()
}

// testCertificate is httptest's, for 127.0.0.1, and the file that makes a client trust it.
func testCertificate(t *testing.T) (tls.Certificate, string) {
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	defer srv.Close()
	path := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	if err := os.WriteFile(path, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return srv.TLS.Certificates[0], path
}

// TestGRPCBackends: in plaintext and with TLS and a token, both at once, with a certificate that is the one's alone;
// a wrong token loses the spans of its backend only.
func TestGRPCBackends(t *testing.T) {
	certificate, ca := testCertificate(t)
	t.Setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", ca)
	open, closed := &otlpServer{}, &otlpServer{token: "s3cret"}
	plain := startOTLP(t, open)
	secure := startOTLP(t, closed, grpc.Creds(credentials.NewServerTLSFromCert(&certificate)))
	p, err := tracing.New(t.Context(), tracing.Config{
		BackendURL: plain + ",https://" + secure + ";bearer=s3cret,https://" + secure + ";bearer=wrong",
	})
	if err != nil {
		t.Fatal(err)
	}
	tracer := p.TracerProvider().Tracer("t")
	for range 3 {
		_, span := tracer.Start(t.Context(), "s")
		span.End()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := p.Shutdown(ctx); err == nil {
		t.Error("no error of the backend with the wrong token")
	}
	if open.spans() != 3 || closed.spans() != 3 {
		t.Errorf("%d and %d spans, want 3", open.spans(), closed.spans())
	}
	for i, want := range []uint64{3, 3, 0} {
		if s := p.Stats()[i]; s.Exported != want || s.Failed != 3-want {
			t.Errorf("stats %+v", s)
		}
	}
}

// TestNoLeaks: a provider with dead, hung and working backends of both protocols, a middleware and a client leave no
// goroutine behind.
func TestNoLeaks(t *testing.T) {
	ignored := goleak.IgnoreCurrent()
	func() {
		hung, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, answers nothing
		if err != nil {
			t.Fatal(err)
		}
		defer hung.Close()
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		srv := grpc.NewServer()
		collector.RegisterTraceServiceServer(srv, &otlpServer{})
		go func() { _ = srv.Serve(ln) }()
		defer srv.Stop()
		p, err := tracing.New(t.Context(), tracing.Config{
			BackendURL: ln.Addr().String() + ",127.0.0.1:1," + hung.Addr().String() + ",http://" + hung.Addr().String() + "/v1/traces",
		})
		if err != nil {
			t.Fatal(err)
		}
		opt := tracing.WithTracerProvider(p.TracerProvider())
		web := httptest.NewServer(tracing.Middleware(newMux(), opt))
		defer web.Close()
		client := &http.Client{Transport: tracing.Transport(&http.Transport{}, opt)}
		for range 10 {
			res, err := client.Get(web.URL + "/items/1")
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
		}
		client.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_ = p.Shutdown(ctx)
	}()
	goleak.VerifyNone(t, ignored)
}
