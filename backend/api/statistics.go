package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/throughline/throughline/backend/span"
)

type statisticJSON struct {
	Service    string `json:"service"`
	Name       string `json:"name"`
	Kind       string `json:"kind"`
	SpanCount  uint64 `json:"spanCount"`
	ErrorCount uint64 `json:"errorCount"`
	Mean       string `json:"meanNano"`
	P50        string `json:"p50Nano"`
	P90        string `json:"p90Nano"`
	P95        string `json:"p95Nano"`
	P99        string `json:"p99Nano"`
}

// statistics answers counts and durations by operation from the store's rollups,
// so that a month costs what an hour does.
func (s *server) statistics(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	if err := only(q, "start", "end", "service"); err != nil {
		return err
	}
	start, err := moment("start", q.Get("start"))
	if err != nil {
		return err
	}
	end, err := moment("end", q.Get("end"))
	if err != nil {
		return err
	}
	if end != 0 && start > end {
		return invalid("start is after end")
	}
	var want func(string) bool
	if q.Has("service") {
		want = func(service string) bool { return service == q.Get("service") }
	}
	ctx, cancel := context.WithTimeout(r.Context(), queryTime)
	defer cancel()
	found, err := s.Store.OperationStats(ctx, start, end, want)
	if err != nil {
		return err
	}
	// They come by service, name, kind and status.
	list := []statisticJSON{}
	for i := 0; i < len(found); {
		o := &found[i]
		all, errors := &o.Durations, uint64(0)
		for ; i < len(found) && found[i].Service == o.Service && found[i].Name == o.Name && found[i].Kind == o.Kind; i++ {
			if found[i].Status == span.StatusError {
				errors += found[i].Durations.Count()
			}
			if &found[i] != o {
				all.Merge(&found[i].Durations)
			}
		}
		text := func(n uint64) string { return strconv.FormatUint(n, 10) }
		list = append(list, statisticJSON{
			Service: o.Service, Name: o.Name, Kind: o.Kind.String(), SpanCount: all.Count(), ErrorCount: errors,
			Mean: text(uint64(all.Mean())), P50: text(all.Quantile(.5)), P90: text(all.Quantile(.9)), P95: text(all.Quantile(.95)), P99: text(all.Quantile(.99)),
		})
	}
	return writeJSON(w, map[string]any{"operations": list})
}
