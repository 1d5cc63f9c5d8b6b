// Package query runs TraceQL on a store.
//
// What a query demands of single spans, and how those stand to each other, is put
// to the columns of the store, which name the traces that are worth reading; the
// evaluator of package traceql then decides about each. Metrics of spans that a
// filter selects one by one are counted from columns alone. Both give what the
// evaluator gives on all traces that are held, each whole and its spans once; tests
// hold them against that.
//
// A search returns the newest traces and stops when it has them. Every query has a
// limit on time and on the memory of its answer, and ends with its context. The
// package opens no store and speaks no protocol.
package query

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/throughline/throughline/backend/store"
	"github.com/throughline/throughline/backend/traceql"
)

// What a query that does not fit its limits ends with. The errors wrap one of these
// and say what to do.
var (
	ErrTooLong        = errors.New("query takes too long")
	ErrTooManyValues  = store.ErrTooManyValues
	ErrTooLarge       = traceql.ErrTooLarge
	ErrTooManySeries  = traceql.ErrTooManySeries
	ErrTooManySamples = traceql.ErrTooManySamples
)

// ErrNotSearch and ErrNotMetrics are for a query of the other kind.
var (
	ErrNotSearch  = errors.New("query is one of metrics, not a search")
	ErrNotMetrics = errors.New("query is a search, not one of metrics: it has no function as rate()")
)

// Options bound what one query may take. A zero field means its default.
type Options struct {
	Timeout   time.Duration // 30 s
	MaxBytes  int64         // about the memory that an answer may take, 64 MiB
	MaxTraces int           // the greatest limit of a search, 10,000
	MaxSpans  int           // of one spanset in an answer, 10,000
	MaxSeries int           // of a metrics query, 10,000
	MaxValues int           // distinct values of an attribute that is grouped by or listed, 100,000
}

func (o Options) orDefault() Options {
	def := func(n *int, d int) {
		if *n <= 0 {
			*n = d
		}
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 64 << 20
	}
	def(&o.MaxTraces, 10_000)
	def(&o.MaxSpans, 10_000)
	def(&o.MaxSeries, 10_000)
	def(&o.MaxValues, 100_000)
	return o
}

// Engine runs queries on one store. Any number of goroutines may use it.
type Engine struct {
	db      *store.DB
	options Options
}

// New makes an engine. It does not close the store.
func New(db *store.DB, options Options) *Engine {
	return &Engine{db: db, options: options.orDefault()}
}

// limited runs one query with the limit on its time.
func (e *Engine) limited(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, e.options.Timeout, ErrTooLong)
	defer cancel()
	err := f(ctx)
	switch {
	case err == nil:
		return nil
	case errors.Is(context.Cause(ctx), ErrTooLong) && errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w: more than %v; narrow the time range or the filter", ErrTooLong, e.options.Timeout)
	case errors.Is(err, store.ErrTooManyValues):
		return fmt.Errorf("%w: an attribute has more than %d; narrow the filter or choose another", err, e.options.MaxValues)
	}
	return err
}

// tooLarge is the error for an answer beyond MaxBytes.
func (e *Engine) tooLarge() error {
	return fmt.Errorf("%w: more than %d MiB; lower the limit or narrow the query", ErrTooLarge, e.options.MaxBytes>>20)
}

// Stats is what a query looked at.
type Stats struct {
	Traces int // evaluated one by one
	Spans  int // of those
}

// projection is what a program reads of spans.
func projection(p *traceql.Program) store.Projection {
	var want store.Projection
	for _, a := range p.Attributes() {
		switch {
		case a.Multiple() != traceql.ScopeNone:
			want.Everything = true
		case a.Intrinsic == traceql.IntrinsicStatusMessage:
			want.StatusMessage = true
		case a.Intrinsic == traceql.IntrinsicNone && (a.Scope == traceql.ScopeSpan || a.Scope == traceql.ScopeNone):
			want.Attributes = append(want.Attributes, a.Name)
		}
	}
	return want
}
