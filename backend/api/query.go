package api

import (
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/throughline/throughline/backend/api/reply"
	"github.com/throughline/throughline/backend/api/tempo"
	"github.com/throughline/throughline/backend/query"
	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/traceql"
)

func traceQL(q url.Values) (*traceql.Query, error) {
	if q.Get("q") == "" {
		return nil, reply.Invalid("q is required: a query in TraceQL")
	}
	parsed, err := traceql.Parse(q.Get("q"))
	if err != nil {
		return nil, reply.Invalid("q: %v", err)
	}
	return parsed, nil
}

// count reads a number from 1 to most, absent when it is not given.
func count(q url.Values, name string, absent, most int) (int, error) {
	v := q.Get(name)
	if v == "" {
		return absent, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > most {
		return 0, reply.Invalid("%s %q: want a number from 1 to %d", name, v, most)
	}
	return n, nil
}

type foundJSON struct {
	summaryJSON
	Spansets []spansetJSON `json:"spansets"`
}

type spansetJSON struct {
	Matched    int              `json:"matched"`
	Attributes []span.Attribute `json:"attributes"`
	Spans      []spanJSON       `json:"spans"`
}

type spanJSON struct {
	SpanID     string           `json:"spanId"`
	Name       string           `json:"name"`
	Start      string           `json:"startTimeUnixNano"`
	Duration   string           `json:"durationNano"`
	Attributes []span.Attribute `json:"attributes"`
}

func (s *server) searchTraceQL(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	if err := only(q, "q", "start", "end", "limit", "spans"); err != nil {
		return err
	}
	var in query.Search
	var err error
	if in.Query, err = traceQL(q); err != nil {
		return err
	}
	if in.Start, err = moment("start", q.Get("start")); err != nil {
		return err
	}
	if in.End, err = moment("end", q.Get("end")); err != nil {
		return err
	}
	if in.End != 0 && in.Start > in.End {
		return reply.Invalid("start is after end")
	}
	if in.Limit, err = limitOf(q.Get("limit")); err != nil {
		return err
	}
	if in.SpansPerSpanset, err = count(q, "spans", query.DefaultSpansPerSpanset, 100); err != nil {
		return err
	}
	found, err := s.query.Search(r.Context(), in)
	if err != nil {
		return err
	}
	list := make([]foundJSON, len(found.Traces))
	for i := range found.Traces {
		t := &found.Traces[i]
		list[i] = foundJSON{summaryOf(&t.Summary), make([]spansetJSON, len(t.Spansets))}
		for k, set := range t.Spansets {
			one := spansetJSON{set.Matched, tempo.Attributes(set.Attributes), make([]spanJSON, len(set.Spans))}
			for j, sp := range set.Spans {
				one.Spans[j] = spanJSON{
					sp.ID.String(), sp.Name, strconv.FormatUint(sp.Start, 10), strconv.FormatInt(int64(sp.Duration), 10),
					tempo.Attributes(sp.Attributes),
				}
			}
			list[i].Spansets[k] = one
		}
	}
	return writeTagged(w, r, map[string]any{"traces": list, "truncated": found.Truncated})
}

// number is null where JSON has no number.
type number float64

func (n number) MarshalJSON() ([]byte, error) {
	if f := float64(n); !math.IsNaN(f) && !math.IsInf(f, 0) {
		return json.Marshal(f)
	}
	return []byte("null"), nil
}

type seriesJSON struct {
	Labels    []span.Attribute `json:"labels"`
	Samples   []sampleJSON     `json:"samples"`
	Exemplars []exemplarJSON   `json:"exemplars"`
}

type sampleJSON struct {
	Time  string `json:"timeUnixNano"`
	Value number `json:"value"`
}

type exemplarJSON struct {
	TraceID string `json:"traceId"`
	SpanID  string `json:"spanId"`
	Time    string `json:"timeUnixNano"`
	Value   number `json:"value"`
}

// metricsOf reads what both metrics endpoints share.
func (s *server) metricsOf(q url.Values) (in query.Metrics, err error) {
	if in.Query, err = traceQL(q); err != nil {
		return in, err
	}
	start, end, err := s.rangeOf(q)
	if err != nil {
		return in, err
	}
	if !start.Before(end) {
		return in, reply.Invalid("start is not before end")
	}
	in.Range = traceql.Range{Start: uint64(start.UnixNano()), End: uint64(end.UnixNano())}
	in.Weighted = true
	if v := q.Get("weighted"); v != "" {
		if in.Weighted, err = strconv.ParseBool(v); err != nil {
			return in, reply.Invalid("weighted %q: want true or false", v)
		}
	}
	return in, nil
}

func (s *server) seriesTraceQL(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	if err := only(q, "q", "start", "end", "lookback", "step", "exemplars", "weighted"); err != nil {
		return err
	}
	in, err := s.metricsOf(q)
	if err != nil {
		return err
	}
	step := tempo.DefaultStep(time.Duration(in.Range.End - in.Range.Start))
	if v := q.Get("step"); v != "" {
		if step, err = duration("step", v); err != nil {
			return err
		}
		if step == 0 {
			return reply.Invalid("step %q: want more than 0", v)
		}
	}
	in.Range.Step = uint64(step)
	if v := q.Get("exemplars"); v != "0" {
		if in.Exemplars, err = count(q, "exemplars", 0, 1000); err != nil {
			return err
		}
	}
	found, err := s.query.Metrics(r.Context(), in)
	if err != nil {
		return err
	}
	list := make([]seriesJSON, len(found.List))
	for i := range found.List {
		one := &found.List[i]
		list[i] = seriesJSON{tempo.Attributes(one.Labels), make([]sampleJSON, len(one.Samples)), make([]exemplarJSON, len(one.Exemplars))}
		for k, p := range one.Samples {
			list[i].Samples[k] = sampleJSON{strconv.FormatUint(p.Time, 10), number(p.Value)}
		}
		for k, e := range one.Exemplars {
			list[i].Exemplars[k] = exemplarJSON{e.TraceID.String(), e.SpanID.String(), strconv.FormatUint(e.Time, 10), number(e.Value)}
		}
	}
	return writeTagged(w, r, map[string]any{
		"startTimeUnixNano": strconv.FormatUint(in.Range.Start, 10), "endTimeUnixNano": strconv.FormatUint(in.Range.End, 10),
		"stepNano": strconv.FormatUint(in.Range.Step, 10), "series": list,
	})
}

func (s *server) instantTraceQL(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	if err := only(q, "q", "start", "end", "lookback", "weighted"); err != nil {
		return err
	}
	in, err := s.metricsOf(q)
	if err != nil {
		return err
	}
	found, err := s.query.Metrics(r.Context(), in)
	if err != nil {
		return err
	}
	type instantJSON struct {
		Labels []span.Attribute `json:"labels"`
		Value  number           `json:"value"`
	}
	list := []instantJSON{}
	for _, one := range found.List {
		if len(one.Samples) > 0 {
			list = append(list, instantJSON{tempo.Attributes(one.Labels), number(one.Samples[0].Value)})
		}
	}
	return writeTagged(w, r, map[string]any{
		"startTimeUnixNano": strconv.FormatUint(in.Range.Start, 10), "endTimeUnixNano": strconv.FormatUint(in.Range.End, 10),
		"series": list,
	})
}
