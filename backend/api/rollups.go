package api

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/throughline/throughline/backend/api/reply"
	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
)

// rangeOf reads the range of time of a question about the past: start and end, or
// the time before the end that lookback says, one hour by default.
func (s *server) rangeOf(q url.Values) (start, end time.Time, err error) {
	from, err := moment("start", q.Get("start"))
	if err != nil {
		return start, end, err
	}
	to, err := moment("end", q.Get("end"))
	if err != nil {
		return start, end, err
	}
	back := time.Hour
	if v := q.Get("lookback"); v != "" {
		if from != 0 {
			return start, end, reply.Invalid("start and lookback: give one of them")
		}
		if back, err = duration("lookback", v); err != nil {
			return start, end, err
		}
	}
	if end = s.Now(); to != 0 {
		end = time.Unix(0, int64(min(to, 1<<63-1)))
	}
	if start = end.Add(-back); from != 0 {
		start = time.Unix(0, int64(min(from, 1<<63-1)))
	}
	if start.UnixNano() < 1 {
		start = time.Unix(0, 1)
	}
	if end.Before(start) {
		return start, end, reply.Invalid("start is after end")
	}
	return start, end, nil
}

// windowOf is rangeOf widened to whole minutes, which is what the store's rollups
// have.
func (s *server) windowOf(q url.Values) (start, end time.Time, err error) {
	if start, end, err = s.rangeOf(q); err != nil {
		return start, end, err
	}
	start = start.Truncate(time.Minute)
	if whole := end.Truncate(time.Minute); whole.Before(end) || whole.Equal(start) {
		end = whole.Add(time.Minute)
	}
	return start, end, nil
}

type durationsJSON struct {
	Mean string `json:"mean"`
	P50  string `json:"p50"`
	P75  string `json:"p75"`
	P90  string `json:"p90"`
	P95  string `json:"p95"`
	P99  string `json:"p99"`
	Max  string `json:"max"`
}

func durationsOf(k *store.Sketch) durationsJSON {
	at := func(q float64) string { return strconv.FormatUint(k.Quantile(q), 10) }
	return durationsJSON{strconv.FormatUint(uint64(k.Mean()), 10), at(.5), at(.75), at(.9), at(.95), at(.99), at(1)}
}

// operationStatsJSON counts a sampled span as often as it stands for.
type operationStatsJSON struct {
	Service    string        `json:"service"`
	Name       string        `json:"name"`
	Kind       string        `json:"kind"`
	SpanCount  uint64        `json:"spanCount"`
	ErrorCount uint64        `json:"errorCount"`
	Rate       float64       `json:"rate"`
	ErrorRatio float64       `json:"errorRatio"`
	Duration   durationsJSON `json:"durationNano"`
}

func (s *server) operationStatistics(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	if err := only(q, "service", "start", "end", "lookback"); err != nil {
		return err
	}
	start, end, err := s.windowOf(q)
	if err != nil {
		return err
	}
	var want func(string) bool
	if q.Has("service") {
		name := q.Get("service")
		want = func(service string) bool { return service == name }
	}
	stats, err := s.Store.OperationStats(r.Context(), uint64(start.UnixNano()), uint64(end.UnixNano()-1), want)
	if err != nil {
		return err
	}
	list := []operationStatsJSON{}
	for len(stats) > 0 {
		// Those of one operation stand together, by status.
		one := operationStatsJSON{Service: stats[0].Service, Name: stats[0].Name, Kind: stats[0].Kind.String()}
		kind := stats[0].Kind
		var all store.Sketch
		for len(stats) > 0 && stats[0].Service == one.Service && stats[0].Name == one.Name && stats[0].Kind == kind {
			if all.Merge(&stats[0].Durations); stats[0].Status == span.StatusError {
				one.ErrorCount += stats[0].Durations.Count()
			}
			stats = stats[1:]
		}
		one.SpanCount = all.Count()
		one.Rate = float64(one.SpanCount) / end.Sub(start).Seconds()
		one.ErrorRatio = float64(one.ErrorCount) / float64(one.SpanCount)
		one.Duration = durationsOf(&all)
		list = append(list, one)
	}
	return writeTagged(w, r, map[string]any{"startTimeUnixNano": unixNano(start), "endTimeUnixNano": unixNano(end), "operations": list})
}

// edgeJSON counts a call as often as the child's span stands for.
type edgeJSON struct {
	Parent     string        `json:"parent"`
	Child      string        `json:"child"`
	CallCount  uint64        `json:"callCount"`
	ErrorCount uint64        `json:"errorCount"`
	Duration   durationsJSON `json:"durationNano"`
}

func (s *server) edges(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	if err := only(q, "start", "end", "lookback"); err != nil {
		return err
	}
	start, end, err := s.windowOf(q)
	if err != nil {
		return err
	}
	edges, err := s.Store.Edges(r.Context(), uint64(start.UnixNano()), uint64(end.UnixNano()-1))
	if err != nil {
		return err
	}
	list := []edgeJSON{}
	for i := range edges {
		e := &edges[i]
		list = append(list, edgeJSON{e.Parent, e.Child, e.Durations.Count(), e.Errors, durationsOf(&e.Durations)})
	}
	return writeTagged(w, r, map[string]any{"startTimeUnixNano": unixNano(start), "endTimeUnixNano": unixNano(end), "edges": list})
}
