package span

import "time"

// Summary is what a list of traces says of one.
type Summary struct {
	TraceID TraceID

	// The root is the span without a parent; of several the earliest. While none
	// has arrived, HasRoot is false and the fields speak of the earliest span.
	HasRoot     bool
	RootService string
	RootName    string
	RootKind    Kind
	RootStatus  StatusCode

	StartTime   uint64 // of the earliest span, unix nanoseconds
	EndTime     uint64 // of the span that ends last, unix nanoseconds
	SpanCount   int
	ErrorCount  int
	OrphanCount int            // spans whose parent has not arrived
	Services    []ServiceCount // by first start

	LastReceived time.Time
}

// Duration is the time from the first start to the last end.
func (s *Summary) Duration() time.Duration { return time.Duration(s.EndTime - s.StartTime) }

// ServiceCount is the part that one service has in a trace.
type ServiceCount struct {
	Name       string
	SpanCount  int
	ErrorCount int
}
