package jaeger

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/throughline/throughline/backend/api/reply"
	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
)

// v3 writes errors as version 3 has them.
func (h *Handler) v3(f reply.Func) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := reply.Get(w, r, f); err != nil {
			e := reply.From(r.Context(), h.Log, err)
			type details struct {
				HTTPCode int    `json:"httpCode"`
				Message  string `json:"message"`
			}
			reply.Fault(w, e, map[string]details{"error": {e.Status, e.Message}})
		}
	})
}

func (h *Handler) servicesV3(w http.ResponseWriter, r *http.Request) error {
	names, err := h.serviceNames(r.Context())
	if err != nil {
		return err
	}
	return reply.JSON(w, map[string]any{"services": names})
}

func (h *Handler) operationsV3(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	kind, _ := either(q, "spanKind", "span_kind")
	list, err := h.operationsOf(r.Context(), q.Get("service"), kind)
	if err != nil {
		return err
	}
	for i := range list {
		if list[i].SpanKind == "" {
			list[i].SpanKind = "internal" // the field is required
		}
	}
	return reply.JSON(w, map[string]any{"operations": list})
}

func (h *Handler) traceV3(w http.ResponseWriter, r *http.Request) error {
	id, err := parseTraceID(r.PathValue("traceID"))
	if err != nil {
		return reply.Invalid("malformed parameter trace_id: %v", err)
	}
	q := r.URL.Query()
	for _, names := range [][2]string{{"startTime", "start_time"}, {"endTime", "end_time"}} {
		if _, err := timeV3(q, names[0], names[1]); err != nil {
			return err
		}
	}
	if err := rawV3(q, "rawTraces", "raw_traces"); err != nil {
		return err
	}
	trace, _, err := h.Store.Trace(r.Context(), id)
	if err != nil {
		return noTraces(err)
	}
	return sendResult(w, slices.Values([][]span.Span{named(trace.Spans)}))
}

func (h *Handler) tracesV3(w http.ResponseWriter, r *http.Request) error {
	in, err := searchV3(r.URL.Query())
	if err != nil {
		return err
	}
	found, err := h.find(r.Context(), in)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return noTraces(store.ErrNotFound)
	}
	return sendResult(w, func(yield func([]span.Span) bool) {
		if err := h.each(r.Context(), idsOf(found), func(t *span.Trace) error {
			if !yield(named(t.Spans)) {
				return errStop
			}
			return nil
		}, nil); err != nil && !errors.Is(err, errStop) {
			reply.From(r.Context(), h.Log, err)
			panic(http.ErrAbortHandler) // the client sees that the answer is cut off
		}
	})
}

var errStop = errors.New("enough")

func (h *Handler) summariesV3(w http.ResponseWriter, r *http.Request) error {
	in, err := searchV3(r.URL.Query())
	if err != nil {
		return err
	}
	found, err := h.find(r.Context(), in)
	if err != nil {
		return err
	}
	list := make([]summary, len(found))
	for i := range found {
		list[i] = summaryOf(&found[i])
	}
	return reply.JSON(w, map[string]any{"summaries": list})
}

type summary struct {
	TraceID         string           `json:"traceId"`
	RootService     string           `json:"rootServiceName"`
	RootOperation   string           `json:"rootOperationName"`
	MinStart        uint64           `json:"minStartTimeUnixNano,string"`
	MaxEnd          uint64           `json:"maxEndTimeUnixNano,string"`
	SpanCount       int              `json:"spanCount"`
	ErrorSpanCount  int              `json:"errorSpanCount"`
	OrphanSpanCount int              `json:"orphanSpanCount"`
	Services        []serviceSummary `json:"services"`
}

type serviceSummary struct {
	Name           string `json:"name"`
	SpanCount      int    `json:"spanCount"`
	ErrorSpanCount int    `json:"errorSpanCount"`
}

func summaryOf(s *span.Summary) summary {
	out := summary{
		TraceID: s.TraceID.String(), MinStart: s.StartTime, MaxEnd: s.EndTime,
		SpanCount: s.SpanCount, ErrorSpanCount: s.ErrorCount, OrphanSpanCount: s.OrphanCount,
		Services: make([]serviceSummary, len(s.Services)),
	}
	if s.HasRoot {
		out.RootService, out.RootOperation = serviceName(s.RootService), spanName(s.RootName)
	}
	for i, c := range s.Services {
		out.Services[i] = serviceSummary{serviceName(c.Name), c.SpanCount, c.ErrorCount}
	}
	slices.SortFunc(out.Services, func(a, b serviceSummary) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// between is dependencies of version 3, whose range is required.
func (h *Handler) between(ctx context.Context, start, end time.Time) ([]dependency, error) {
	switch {
	case start.IsZero():
		return nil, reply.Invalid("startTime is required")
	case end.IsZero():
		return nil, reply.Invalid("endTime is required")
	case !start.Before(end):
		return nil, reply.Invalid("endTime must be after startTime")
	}
	return h.edges(ctx, start, end, "")
}

func (h *Handler) dependenciesV3(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	start, err := timeV3(q, "startTime", "start_time")
	if err != nil {
		return err
	}
	end, err := timeV3(q, "endTime", "end_time")
	if err != nil {
		return err
	}
	edges, err := h.between(r.Context(), start, end)
	if err != nil {
		return err
	}
	type link struct {
		Parent    string `json:"parent"`
		Child     string `json:"child"`
		CallCount int    `json:"callCount,string"`
	}
	list := make([]link, len(edges))
	for i, e := range edges {
		list[i] = link(e)
	}
	return reply.JSON(w, map[string]any{"dependencies": list})
}

// sendResult writes {"result":{"resourceSpans":…}}; an error is the client's
// leaving.
func sendResult(w http.ResponseWriter, batches iter.Seq[[]span.Span]) error {
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, `{"result":{"resourceSpans":`)
	if err := span.WriteResourceSpans(w, batches); err == nil {
		io.WriteString(w, "}}\n")
	}
	return nil
}

func noTraces(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return reply.NotFound("No traces found")
	}
	return err
}

func searchV3(q url.Values) (*search, error) {
	s := &search{limit: defaultLimit}
	s.service, _ = either(q, "query.serviceName", "query.service_name")
	s.operation, _ = either(q, "query.operationName", "query.operation_name")
	if v := q.Get("query.attributes"); v != "" {
		if err := json.Unmarshal([]byte(v), &s.tags); err != nil {
			return nil, reply.Invalid("malformed parameter query.attributes: %v", err)
		}
	}
	if q.Get("query.filter") != "" {
		// To leave a condition out would show the wrong traces.
		return nil, reply.Unsupported("query.filter: structured filters are not supported")
	}
	start, err := timeV3(q, "query.startTimeMin", "query.start_time_min")
	if err != nil {
		return nil, err
	}
	end, err := timeV3(q, "query.startTimeMax", "query.start_time_max")
	if err != nil {
		return nil, err
	}
	if start.IsZero() || end.IsZero() {
		return nil, reply.Invalid("query.startTimeMin and query.startTimeMax are required")
	}
	if v, name := either(q, "query.searchDepth", "query.search_depth", "query.num_traces"); v != "" {
		if s.limit, err = strconv.Atoi(v); err != nil {
			return nil, reply.Invalid("malformed parameter %s: %q: want a number", name, v)
		}
	}
	for _, d := range []struct {
		to           *time.Duration
		names, alias string
	}{
		{&s.minDuration, "query.durationMin", "query.duration_min"},
		{&s.maxDuration, "query.durationMax", "query.duration_max"},
	} {
		v, name := either(q, d.names, d.alias)
		if v == "" {
			continue
		}
		if *d.to, err = time.ParseDuration(v); err != nil || *d.to < 0 {
			return nil, reply.Invalid("malformed parameter %s: %q: want a duration such as 100ms", name, v)
		}
	}
	if err := rawV3(q, "query.rawTraces", "query.raw_traces"); err != nil {
		return nil, err
	}
	if err := s.between(start, end); err != nil {
		return nil, err
	}
	return s, nil
}

// between sets the range of a search of version 3 and checks its limit.
func (s *search) between(start, end time.Time) error {
	if !start.Before(end) {
		return reply.Invalid("query.startTimeMin must be before query.startTimeMax")
	}
	if s.limit < 1 || s.limit > maxLimit {
		return reply.Invalid("query.searchDepth %d: want 1 to %d", s.limit, maxLimit)
	}
	s.startMin, s.startMax = unixNano(start), unixNano(end)
	return nil
}

// maxSeconds is the last whole second whose unix nanoseconds fit 63 bits.
const maxSeconds = 1<<63/1_000_000_000 - 1

// unixNano is at least 1, because 0 is no bound.
func unixNano(t time.Time) uint64 {
	if t.Unix() > maxSeconds {
		return 1<<63 - 1
	}
	return uint64(max(1, t.Unix()*1e9+int64(t.Nanosecond())))
}

// either returns the first parameter that is not empty, by its names.
func either(q url.Values, names ...string) (value, name string) {
	for _, name := range names {
		if v := q.Get(name); v != "" {
			return v, name
		}
	}
	return "", names[0]
}

func timeV3(q url.Values, names ...string) (time.Time, error) {
	v, name := either(q, names...)
	if v == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, v)
	if err != nil || t.Unix() < 0 {
		return time.Time{}, reply.Invalid("malformed parameter %s: %q: want a time such as 2026-01-02T15:04:05.000000000Z", name, v)
	}
	return t, nil
}

// rawV3 checks the parameter: nothing is adjusted in OTLP, so both answers are the
// same.
func rawV3(q url.Values, names ...string) error {
	v, name := either(q, names...)
	if v == "" {
		return nil
	}
	if _, err := strconv.ParseBool(v); err != nil {
		return reply.Invalid("malformed parameter %s: %q: want true or false", name, v)
	}
	return nil
}
