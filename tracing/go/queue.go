package tracing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// BackendStats counts the sampled spans of one backend since the start.
type BackendStats struct {
	// Backend is the endpoint, without credentials.
	Backend string
	// Exported spans were accepted by the backend.
	Exported uint64
	// Dropped spans never left: the queue was full, or the shutdown's time was over.
	Dropped uint64
	// Failed spans were in a batch that the backend did not take within the exporter's retries and time.
	Failed uint64
	// Queued spans wait in memory or are being sent.
	Queued int64
}

// queue is the span processor of one backend: the SDK's batch processor behind a gate that counts. The batch processor
// drops silently when its channel is full; the gate lets in no more than that channel holds, so that every drop is
// the gate's, and counted.
type queue struct {
	name    string
	size    int64
	batches sdktrace.SpanProcessor
	report  *lossReport

	held                      atomic.Int64 // let in and not yet exported or failed
	exported, dropped, failed atomic.Uint64
	closed                    atomic.Bool

	// abort ends the export that is under way when the shutdown's time is over.
	aborted context.Context
	abort   context.CancelFunc
}

func newQueue(name string, exporter sdktrace.SpanExporter, logger func() *slog.Logger) *queue {
	q := &queue{name: name, size: queueSizeFromEnv(), report: newLossReport(name, logger)}
	q.aborted, q.abort = context.WithCancel(context.Background())
	q.batches = sdktrace.NewBatchSpanProcessor(&countingExporter{SpanExporter: exporter, queue: q},
		sdktrace.WithMaxQueueSize(int(q.size)))
	return q
}

// queueSizeFromEnv reads OTEL_BSP_MAX_QUEUE_SIZE; the specification's default is 2048.
func queueSizeFromEnv() int64 {
	const maxSize = 1 << 20 // the channel is allocated whole
	n, err := strconv.ParseInt(strings.TrimSpace(os.Getenv("OTEL_BSP_MAX_QUEUE_SIZE")), 10, 64)
	if err != nil || n <= 0 {
		return sdktrace.DefaultMaxQueueSize
	}
	return min(n, maxSize)
}

func (q *queue) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd never blocks and never logs: it runs on the path of requests.
func (q *queue) OnEnd(s sdktrace.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	if q.held.Add(1) > q.size || q.closed.Load() {
		q.held.Add(-1)
		q.dropped.Add(1)
		return
	}
	q.batches.OnEnd(s)
}

func (q *queue) ForceFlush(ctx context.Context) error {
	failed := q.failed.Load()
	err := q.batches.ForceFlush(ctx)
	if n := q.failed.Load() - failed; err == nil && n > 0 {
		err = fmt.Errorf("flushing to backend %q: %d spans failed", q.name, n)
	}
	return err
}

func (q *queue) Shutdown(ctx context.Context) error {
	if q.closed.Swap(true) {
		return nil
	}
	before := q.dropped.Load() + q.failed.Load()
	err := q.batches.Shutdown(ctx)
	q.abort()
	// What is still held when the time is over is never sent.
	if n := q.held.Swap(0); n > 0 {
		q.dropped.Add(uint64(n))
	}
	total := q.dropped.Load() + q.failed.Load()
	if lost := total - before; lost > 0 {
		lostErr := fmt.Errorf("shutting down the exporter to backend %q: %d spans lost, %d since the start", q.name, lost, total)
		if cause := errors.Join(err, q.report.lastError()); cause != nil {
			return fmt.Errorf("%w: %w", lostErr, cause)
		}
		return lostErr
	}
	return err
}

func (q *queue) stats() BackendStats {
	return BackendStats{
		Backend:  q.name,
		Exported: q.exported.Load(),
		Dropped:  q.dropped.Load(),
		Failed:   q.failed.Load(),
		Queued:   max(q.held.Load(), 0),
	}
}

// countingExporter counts what its backend took and reports what it did not. The batch processor calls it from one
// goroutine at a time.
type countingExporter struct {
	sdktrace.SpanExporter
	queue *queue
}

// ExportSpans returns no error for a failed batch: it is counted and reported here, with the back-off that
// OpenTelemetry's global error handler does not have.
func (e *countingExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	q, n := e.queue, uint64(len(spans))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(q.aborted, cancel)()

	err := e.SpanExporter.ExportSpans(ctx, spans)
	if q.aborted.Err() != nil {
		return nil // counted as dropped by Shutdown
	}
	q.held.Add(-int64(n))
	if err != nil {
		q.failed.Add(n)
	} else {
		q.exported.Add(n)
	}
	q.report.update(err, q.dropped.Load(), q.failed.Load())
	return nil
}

// fanOut gives each span to the queue of every backend. It flushes them at the same time, so that a dead backend does
// not use up the time of the others.
type fanOut []*queue

func (f fanOut) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

func (f fanOut) OnEnd(s sdktrace.ReadOnlySpan) {
	for _, q := range f {
		q.OnEnd(s)
	}
}

func (f fanOut) ForceFlush(ctx context.Context) error {
	return f.each(func(q *queue) error { return q.ForceFlush(ctx) })
}

func (f fanOut) Shutdown(ctx context.Context) error {
	return f.each(func(q *queue) error { return q.Shutdown(ctx) })
}

func (f fanOut) each(do func(*queue) error) error {
	errs := make(chan error, len(f))
	for _, q := range f {
		go func() { errs <- do(q) }()
	}
	var all []error
	for range f {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}
