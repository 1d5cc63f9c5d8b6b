package span

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unsafe"
)

// DecodeJSON reads an ExportTraceServiceRequest in OTLP JSON. Where writers of
// it differ it takes every form: 64-bit integers as strings or numbers,
// enumerations as numbers or names, bytes in either alphabet of base64. Unknown
// fields are skipped. An id that is not hexadecimal or of a wrong length rejects
// its span, not the request.
func DecodeJSON(request []byte, limits Limits) (*Batch, error) {
	limits = limits.orDefault()
	if n := objects(request); n > limits.Memory/128 {
		return nil, fmt.Errorf("decoding OTLP: %w: %d JSON objects, the limit is %d", ErrTooLarge, n, limits.Memory/128)
	}
	var in struct {
		ResourceSpans []struct {
			Resource   resourceJSON
			ScopeSpans []struct {
				Scope     scopeJSON
				Spans     []json.RawMessage
				SchemaURL string
			}
			SchemaURL string
		}
	}
	if err := json.Unmarshal(request, &in); err != nil {
		return nil, fmt.Errorf("decoding OTLP: %w", jsonError(err))
	}
	c := converter{decoder{limits: limits, left: limits.Memory, batch: &Batch{}}}
	for i, rs := range in.ResourceSpans {
		attributes, err := c.attributes(rs.Resource.Attributes, 0)
		if err != nil {
			return nil, fmt.Errorf("decoding OTLP: resource spans %d: resource: %w", i, err)
		}
		resource := &Resource{attributes, rs.Resource.DroppedAttributesCount, rs.SchemaURL}
		for j, ss := range rs.ScopeSpans {
			attributes, err := c.attributes(ss.Scope.Attributes, 0)
			if err != nil {
				return nil, fmt.Errorf("decoding OTLP: resource spans %d: scope spans %d: scope: %w", i, j, err)
			}
			scope := &Scope{ss.Scope.Name, ss.Scope.Version, attributes, ss.Scope.DroppedAttributesCount, ss.SchemaURL}
			for k, raw := range ss.Spans {
				if err := c.add(raw, resource, scope); err != nil {
					return nil, fmt.Errorf("decoding OTLP: resource spans %d: scope spans %d: span %d: %w", i, j, k, err)
				}
			}
		}
	}
	return c.batch, nil
}

// objects counts the objects of a JSON text, or more when it is malformed.
func objects(text []byte) int {
	n := 0
	for i, quoted := 0, false; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted:
			i++
		case c == '{' && !quoted:
			n++
		}
	}
	return n
}

// jsonError says in the words of JSON what encoding/json says in those of Go.
func jsonError(err error) error {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		path := strings.Split(e.Field, ".")
		for i, name := range path {
			path[i] = strings.ToLower(name[:min(1, len(name))]) + name[min(1, len(name)):]
		}
		return fmt.Errorf("JSON field %q does not take a %s (at byte %d)", strings.Join(path, "."), e.Value, e.Offset)
	}
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("invalid JSON at byte %d: %w", e.Offset, err)
	}
	return err
}

type resourceJSON struct {
	Attributes             []keyValueJSON
	DroppedAttributesCount uint32
}

type scopeJSON struct {
	Name                   string
	Version                string
	Attributes             []keyValueJSON
	DroppedAttributesCount uint32
}

type spanJSON struct {
	TraceID                string `json:"traceId"`
	SpanID                 string `json:"spanId"`
	ParentSpanID           string `json:"parentSpanId"`
	TraceState             string
	Flags                  uint32
	Name                   string
	Kind                   kindJSON
	StartTimeUnixNano      uintJSON
	EndTimeUnixNano        uintJSON
	Attributes             []keyValueJSON
	DroppedAttributesCount uint32
	Events                 []eventJSON
	DroppedEventsCount     uint32
	Links                  []linkJSON
	DroppedLinksCount      uint32
	Status                 struct {
		Code    statusJSON
		Message string
	}
}

type eventJSON struct {
	TimeUnixNano           uintJSON
	Name                   string
	Attributes             []keyValueJSON
	DroppedAttributesCount uint32
}

type linkJSON struct {
	TraceID                string `json:"traceId"`
	SpanID                 string `json:"spanId"`
	TraceState             string
	Flags                  uint32
	Attributes             []keyValueJSON
	DroppedAttributesCount uint32
}

type keyValueJSON struct {
	Key   string
	Value valueJSON
}

type valueJSON struct {
	StringValue *string
	BoolValue   *bool
	IntValue    *intJSON
	DoubleValue *floatJSON
	ArrayValue  *struct{ Values []valueJSON }
	KvlistValue *struct{ Values []keyValueJSON }
	BytesValue  *bytesJSON
}

type converter struct{ decoder }

func (c *converter) add(raw json.RawMessage, resource *Resource, scope *Scope) error {
	var in spanJSON
	if err := json.Unmarshal(raw, &in); err != nil {
		return jsonError(err)
	}
	s := Span{
		TraceState: in.TraceState, Flags: in.Flags, Name: in.Name, Kind: Kind(in.Kind),
		StartTime: uint64(in.StartTimeUnixNano), EndTime: uint64(in.EndTimeUnixNano),
		Status:                 Status{StatusCode(in.Status.Code), in.Status.Message},
		DroppedAttributesCount: in.DroppedAttributesCount,
		DroppedEventsCount:     in.DroppedEventsCount,
		DroppedLinksCount:      in.DroppedLinksCount,
		Resource:               resource, Scope: scope,
	}
	reason := hexID(s.TraceID[:], in.TraceID, "trace id")
	reason = first(reason, hexID(s.SpanID[:], in.SpanID, "span id"))
	reason = first(reason, hexID(s.ParentSpanID[:], in.ParentSpanID, "parent span id"))
	var err error
	if s.Attributes, err = c.attributes(in.Attributes, 0); err != nil {
		return err
	}
	for i := range in.Events {
		e := &in.Events[i]
		attributes, err := c.attributes(e.Attributes, 0)
		if err != nil {
			return fmt.Errorf("event %d: %w", i, err)
		}
		s.Events = append(s.Events, Event{uint64(e.TimeUnixNano), e.Name, attributes, e.DroppedAttributesCount})
	}
	for i := range in.Links {
		l := &in.Links[i]
		attributes, err := c.attributes(l.Attributes, 0)
		if err != nil {
			return fmt.Errorf("link %d: %w", i, err)
		}
		out := Link{TraceState: l.TraceState, Flags: l.Flags, Attributes: attributes, DroppedAttributesCount: l.DroppedAttributesCount}
		reason = first(reason, hexID(out.TraceID[:], l.TraceID, "link's trace id"))
		reason = first(reason, hexID(out.SpanID[:], l.SpanID, "link's span id"))
		s.Links = append(s.Links, out)
	}
	cost := unsafe.Sizeof(s) + uintptr(len(s.Events))*unsafe.Sizeof(Event{}) + uintptr(len(s.Links))*unsafe.Sizeof(Link{})
	if err := c.spend(cost); err != nil {
		return err
	}
	if reason != "" {
		c.batch.Rejected.Add(reason, &s)
		return nil
	}
	c.batch.Spans = append(c.batch.Spans, s)
	return nil
}

// hexID reads an id of exactly its length; an absent one leaves zeros.
func hexID(dst []byte, s, what string) (reason string) {
	if s == "" {
		return ""
	}
	if len(s) != 2*len(dst) {
		return fmt.Sprintf("%s of %d characters, want %d hexadecimal digits", what, len(s), 2*len(dst))
	}
	if err := parseHex(dst, s); err != nil {
		clear(dst)
		return fmt.Sprintf("%s %q is not hexadecimal", what, s)
	}
	return ""
}

func (c *converter) attributes(in []keyValueJSON, depth int) ([]Attribute, error) {
	if len(in) == 0 {
		return nil, nil
	}
	if err := c.spend(uintptr(len(in)) * unsafe.Sizeof(Attribute{})); err != nil {
		return nil, err
	}
	out := make([]Attribute, len(in))
	for i := range in {
		v, err := c.value(&in[i].Value, depth)
		if err != nil {
			return nil, fmt.Errorf("attribute %d: %w", i, err)
		}
		out[i] = Attribute{in[i].Key, v}
	}
	return out, nil
}

func (c *converter) value(in *valueJSON, depth int) (Value, error) {
	switch {
	case in.StringValue != nil:
		return String(*in.StringValue), nil
	case in.BoolValue != nil:
		return Bool(*in.BoolValue), nil
	case in.IntValue != nil:
		return Int(int64(*in.IntValue)), nil
	case in.DoubleValue != nil:
		return Float(float64(*in.DoubleValue)), nil
	case in.BytesValue != nil:
		return Bytes(string(*in.BytesValue)), nil
	case in.ArrayValue != nil, in.KvlistValue != nil:
		if depth++; depth > c.limits.Depth {
			return Value{}, tooDeep(c.limits.Depth)
		}
	}
	switch {
	case in.ArrayValue != nil:
		if err := c.spend(uintptr(len(in.ArrayValue.Values)) * unsafe.Sizeof(Value{})); err != nil {
			return Value{}, err
		}
		values := make([]Value, len(in.ArrayValue.Values))
		for i := range values {
			var err error
			if values[i], err = c.value(&in.ArrayValue.Values[i], depth); err != nil {
				return Value{}, err
			}
		}
		return List(values), nil
	case in.KvlistValue != nil:
		attributes, err := c.attributes(in.KvlistValue.Values, depth)
		if attributes == nil {
			attributes = []Attribute{}
		}
		return Map(attributes), err
	}
	return Value{}, nil
}

type (
	uintJSON   uint64
	intJSON    int64
	floatJSON  float64
	bytesJSON  string
	kindJSON   int32
	statusJSON int32
)

func unquote(b []byte) string { return strings.Trim(string(b), `"`) }

func (n *uintJSON) UnmarshalJSON(b []byte) error {
	s := unquote(b)
	if s == "null" || s == "" {
		return nil
	}
	u, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		f, ferr := strconv.ParseFloat(s, 64)
		if ferr != nil || f < 0 || f >= 1<<64 || f != math.Trunc(f) {
			return fmt.Errorf("%q is not an unsigned 64-bit integer", clip(s))
		}
		u = uint64(f)
	}
	*n = uintJSON(u)
	return nil
}

func (n *intJSON) UnmarshalJSON(b []byte) error {
	s := unquote(b)
	i, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		f, ferr := strconv.ParseFloat(s, 64)
		if ferr != nil || f < -1<<63 || f >= 1<<63 || f != math.Trunc(f) {
			return fmt.Errorf("%q is not a 64-bit integer", clip(s))
		}
		i = int64(f)
	}
	*n = intJSON(i)
	return nil
}

func (n *floatJSON) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(unquote(b), 64) // knows NaN and Infinity
	if err != nil && !math.IsInf(f, 0) {
		return fmt.Errorf("%q is not a number", clip(unquote(b)))
	}
	*n = floatJSON(f)
	return nil
}

func (n *bytesJSON) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	s = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(s, "="))
	out, err := base64.RawStdEncoding.DecodeString(s)
	if err != nil {
		return fmt.Errorf("bytesValue: %w", err)
	}
	*n = bytesJSON(out)
	return nil
}

func (k *kindJSON) UnmarshalJSON(b []byte) error {
	n, err := enum(b, "SPAN_KIND_", kindNames[:])
	*k = kindJSON(n)
	return err
}

func (c *statusJSON) UnmarshalJSON(b []byte) error {
	n, err := enum(b, "STATUS_CODE_", statusNames[:])
	*c = statusJSON(n)
	return err
}

func enum(b []byte, prefix string, names []string) (int32, error) {
	s := unquote(b)
	if s == "null" {
		return 0, nil
	}
	if n, err := strconv.ParseInt(s, 10, 32); err == nil {
		return int32(n), nil
	}
	for n, name := range names {
		if s == prefix+strings.ToUpper(name) {
			return int32(n), nil
		}
	}
	return 0, fmt.Errorf("%q is not one of %s…", clip(s), prefix)
}
