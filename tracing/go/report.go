package tracing

import (
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
)

// Bounds of the pause between two log lines about the same trouble; each pause is twice the one before.
const (
	minReportPause = 30 * time.Second
	maxReportPause = 10 * time.Minute
)

// backOff decides when trouble that lasts is logged again. The zero value logs at once.
type backOff struct {
	next  time.Time
	pause time.Duration
}

// due reports whether to log at now, and if so makes the next pause longer.
func (b *backOff) due(now time.Time) bool {
	if now.Before(b.next) {
		return false
	}
	b.pause = min(max(minReportPause, 2*b.pause), maxReportPause)
	b.next = now.Add(b.pause)
	return true
}

// lossReport logs that spans of one backend are lost: at once, then with growing pauses, and when it is over.
type lossReport struct {
	backend string
	logger  func() *slog.Logger
	now     func() time.Time

	mu       sync.Mutex
	backOff  backOff
	failing  bool
	seen     uint64 // lost spans at the last update
	reported uint64 // lost spans at the last line
	last     error
}

func newLossReport(backend string, logger func() *slog.Logger) *lossReport {
	return &lossReport{backend: backend, logger: logger, now: time.Now}
}

// update takes the outcome of one export and the backend's totals.
func (r *lossReport) update(err error, dropped, failed uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	lost := dropped + failed
	now := r.now()
	if err != nil {
		r.last = err
	}
	fresh := err != nil || lost > r.seen
	r.seen = lost
	switch {
	case fresh:
		r.failing = true
		if !r.backOff.due(now) {
			return
		}
		attrs := []any{"backend", r.backend, "lost", lost - r.reported, "dropped_total", dropped, "failed_total", failed}
		if err != nil {
			attrs = append(attrs, "error", err.Error())
		}
		r.logger().Warn("spans are being lost", append(attrs, "next_report_in", r.backOff.pause.String())...)
		r.reported = lost
	case r.failing && !now.Before(r.backOff.next):
		r.failing, r.backOff, r.reported = false, backOff{}, lost
		r.logger().Info("spans are exported again", "backend", r.backend, "dropped_total", dropped, "failed_total", failed)
	}
}

func (r *lossReport) lastError() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// newErrorHandler logs OpenTelemetry's own errors with a back-off, so that one which comes with every request does not
// flood the log.
func newErrorHandler(logger func() *slog.Logger) otel.ErrorHandler {
	var (
		mu         sync.Mutex
		b          backOff
		suppressed int
	)
	return otel.ErrorHandlerFunc(func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if !b.due(time.Now()) {
			suppressed++
			return
		}
		logger().Warn("OpenTelemetry reports an error", "error", err.Error(), "suppressed", suppressed)
		suppressed = 0
	})
}
