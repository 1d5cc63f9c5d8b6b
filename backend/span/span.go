// Package span is the vocabulary of the backend: traces, spans, resources,
// scopes, attributes, events and links, and their translation from and to OTLP.
//
// A [Span] holds everything that OTLP can say about it; what is decoded from
// protobuf or JSON and encoded again is equal to what came in. Times are unix
// nanoseconds as OTLP has them, ids are arrays of bytes, and hexadecimal exists
// only at the edges. No other package of the backend reads or writes OTLP.
//
// Decoding accepts any bytes: it returns an error or spans, its recursion is
// bounded, and it allocates in proportion to its input. A span whose ids or
// times make no sense is left out and counted in [Batch.Rejected] (the rules are
// [Batch.Validate]'s), because a client is told about it by partial success and
// not by an error. Protobuf fields that this package does not know are skipped.
// Strings are kept as they came; bytes that are not UTF-8 become U+FFFD in JSON.
package span

import "time"

// Span is one operation of one service, as its instrumentation described it.
// Resource and Scope are shared by the spans that came together and are not to
// be modified.
type Span struct {
	TraceID      TraceID
	SpanID       SpanID
	ParentSpanID SpanID // zero: the span is a root
	TraceState   string // W3C tracestate, as it came
	Flags        uint32 // W3C trace flags in the low 8 bits; see OTLP's SpanFlags
	Name         string
	Kind         Kind
	StartTime    uint64 // unix nanoseconds
	EndTime      uint64 // unix nanoseconds
	Status       Status

	Attributes             []Attribute
	DroppedAttributesCount uint32
	Events                 []Event
	DroppedEventsCount     uint32
	Links                  []Link
	DroppedLinksCount      uint32

	Resource *Resource // never nil in a decoded span
	Scope    *Scope    // never nil in a decoded span
}

// Duration is the time from start to end.
func (s *Span) Duration() time.Duration { return time.Duration(s.EndTime - s.StartTime) }

// ServiceName is the service.name of the span's resource, empty when it has none.
func (s *Span) ServiceName() string {
	if s.Resource == nil {
		return ""
	}
	return s.Resource.ServiceName()
}

// Resource is what produced a span: a process of a service.
type Resource struct {
	Attributes             []Attribute
	DroppedAttributesCount uint32
	SchemaURL              string // of the ResourceSpans it came in
}

// ServiceName is the attribute service.name, empty when it is absent.
func (r *Resource) ServiceName() string {
	if v, ok := Get(r.Attributes, "service.name"); ok {
		return v.Text()
	}
	return ""
}

// Scope is the instrumentation scope: which library or module made the span.
type Scope struct {
	Name                   string
	Version                string
	Attributes             []Attribute
	DroppedAttributesCount uint32
	SchemaURL              string // of the ScopeSpans it came in
}

// Event is something that happened at one moment of a span.
type Event struct {
	Time                   uint64 // unix nanoseconds
	Name                   string
	Attributes             []Attribute
	DroppedAttributesCount uint32
}

// Link points at another span, of this or of another trace.
type Link struct {
	TraceID                TraceID
	SpanID                 SpanID
	TraceState             string
	Flags                  uint32
	Attributes             []Attribute
	DroppedAttributesCount uint32
}

// Status is the outcome of a span.
type Status struct {
	Code    StatusCode
	Message string
}

// Trace is the set of the spans with one trace id that have arrived. It may
// lack its root or any other span.
type Trace struct {
	ID    TraceID
	Spans []Span // by start time, then span id; each span id once
}

// Kind says which side of an exchange a span is. Values that OTLP does not
// define are kept.
type Kind int32

// The kinds of OTLP.
const (
	KindUnspecified Kind = iota
	KindInternal
	KindServer
	KindClient
	KindProducer
	KindConsumer
)

var kindNames = [...]string{"unspecified", "internal", "server", "client", "producer", "consumer"}

// String gives the lower-case name; a value that OTLP does not define is "unspecified".
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return kindNames[0]
	}
	return kindNames[k]
}

// ParseKind is the inverse of [Kind.String].
func ParseKind(s string) (Kind, bool) {
	for k, name := range kindNames {
		if s == name {
			return Kind(k), true
		}
	}
	return 0, false
}

// StatusCode is the outcome that a span reports. Values that OTLP does not
// define are kept.
type StatusCode int32

// The status codes of OTLP.
const (
	StatusUnset StatusCode = iota
	StatusOK
	StatusError
)

var statusNames = [...]string{"unset", "ok", "error"}

// String gives the lower-case name; a value that OTLP does not define is "unset".
func (c StatusCode) String() string {
	if c < 0 || int(c) >= len(statusNames) {
		return statusNames[0]
	}
	return statusNames[c]
}

// ParseStatus is the inverse of [StatusCode.String].
func ParseStatus(s string) (StatusCode, bool) {
	for c, name := range statusNames {
		if s == name {
			return StatusCode(c), true
		}
	}
	return 0, false
}
