package span

import (
	"fmt"
	"math"
	"slices"
	"unsafe"
)

// Sink takes the spans of a request as [Stream.Decode] finds them.
type Sink interface {
	// Resource begins the spans of a resource. It may keep nothing of raw.
	Resource(raw Origin) error
	// Scope begins the spans of a scope of that resource.
	Scope(raw Origin) error
	// Span takes one span; its Resource and Scope are nil. The span and all
	// that it refers to may be read until Span returns.
	Span(s *Span) error
}

// Origin is a resource or a scope as it came: equal bytes are equal origins, and
// most spans come from few, so that a [Sink] decodes each only once.
type Origin struct {
	Message   string // of OTLP's Resource or InstrumentationScope
	SchemaURL string
}

// Resource decodes the origin of [Sink.Resource].
func (o Origin) Resource(limits Limits) (*Resource, error) {
	limits = limits.orDefault()
	d := decoder{limits: limits, left: limits.Memory}
	r := &Resource{SchemaURL: o.SchemaURL}
	if err := d.resource(r, o.Message); err != nil {
		return nil, fmt.Errorf("resource: %w", err)
	}
	return r, nil
}

// Scope decodes the origin of [Sink.Scope].
func (o Origin) Scope(limits Limits) (*Scope, error) {
	limits = limits.orDefault()
	d := decoder{limits: limits, left: limits.Memory}
	c := &Scope{SchemaURL: o.SchemaURL}
	if err := d.scope(c, o.Message); err != nil {
		return nil, fmt.Errorf("scope: %w", err)
	}
	return c, nil
}

// Stream decodes requests span by span into memory that it uses again, for a
// store that keeps spans in a form of its own. It is not safe for concurrent use.
type Stream struct {
	Limits Limits

	d        decoder
	span     Span
	resource Origin
	latest   uint64
	rejected Rejected
	sink     Sink
}

// Decode hands the spans of an ExportTraceServiceRequest to sink, those that
// [Batch.Validate] would keep when it is received at now, a unix time in
// nanoseconds. The others are counted. The first error ends it; sink may have had
// spans by then.
func (t *Stream) Decode(request string, now uint64, sink Sink) (Rejected, error) {
	limits := t.Limits.orDefault()
	t.d.limits, t.d.left = limits, limits.Memory
	t.latest = now + uint64(MaxAhead)
	t.rejected = Rejected{}
	t.sink = sink
	defer t.forget()
	i := 0
	for s := request; s != ""; {
		f, rest, err := nextField(s)
		if err != nil {
			return t.rejected, fmt.Errorf("decoding OTLP: %w", err)
		}
		if s = rest; f.number == 1 && f.typ == wireBytes {
			if err := t.resourceSpans(f.s); err != nil {
				return t.rejected, fmt.Errorf("decoding OTLP: resource spans %d: %w", i, err)
			}
			i++
		}
	}
	return t.rejected, nil
}

// forget lets go of the request and of what an unusual span made large.
func (t *Stream) forget() {
	t.sink, t.resource = nil, Origin{}
	t.span = Span{Attributes: keep(t.span.Attributes), Events: keep(t.span.Events), Links: keep(t.span.Links)}
	t.d.attributes = keep(t.d.attributes)
}

func keep[T any](s []T) []T {
	if cap(s) > 4096 {
		return nil
	}
	s = s[:cap(s)]
	clear(s)
	return s[:0]
}

// origin finds the parts of a ResourceSpans or ScopeSpans that hold for all of
// its spans; protobuf allows them to come last.
func origin(s string) (Origin, error) {
	var o Origin
	for s != "" {
		f, rest, err := nextField(s)
		if err != nil {
			return Origin{}, err
		}
		s = rest
		switch {
		case f.number == 1 && f.typ == wireBytes && o.Message == "":
			o.Message = f.s
		case f.number == 1 && f.typ == wireBytes:
			o.Message += f.s // protobuf merges the parts of a message
		case f.number == 3 && f.typ == wireBytes:
			o.SchemaURL = f.s
		}
	}
	return o, nil
}

func (t *Stream) resourceSpans(s string) error {
	o, err := origin(s)
	if err != nil {
		return err
	}
	t.resource = o
	if err := t.sink.Resource(o); err != nil {
		return err
	}
	i := 0
	for s != "" {
		f, rest, err := nextField(s)
		if err != nil {
			return err
		}
		if s = rest; f.number == 2 && f.typ == wireBytes {
			if err := t.scopeSpans(f.s); err != nil {
				return fmt.Errorf("scope spans %d: %w", i, err)
			}
			i++
		}
	}
	return nil
}

func (t *Stream) scopeSpans(s string) error {
	o, err := origin(s)
	if err != nil {
		return err
	}
	if err := t.sink.Scope(o); err != nil {
		return err
	}
	i := 0
	for s != "" {
		f, rest, err := nextField(s)
		if err != nil {
			return err
		}
		if s = rest; f.number == 2 && f.typ == wireBytes {
			if err := t.one(f.s); err != nil {
				return fmt.Errorf("span %d: %w", i, err)
			}
			i++
		}
	}
	return nil
}

func (t *Stream) one(s string) error {
	sp := &t.span
	*sp = Span{Attributes: sp.Attributes[:0], Events: sp.Events[:0], Links: sp.Links[:0]}
	t.d.attributes = t.d.attributes[:0]
	left := t.d.left
	reason, err := t.fields(sp, s)
	if err != nil {
		return err
	}
	t.d.left = left // the memory serves the next span
	if reason = first(reason, sp.fault(t.latest)); reason != "" {
		if r, err := t.resource.Resource(t.Limits); err == nil {
			sp.Resource = r // for the name of its service
		}
		t.rejected.Add(reason, sp)
		return nil
	}
	return t.sink.Span(sp)
}

// fields decodes a Span message. The fields that every span has are read by
// their tag bytes; whatever is unusual goes the general way.
func (t *Stream) fields(sp *Span, s string) (reason string, err error) {
	for len(s) > 2 {
		n := int(s[1])
		switch s[0] {
		case 1<<3 | 2:
			if n == 16 && len(s) >= 18 {
				sp.TraceID = TraceID([]byte(s[2:18]))
				s = s[18:]
				continue
			}
		case 2<<3 | 2:
			if n == 8 && len(s) >= 10 {
				sp.SpanID = SpanID([]byte(s[2:10]))
				s = s[10:]
				continue
			}
		case 4<<3 | 2:
			if n == 8 && len(s) >= 10 {
				sp.ParentSpanID = SpanID([]byte(s[2:10]))
				s = s[10:]
				continue
			}
		case 5<<3 | 2:
			if n < 0x80 && len(s) >= 2+n {
				sp.Name = s[2 : 2+n]
				s = s[2+n:]
				continue
			}
		case 6 << 3:
			if n < 0x80 {
				sp.Kind = Kind(n)
				s = s[2:]
				continue
			}
		case 7<<3 | 1:
			if len(s) >= 9 {
				sp.StartTime = fixed64(s[1:])
				s = s[9:]
				continue
			}
		case 8<<3 | 1:
			if len(s) >= 9 {
				sp.EndTime = fixed64(s[1:])
				s = s[9:]
				continue
			}
		case 9<<3 | 2:
			at := 2
			if n >= 0x80 {
				n = n&0x7f | int(s[2])<<7
				if at = 3; s[2] >= 0x80 {
					break
				}
			}
			if len(s) < at+n {
				break
			}
			if len(sp.Attributes) == cap(sp.Attributes) { // append is about to double it
				if err := t.d.spend(uintptr(1+cap(sp.Attributes)) * unsafe.Sizeof(Attribute{})); err != nil {
					return "", err
				}
			}
			sp.Attributes = append(sp.Attributes, Attribute{})
			if err := t.attribute(&sp.Attributes[len(sp.Attributes)-1], s[at:at+n]); err != nil {
				return "", fmt.Errorf("attribute %d: %w", len(sp.Attributes)-1, err)
			}
			s = s[at+n:]
			continue
		case 15<<3 | 2:
			if n == 0 {
				s = s[2:]
				continue
			}
		case 16<<3&0x7f | 5 | 0x80:
			if n == 1 && len(s) >= 6 {
				sp.Flags = uint32(s[2]) | uint32(s[3])<<8 | uint32(s[4])<<16 | uint32(s[5])<<24
				s = s[6:]
				continue
			}
		}
		f, rest, err := nextField(s)
		if err != nil {
			return "", err
		}
		why, err := t.d.spanField(sp, f, rest)
		if err != nil {
			return "", err
		}
		reason = first(reason, why)
		s = rest
	}
	for s != "" {
		f, rest, err := nextField(s)
		if err != nil {
			return "", err
		}
		why, err := t.d.spanField(sp, f, rest)
		if err != nil {
			return "", err
		}
		reason = first(reason, why)
		s = rest
	}
	return reason, nil
}

// attribute decodes a KeyValue: at once when it is a key and one string, integer
// or boolean of less than 128 bytes each, in whatever order.
func (t *Stream) attribute(a *Attribute, s string) error {
	rest := s
	for len(rest) >= 2 {
		n := int(rest[1])
		if n >= 0x80 || len(rest) < 2+n {
			break
		}
		in := rest[2 : 2+n]
		switch rest[0] {
		case 1<<3 | 2:
			a.Key = in
		case 2<<3 | 2:
			if n < 2 || !a.Value.short(in) {
				*a = Attribute{}
				return t.d.keyValue(a, s, 0)
			}
		default:
			*a = Attribute{}
			return t.d.keyValue(a, s, 0)
		}
		rest = rest[2+n:]
	}
	if rest != "" {
		*a = Attribute{}
		return t.d.keyValue(a, s, 0)
	}
	return nil
}

// short decodes an AnyValue of at least two bytes that is one string, boolean or
// integer of less than 128 bytes.
func (v *Value) short(s string) bool {
	switch s[0] {
	case 1<<3 | 2:
		if int(s[1]) != len(s)-2 || s[1] >= 0x80 {
			return false
		}
		*v = Value{typ: TypeString, text: s[2:]}
		return true
	case 2 << 3:
		if len(s) != 2 || s[1] > 1 {
			return false
		}
		*v = Value{typ: TypeBool, num: uint64(s[1])}
		return true
	case 3 << 3:
		n, rest, err := varint(s[1:])
		if err != nil || rest != "" {
			return false
		}
		*v = Value{typ: TypeInt, num: n}
		return true
	}
	return false
}

func fixed64(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// AppendAttributes appends attributes as the repeated field number 1 of a
// message, the form of OTLP's KeyValueList.
func AppendAttributes(dst []byte, attributes []Attribute) []byte {
	return appendAttributes(dst, 1, attributes)
}

// ReadAttributes appends to dst what AppendAttributes wrote; the strings are
// parts of message.
func ReadAttributes(dst []Attribute, message string) ([]Attribute, error) {
	d := decoder{limits: stored, left: stored.Memory}
	for s := message; s != ""; {
		f, rest, err := nextField(s)
		if err != nil {
			return dst, err
		}
		if s = rest; f.number == 1 && f.typ == wireBytes {
			if dst, err = d.appendAttribute(dst, f.s); err != nil {
				return dst, err
			}
		}
	}
	return dst, nil
}

// AppendProto appends the value as an OTLP AnyValue message.
func (v Value) AppendProto(dst []byte) []byte { return appendValue(dst, v) }

// ReadProto is the inverse of [Value.AppendProto]; the strings of the value are
// parts of message.
func (v *Value) ReadProto(message string) error {
	d := decoder{limits: stored, left: math.MaxInt}
	*v = Value{}
	return d.value(v, message, 0)
}

// Num is the bits of a boolean, an integer or a floating-point number.
func (v Value) Num() uint64 { return v.num }

// FromNum makes the value that has those bits; t is TypeBool, TypeInt or TypeFloat.
func FromNum(t Type, num uint64) Value { return Value{typ: t, num: num} }

// Merge counts what o has counted.
func (r *Rejected) Merge(o *Rejected) {
	r.Count += o.Count
	for _, e := range o.reasons {
		at := slices.IndexFunc(r.reasons, func(h rejection) bool { return h.reason == e.reason })
		if at >= 0 {
			r.reasons[at].count += e.count
		} else if len(r.reasons) < maxReasons {
			r.reasons = append(r.reasons, e)
		}
	}
}
