package jaeger

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/throughline/throughline/backend/span"
)

// The shapes of Jaeger's JSON, and how an OTLP span becomes one: by
// https://opentelemetry.io/docs/specs/otel/trace/sdk_exporters/jaeger/ and what
// Jaeger 2 does.

type spanModel struct {
	TraceID       string      `json:"traceID"`
	SpanID        string      `json:"spanID"`
	OperationName string      `json:"operationName"`
	References    []reference `json:"references"`
	StartTime     uint64      `json:"startTime"` // unix microseconds
	Duration      uint64      `json:"duration"`  // microseconds
	Tags          []keyValue  `json:"tags"`
	Logs          []logRecord `json:"logs"`
	ProcessID     string      `json:"processID"`
	Warnings      []string    `json:"warnings"`
}

type reference struct {
	RefType string `json:"refType"`
	TraceID string `json:"traceID"`
	SpanID  string `json:"spanID"`
}

type logRecord struct {
	Timestamp uint64     `json:"timestamp"` // unix microseconds
	Fields    []keyValue `json:"fields"`
}

type keyValue struct {
	Key   string `json:"key"`
	Type  string `json:"type"`
	Value any    `json:"value"`
}

type process struct {
	ServiceName string     `json:"serviceName"`
	Tags        []keyValue `json:"tags"`
}

// writeTrace writes a trace span by span. Unless raw, attributes are sorted
// by key and events by name, as Jaeger's query service does. Errors stay in b.
func writeTrace(b *bufio.Writer, t *span.Trace, raw bool) {
	processes := map[string]json.RawMessage{} // by id
	ids := map[string]string{}                // by content
	byResource := map[*span.Resource]string{}
	write := func(value any) {
		text, err := json.Marshal(value)
		if err != nil { // no value here can fail
			text = []byte("null")
		}
		b.Write(text)
	}
	b.WriteString(`{"traceID":`)
	write(traceID(t.ID))
	b.WriteString(`,"spans":[`)
	for i := range t.Spans {
		s := &t.Spans[i]
		id, ok := byResource[s.Resource]
		if !ok {
			// Resources that differ in what Jaeger does not have are one process.
			content, err := json.Marshal(process{processName(s.Resource), processTags(s.Resource, raw)})
			if err != nil {
				content = []byte("null")
			}
			if id, ok = ids[string(content)]; !ok {
				id = "p" + strconv.Itoa(len(processes)+1)
				ids[string(content)] = id
				processes[id] = content
			}
			byResource[s.Resource] = id
		}
		if i > 0 {
			b.WriteByte(',')
		}
		write(modelOf(s, id, raw))
	}
	b.WriteString(`],"processes":`)
	write(processes)
	b.WriteString(`,"warnings":null}`)
}

func modelOf(s *span.Span, process string, raw bool) spanModel {
	out := spanModel{
		TraceID: traceID(s.TraceID), SpanID: s.SpanID.String(), OperationName: spanName(s.Name),
		References: []reference{}, Tags: spanTags(s, raw), Logs: []logRecord{},
		StartTime: s.StartTime / 1000, Duration: (s.EndTime - s.StartTime) / 1000,
		ProcessID: process,
	}
	if !s.ParentSpanID.IsZero() {
		out.References = append(out.References, reference{childOf, out.TraceID, s.ParentSpanID.String()})
	}
	for i := range s.Links {
		l := &s.Links[i]
		refType := followsFrom
		if v, ok := span.Get(l.Attributes, "opentracing.ref_type"); ok && v.Text() == "child_of" {
			refType = childOf
		}
		switch {
		case l.TraceID.IsZero() && !raw:
			out.Warnings = append(out.Warnings, "Invalid span link removed")
		case l.TraceID == s.TraceID && l.SpanID == s.ParentSpanID && !l.SpanID.IsZero():
			out.References[0].RefType = refType // the link says what the parent is
		default:
			out.References = append(out.References, reference{refType, traceID(l.TraceID), l.SpanID.String()})
		}
	}
	events := s.Events
	if !raw {
		events = slices.SortedStableFunc(slices.Values(events), func(a, b span.Event) int { return strings.Compare(a.Name, b.Name) })
	}
	for i := range events {
		e := &events[i]
		fields := []keyValue{}
		if _, ok := span.Get(e.Attributes, "event"); !ok && e.Name != "" {
			fields = append(fields, stringTag("event", e.Name))
		}
		out.Logs = append(out.Logs, logRecord{e.Time / 1000, appendTags(fields, e.Attributes, raw)})
	}
	return out
}

const (
	childOf     = "CHILD_OF"
	followsFrom = "FOLLOWS_FROM"
)

func spanTags(s *span.Span, raw bool) []keyValue {
	tags := []keyValue{}
	if s.Scope.Name != "" {
		tags = append(tags, stringTag("otel.scope.name", s.Scope.Name))
	}
	if s.Scope.Version != "" {
		tags = append(tags, stringTag("otel.scope.version", s.Scope.Version))
	}
	tags = appendTags(tags, s.Attributes, raw)
	if k := s.Kind.String(); k != "unspecified" {
		tags = append(tags, stringTag("span.kind", k))
	}
	switch s.Status.Code {
	case span.StatusOK:
		tags = append(tags, stringTag("otel.status_code", "OK"))
	case span.StatusError:
		tags = append(tags, stringTag("otel.status_code", "ERROR"), keyValue{"error", "bool", true})
	}
	if s.Status.Message != "" {
		tags = append(tags, stringTag("otel.status_description", s.Status.Message))
	}
	if s.TraceState != "" {
		tags = append(tags, stringTag("w3c.tracestate", s.TraceState))
	}
	return tags
}

func processTags(r *span.Resource, raw bool) []keyValue {
	attributes := slices.DeleteFunc(slices.Clone(r.Attributes), func(a span.Attribute) bool { return a.Key == "service.name" })
	return appendTags([]keyValue{}, attributes, raw)
}

func stringTag(key, value string) keyValue { return keyValue{key, "string", value} }

func appendTags(tags []keyValue, attributes []span.Attribute, raw bool) []keyValue {
	from := len(tags)
	for _, a := range attributes {
		tags = append(tags, tagOf(a))
	}
	if !raw {
		slices.SortStableFunc(tags[from:], func(a, b keyValue) int { return strings.Compare(a.Key, b.Key) })
	}
	return tags
}

// maxSafe is the largest integer that JavaScript reads exactly; beyond it Jaeger
// sends text.
const maxSafe = 1<<53 - 1

func tagOf(a span.Attribute) keyValue {
	v := a.Value
	switch v.Type() {
	case span.TypeBool:
		return keyValue{a.Key, "bool", v.Bool()}
	case span.TypeInt:
		if n := v.Int(); n > maxSafe || n < -maxSafe {
			return keyValue{a.Key, "int64", v.Text()}
		}
		return keyValue{a.Key, "int64", v.Int()}
	case span.TypeFloat:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			return keyValue{a.Key, "float64", v.Text()} // JSON has no number for it
		}
		return keyValue{a.Key, "float64", v.Float()}
	case span.TypeBytes:
		return keyValue{a.Key, "binary", base64.StdEncoding.EncodeToString([]byte(v.Str()))}
	}
	return stringTag(a.Key, v.Text())
}

// traceID writes an id of 64 bits with 16 digits, as Jaeger does.
func traceID(id span.TraceID) string {
	text := id.String()
	if short, ok := strings.CutPrefix(text, "0000000000000000"); ok {
		return short
	}
	return text
}
