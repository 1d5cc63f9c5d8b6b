package client

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/throughline/throughline/backend/span"
)

// tempo reads a server by Tempo's HTTP API.
type tempo struct {
	r    *remote
	kind Kind
}

func (t *tempo) Kind() Kind { return t.kind }

func (t *tempo) Search(ctx context.Context, q Query) (Found, error) {
	return t.search(ctx, q.orDefault(defaultLookback))
}

func (t *tempo) search(ctx context.Context, q Query) (Found, error) {
	query := url.Values{
		"q":     {q.traceQL()},
		"limit": {strconv.Itoa(q.Limit + 1)}, // to know whether there is more
		"spss":  {strconv.Itoa(q.Spans)},
	}
	between(query, q.Start, q.End)
	var answer struct {
		Traces []tempoTrace
	}
	if err := t.r.get(ctx, "api/search", query, &answer); err != nil {
		return Found{}, err
	}
	found := Found{Traces: make([]Match, 0, len(answer.Traces))}
	for i := range answer.Traces {
		m, err := answer.Traces[i].match()
		if err != nil {
			return Found{}, fmt.Errorf("reading what %s found: %w", t.r.root.Host, err)
		}
		found.Traces = append(found.Traces, m)
	}
	found.newestFirst(q.Limit)
	return found, nil
}

// between bounds a query in whole seconds, the end rounded up.
func between(query url.Values, start, end time.Time) {
	if !start.IsZero() {
		query.Set("start", strconv.FormatInt(start.Unix(), 10))
		query.Set("end", strconv.FormatInt(end.Add(time.Second-1).Unix(), 10))
	}
}

func (t *tempo) Trace(ctx context.Context, id span.TraceID) (*span.Trace, error) {
	body, err := t.r.read(ctx, "application/protobuf", "api/v2/traces/"+id.String(), nil)
	if hasStatus(err, http.StatusNotFound) {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	if err != nil {
		return nil, err
	}
	// TraceByIDResponse has the trace as field 1, whose field 1 is that of an
	// export request.
	var spans []span.Span
	for rest := body; len(rest) > 0; {
		number, kind, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return nil, fmt.Errorf("reading trace %s: %w", id, protowire.ParseError(n))
		}
		rest = rest[n:]
		n = protowire.ConsumeFieldValue(number, kind, rest)
		if n < 0 {
			return nil, fmt.Errorf("reading trace %s: %w", id, protowire.ParseError(n))
		}
		if number == 1 && kind == protowire.BytesType {
			inner, _ := protowire.ConsumeBytes(rest)
			batch, err := span.DecodeProto(string(inner), limits)
			if err != nil {
				return nil, fmt.Errorf("reading trace %s: %w", id, err)
			}
			spans = append(spans, batch.Spans...)
		}
		rest = rest[n:]
	}
	return only(spans, id)
}

// only makes the trace of an answer, which is to hold no other.
func only(spans []span.Span, id span.TraceID) (*span.Trace, error) {
	for _, t := range traces(spans) {
		if t.ID == id {
			return &t, nil
		}
	}
	return nil, fmt.Errorf("%w: %s", ErrNotFound, id)
}

func (t *tempo) Services(ctx context.Context) ([]Service, error) {
	names, err := t.values(ctx, "resource.service.name", "{}")
	if err != nil {
		return nil, err
	}
	list := []Service{}
	for _, name := range names {
		list = append(list, Service{Name: name})
	}
	slices.SortFunc(list, byService)
	return list, nil
}

func (t *tempo) Operations(ctx context.Context, service string) ([]Operation, error) {
	names, err := t.values(ctx, "name", Filter{Service: service}.TraceQL())
	if err != nil {
		return nil, err
	}
	list := []Operation{}
	for _, name := range names {
		list = append(list, Operation{Service: service, Name: name})
	}
	slices.SortFunc(list, byOperation)
	return list, nil
}

// values lists the values of a tag.
func (t *tempo) values(ctx context.Context, tag, q string) ([]string, error) {
	query := url.Values{"q": {q}}
	end := time.Now()
	between(query, end.Add(-defaultLookback), end)
	var answer struct {
		TagValues []struct{ Value string }
	}
	if err := t.r.get(ctx, "api/v2/search/tag/"+tag+"/values", query, &answer); err != nil {
		return nil, err
	}
	var list []string
	for _, v := range answer.TagValues {
		list = append(list, v.Value)
	}
	slices.Sort(list)
	return slices.Compact(list), nil
}

func (t *tempo) Metrics(ctx context.Context, q MetricsQuery) ([]Series, error) {
	if q.End.IsZero() {
		q.End = time.Now()
	}
	if q.Start.IsZero() {
		q.Start = q.End.Add(-time.Hour)
	}
	query := url.Values{"q": {q.TraceQL}}
	between(query, q.Start, q.End)
	path := "api/metrics/query_range"
	if q.Instant {
		path = "api/metrics/query"
	} else if q.Step > 0 {
		query.Set("step", q.Step.String())
	}
	var answer struct {
		Series []struct {
			Labels []struct {
				Key   string
				Value json.RawMessage
			}
			Samples []struct {
				TimestampMs integer
				Value       number64
			}
			Value number64
		}
	}
	if err := t.r.get(ctx, path, query, &answer); err != nil {
		return nil, err
	}
	list := make([]Series, len(answer.Series))
	for i, s := range answer.Series {
		for _, l := range s.Labels {
			list[i].Labels = append(list[i].Labels, span.Attribute{Key: l.Key, Value: attributeValue(l.Value)})
		}
		for _, p := range s.Samples {
			list[i].Points = append(list[i].Points, Point{time.UnixMilli(int64(p.TimestampMs)), float64(p.Value)})
		}
		if q.Instant {
			list[i].Points = []Point{{q.End, float64(s.Value)}}
		}
	}
	return list, nil
}

// The forms that protobuf's JSON has for numbers: 64-bit integers and what JSON
// has no number for are strings.
type (
	integer  int64
	number64 float64
)

func (n *integer) UnmarshalJSON(b []byte) error {
	v, err := strconv.ParseInt(unquote(b), 10, 64)
	*n = integer(v)
	return err
}

func (n *number64) UnmarshalJSON(b []byte) error {
	text := unquote(b)
	v, err := strconv.ParseFloat(text, 64)
	if text == "null" {
		v, err = math.NaN(), nil
	}
	*n = number64(v)
	return err
}

func unquote(b []byte) string {
	if len(b) >= 2 && b[0] == '"' {
		return string(b[1 : len(b)-1])
	}
	return string(b)
}

// attributeValue reads an AnyValue in JSON: a scalar, or else its text.
func attributeValue(raw json.RawMessage) span.Value {
	var v struct {
		StringValue *string
		BoolValue   *bool
		IntValue    *integer
		DoubleValue *number64
	}
	if json.Unmarshal(raw, &v) != nil {
		return span.String(string(raw))
	}
	switch {
	case v.StringValue != nil:
		return span.String(*v.StringValue)
	case v.BoolValue != nil:
		return span.Bool(*v.BoolValue)
	case v.IntValue != nil:
		return span.Int(int64(*v.IntValue))
	case v.DoubleValue != nil:
		return span.Float(float64(*v.DoubleValue))
	case len(raw) == 0 || string(raw) == "{}":
		return span.Value{}
	}
	return span.String(string(raw))
}
