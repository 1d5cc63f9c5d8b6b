package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/throughline/throughline/backend/span"
)

// jaeger reads a server by the HTTP API of Jaeger, version 3.
type jaeger struct {
	r *remote
	// whole is set when the server has turned out not to know trace-summaries,
	// so that traces are read whole to be summed up.
	whole atomic.Bool
}

func (j *jaeger) Kind() Kind { return KindJaeger }

func (j *jaeger) Metrics(context.Context, MetricsQuery) ([]Series, error) {
	return nil, &UnsupportedError{KindJaeger, "metrics by TraceQL"}
}

func (j *jaeger) Services(ctx context.Context) ([]Service, error) {
	var answer struct{ Services []string }
	if err := j.r.get(ctx, "api/v3/services", nil, &answer); err != nil {
		return nil, err
	}
	list := []Service{}
	for _, name := range answer.Services {
		list = append(list, Service{Name: name})
	}
	slices.SortFunc(list, byService)
	return list, nil
}

func (j *jaeger) Operations(ctx context.Context, service string) ([]Operation, error) {
	services, err := j.named(ctx, service)
	if err != nil {
		return nil, err
	}
	list := []Operation{}
	for _, s := range services {
		var answer struct {
			Operations []struct{ Name, SpanKind string }
		}
		if err := j.r.get(ctx, "api/v3/operations", url.Values{"service": {s}}, &answer); err != nil {
			return nil, err
		}
		for _, o := range answer.Operations {
			kind, _ := span.ParseKind(strings.ToLower(o.SpanKind))
			list = append(list, Operation{Service: s, Name: o.Name, Kind: kind})
		}
	}
	slices.SortFunc(list, byOperation)
	return list, nil
}

// named is the service of a name, or all services when it is empty, because
// Jaeger wants a service in every question.
func (j *jaeger) named(ctx context.Context, service string) ([]string, error) {
	if service != "" {
		return []string{service}, nil
	}
	services, err := j.Services(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, s := range services {
		names = append(names, s.Name)
	}
	return names, nil
}

func (j *jaeger) Trace(ctx context.Context, id span.TraceID) (*span.Trace, error) {
	// Raw is as the spans came, without what Jaeger's UI is told of them.
	spans, err := j.spans(ctx, "api/v3/traces/"+id.String(), url.Values{"rawTraces": {"true"}})
	if err != nil {
		return nil, err
	}
	return only(spans, id)
}

// spans reads an answer of resource spans, which is none when it is "not found".
// The gateway may write it as several messages, one after the other.
func (j *jaeger) spans(ctx context.Context, path string, query url.Values) ([]span.Span, error) {
	body, err := j.r.read(ctx, "application/json", path, query)
	if hasStatus(err, http.StatusNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var spans []span.Span
	for d := json.NewDecoder(strings.NewReader(string(body))); d.More(); {
		var answer struct {
			Result json.RawMessage
			Error  *struct{ Message string }
		}
		if err := d.Decode(&answer); err != nil {
			return nil, fmt.Errorf("%s answered %s with what is not expected: %w", j.r.root.Host, path, err)
		}
		if answer.Error != nil {
			return nil, fmt.Errorf("%s answered: %s", j.r.root.Host, clip(answer.Error.Message))
		}
		if len(answer.Result) == 0 {
			continue
		}
		batch, err := span.DecodeJSON(answer.Result, limits)
		if err != nil {
			return nil, fmt.Errorf("reading spans of %s: %w", j.r.root.Host, err)
		}
		spans = append(spans, batch.Spans...)
	}
	return spans, nil
}

func (j *jaeger) Search(ctx context.Context, q Query) (Found, error) {
	q = q.orDefault(defaultLookback)
	if strings.Join(strings.Fields(q.TraceQL), "") == "{}" {
		q.TraceQL = "" // all traces, which need not be judged
	}
	if q.TraceQL != "" {
		return j.byTraceQL(ctx, q)
	}
	f := q.Filter
	services, err := j.named(ctx, f.Service)
	if err != nil {
		return Found{}, err
	}
	var found Found
	seen := map[span.TraceID]bool{}
	for _, service := range services {
		f.Service = service
		matches, err := j.matches(ctx, f, q)
		if err != nil {
			return Found{}, err
		}
		for _, m := range matches {
			if !seen[m.TraceID] {
				seen[m.TraceID] = true
				found.Traces = append(found.Traces, m)
			}
		}
	}
	found.newestFirst(q.Limit)
	return found, nil
}

// matches asks about one service.
func (j *jaeger) matches(ctx context.Context, f Filter, q Query) ([]Match, error) {
	query, err := f.jaegerQuery(q, q.Limit+1) // to know whether there is more
	if err != nil {
		return nil, err
	}
	if !j.whole.Load() {
		list, ok, err := j.summaries(ctx, query)
		if ok || err != nil {
			return list, err
		}
		j.whole.Store(true)
	}
	spans, err := j.spans(ctx, "api/v3/traces", query)
	if err != nil {
		return nil, err
	}
	var list []Match
	for _, t := range traces(spans) {
		list = append(list, Match{Summary: Summarize(&t)})
	}
	return list, nil
}

func (f Filter) jaegerQuery(q Query, depth int) (url.Values, error) {
	query := url.Values{
		"query.serviceName":  {f.Service},
		"query.startTimeMin": {q.Start.UTC().Format(time.RFC3339Nano)},
		"query.startTimeMax": {q.End.UTC().Format(time.RFC3339Nano)},
		"query.rawTraces":    {"true"},
		"query.searchDepth":  {strconv.Itoa(depth)},
	}
	if f.Name != "" {
		query.Set("query.operationName", f.Name)
	}
	if f.MinDuration > 0 {
		query.Set("query.durationMin", f.MinDuration.String())
	}
	if f.MaxDuration > 0 {
		query.Set("query.durationMax", f.MaxDuration.String())
	}
	if attributes := f.jaegerAttributes(); len(attributes) > 0 {
		text, err := json.Marshal(attributes)
		if err != nil {
			return nil, err
		}
		query.Set("query.attributes", string(text))
	}
	return query, nil
}

func (f Filter) jaegerAttributes() map[string]string {
	all := map[string]string{}
	if f.Kind != span.KindUnspecified {
		all["span.kind"] = f.Kind.String()
	}
	if f.Status == span.StatusError {
		all["error"] = "true"
	} else if f.Status == span.StatusOK {
		all["otel.status_code"] = "OK"
	}
	for _, a := range f.Attributes {
		all[a.Key] = a.Value
	}
	return all
}

// summaries asks for the sums alone; ok is false when the server does not know
// them, and answers an error or its web UI.
func (j *jaeger) summaries(ctx context.Context, query url.Values) (list []Match, ok bool, err error) {
	body, err := j.r.read(ctx, "application/json", "api/v3/trace-summaries", query)
	var answer struct {
		Summaries *[]struct {
			TraceID                                    string
			RootServiceName, RootOperationName         string
			MinStartTimeUnixNano, MaxEndTimeUnixNano   integer
			SpanCount, ErrorSpanCount, OrphanSpanCount int
			Services                                   []struct {
				Name                      string
				SpanCount, ErrorSpanCount int
			}
		}
	}
	switch {
	case hasStatus(err, http.StatusNotFound):
		return nil, false, nil
	case err != nil:
		return nil, false, err
	case json.Unmarshal(body, &answer) != nil || answer.Summaries == nil:
		return nil, false, nil
	}
	for _, s := range *answer.Summaries {
		id, err := span.ParseTraceID(s.TraceID)
		if err != nil {
			return nil, true, fmt.Errorf("reading what %s found: %w", j.r.root.Host, err)
		}
		m := Match{Summary: span.Summary{
			TraceID: id, RootService: s.RootServiceName, RootName: s.RootOperationName,
			HasRoot:   s.RootServiceName != "" || s.RootOperationName != "",
			StartTime: uint64(max(0, s.MinStartTimeUnixNano)), EndTime: uint64(max(0, s.MaxEndTimeUnixNano)),
			SpanCount: s.SpanCount, ErrorCount: s.ErrorSpanCount, OrphanCount: s.OrphanSpanCount,
		}}
		for _, c := range s.Services {
			m.Services = append(m.Services, span.ServiceCount{Name: c.Name, SpanCount: c.SpanCount, ErrorCount: c.ErrorSpanCount})
		}
		list = append(list, m)
	}
	return list, true, nil
}
