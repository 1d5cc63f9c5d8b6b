// Package servertest starts a whole server for the tests of what speaks to one.
package servertest

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/throughline/throughline/backend/server"
)

// Server is one that runs until its test ends.
type Server struct {
	server.Addresses
	// Base is the URL of the UI and APIs, OTLP that of the receiver over HTTP.
	Base, OTLP string
}

// Start starts a server on free ports, in memory unless config says otherwise.
func Start(t testing.TB, config server.Config) *Server {
	t.Helper()
	config.Listen, config.OTLPGRPC, config.OTLPHTTP = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	config.Version = "test"
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan server.Addresses, 1), make(chan error, 1)
	go func() { ended <- server.Run(ctx, config, func(a server.Addresses) { ready <- a }) }()
	select {
	case a := <-ready:
		s := &Server{Addresses: a, Base: "http://" + a.Listen, OTLP: "http://" + a.OTLPHTTP}
		t.Cleanup(func() {
			http.DefaultTransport.(*http.Transport).CloseIdleConnections()
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("the server ended with %v", err)
			}
		})
		return s
	case err := <-ended:
		cancel()
		t.Fatalf("the server did not start: %v", err)
	}
	return nil
}

// Send posts OTLP JSON to the receiver.
func (s *Server) Send(t testing.TB, body []byte) {
	t.Helper()
	resp, err := http.Post(s.OTLP+"/v1/traces", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || string(text) != "{}" {
		t.Fatalf("sending spans: %s: %s, %v", resp.Status, text, err)
	}
}

// SendGolden sends the golden traces of the checkout.
func (s *Server) SendGolden(t testing.TB) {
	t.Helper()
	for _, file := range Golden(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s.Send(t, text)
	}
}

// Golden are the files of testdata/traces.
func Golden(t testing.TB) []string {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	files, err := filepath.Glob(filepath.Join(filepath.Dir(here), "../../../testdata/traces/*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden traces: %v", err)
	}
	return files
}
