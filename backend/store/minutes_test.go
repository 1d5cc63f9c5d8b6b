package store_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
)

// Counts by minute, from rollups and from the head, are those of the spans.
func TestOperationMinutes(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	hour := uint64(1_790_000_000_000_000_000) / 3600e9 * 3600e9
	minute := uint64(time.Minute)
	spans := calls(rng, 2_000, hour+30*uint64(time.Second))
	db := openDir(t, t.TempDir(), store.Options{HeadSpans: 1500})
	for from := 0; from < len(spans); from += 500 {
		if err := db.Append(t.Context(), &span.Batch{Spans: spans[from : from+500]}); err != nil {
			t.Fatal(err)
		}
	}
	for _, w := range [][2]uint64{{0, 0}, {hour + 7*minute, hour + 9*minute - 1}, {hour + 600*minute, 0}} {
		type key struct {
			name   string
			status span.StatusCode
			minute uint64
		}
		want := map[key]uint64{}
		for i := range spans {
			s := &spans[i]
			if s.ServiceName() == "b" && s.StartTime >= w[0] && (w[1] == 0 || s.StartTime <= w[1]) {
				want[key{s.Name, s.Status.Code, s.StartTime / minute}]++
			}
		}
		list, err := db.OperationMinutes(t.Context(), w[0], w[1], func(service string) bool { return service == "b" })
		if err != nil {
			t.Fatal(err)
		}
		got := map[key]uint64{}
		for _, o := range list {
			last := store.MinuteCount{}
			for _, c := range o.Counts {
				if c.Minute < last.Minute || c.Minute == last.Minute && c.Nanoseconds <= last.Nanoseconds || c.Count == 0 {
					t.Fatalf("%s %s: %+v after %+v", o.Service, o.Name, c, last)
				}
				last = c
				got[key{o.Name, o.Status, c.Minute}] += c.Count
			}
			if o.Service != "b" || o.Kind != span.KindServer {
				t.Errorf("%s %s %s", o.Service, o.Name, o.Kind)
			}
		}
		for k, n := range want {
			if got[k] != n {
				t.Errorf("window %v: %+v: %d spans, want %d", w, k, got[k], n)
			}
		}
		if len(got) != len(want) {
			t.Errorf("window %v: %d counts, want %d", w, len(got), len(want))
		}
	}
}
