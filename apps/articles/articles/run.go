package articles

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"

	tracing "github.com/throughline/throughline/tracing/go"
)

// NewLogHandler returns the handler of the program's log: JSON lines with the ids of the current span.
func NewLogHandler(w io.Writer, level slog.Level) slog.Handler {
	return tracing.NewLogHandler(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
}

// Run serves until ctx ends; then it drains requests and flushes spans, within cfg.ShutdownTimeout in all. listening,
// when not nil, is told the address.
func Run(ctx context.Context, cfg Config, logger *slog.Logger, listening func(net.Addr)) error {
	data, err := Load(cfg.DataSource)
	if err != nil {
		return err
	}
	address := net.JoinHostPort(cfg.Host, strconv.Itoa(cfg.Port))
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("%w (choose another port with --port or PORT)", err)
	}
	defer ln.Close()
	stopTracing, err := tracing.Start(ctx, tracing.Config{
		ServiceName: ServiceName,
		BackendURL:  cfg.TracingBackendURL,
		Logger:      logger,
	})
	if err != nil {
		return fmt.Errorf("starting tracing: %w", err)
	}

	suggestions := NewSuggestionsClient(cfg.SuggestionsHost, cfg.SuggestionsTimeout)
	service := TraceService(NewService(data, suggestions, cfg.SuggestionsConcurrency, logger), otel.GetTracerProvider())
	var (
		health   Health
		inFlight atomic.Int64
	)
	handler := NewHandler(MakeEndpoints(service, cfg.RequestTimeout), cfg.LeanTracing, logger)
	srv := &http.Server{
		Handler:           health.Handler(counted(&inFlight, handler)),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      cfg.RequestTimeout + 10*time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	health.SetReady(true)
	logger.Info("serving", "address", ln.Addr().String(), "articles", len(data))
	if listening != nil {
		listening(ln.Addr())
	}

	select {
	case err = <-served:
	case <-ctx.Done():
		err = nil
	}
	health.SetReady(false)
	logger.Info("stopping")
	return errors.Join(err, shutDown(srv, &inFlight, suggestions, stopTracing, cfg.ShutdownTimeout, logger))
}

// shutDown drains requests, cuts those that take too long, and flushes spans, in that order and in timeout altogether.
// A fifth of the time is kept for the flush.
func shutDown(
	srv *http.Server, inFlight *atomic.Int64, suggestions SuggestionsClient,
	stopTracing func(context.Context) error, timeout time.Duration, logger *slog.Logger,
) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	drainCtx, cancelDrain := context.WithTimeout(ctx, timeout-timeout/5)
	defer cancelDrain()
	if err := srv.Shutdown(drainCtx); err != nil {
		logger.Warn("requests were cut off", "error", err.Error())
		_ = srv.Close()
		// Their handlers see the cancellation; their spans should be in the flush.
		waitForNone(inFlight, timeout/20)
	}
	suggestions.CloseIdleConnections()
	if err := stopTracing(ctx); err != nil {
		// The service did its work: a dead backend does not make the exit code one of failure.
		logger.Warn("stopping tracing", "error", err.Error())
	}
	logger.Info("stopped")
	return nil
}

// counted keeps the number of requests that are under way in n.
func counted(n *atomic.Int64, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		defer n.Add(-1)
		next.ServeHTTP(w, r)
	})
}

// waitForNone waits until n is 0, at most for d.
func waitForNone(n *atomic.Int64, d time.Duration) {
	for deadline := time.Now().Add(d); n.Load() > 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
}
