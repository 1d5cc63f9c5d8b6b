package main

import (
	"bufio"
	"encoding/json"
	"io"
	"strconv"

	"github.com/throughline/throughline/backend/client"
	"github.com/throughline/throughline/backend/span"
)

// The forms of --json. Names are those of the native API; times are unix
// nanoseconds as text, because the numbers of many readers of JSON end at 2^53.

type traceJSON struct {
	TraceID     string             `json:"traceId"`
	RootService string             `json:"rootService"`
	RootName    string             `json:"rootName"`
	HasRoot     bool               `json:"hasRoot"`
	StartTime   string             `json:"startTimeUnixNano"`
	Duration    int64              `json:"durationNano"`
	SpanCount   int                `json:"spanCount"`
	ErrorCount  int                `json:"errorCount"`
	OrphanCount int                `json:"orphanCount"`
	Services    []serviceCountJSON `json:"services"`
	Matched     int                `json:"matched,omitempty"`
	Spans       []matchJSON        `json:"matchedSpans,omitempty"`
}

type serviceCountJSON struct {
	Name       string `json:"name"`
	SpanCount  int    `json:"spanCount"`
	ErrorCount int    `json:"errorCount"`
}

type matchJSON struct {
	SpanID     string     `json:"spanId"`
	Name       string     `json:"name"`
	StartTime  string     `json:"startTimeUnixNano"`
	Duration   int64      `json:"durationNano"`
	Attributes attributes `json:"attributes"`
}

func unixNano(n uint64) string { return strconv.FormatUint(n, 10) }

func summaryJSON(s *span.Summary) traceJSON {
	out := traceJSON{
		TraceID: s.TraceID.String(), RootService: s.RootService, RootName: s.RootName, HasRoot: s.HasRoot,
		StartTime: unixNano(s.StartTime), Duration: int64(s.Duration()),
		SpanCount: s.SpanCount, ErrorCount: s.ErrorCount, OrphanCount: s.OrphanCount,
		Services: []serviceCountJSON{},
	}
	for _, c := range s.Services {
		out.Services = append(out.Services, serviceCountJSON(c))
	}
	return out
}

func matchOf(m *client.Match) traceJSON {
	out := summaryJSON(&m.Summary)
	out.Matched = m.Matched
	for _, s := range m.Spans {
		out.Spans = append(out.Spans, matchJSON{s.SpanID.String(), s.Name, unixNano(s.StartTime), int64(s.Duration), s.Attributes})
	}
	return out
}

func foundJSON(found client.Found) any {
	list := make([]traceJSON, len(found.Traces))
	for i := range found.Traces {
		list[i] = matchOf(&found.Traces[i])
	}
	return map[string]any{"traces": list, "truncated": found.Truncated}
}

// attributes are an object in JSON; of those with one key the last counts.
type attributes []span.Attribute

func (a attributes) MarshalJSON() ([]byte, error) {
	all := make(map[string]any, len(a))
	for _, one := range a {
		all[one.Key] = plainValue(one.Value)
	}
	return json.Marshal(all)
}

// plainValue is a value as JSON has it: numbers that JSON has not, bytes and what
// is nested are text.
func plainValue(v span.Value) any {
	switch v.Type() {
	case span.TypeBool:
		return v.Bool()
	case span.TypeInt:
		return v.Int()
	case span.TypeFloat:
		if f := v.Float(); f-f == 0 { // neither infinite nor not a number
			return f
		}
	}
	return v.Text()
}

type spanJSON struct {
	SpanID        string      `json:"spanId"`
	ParentSpanID  string      `json:"parentSpanId"`
	Service       string      `json:"service"`
	Name          string      `json:"name"`
	Kind          string      `json:"kind"`
	Status        string      `json:"status"`
	StatusMessage string      `json:"statusMessage,omitempty"`
	StartTime     string      `json:"startTimeUnixNano"`
	Duration      int64       `json:"durationNano"`
	Attributes    attributes  `json:"attributes"`
	Resource      attributes  `json:"resource"`
	Scope         string      `json:"scope"`
	Events        []eventJSON `json:"events"`
	Links         []linkJSON  `json:"links"`
}

type eventJSON struct {
	Time       string     `json:"timeUnixNano"`
	Name       string     `json:"name"`
	Attributes attributes `json:"attributes"`
}

type linkJSON struct {
	TraceID    string     `json:"traceId"`
	SpanID     string     `json:"spanId"`
	Attributes attributes `json:"attributes"`
}

func spanOf(s *span.Span) spanJSON {
	out := spanJSON{
		SpanID: s.SpanID.String(), Service: s.ServiceName(), Name: s.Name, Kind: s.Kind.String(),
		Status: s.Status.Code.String(), StatusMessage: s.Status.Message,
		StartTime: unixNano(s.StartTime), Duration: int64(s.Duration()),
		Attributes: s.Attributes, Resource: s.Resource.Attributes, Scope: s.Scope.Name,
		Events: []eventJSON{}, Links: []linkJSON{},
	}
	if !s.ParentSpanID.IsZero() {
		out.ParentSpanID = s.ParentSpanID.String()
	}
	for _, e := range s.Events {
		out.Events = append(out.Events, eventJSON{unixNano(e.Time), e.Name, e.Attributes})
	}
	for _, l := range s.Links {
		out.Links = append(out.Links, linkJSON{l.TraceID.String(), l.SpanID.String(), l.Attributes})
	}
	return out
}

// writeTraceJSON writes the summary and the spans, one on a line.
func writeTraceJSON(w io.Writer, t *span.Trace) error {
	b := bufio.NewWriter(w)
	summary := client.Summarize(t)
	head, err := json.Marshal(summaryJSON(&summary))
	if err != nil {
		return err
	}
	b.Write(head[:len(head)-1])
	b.WriteString(",\"spans\":[\n")
	for i := range t.Spans {
		text, err := json.Marshal(spanOf(&t.Spans[i]))
		if err != nil {
			return err
		}
		if i > 0 {
			b.WriteString(",\n")
		}
		b.Write(text)
	}
	b.WriteString("\n]}\n")
	return b.Flush()
}
