package mcp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/throughline/throughline/backend/client"
	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/terminal"
)

// The most entries of an answer.
const (
	maxTraces   = 100
	maxSpans    = 1000
	maxServices = 1000
	maxText     = 200 // bytes of a name or a value
)

type searchInput struct {
	Query       string `json:"query,omitempty" jsonschema:"TraceQL, such as { resource.service.name = \"shop\" && status = error && duration > 100ms }. Leave out to use the other fields, or to find all traces."`
	Service     string `json:"service,omitempty" jsonschema:"name of a service, without query"`
	Name        string `json:"name,omitempty" jsonschema:"exact span name, without query"`
	Status      string `json:"status,omitempty" jsonschema:"ok or error, without query"`
	MinDuration string `json:"minDuration,omitempty" jsonschema:"least duration of a span such as 250ms, without query"`
	From        string `json:"from,omitempty" jsonschema:"start of the range: 1h for an hour ago, or a time such as 2026-01-02T15:04:05Z"`
	To          string `json:"to,omitempty" jsonschema:"end of the range, likewise; now when left out"`
	Limit       int    `json:"limit,omitempty" jsonschema:"most traces, 1 to 100; 20 when left out"`
}

type searchOutput struct {
	Traces    []traceOutput `json:"traces"`
	Truncated bool          `json:"truncated" jsonschema:"there are more traces than the limit"`
	Cut       bool          `json:"cut,omitempty" jsonschema:"matched spans were left out to keep the answer small"`
}

type traceOutput struct {
	TraceID  string        `json:"traceId"`
	Start    string        `json:"start"`
	Duration string        `json:"duration"`
	Root     string        `json:"root" jsonschema:"service and span name of the root"`
	Spans    int           `json:"spans,omitempty"`
	Errors   int           `json:"errors,omitempty"`
	Services []string      `json:"services,omitempty"`
	Matched  []matchOutput `json:"matched,omitempty"`
}

type matchOutput struct {
	SpanID     string            `json:"spanId"`
	Name       string            `json:"name"`
	Duration   string            `json:"duration"`
	Attributes map[string]string `json:"attributes,omitempty"`
}

func (s *tools) search(ctx context.Context, in searchInput) (*sdk.CallToolResult, searchOutput, error) {
	out := searchOutput{Traces: []traceOutput{}}
	q, err := s.query(in)
	if err != nil {
		return nil, out, err
	}
	found, err := s.client.Search(ctx, q)
	if err != nil {
		return nil, out, err
	}
	out.Truncated = found.Truncated
	for i := range found.Traces {
		m := &found.Traces[i]
		t := traceOutput{
			TraceID: m.TraceID.String(), Start: moment(m.StartTime), Duration: terminal.Duration(m.Duration()),
			Root: clip(m.RootService, maxText) + ": " + clip(m.RootName, maxText), Spans: m.SpanCount, Errors: m.ErrorCount,
		}
		if !m.HasRoot {
			t.Root += " (the root has not arrived)"
		}
		for j, c := range m.Services {
			if j == 20 {
				break
			}
			t.Services = append(t.Services, clip(c.Name, maxText))
		}
		for _, one := range m.Spans {
			match := matchOutput{one.SpanID.String(), clip(one.Name, maxText), terminal.Duration(one.Duration), map[string]string{}}
			for j, a := range one.Attributes {
				if j == 12 {
					break
				}
				match.Attributes[clip(a.Key, maxText)] = clip(a.Value.Text(), maxText)
			}
			t.Matched = append(t.Matched, match)
		}
		out.Traces = append(out.Traces, t)
	}
	if size(out) > maxAnswer {
		out.Cut = true
		for i := range out.Traces {
			out.Traces[i].Matched = nil
		}
	}
	return nil, out, nil
}

func (s *tools) query(in searchInput) (client.Query, error) {
	if in.Limit < 0 || in.Limit > maxTraces {
		return client.Query{}, fmt.Errorf("limit %d: want 1 to %d", in.Limit, maxTraces)
	}
	q := client.Query{TraceQL: strings.TrimSpace(in.Query), Limit: in.Limit, Filter: client.Filter{Service: in.Service, Name: in.Name}}
	var err error
	if q.Start, q.End, err = s.bounds(in.From, in.To); err != nil {
		return q, err
	}
	if in.Status != "" {
		var ok bool
		if q.Filter.Status, ok = span.ParseStatus(in.Status); !ok || q.Filter.Status == span.StatusUnset {
			return q, fmt.Errorf("status %q: want ok or error", in.Status)
		}
	}
	if in.MinDuration != "" {
		if q.Filter.MinDuration, err = time.ParseDuration(in.MinDuration); err != nil || q.Filter.MinDuration < 0 {
			return q, fmt.Errorf("minDuration %q: want a duration such as 250ms", in.MinDuration)
		}
	}
	if q.TraceQL != "" && q.Filter.TraceQL() != "{}" {
		return q, errors.New("query and the simple fields: give one of them")
	}
	return q, nil
}

func (s *tools) bounds(from, to string) (start, end time.Time, err error) {
	now := s.now()
	if start, err = client.ParseMoment(from, now); err != nil {
		return start, end, fmt.Errorf("from %w", err)
	}
	if end, err = client.ParseMoment(to, now); err != nil {
		return start, end, fmt.Errorf("to %w", err)
	}
	if !end.IsZero() && start.After(end) {
		return start, end, errors.New("from is after to")
	}
	return start, end, nil
}

func moment(unixNano uint64) string {
	return time.Unix(0, int64(min(unixNano, 1<<63-1))).UTC().Format(time.RFC3339Nano)
}

type traceInput struct {
	TraceID  string `json:"traceId" jsonschema:"id of the trace, up to 32 hexadecimal digits, as search gives it"`
	MaxSpans int    `json:"maxSpans,omitempty" jsonschema:"most spans, 1 to 1000; 200 when left out"`
	Brief    bool   `json:"brief,omitempty" jsonschema:"leave out attributes and events"`
}

func (s *tools) trace(ctx context.Context, in traceInput) (*sdk.CallToolResult, any, error) {
	id, err := span.ParseTraceID(strings.TrimSpace(in.TraceID))
	if err != nil {
		return nil, nil, err
	}
	if in.MaxSpans < 0 || in.MaxSpans > maxSpans {
		return nil, nil, fmt.Errorf("maxSpans %d: want 1 to %d", in.MaxSpans, maxSpans)
	}
	if in.MaxSpans == 0 {
		in.MaxSpans = 200
	}
	t, err := s.client.Trace(ctx, id)
	if err != nil {
		return nil, nil, err
	}
	summary := client.Summarize(t)
	outline := terminal.Outline{Spans: in.MaxSpans, Values: maxText}
	if in.Brief {
		outline.Values = 0
	}
	var text strings.Builder
	if err := terminal.WriteOutline(&text, t, &summary, outline); err != nil {
		return nil, nil, err
	}
	answer := text.String()
	if len(answer) > maxAnswer {
		answer = clip(answer, maxAnswer) + "\n(cut: ask for fewer spans, or brief)"
	}
	return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: answer}}}, nil, nil
}

type servicesInput struct{}

type servicesOutput struct {
	Services []serviceOutput `json:"services"`
	Cut      bool            `json:"cut,omitempty" jsonschema:"there are more"`
}

type serviceOutput struct {
	Name   string `json:"name"`
	Spans  *int   `json:"spans,omitempty"`
	Errors *int   `json:"errors,omitempty"`
}

func (s *tools) services(ctx context.Context, _ servicesInput) (*sdk.CallToolResult, servicesOutput, error) {
	out := servicesOutput{Services: []serviceOutput{}}
	list, err := s.client.Services(ctx)
	if err != nil {
		return nil, out, err
	}
	bytes := 0
	for _, one := range list {
		if out.Cut = len(out.Services) == maxServices || bytes > maxAnswer; out.Cut {
			break
		}
		o := serviceOutput{Name: clip(one.Name, maxText)}
		if one.Counts != nil {
			o.Spans, o.Errors = &one.Counts.Spans, &one.Counts.Errors
		}
		bytes += size(o)
		out.Services = append(out.Services, o)
	}
	return nil, out, nil
}

type operationsInput struct {
	Service string `json:"service" jsonschema:"name of the service"`
}

type operationsOutput struct {
	Operations []operationOutput `json:"operations"`
	Cut        bool              `json:"cut,omitempty" jsonschema:"there are more"`
}

type operationOutput struct {
	Name   string `json:"name"`
	Kind   string `json:"kind,omitempty"`
	Spans  *int   `json:"spans,omitempty"`
	Errors *int   `json:"errors,omitempty"`
}

func (s *tools) operations(ctx context.Context, in operationsInput) (*sdk.CallToolResult, operationsOutput, error) {
	out := operationsOutput{Operations: []operationOutput{}}
	if in.Service == "" {
		return nil, out, errors.New("service is empty: services lists the names")
	}
	list, err := s.client.Operations(ctx, in.Service)
	if err != nil {
		return nil, out, err
	}
	bytes := 0
	for _, one := range list {
		if out.Cut = len(out.Operations) == maxServices || bytes > maxAnswer; out.Cut {
			break
		}
		o := operationOutput{Name: clip(one.Name, maxText)}
		if one.Kind != span.KindUnspecified {
			o.Kind = one.Kind.String()
		}
		if one.Counts != nil {
			o.Spans, o.Errors = &one.Counts.Spans, &one.Counts.Errors
		}
		bytes += size(o)
		out.Operations = append(out.Operations, o)
	}
	return nil, out, nil
}
