package span

import (
	"errors"
	"fmt"
	"math"
	"unsafe"
)

// Limits bound what decoding one request may cost. A zero field means its default.
type Limits struct {
	// Depth is how deep lists and maps may be nested in an attribute, 32 by default.
	Depth int
	// Memory is the bytes that the decoded request may take beside its strings,
	// 256 MiB by default. Real spans take about twice their size in protobuf;
	// only a request made of empty attributes, events or links takes 20 times it.
	Memory int
}

func (l Limits) orDefault() Limits {
	if l.Depth == 0 {
		l.Depth = 32
	}
	if l.Memory == 0 {
		l.Memory = 256 << 20
	}
	return l
}

// ErrTooDeep and ErrTooLarge are wrapped by the errors for requests beyond the [Limits].
var (
	ErrTooDeep  = errors.New("attribute is nested too deep")
	ErrTooLarge = errors.New("request takes too much memory when decoded")
)

// Batch is the spans of one export request.
type Batch struct {
	Spans    []Span
	Rejected Rejected
}

// DecodeProto reads an ExportTraceServiceRequest, equally a TracesData. The
// strings of the result are parts of request.
func DecodeProto(request string, limits Limits) (*Batch, error) {
	limits = limits.orDefault()
	d := decoder{limits: limits, left: limits.Memory, batch: &Batch{}}
	d.batch.Spans = make([]Span, 0, countSpans(request))
	i := 0
	for s := request; s != ""; {
		f, rest, err := nextField(s)
		if err != nil {
			return nil, fmt.Errorf("decoding OTLP: %w", err)
		}
		if s = rest; f.number == 1 && f.typ == wireBytes {
			if err := d.resourceSpans(f.s); err != nil {
				return nil, fmt.Errorf("decoding OTLP: resource spans %d: %w", i, err)
			}
			i++
		}
	}
	return d.batch, nil
}

// decoder cuts the attributes of many spans out of few allocations.
type decoder struct {
	limits     Limits
	left       int    // of limits.Memory
	batch      *Batch // nil when one span alone is read
	attributes []Attribute
}

// minSpan is the least bytes of a Span message that Validate can accept: two
// ids and two times.
const minSpan = 2 + 16 + 2 + 8 + 9 + 9

// countSpans sizes the batch.
func countSpans(request string) int {
	n := 0
	each(request, 1, func(resource string) {
		each(resource, 2, func(scope string) {
			each(scope, 2, func(string) { n++ })
		})
	})
	return min(n, len(request)/minSpan+1)
}

// each calls f with every message of that field number, up to the first fault.
func each(s string, number int, f func(string)) {
	for s != "" {
		in, rest, err := nextField(s)
		if err != nil {
			return
		}
		if s = rest; in.number == number && in.typ == wireBytes {
			f(in.s)
		}
	}
}

func count(s string, number int) int {
	n := 0
	each(s, number, func(string) { n++ })
	return n
}

func (d *decoder) resourceSpans(s string) error {
	resource := &Resource{}
	// Protobuf allows any order of fields, and the spans need their resource.
	i := 0
	for rest := s; rest != ""; {
		f, next, err := nextField(rest)
		if err != nil {
			return err
		}
		rest = next
		switch {
		case f.number == 1 && f.typ == wireBytes:
			if err := d.resource(resource, f.s); err != nil {
				return fmt.Errorf("resource: %w", err)
			}
		case f.number == 3 && f.typ == wireBytes:
			resource.SchemaURL = f.s
		case f.number == 2 && f.typ == wireBytes:
			if err := d.scopeSpans(resource, f.s); err != nil {
				return fmt.Errorf("scope spans %d: %w", i, err)
			}
			i++
		}
	}
	return nil
}

func (d *decoder) resource(r *Resource, s string) error {
	return d.fields(s, func(f field) (err error) {
		switch {
		case f.number == 1 && f.typ == wireBytes:
			r.Attributes, err = d.appendAttribute(r.Attributes, f.s)
		case f.number == 2 && f.typ == wireVarint:
			r.DroppedAttributesCount = uint32(f.n)
		}
		return err
	})
}

func (d *decoder) scopeSpans(resource *Resource, s string) error {
	scope := &Scope{}
	i := 0
	return d.fields(s, func(f field) error {
		switch {
		case f.number == 1 && f.typ == wireBytes:
			if err := d.scope(scope, f.s); err != nil {
				return fmt.Errorf("scope: %w", err)
			}
		case f.number == 3 && f.typ == wireBytes:
			scope.SchemaURL = f.s
		case f.number == 2 && f.typ == wireBytes:
			sp := Span{Resource: resource, Scope: scope}
			reason, err := d.span(&sp, f.s)
			if err != nil {
				return fmt.Errorf("span %d: %w", i, err)
			}
			if len(f.s) < minSpan {
				reason = first(reason, sp.fault(math.MaxUint64))
			}
			if reason != "" {
				d.batch.Rejected.Add(reason, &sp)
			} else if err := d.spend(unsafe.Sizeof(sp)); err != nil {
				return err
			} else {
				d.batch.Spans = append(d.batch.Spans, sp)
			}
			i++
		}
		return nil
	})
}

func (d *decoder) scope(c *Scope, s string) error {
	return d.fields(s, func(f field) (err error) {
		switch {
		case f.number == 1 && f.typ == wireBytes:
			c.Name = f.s
		case f.number == 2 && f.typ == wireBytes:
			c.Version = f.s
		case f.number == 3 && f.typ == wireBytes:
			c.Attributes, err = d.appendAttribute(c.Attributes, f.s)
		case f.number == 4 && f.typ == wireVarint:
			c.DroppedAttributesCount = uint32(f.n)
		}
		return err
	})
}

// fields calls f for every field of a message.
func (d *decoder) fields(s string, f func(field) error) error {
	for s != "" {
		in, rest, err := nextField(s)
		if err != nil {
			return err
		}
		s = rest
		if err := f(in); err != nil {
			return err
		}
	}
	return nil
}

// span decodes one Span message. An id of a wrong length makes the span
// unusable but not the request: that is the reason returned.
func (d *decoder) span(sp *Span, s string) (reason string, err error) {
	if sp.Attributes, err = d.room(count(s, 9)); err != nil {
		return "", err
	}
	for s != "" {
		f, rest, err := nextField(s)
		if err != nil {
			return "", err
		}
		s = rest
		why, err := d.spanField(sp, f, s)
		if err != nil {
			return "", err
		}
		reason = first(reason, why)
	}
	return reason, nil
}

// spanField takes one field of a Span message; rest is what comes behind it.
func (d *decoder) spanField(sp *Span, f field, rest string) (reason string, err error) {
	switch f.typ {
	case wireBytes:
		switch f.number {
		case 1:
			reason = first(reason, setTraceID(&sp.TraceID, f.s, "trace id"))
		case 2:
			reason = first(reason, setSpanID(&sp.SpanID, f.s, "span id"))
		case 3:
			sp.TraceState = f.s
		case 4:
			reason = first(reason, setSpanID(&sp.ParentSpanID, f.s, "parent span id"))
		case 5:
			sp.Name = f.s
		case 9:
			if sp.Attributes, err = d.appendAttribute(sp.Attributes, f.s); err != nil {
				return "", fmt.Errorf("attribute %d: %w", len(sp.Attributes), err)
			}
		case 11:
			if sp.Events == nil {
				n := 1 + count(rest, 11)
				if err := d.spend(uintptr(n) * unsafe.Sizeof(Event{})); err != nil {
					return "", err
				}
				sp.Events = make([]Event, 0, n)
			}
			var e Event
			if err := d.event(&e, f.s); err != nil {
				return "", fmt.Errorf("event %d: %w", len(sp.Events), err)
			}
			sp.Events = append(sp.Events, e)
		case 13:
			if sp.Links == nil {
				n := 1 + count(rest, 13)
				if err := d.spend(uintptr(n) * unsafe.Sizeof(Link{})); err != nil {
					return "", err
				}
				sp.Links = make([]Link, 0, n)
			}
			var l Link
			why, err := d.link(&l, f.s)
			if err != nil {
				return "", fmt.Errorf("link %d: %w", len(sp.Links), err)
			}
			reason = first(reason, why)
			sp.Links = append(sp.Links, l)
		case 15:
			if err := d.status(&sp.Status, f.s); err != nil {
				return "", fmt.Errorf("status: %w", err)
			}
		}
	case wireVarint:
		switch f.number {
		case 6:
			sp.Kind = Kind(f.n)
		case 10:
			sp.DroppedAttributesCount = uint32(f.n)
		case 12:
			sp.DroppedEventsCount = uint32(f.n)
		case 14:
			sp.DroppedLinksCount = uint32(f.n)
		}
	case wireFixed64:
		switch f.number {
		case 7:
			sp.StartTime = f.n
		case 8:
			sp.EndTime = f.n
		}
	case wireFixed32:
		if f.number == 16 {
			sp.Flags = uint32(f.n)
		}
	}
	return reason, nil
}

func (d *decoder) event(e *Event, s string) (err error) {
	if e.Attributes, err = d.room(count(s, 3)); err != nil {
		return err
	}
	return d.fields(s, func(f field) (err error) {
		switch {
		case f.number == 1 && f.typ == wireFixed64:
			e.Time = f.n
		case f.number == 2 && f.typ == wireBytes:
			e.Name = f.s
		case f.number == 3 && f.typ == wireBytes:
			e.Attributes, err = d.appendAttribute(e.Attributes, f.s)
		case f.number == 4 && f.typ == wireVarint:
			e.DroppedAttributesCount = uint32(f.n)
		}
		return err
	})
}

func (d *decoder) link(l *Link, s string) (reason string, err error) {
	err = d.fields(s, func(f field) (err error) {
		switch {
		case f.number == 1 && f.typ == wireBytes:
			reason = first(reason, setTraceID(&l.TraceID, f.s, "link's trace id"))
		case f.number == 2 && f.typ == wireBytes:
			reason = first(reason, setSpanID(&l.SpanID, f.s, "link's span id"))
		case f.number == 3 && f.typ == wireBytes:
			l.TraceState = f.s
		case f.number == 4 && f.typ == wireBytes:
			l.Attributes, err = d.appendAttribute(l.Attributes, f.s)
		case f.number == 5 && f.typ == wireVarint:
			l.DroppedAttributesCount = uint32(f.n)
		case f.number == 6 && f.typ == wireFixed32:
			l.Flags = uint32(f.n)
		}
		return err
	})
	return reason, err
}

func (d *decoder) status(st *Status, s string) error {
	return d.fields(s, func(f field) error {
		switch {
		case f.number == 2 && f.typ == wireBytes:
			st.Message = f.s
		case f.number == 3 && f.typ == wireVarint:
			st.Code = StatusCode(f.n)
		}
		return nil
	})
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// An absent id and one of length 0 are the same on the wire of protobuf 3.

func setTraceID(id *TraceID, s, what string) (reason string) {
	if len(s) != len(id) && s != "" {
		return fmt.Sprintf("%s of %d bytes, want %d", what, len(s), len(id))
	}
	*id = TraceID{}
	copy(id[:], s)
	return ""
}

func setSpanID(id *SpanID, s, what string) (reason string) {
	if len(s) != len(id) && s != "" {
		return fmt.Sprintf("%s of %d bytes, want %d", what, len(s), len(id))
	}
	*id = SpanID{}
	copy(id[:], s)
	return ""
}
