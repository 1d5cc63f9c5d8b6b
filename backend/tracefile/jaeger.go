package tracefile

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/throughline/throughline/backend/span"
)

// The shapes of Jaeger's JSON, and how they become OTLP again: the inverse of
// https://opentelemetry.io/docs/specs/otel/trace/sdk_exporters/jaeger/ as far as
// there is one. Times have microseconds.

type jaegerTrace struct {
	TraceID   string                   `json:"traceID"`
	Spans     []jaegerSpan             `json:"spans"`
	Processes map[string]jaegerProcess `json:"processes"`
}

type jaegerProcess struct {
	ServiceName string           `json:"serviceName"`
	Tags        []jaegerKeyValue `json:"tags"`
}

type jaegerSpan struct {
	TraceID       string            `json:"traceID"`
	SpanID        string            `json:"spanID"`
	ParentSpanID  string            `json:"parentSpanID"` // of old versions
	OperationName string            `json:"operationName"`
	References    []jaegerReference `json:"references"`
	Flags         uint32            `json:"flags"`
	StartTime     uint64            `json:"startTime"`
	Duration      uint64            `json:"duration"`
	Tags          []jaegerKeyValue  `json:"tags"`
	Logs          []struct {
		Timestamp uint64           `json:"timestamp"`
		Fields    []jaegerKeyValue `json:"fields"`
	} `json:"logs"`
	ProcessID string         `json:"processID"`
	Process   *jaegerProcess `json:"process"`
}

type jaegerReference struct {
	RefType string `json:"refType"`
	TraceID string `json:"traceID"`
	SpanID  string `json:"spanID"`
}

type jaegerKeyValue struct {
	Key   string          `json:"key"`
	Type  string          `json:"type"`
	Value json.RawMessage `json:"value"`
}

func (t *jaegerTrace) batch() *span.Batch {
	b := &span.Batch{}
	resources := map[string]*span.Resource{}
	for id, p := range t.Processes {
		resources[id] = p.resource()
	}
	type library struct{ name, version string }
	scopes := map[library]*span.Scope{}
	for i := range t.Spans {
		j := &t.Spans[i]
		s := span.Span{Resource: resources[j.ProcessID]}
		if j.Process != nil {
			s.Resource = j.Process.resource()
		}
		if s.Resource == nil {
			s.Resource = &span.Resource{}
			resources[j.ProcessID] = s.Resource
		}
		name, version := j.fill(&s)
		key := library{name, version}
		if scopes[key] == nil {
			scopes[key] = &span.Scope{Name: name, Version: version}
		}
		s.Scope = scopes[key]
		if !parseID(s.TraceID[:], j.TraceID) && !parseID(s.TraceID[:], t.TraceID) || s.TraceID.IsZero() {
			b.Rejected.Add("trace id is not hexadecimal or zero", &s)
			continue
		}
		if !parseID(s.SpanID[:], j.SpanID) || s.SpanID.IsZero() {
			b.Rejected.Add("span id is not hexadecimal or zero", &s)
			continue
		}
		b.Spans = append(b.Spans, s)
	}
	return b
}

func (p *jaegerProcess) resource() *span.Resource {
	r := &span.Resource{}
	// The names that Jaeger gives to what has none.
	if p.ServiceName != "" && p.ServiceName != "missing-service-name" {
		name := strings.TrimSuffix(p.ServiceName, "empty-service-name")
		r.Attributes = append(r.Attributes, span.Attribute{Key: "service.name", Value: span.String(name)})
	}
	for _, t := range p.Tags {
		r.Attributes = append(r.Attributes, span.Attribute{Key: t.Key, Value: t.value()})
	}
	return r
}

// fill sets what a span of Jaeger says, and returns the scope that its tags name.
func (j *jaegerSpan) fill(s *span.Span) (scope, version string) {
	s.Name = j.OperationName
	if s.Name == "empty-span-name" {
		s.Name = ""
	}
	s.StartTime, s.EndTime = nanos(j.StartTime), nanos(j.StartTime+j.Duration)
	parent := ""
	for _, r := range j.References {
		if parent == "" && r.RefType == "CHILD_OF" && sameID(r.TraceID, j.TraceID) {
			parent = r.SpanID
			continue
		}
		l := span.Link{}
		if parseID(l.TraceID[:], r.TraceID) && parseID(l.SpanID[:], r.SpanID) {
			s.Links = append(s.Links, l)
		}
	}
	if parent == "" {
		parent = j.ParentSpanID
	}
	if parent == "" && len(j.References) == 1 && sameID(j.References[0].TraceID, j.TraceID) {
		// A reference that is not a child's is the parent if it is the only one.
		parent, s.Links = j.References[0].SpanID, nil
	}
	if parent != "" {
		parseID(s.ParentSpanID[:], parent)
	}
	for _, t := range j.Tags {
		text := t.text()
		switch t.Key {
		case "otel.scope.name", "otel.library.name":
			scope = text
		case "otel.scope.version", "otel.library.version":
			version = text
		case "w3c.tracestate":
			s.TraceState = text
		case "otel.status_description":
			s.Status.Message = text
		case "otel.status_code":
			s.Status.Code, _ = span.ParseStatus(strings.ToLower(text))
		case "error":
			if text == "true" {
				s.Status.Code = span.StatusError
			} else if text != "false" {
				s.Attributes = append(s.Attributes, span.Attribute{Key: t.Key, Value: t.value()})
			}
		case "span.kind":
			if k, ok := span.ParseKind(text); ok {
				s.Kind = k
				continue
			}
			fallthrough
		default:
			s.Attributes = append(s.Attributes, span.Attribute{Key: t.Key, Value: t.value()})
		}
	}
	for _, l := range j.Logs {
		e := span.Event{Time: nanos(l.Timestamp)}
		for _, f := range l.Fields {
			if f.Key == "event" && e.Name == "" {
				e.Name = f.text()
				continue
			}
			e.Attributes = append(e.Attributes, span.Attribute{Key: f.Key, Value: f.value()})
		}
		s.Events = append(s.Events, e)
	}
	return scope, version
}

// nanos are 0 for a time that there cannot be, which the rules for spans refuse.
func nanos(micros uint64) uint64 {
	if micros > math.MaxUint64/1000 {
		return 0
	}
	return micros * 1000
}

func sameID(a, b string) bool {
	return strings.EqualFold(strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0"))
}

// parseID reads hexadecimal digits, of which leading zeros may be left out.
func parseID(dst []byte, text string) bool {
	if text == "" || len(text) > 2*len(dst) {
		return false
	}
	text = strings.Repeat("0", 2*len(dst)-len(text)) + text
	n, err := hex.Decode(dst, []byte(text))
	return err == nil && n == len(dst)
}

// text is a tag's value as text, whatever its type.
func (t *jaegerKeyValue) text() string { return t.value().Text() }

func (t *jaegerKeyValue) value() span.Value {
	var text string
	if json.Unmarshal(t.Value, &text) != nil {
		text = string(bytes.TrimSpace(t.Value))
	}
	switch strings.ToLower(t.Type) {
	case "bool":
		if b, err := strconv.ParseBool(text); err == nil {
			return span.Bool(b)
		}
	case "int64":
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return span.Int(n)
		}
	case "float64":
		if f, err := strconv.ParseFloat(text, 64); err == nil {
			return span.Float(f)
		}
	case "binary":
		if b, err := base64.StdEncoding.DecodeString(text); err == nil {
			return span.Bytes(string(b))
		}
	}
	return span.String(text)
}
