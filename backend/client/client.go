// Package client reads the traces of a Throughline, Tempo or Jaeger server over
// HTTP, behind one small interface.
//
// Which of the three a server is, is found out by asking it, or told. What a kind
// of server cannot do is an [UnsupportedError], which says what and by whom;
// nothing is left out in silence. Every request has a time limit and every answer
// a bound on its size after decompression; a search says whether there was more
// than its limit. Answers are untrusted: what cannot be read is an error, never a
// panic. The client only reads, retries nothing, and keeps nothing between calls
// but its connections.
//
// A Throughline server is read by its native API and by its Tempo API; a Tempo
// server by the latter alone; a Jaeger server by the HTTP API v3, which Jaeger 2
// has, and which knows neither TraceQL nor metrics. A TraceQL query that says no
// more than Jaeger's own search can is translated for it.
package client

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/throughline/throughline/backend/span"
)

// Client is a server that can be asked. Its methods may be called at the same time.
type Client interface {
	Kind() Kind
	// Search finds traces, newest first.
	Search(ctx context.Context, q Query) (Found, error)
	// Trace returns a trace with the spans that the server has of it, or
	// ErrNotFound.
	Trace(ctx context.Context, id span.TraceID) (*span.Trace, error)
	// Services lists services by name.
	Services(ctx context.Context) ([]Service, error)
	// Operations lists what a service does, by name and kind.
	Operations(ctx context.Context, service string) ([]Operation, error)
	// Metrics computes the series of a TraceQL metrics query.
	Metrics(ctx context.Context, q MetricsQuery) ([]Series, error)
	// Tail calls found for each trace that begins to match q, or has grown, from
	// now on, until ctx ends, which is no error, or found returns one.
	Tail(ctx context.Context, q Query, found func(Match) error) error
}

// Kind is the kind of a server.
type Kind string

// The kinds of servers.
const (
	KindThroughline Kind = "throughline"
	KindTempo       Kind = "tempo"
	KindJaeger      Kind = "jaeger"
)

// ParseKind reads the name of a kind; the empty one is to be found out.
func ParseKind(s string) (Kind, error) {
	switch k := Kind(s); k {
	case "", KindThroughline, KindTempo, KindJaeger:
		return k, nil
	}
	return "", fmt.Errorf("kind %q: want throughline, tempo or jaeger", s)
}

// Query says which traces to find.
type Query struct {
	// TraceQL is a query in that language; empty means Filter.
	TraceQL string
	Filter  Filter
	// The range of time that traces are to begin in. A zero End is now. With a
	// zero Start a Throughline server looks at all it has, and another at the 24
	// hours before the end.
	Start, End time.Time
	// Limit bounds the traces; 0 means 20.
	Limit int
	// Spans bounds the matching spans that are told of each trace; 0 means 3.
	Spans int
}

const (
	defaultLimit    = 20
	defaultSpans    = 3
	defaultLookback = 24 * time.Hour
)

// Found is the answer to a search.
type Found struct {
	Traces    []Match
	Truncated bool // there are more than the limit
}

// Match is a trace that fits. What the server does not say is zero.
type Match struct {
	span.Summary
	// Spans are some of the spans that fit, and Matched is how many there are;
	// both are only known where a search is by TraceQL.
	Spans   []SpanMatch
	Matched int
}

// SpanMatch is a span that fits.
type SpanMatch struct {
	SpanID     span.SpanID
	Name       string
	StartTime  uint64 // unix nanoseconds
	Duration   time.Duration
	Attributes []span.Attribute // what the query speaks of or selects
}

// Counts are of the spans that a server holds.
type Counts struct {
	Spans, Errors int
}

// Service is one that sent spans.
type Service struct {
	Name     string
	Counts   *Counts   // nil where the server does not say
	LastSeen time.Time // zero where the server does not say
}

// Operation is a name of spans of a service.
type Operation struct {
	Service string
	Name    string
	Kind    span.Kind // unspecified where the server does not say
	Counts  *Counts   // nil where the server does not say
}

// MetricsQuery is a TraceQL query that ends in a metrics function.
type MetricsQuery struct {
	TraceQL    string
	Start, End time.Time // a zero End is now, a zero Start an hour before it
	// Step is the time between two points; 0 leaves it to the server.
	Step time.Duration
	// Instant asks for one value over the whole range instead.
	Instant bool
}

// Series is one line of a metric.
type Series struct {
	Labels []span.Attribute
	Points []Point
}

// Point is the value of a series at one time.
type Point struct {
	Time  time.Time
	Value float64
}

// ErrNotFound is returned for a trace that the server does not have.
var ErrNotFound = errors.New("trace not found")

// ErrUnsupported is what every [UnsupportedError] is.
var ErrUnsupported = errors.New("not supported by this kind of server")

// UnsupportedError says that a kind of server cannot do something.
type UnsupportedError struct {
	Kind Kind
	What string
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("a %s server cannot answer this: %s", e.Kind, e.What)
}

func (e *UnsupportedError) Unwrap() error { return ErrUnsupported }

func (q Query) orDefault(lookback time.Duration) Query {
	if q.Limit <= 0 {
		q.Limit = defaultLimit
	}
	if q.Spans <= 0 {
		q.Spans = defaultSpans
	}
	if q.End.IsZero() {
		q.End = time.Now()
	}
	if q.Start.IsZero() && lookback > 0 {
		q.Start = q.End.Add(-lookback)
	}
	return q
}

// ParseMoment reads a point in time as people write it: an RFC 3339 time, unix
// nanoseconds, or how long before now, such as 1h. The empty text is the zero time.
func ParseMoment(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 {
		return time.Unix(0, n), nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || t.Unix() <= 0 || t.Year() > 2250 {
		return time.Time{}, fmt.Errorf("%q: want a time such as 2026-01-02T15:04:05Z, unix nanoseconds, or 1h for an hour ago", text)
	}
	return t, nil
}
