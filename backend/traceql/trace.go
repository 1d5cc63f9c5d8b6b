package traceql

import (
	"hash/maphash"
	"iter"
	"math/bits"

	"github.com/throughline/throughline/backend/span"
)

// Trace is what evaluation needs of a trace. Spans are numbered from 0 in an order
// that the answers keep. An implementation serves one [Program]: attributes are
// numbered as its [Program.Attributes], so that nothing is looked up by name for
// each span.
type Trace interface {
	TraceID() span.TraceID
	// Len is the number of spans.
	Len() int
	SpanID(i int) span.SpanID
	// Parent is the number of a span's parent, [NoParent] or [MissingParent].
	Parent(i int) int
	// Times are the start and end of a span in unix nanoseconds.
	Times(i int) (start, end uint64)
	// Value is what span i has for an attribute that is not Multiple.
	Value(i, attribute int) Value
	// AppendValues appends one value for each event, or link, of span i, nil for
	// those without the attribute, which is Multiple.
	AppendValues(dst []Value, i, attribute int) []Value
	// All yields every attribute of span i and of its resource, and the intrinsics
	// that describe it; compare() counts them.
	All(i int) iter.Seq2[Attribute, Value]
}

// What Trace.Parent returns for a span whose parent is not in the trace.
const (
	NoParent      = -1 // a root
	MissingParent = -2 // it names a parent that has not arrived
)

// View is a span.Trace as a [Trace] of one program. Its Reset takes the next
// trace. It must not be copied.
type View struct {
	attributes []Attribute
	trace      *span.Trace
	parents    []int // empty until asked for
	table      []int32
	seed       maphash.Seed // random, because senders choose the ids
}

// NewView makes a view for a program.
func NewView(p *Program) *View {
	return &View{attributes: p.Attributes(), seed: maphash.MakeSeed()}
}

// Reset makes the view show another trace and returns it.
func (v *View) Reset(t *span.Trace) *View {
	v.trace = t
	v.parents = v.parents[:0]
	return v
}

// TraceID implements [Trace].
func (v *View) TraceID() span.TraceID { return v.trace.ID }

// Len implements [Trace].
func (v *View) Len() int { return len(v.trace.Spans) }

// SpanID implements [Trace].
func (v *View) SpanID(i int) span.SpanID { return v.trace.Spans[i].SpanID }

// Times implements [Trace].
func (v *View) Times(i int) (start, end uint64) {
	s := &v.trace.Spans[i]
	return s.StartTime, s.EndTime
}

// Parent implements [Trace].
func (v *View) Parent(i int) int {
	if len(v.parents) == 0 {
		v.link()
	}
	return v.parents[i]
}

// link finds the parents by a hash table of the ids, which is reused: a map takes
// several times as long.
func (v *View) link() {
	spans := v.trace.Spans
	size := 1 << bits.Len(uint(2*len(spans)))
	v.table = resize(v.table, size)
	for i := range spans {
		at := v.find(spans[i].SpanID)
		v.table[at] = int32(i + 1)
	}
	for i := range spans {
		parent := NoParent
		if id := spans[i].ParentSpanID; !id.IsZero() {
			if parent = int(v.table[v.find(id)]) - 1; parent < 0 {
				parent = MissingParent
			}
		}
		v.parents = append(v.parents, parent)
	}
}

// find is the place of an id in the table, or the free one where it would be.
func (v *View) find(id span.SpanID) int {
	mask := uint64(len(v.table) - 1)
	for at := maphash.Bytes(v.seed, id[:]) & mask; ; at = (at + 1) & mask {
		if n := v.table[at]; n == 0 || v.trace.Spans[n-1].SpanID == id {
			return int(at)
		}
	}
}

// Value implements [Trace].
func (v *View) Value(i, attribute int) Value {
	s := &v.trace.Spans[i]
	switch a := &v.attributes[attribute]; a.Intrinsic {
	case IntrinsicNone:
		return attributeOf(s, a)
	case IntrinsicName:
		return StringValue(s.Name)
	case IntrinsicStatus:
		return StatusValue(s.Status.Code)
	case IntrinsicStatusMessage:
		return StringValue(s.Status.Message)
	case IntrinsicKind:
		return KindValue(s.Kind)
	case IntrinsicParentID:
		return StringValue(s.ParentSpanID.String())
	case IntrinsicInstrumentationName:
		return scopeText(s, func(c *span.Scope) string { return c.Name })
	case IntrinsicInstrumentationVersion:
		return scopeText(s, func(c *span.Scope) string { return c.Version })
	}
	return Nil
}

func scopeText(s *span.Span, text func(*span.Scope) string) Value {
	if s.Scope == nil {
		return Nil
	}
	return StringValue(text(s.Scope))
}

func attributeOf(s *span.Span, a *Attribute) Value {
	switch a.Scope {
	case ScopeSpan:
		return get(s.Attributes, a.Name)
	case ScopeResource:
		if s.Resource != nil {
			return get(s.Resource.Attributes, a.Name)
		}
	case ScopeInstrumentation:
		if s.Scope != nil {
			return get(s.Scope.Attributes, a.Name)
		}
	case ScopeNone:
		v := get(s.Attributes, a.Name)
		if v.IsNil() && s.Resource != nil {
			v = get(s.Resource.Attributes, a.Name)
		}
		return v
	}
	return Nil
}

func get(attributes []span.Attribute, name string) Value {
	for i := range attributes {
		if attributes[i].Key == name {
			return ValueOf(attributes[i].Value)
		}
	}
	return Nil
}

// AppendValues implements [Trace].
func (v *View) AppendValues(dst []Value, i, attribute int) []Value {
	s := &v.trace.Spans[i]
	a := &v.attributes[attribute]
	add := func(v Value) { dst = append(dst, v) }
	switch a.Intrinsic {
	case IntrinsicEventName:
		for j := range s.Events {
			add(StringValue(s.Events[j].Name))
		}
	case IntrinsicEventTimeSinceStart:
		for j := range s.Events {
			add(Value{typ: TypeDuration, num: s.Events[j].Time - s.StartTime})
		}
	case IntrinsicLinkTraceID:
		for j := range s.Links {
			add(StringValue(s.Links[j].TraceID.String()))
		}
	case IntrinsicLinkSpanID:
		for j := range s.Links {
			add(StringValue(s.Links[j].SpanID.String()))
		}
	case IntrinsicNone:
		if a.Scope == ScopeEvent {
			for j := range s.Events {
				add(get(s.Events[j].Attributes, a.Name))
			}
		} else {
			for j := range s.Links {
				add(get(s.Links[j].Attributes, a.Name))
			}
		}
	}
	return dst
}

// All implements [Trace].
func (v *View) All(i int) iter.Seq2[Attribute, Value] {
	s := &v.trace.Spans[i]
	return func(yield func(Attribute, Value) bool) {
		intrinsic := func(i Intrinsic, v Value) bool { return yield(Attribute{Intrinsic: i}, v) }
		if !intrinsic(IntrinsicName, StringValue(s.Name)) ||
			!intrinsic(IntrinsicStatus, StatusValue(s.Status.Code)) ||
			!intrinsic(IntrinsicStatusMessage, StringValue(s.Status.Message)) ||
			!intrinsic(IntrinsicKind, KindValue(s.Kind)) {
			return
		}
		if s.Scope != nil && (!intrinsic(IntrinsicInstrumentationName, StringValue(s.Scope.Name)) ||
			!intrinsic(IntrinsicInstrumentationVersion, StringValue(s.Scope.Version))) {
			return
		}
		scope := func(sc Scope, attributes []span.Attribute) bool {
			for i := range attributes {
				if !yield(Attribute{Scope: sc, Name: attributes[i].Key}, ValueOf(attributes[i].Value)) {
					return false
				}
			}
			return true
		}
		if !scope(ScopeSpan, s.Attributes) || s.Resource != nil && !scope(ScopeResource, s.Resource.Attributes) {
			return
		}
		if s.Scope != nil {
			scope(ScopeInstrumentation, s.Scope.Attributes)
		}
	}
}
