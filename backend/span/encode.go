package span

import (
	"encoding/base64"
	"math"
	"strconv"
)

// AppendProto appends the span as the bytes of an OTLP Span message, without
// its resource and scope. Equal spans give equal bytes.
func (s *Span) AppendProto(dst []byte) []byte {
	if !s.TraceID.IsZero() {
		dst = append(appendTag(dst, 1, wireBytes), byte(len(s.TraceID)))
		dst = append(dst, s.TraceID[:]...)
	}
	dst = appendSpanID(dst, 2, s.SpanID)
	dst = appendText(dst, 3, s.TraceState)
	dst = appendSpanID(dst, 4, s.ParentSpanID)
	dst = appendText(dst, 5, s.Name)
	dst = appendUint(dst, 6, uint64(s.Kind))
	dst = appendFixed64(dst, 7, s.StartTime)
	dst = appendFixed64(dst, 8, s.EndTime)
	dst = appendAttributes(dst, 9, s.Attributes)
	dst = appendUint(dst, 10, uint64(s.DroppedAttributesCount))
	var mark int
	for i := range s.Events {
		e := &s.Events[i]
		dst, mark = openMessage(dst, 11)
		dst = appendFixed64(dst, 1, e.Time)
		dst = appendText(dst, 2, e.Name)
		dst = appendAttributes(dst, 3, e.Attributes)
		dst = appendUint(dst, 4, uint64(e.DroppedAttributesCount))
		dst = closeMessage(dst, mark)
	}
	dst = appendUint(dst, 12, uint64(s.DroppedEventsCount))
	for i := range s.Links {
		l := &s.Links[i]
		dst, mark = openMessage(dst, 13)
		if !l.TraceID.IsZero() {
			dst = append(appendTag(dst, 1, wireBytes), byte(len(l.TraceID)))
			dst = append(dst, l.TraceID[:]...)
		}
		dst = appendSpanID(dst, 2, l.SpanID)
		dst = appendText(dst, 3, l.TraceState)
		dst = appendAttributes(dst, 4, l.Attributes)
		dst = appendUint(dst, 5, uint64(l.DroppedAttributesCount))
		dst = appendFixed32(dst, 6, l.Flags)
		dst = closeMessage(dst, mark)
	}
	dst = appendUint(dst, 14, uint64(s.DroppedLinksCount))
	if s.Status != (Status{}) {
		dst, mark = openMessage(dst, 15)
		dst = appendText(dst, 2, s.Status.Message)
		dst = appendUint(dst, 3, uint64(s.Status.Code))
		dst = closeMessage(dst, mark)
	}
	return appendFixed32(dst, 16, s.Flags)
}

// ReadProto is the inverse of AppendProto; the strings of the span are parts of
// message. It leaves Resource and Scope alone.
func (s *Span) ReadProto(message string) error {
	d := decoder{limits: stored, left: stored.Memory}
	*s = Span{Resource: s.Resource, Scope: s.Scope}
	_, err := d.span(s, message)
	return err
}

// stored limits the reading of what was accepted before, under limits of its own.
var stored = Limits{Depth: 10_000, Memory: math.MaxInt}

// AppendProto appends the resource as an OTLP Resource message followed by its
// schema URL, which makes it the key of its content.
func (r *Resource) AppendProto(dst []byte) []byte {
	dst, mark := openMessage(dst, 1)
	dst = appendAttributes(dst, 1, r.Attributes)
	dst = appendUint(dst, 2, uint64(r.DroppedAttributesCount))
	dst = closeMessage(dst, mark)
	return appendText(dst, 3, r.SchemaURL)
}

// AppendProto appends the scope as an OTLP InstrumentationScope message followed
// by its schema URL, which makes it the key of its content.
func (c *Scope) AppendProto(dst []byte) []byte {
	dst, mark := openMessage(dst, 1)
	dst = appendText(dst, 1, c.Name)
	dst = appendText(dst, 2, c.Version)
	dst = appendAttributes(dst, 3, c.Attributes)
	dst = appendUint(dst, 4, uint64(c.DroppedAttributesCount))
	dst = closeMessage(dst, mark)
	return appendText(dst, 3, c.SchemaURL)
}

// ReadProto is the inverse of AppendProto; the strings of the resource are parts
// of encoded.
func (r *Resource) ReadProto(encoded string) error {
	d := decoder{limits: stored, left: stored.Memory}
	*r = Resource{}
	return d.fields(encoded, func(f field) error {
		if f.number == 1 {
			return d.resource(r, f.s)
		}
		r.SchemaURL = f.s
		return nil
	})
}

// ReadProto is the inverse of AppendProto; the strings of the scope are parts of
// encoded.
func (c *Scope) ReadProto(encoded string) error {
	d := decoder{limits: stored, left: stored.Memory}
	*c = Scope{}
	return d.fields(encoded, func(f field) error {
		if f.number == 1 {
			return d.scope(c, f.s)
		}
		c.SchemaURL = f.s
		return nil
	})
}

// EncodeProto makes a TracesData, equally an ExportTraceServiceRequest, of
// spans, grouped as [Group] does. Resource, scope and status are there also when
// they say nothing: Grafana's Tempo data source takes them for granted.
func EncodeProto(spans []Span) []byte {
	var dst []byte
	for _, rs := range Group(spans) {
		var outer, inner, mark int
		dst, outer = openMessage(dst, 1)
		dst, mark = openMessage(dst, 1)
		dst = appendAttributes(dst, 1, rs.Resource.Attributes)
		dst = appendUint(dst, 2, uint64(rs.Resource.DroppedAttributesCount))
		dst = closeMessage(dst, mark)
		for _, ss := range rs.Scopes {
			dst, inner = openMessage(dst, 2)
			dst, mark = openMessage(dst, 1)
			dst = appendText(dst, 1, ss.Scope.Name)
			dst = appendText(dst, 2, ss.Scope.Version)
			dst = appendAttributes(dst, 3, ss.Scope.Attributes)
			dst = appendUint(dst, 4, uint64(ss.Scope.DroppedAttributesCount))
			dst = closeMessage(dst, mark)
			for _, s := range ss.Spans {
				dst, mark = openMessage(dst, 2)
				if dst = s.AppendProto(dst); s.Status == (Status{}) {
					dst = append(appendTag(dst, 15, wireBytes), 0)
				}
				dst = closeMessage(dst, mark)
			}
			dst = appendText(dst, 3, ss.Scope.SchemaURL)
			dst = closeMessage(dst, inner)
		}
		dst = appendText(dst, 3, rs.Resource.SchemaURL)
		dst = closeMessage(dst, outer)
	}
	return dst
}

// ResourceSpans is the spans of one resource by scope, as OTLP nests them.
type ResourceSpans struct {
	Resource *Resource
	Scopes   []ScopeSpans
}

// ScopeSpans is the spans of one scope.
type ScopeSpans struct {
	Scope *Scope
	Spans []*Span
}

// Group nests spans by their resource and scope, each in order of appearance.
// Two resources are the same when their pointers are.
func Group(spans []Span) []ResourceSpans {
	type key struct {
		resource *Resource
		scope    *Scope
	}
	var groups []ResourceSpans
	resources := map[*Resource]int{}
	scopes := map[key]int{}
	for i := range spans {
		s := &spans[i]
		r, ok := resources[s.Resource]
		if !ok {
			r = len(groups)
			resources[s.Resource] = r
			groups = append(groups, ResourceSpans{Resource: orEmpty(s.Resource)})
		}
		g := &groups[r]
		c, ok := scopes[key{s.Resource, s.Scope}]
		if !ok {
			c = len(g.Scopes)
			scopes[key{s.Resource, s.Scope}] = c
			g.Scopes = append(g.Scopes, ScopeSpans{Scope: orEmpty(s.Scope)})
		}
		g.Scopes[c].Spans = append(g.Scopes[c].Spans, s)
	}
	return groups
}

// Needles returns the bytes of which one is part of what [Span.AppendProto] makes
// of a span with an attribute of that key whose [Value.Text] is text. They may
// occur elsewhere too, so that a hit has to be looked at. It returns nil when
// there are too many: then any span may have it.
func Needles(key, text string) []string {
	if text == "" || text == "NaN" || text[0] == '[' || text[0] == '{' {
		return nil // also the text of nothing, of many NaNs, of lists and maps
	}
	values := []Value{String(text)}
	if b, err := strconv.ParseBool(text); err == nil && strconv.FormatBool(b) == text {
		values = append(values, Bool(b))
	}
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		values = append(values, Int(i))
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil {
		values = append(values, Float(f))
	}
	if b, err := base64.StdEncoding.DecodeString(text); err == nil {
		values = append(values, Bytes(string(b)))
	}
	needles := make([]string, len(values))
	for i, v := range values {
		const tag = 1
		needles[i] = string(appendAttributes(nil, 1, []Attribute{{key, v}})[tag:])
	}
	return needles
}

func orEmpty[T any](p *T) *T {
	if p == nil {
		return new(T)
	}
	return p
}

func appendSpanID(dst []byte, number int, id SpanID) []byte {
	if id.IsZero() {
		return dst
	}
	dst = append(appendTag(dst, number, wireBytes), byte(len(id)))
	return append(dst, id[:]...)
}

func appendAttributes(dst []byte, number int, attributes []Attribute) []byte {
	var mark int
	for i := range attributes {
		dst, mark = openMessage(dst, number)
		dst = attributes[i].AppendProto(dst)
		dst = closeMessage(dst, mark)
	}
	return dst
}

// appendValue writes the member of the oneof even when it holds the zero of its
// type: an empty string is not an empty value.
func appendValue(dst []byte, v Value) []byte {
	var mark int
	switch v.typ {
	case TypeString, TypeBytes:
		number := 1
		if v.typ == TypeBytes {
			number = 7
		}
		dst = appendVarint(appendTag(dst, number, wireBytes), uint64(len(v.text)))
		return append(dst, v.text...)
	case TypeBool:
		return appendVarint(appendTag(dst, 2, wireVarint), v.num)
	case TypeInt:
		return appendVarint(appendTag(dst, 3, wireVarint), v.num)
	case TypeFloat:
		n := v.num
		dst = appendTag(dst, 4, wireFixed64)
		return append(dst, byte(n), byte(n>>8), byte(n>>16), byte(n>>24), byte(n>>32), byte(n>>40), byte(n>>48), byte(n>>56))
	case TypeList:
		dst, mark = openMessage(dst, 5)
		for _, e := range v.many.values {
			var inner int
			dst, inner = openMessage(dst, 1)
			dst = appendValue(dst, e)
			dst = closeMessage(dst, inner)
		}
		return closeMessage(dst, mark)
	case TypeMap:
		dst, mark = openMessage(dst, 6)
		dst = appendAttributes(dst, 1, v.many.attributes)
		return closeMessage(dst, mark)
	}
	return dst
}
