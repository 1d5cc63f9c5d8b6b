// Package export gives back what a store holds as OTLP JSON.
//
// The output has one TracesData a line, as the file exporter of the OpenTelemetry
// Collector writes: a trace, or a part of one that has many spans, so that each
// line can be sent to an OTLP receiver as a request. It is equal to what came in,
// order and duplicates aside: see package span.
//
// Traces come newest first, a page at a time, so that memory is bounded by the
// largest trace. An export is no snapshot: what arrives meanwhile may be in it,
// and a trace whose earliest span arrives meanwhile may be in it twice.
package export

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
)

// Filter selects whole traces. The zero Filter selects all.
type Filter struct {
	// Start and End are the range of time that the trace overlaps, in unix
	// nanoseconds; 0 is no bound.
	Start, End uint64
	// Service is one of which the trace has a span; nil is any.
	Service *string
	// TraceID selects one trace, unless it is zero.
	TraceID span.TraceID
}

// Count says how much was written.
type Count struct{ Traces, Spans int }

// What a line has at most, so that a receiver takes it: Throughline's own takes
// 16 MiB, the Collector's 20. A single span may be more.
const (
	spansPerLine = 1000
	bytesPerLine = 8 << 20
)

// page is how many traces are looked for at once.
const page = 500

// Write writes the traces that fit to w.
func Write(ctx context.Context, w io.Writer, db *store.DB, f Filter) (Count, error) {
	b := bufio.NewWriterSize(w, 64<<10)
	e := &exporter{ctx: ctx, db: db, w: b}
	err := e.all(f)
	if err == nil {
		err = b.Flush()
	}
	return e.count, err
}

type exporter struct {
	ctx   context.Context
	db    *store.DB
	w     *bufio.Writer
	line  bytes.Buffer
	count Count
}

func (e *exporter) all(f Filter) error {
	sf := &store.Filter{Start: f.Start, End: f.End, Service: f.Service, Limit: page}
	if !f.TraceID.IsZero() {
		// One trace under the same conditions as many.
		sf.Limit = 0
		found, err := e.db.Match(e.ctx, []span.TraceID{f.TraceID}, sf)
		if err != nil || len(found) == 0 {
			return err
		}
		return e.trace(f.TraceID)
	}
	// Each page goes on at the start of the last trace of the page before, whose
	// traces that start then are left out.
	last := map[span.TraceID]bool{}
	for {
		found, err := e.db.Search(e.ctx, sf)
		if err != nil {
			return err
		}
		fresh := slices.DeleteFunc(found.Traces, func(s span.Summary) bool { return last[s.TraceID] })
		for i := range fresh {
			if err := e.trace(fresh[i].TraceID); err != nil {
				return err
			}
		}
		if !found.Truncated {
			return nil
		}
		if len(fresh) == 0 {
			// More traces start at this nanosecond than a page has.
			sf.Limit *= 2
			continue
		}
		oldest := fresh[len(fresh)-1].StartTime
		if oldest != sf.End {
			clear(last)
		}
		for i := range fresh {
			if fresh[i].StartTime == oldest {
				last[fresh[i].TraceID] = true
			}
		}
		sf.End, sf.Limit = oldest, page+len(last)
	}
}

func (e *exporter) trace(id span.TraceID) error {
	trace, _, err := e.db.Trace(e.ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil // retention took it meanwhile
	}
	if err != nil {
		return fmt.Errorf("exporting trace %s: %w", id, err)
	}
	e.count.Traces++
	e.count.Spans += len(trace.Spans)
	for part := range slices.Chunk(trace.Spans, spansPerLine) {
		if err := e.lines(part); err != nil {
			return err
		}
	}
	return nil
}

// lines writes spans as one line, or as several when that would be too long.
func (e *exporter) lines(spans []span.Span) error {
	e.line.Reset()
	if err := span.WriteJSON(&e.line, spans); err != nil {
		return err
	}
	if half := len(spans) / 2; half > 0 && e.line.Len() > bytesPerLine {
		if err := e.lines(spans[:half]); err != nil {
			return err
		}
		return e.lines(spans[half:])
	}
	e.line.WriteByte('\n')
	_, err := e.line.WriteTo(e.w)
	return err
}
