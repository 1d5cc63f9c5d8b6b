package tempo

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/throughline/throughline/backend/api/reply"
	"github.com/throughline/throughline/backend/api/wire"
	"github.com/throughline/throughline/backend/query"
	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/traceql"
)

// metricsRequest is a metrics query as both protocols have it.
type metricsRequest struct {
	query      string
	start, end time.Time
	step       time.Duration
	exemplars  int
}

func (h *Handler) metricsRange(w http.ResponseWriter, r *http.Request) error {
	in, err := h.metricsOf(r.URL.Query())
	if err != nil {
		return err
	}
	out, err := h.rangeOf(r.Context(), in)
	if err != nil {
		return err
	}
	return reply.JSON(w, out)
}

func (h *Handler) metricsInstant(w http.ResponseWriter, r *http.Request) error {
	in, err := h.metricsOf(r.URL.Query())
	if err != nil {
		return err
	}
	out, err := h.instantOf(r.Context(), in)
	if err != nil {
		return err
	}
	return reply.JSON(w, out)
}

func (h *Handler) metricsOf(q url.Values) (*metricsRequest, error) {
	in := &metricsRequest{query: q.Get("q")}
	if in.query == "" {
		in.query = q.Get("query")
	}
	var err error
	if in.start, err = moment(q, "start"); err != nil {
		return nil, err
	}
	if in.end, err = moment(q, "end"); err != nil {
		return nil, err
	}
	if in.start.IsZero() {
		since, err := duration(q, "since")
		if err != nil {
			return nil, err
		}
		if since > 0 {
			in.start = h.orNow(in.end).Add(-since)
		}
	}
	if in.step, err = duration(q, "step"); err != nil {
		return nil, err
	}
	if in.exemplars, err = number(q, "exemplars"); err != nil {
		return nil, err
	}
	return in, nil
}

func (h *Handler) orNow(t time.Time) time.Time {
	if t.IsZero() {
		return h.Now()
	}
	return t
}

// maxExemplars bounds what a client may ask for.
const maxExemplars = 1000

// run fills in what a request leaves to the server: the last hour, and a step that
// makes some 100 samples.
func (h *Handler) run(ctx context.Context, in *metricsRequest, instant bool) (query.Series, error) {
	parsed, err := parse(in.query)
	if err != nil {
		return query.Series{}, err
	}
	end := h.orNow(in.end)
	start := in.start
	if start.IsZero() {
		start = end.Add(-time.Hour)
	}
	if !start.Before(end) || start.UnixNano() < 0 {
		return query.Series{}, reply.Invalid("invalid range: start %s is not before end %s", start.UTC().Format(time.RFC3339), end.UTC().Format(time.RFC3339))
	}
	span := traceql.Range{Start: uint64(start.UnixNano()), End: uint64(end.UnixNano())}
	if !instant {
		if in.step <= 0 {
			in.step = DefaultStep(end.Sub(start))
		}
		span.Step = uint64(in.step)
	}
	return h.Query.Metrics(ctx, query.Metrics{Query: parsed, Range: span, Exemplars: min(in.exemplars, maxExemplars)})
}

// DefaultStep makes some 240 samples of a range, a step that people divide time by
// apart; it is Tempo's.
func DefaultStep(d time.Duration) time.Duration {
	step := d / 240
	for _, unit := range []struct{ from, of time.Duration }{
		{time.Minute, time.Minute}, {15 * time.Second, 15 * time.Second}, {5 * time.Second, 5 * time.Second},
	} {
		if step >= unit.from {
			return step.Truncate(unit.of)
		}
	}
	return max(step.Truncate(time.Second), time.Second)
}

func (h *Handler) rangeOf(ctx context.Context, in *metricsRequest) (*rangeResponse, error) {
	found, err := h.run(ctx, in, false)
	if err != nil {
		return nil, err
	}
	out := &rangeResponse{Series: make([]timeSeries, len(found.List)), Metrics: done(found.Stats)}
	for i := range found.List {
		s := &found.List[i]
		one := timeSeries{Labels: Attributes(s.Labels), Samples: make([]sample, len(s.Samples))}
		for k, p := range s.Samples {
			one.Samples[k] = sample{int64(p.Time / 1e6), double(p.Value)}
		}
		for _, e := range s.Exemplars {
			one.Exemplars = append(one.Exemplars, exemplar{
				Labels: append(Attributes(s.Labels),
					span.Attribute{Key: "trace:id", Value: span.String(shortID(e.TraceID))},
					span.Attribute{Key: "span:id", Value: span.String(e.SpanID.String())}),
				Value: double(e.Value), TimestampMs: int64(e.Time / 1e6),
			})
		}
		out.Series[i] = one
	}
	return out, nil
}

func (h *Handler) instantOf(ctx context.Context, in *metricsRequest) (*instantResponse, error) {
	found, err := h.run(ctx, in, true)
	if err != nil {
		return nil, err
	}
	out := &instantResponse{Series: []instantSeries{}, Metrics: done(found.Stats)}
	for i := range found.List {
		if s := &found.List[i]; len(s.Samples) > 0 {
			out.Series = append(out.Series, instantSeries{Attributes(s.Labels), double(s.Samples[0].Value)})
		}
	}
	return out, nil
}

// rangeMessage and instantMessage have times of 64 bits, which clients send in
// nanoseconds.
type rangeMessage struct{ metricsRequest }

func (m *rangeMessage) ReadField(f wire.Field) error {
	switch f.Number {
	case 1:
		m.query = f.String()
	case 2:
		m.start = epochOf(f.N)
	case 3:
		m.end = epochOf(f.N)
	case 4:
		m.step = time.Duration(min(f.N, 1<<63-1))
	case 16:
		m.exemplars = int(min(f.N, 1<<31-1))
	}
	return nil
}

type instantMessage struct{ metricsRequest }

func (m *instantMessage) ReadField(f wire.Field) error {
	switch f.Number {
	case 1:
		m.query = f.String()
	case 2:
		m.start = epochOf(f.N)
	case 3:
		m.end = epochOf(f.N)
	}
	return nil
}

func epochOf(n uint64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return epoch(min(n, 1<<63-1))
}

func (h *Handler) streamRange(ctx context.Context, m *rangeMessage, send func(wire.Response) error) error {
	out, err := h.rangeOf(ctx, &m.metricsRequest)
	if err != nil {
		return err
	}
	return send(out)
}

func (h *Handler) streamInstant(ctx context.Context, m *instantMessage, send func(wire.Response) error) error {
	out, err := h.instantOf(ctx, &m.metricsRequest)
	if err != nil {
		return err
	}
	return send(out)
}
