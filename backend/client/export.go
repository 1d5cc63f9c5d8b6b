package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/throughline/throughline/backend/span"
)

// ExportQuery selects whole traces. The zero one selects all that a Throughline
// server has, or what another has of the last 24 hours.
type ExportQuery struct {
	Start, End time.Time
	Service    string       // of a span of the trace, unless it is empty
	TraceID    span.TraceID // of the trace, unless it is zero
}

// maxExport bounds the traces that are exported of a server that has to be searched
// for them.
const maxExport = 10_000

// ErrExportBound is returned when there were more traces than a server can be
// searched for; what was written is good.
var ErrExportBound = fmt.Errorf("more than %d traces: export them by parts of the time", maxExport)

// spansPerLine is how many spans a line has at most, so that a receiver takes it.
const spansPerLine = 1000

// Export writes traces as OTLP JSON, a TracesData a line: those of a Throughline
// server as it sends them, and those of others one after the other.
func Export(ctx context.Context, c Client, q ExportQuery, w io.Writer) error {
	if t, ok := c.(*throughline); ok {
		return t.export(ctx, q, w)
	}
	ids, bound := []span.TraceID{q.TraceID}, false
	if q.TraceID.IsZero() {
		found, err := c.Search(ctx, Query{Filter: Filter{Service: q.Service}, Start: q.Start, End: q.End, Limit: maxExport, Spans: 1})
		if err != nil {
			return err
		}
		ids, bound = ids[:0], found.Truncated
		for i := range found.Traces {
			ids = append(ids, found.Traces[i].TraceID)
		}
	}
	for _, id := range ids {
		trace, err := c.Trace(ctx, id)
		if errors.Is(err, ErrNotFound) && q.TraceID.IsZero() {
			continue // it is gone meanwhile
		}
		if err != nil {
			return err
		}
		for part := range slices.Chunk(trace.Spans, spansPerLine) {
			var line bytes.Buffer
			if err := span.WriteJSON(&line, part); err != nil {
				return err
			}
			line.WriteByte('\n')
			if _, err := line.WriteTo(w); err != nil {
				return err
			}
		}
	}
	if bound {
		return ErrExportBound
	}
	return nil
}

func (t *throughline) export(ctx context.Context, q ExportQuery, w io.Writer) error {
	query := url.Values{}
	if !q.Start.IsZero() {
		query.Set("start", strconv.FormatInt(q.Start.UnixNano(), 10))
	}
	if !q.End.IsZero() {
		query.Set("end", strconv.FormatInt(q.End.UnixNano(), 10))
	}
	if q.Service != "" {
		query.Set("service", q.Service)
	}
	if !q.TraceID.IsZero() {
		query.Set("traceId", q.TraceID.String())
	}
	// An export takes as long as it takes once it has begun.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(t.r.timeout, func() { cancel(fmt.Errorf("no answer within %s", t.r.timeout)) })
	resp, err := t.r.open(ctx, "application/jsonl", native+"export", query)
	if !timer.Stop() && err != nil {
		return &unreachableError{t.r.root.Host, context.Cause(ctx)}
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("exporting from %s: the export is not whole: %w", t.r.root.Host, err)
	}
	return nil
}
