package bench

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	tracing "github.com/throughline/throughline/tracing/go"
)

// BenchmarkDeadBackendRatio is the time of a request over the network to a service whose backend is dead, hangs, or
// refuses every batch, over that of one whose backend works. The queue is full all the time.
func BenchmarkDeadBackendRatio(b *testing.B) {
	b.Setenv("OTEL_BSP_MAX_QUEUE_SIZE", "512")
	b.Setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "128")
	b.Setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
	answer := func(status int) *httptest.Server {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			if status == 0 {
				<-r.Context().Done()
				return
			}
			w.WriteHeader(status)
		}))
		b.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
		return srv
	}
	alive := answer(http.StatusOK).URL
	for name, backend := range map[string]string{
		"dead":    "127.0.0.1:1",
		"hung":    answer(0).URL + "/v1/traces",
		"refuses": answer(http.StatusBadRequest).URL + "/v1/traces",
	} {
		b.Run(name, func(b *testing.B) {
			ratio(b, request(b, backend), request(b, alive+"/v1/traces"))
		})
	}
}

// request returns a call of a service that exports to backend.
func request(b *testing.B, backend string) func() {
	p, err := tracing.New(b.Context(), tracing.Config{BackendURL: backend})
	if err != nil {
		b.Fatal(err)
	}
	srv := httptest.NewServer(tracing.Middleware(newMux(), tracing.WithTracerProvider(p.TracerProvider())))
	client := &http.Client{Transport: &http.Transport{}}
	b.Cleanup(func() {
		srv.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		_ = p.Shutdown(ctx)
	})
	call := func() {
		res, err := client.Get(srv.URL + "/items/1")
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
	}
	for range 1000 { // fills the queue
		call()
	}
	return call
}
