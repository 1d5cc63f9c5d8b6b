package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/throughline/throughline/backend/span"
)

// throughline reads a server by its native API, and by its Tempo API what is said
// in TraceQL.
type throughline struct {
	r *remote
	tempo
}

const native = "api/native/v1/"

// nativeLimit is the most traces that one answer of the native API has.
const nativeLimit = 1000

// Search asks the native API, which tells more than Tempo's, and that one for more
// than the former gives.
func (t *throughline) Search(ctx context.Context, q Query) (Found, error) {
	q = q.orDefault(0)
	if q.Limit > nativeLimit {
		return t.search(ctx, q)
	}
	query := url.Values{"q": {q.traceQL()}, "limit": {strconv.Itoa(q.Limit)}, "spans": {strconv.Itoa(q.Spans)}}
	if !q.Start.IsZero() {
		query.Set("start", strconv.FormatInt(max(0, q.Start.UnixNano()), 10))
		query.Set("end", strconv.FormatInt(max(0, q.End.UnixNano()), 10))
	}
	var answer struct {
		Traces    []nativeTrace
		Truncated bool
	}
	if err := t.r.get(ctx, native+"search", query, &answer); err != nil {
		return Found{}, err
	}
	found := Found{Traces: make([]Match, 0, len(answer.Traces)), Truncated: answer.Truncated}
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

func (t *throughline) Trace(ctx context.Context, id span.TraceID) (*span.Trace, error) {
	body, err := t.r.read(ctx, "application/json", native+"traces/"+id.String(), nil)
	if hasStatus(err, http.StatusNotFound) {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	if err != nil {
		return nil, err
	}
	batch, err := span.DecodeJSON(body, limits)
	if err != nil {
		return nil, fmt.Errorf("reading trace %s: %w", id, err)
	}
	return only(batch.Spans, id)
}

func (t *throughline) Services(ctx context.Context) ([]Service, error) {
	var answer struct {
		Services []struct {
			Name                  string
			SpanCount, ErrorCount int
			LastSeenUnixNano      integer
		}
	}
	if err := t.r.get(ctx, native+"services", nil, &answer); err != nil {
		return nil, err
	}
	list := []Service{}
	for _, s := range answer.Services {
		list = append(list, Service{
			Name: s.Name, Counts: &Counts{s.SpanCount, s.ErrorCount}, LastSeen: time.Unix(0, int64(s.LastSeenUnixNano)),
		})
	}
	return list, nil
}

func (t *throughline) Operations(ctx context.Context, service string) ([]Operation, error) {
	query := url.Values{}
	if service != "" {
		query.Set("service", service)
	}
	var answer struct {
		Operations []struct {
			Service, Name, Kind   string
			SpanCount, ErrorCount int
		}
	}
	if err := t.r.get(ctx, native+"operations", query, &answer); err != nil {
		return nil, err
	}
	list := []Operation{}
	for _, o := range answer.Operations {
		kind, _ := span.ParseKind(o.Kind)
		list = append(list, Operation{Service: o.Service, Name: o.Name, Kind: kind, Counts: &Counts{o.SpanCount, o.ErrorCount}})
	}
	return list, nil
}
