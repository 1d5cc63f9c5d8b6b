package store_test

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
	"github.com/throughline/throughline/backend/store/storetest"
)

// compareStatistics holds what is answered without reading spans against the oracle.
func compareStatistics(t *testing.T, db *store.DB, naive *storetest.Naive) {
	t.Helper()
	equal := func(what string, want, got any) {
		t.Helper()
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(store.Service{}, "LastReceived")); d != "" {
			t.Fatalf("%s (-want +got):\n%s", what, d)
		}
	}
	equal("services", naive.Services(), db.Services())
	equal("operations", naive.Operations(nil), db.Operations(nil))
	edges, err := db.Dependencies(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	equal("dependencies", naive.Dependencies(0, 0), edges)
	list, err := db.OperationStats(t.Context(), 0, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	buckets := func(k *store.Sketch) map[uint64]uint64 {
		m := map[uint64]uint64{}
		k.Each(func(nanoseconds, n uint64) { m[nanoseconds] = n })
		return m
	}
	want, got := map[storetest.Operation]map[uint64]uint64{}, map[storetest.Operation]map[uint64]uint64{}
	for o, k := range naive.Durations() {
		want[o] = buckets(k)
	}
	for i := range list {
		o := &list[i]
		got[storetest.Operation{Service: o.Service, Name: o.Name, Kind: o.Kind, Status: o.Status}] = buckets(&o.Durations)
	}
	equal("durations", want, got)
	minutes, err := db.OperationMinutes(t.Context(), 0, 0, func(string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	clear(got)
	for _, o := range minutes {
		m := map[uint64]uint64{}
		for _, c := range o.Counts {
			m[c.Nanoseconds] += c.Count
		}
		got[storetest.Operation{Service: o.Service, Name: o.Name, Kind: o.Kind, Status: o.Status}] = m
	}
	equal("minutes", want, got)
	if s := db.Stats(); s.Spans != naive.Spans() || s.Traces != len(naive.IDs()) {
		t.Fatalf("%d spans in %d traces, want %d in %d", s.Spans, s.Traces, naive.Spans(), len(naive.IDs()))
	}
}

// waitSealed waits until no head waits to become a segment.
func waitSealed(t *testing.T, db *store.DB) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); db.Stats().Sealing > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%+v", db.Stats())
		}
	}
}

// A client whose acknowledgement was lost sends its spans again after the head
// that has them was sealed: they count once, then and after a merge.
func TestResentCountsOnce(t *testing.T) {
	for name, open := range spreadStores(t) {
		t.Run(name, func(t *testing.T) {
			db, naive := open(t), &storetest.Naive{}
			spans := calls(rand.New(rand.NewPCG(7, 8)), 100, 1_790_000_000_000_000_000)
			naive.Append(spans)
			for range 12 { // enough for a merge
				for from := 0; from < len(spans); from += 50 {
					if err := db.Append(t.Context(), &span.Batch{Spans: append([]span.Span{}, spans[from:from+50]...)}); err != nil {
						t.Fatal(err)
					}
				}
				compareStatistics(t, db, naive)
			}
			waitSealed(t, db)
			compareStatistics(t, db, naive)
			if s := db.Stats(); s.DuplicateSpans != uint64(11*len(spans)) {
				t.Errorf("%d duplicates counted, want %d", s.DuplicateSpans, 11*len(spans))
			}
		})
	}
}

// Parent and child arrive in different heads, either first: the call is an edge.
func TestCallsAcrossHeads(t *testing.T) {
	for name, open := range spreadStores(t) {
		for _, first := range []string{"parents", "children"} {
			t.Run(name+", "+first+" first", func(t *testing.T) {
				db, naive := open(t), &storetest.Naive{}
				spans := calls(rand.New(rand.NewPCG(9, 9)), 200, 1_790_000_000_000_000_000)
				var halves [2][]span.Span
				for i := range spans {
					n := i % 2
					if first == "children" {
						n = 1 - n
					}
					halves[n] = append(halves[n], spans[i])
				}
				for _, half := range halves {
					for from := 0; from < len(half); from += 50 {
						naive.Append(half[from : from+50])
						if err := db.Append(t.Context(), &span.Batch{Spans: half[from : from+50]}); err != nil {
							t.Fatal(err)
						}
						compareStatistics(t, db, naive)
					}
				}
				waitSealed(t, db)
				compareStatistics(t, db, naive)
				edges, err := db.Edges(t.Context(), 0, 0)
				if err != nil || len(edges) != 1 || edges[0].Durations.Count() != 200 || edges[0].Errors != 100 {
					t.Errorf("%v, edges %+v; want 200 calls, 100 errors", err, edges)
				}
			})
		}
	}
}

// Spans that came again are in a newer segment too. When the older one is dropped
// they are counted by none, and nothing by less than nothing.
func TestResentThenDropped(t *testing.T) {
	var now atomic.Int64 // the store's background work reads it too
	now.Store(1_790_000_000)
	db := openDir(t, t.TempDir(), store.Options{HeadSpans: 100, Retention: time.Hour, Now: func() time.Time { return time.Unix(now.Load(), 0) }})
	spans := calls(rand.New(rand.NewPCG(7, 8)), 50, 1_790_000_000_000_000_000)
	later := append([]span.Span{}, spans...)
	for i := range later {
		later[i].EndTime += 5e9 // supersedes
		later[i].Name = "later"
	}
	for _, batch := range [][]span.Span{spans, later} {
		if err := db.Append(t.Context(), &span.Batch{Spans: batch}); err != nil {
			t.Fatal(err)
		}
		waitSealed(t, db)
		now.Add(40 * 60)
	}
	for deadline := time.Now().Add(30 * time.Second); db.Stats().Segments > 1; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%+v", db.Stats())
		}
	}
	list, err := db.OperationStats(t.Context(), 0, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range list {
		if o.Name != "later" || o.Durations.Count() != 50 && o.Durations.Count() != 25 {
			t.Errorf("%s: %d spans", o.Name, o.Durations.Count())
		}
	}
	for _, o := range db.Operations(nil) {
		if o.Name != "later" || o.SpanCount != 50 || o.ErrorCount < 0 || o.ErrorCount > 25 {
			t.Errorf("%+v", o)
		}
	}
	for _, s := range db.Services() {
		if s.SpanCount != 50 && s.SpanCount != 0 {
			t.Errorf("%+v", s)
		}
	}
}

func spreadStores(t *testing.T) map[string]func(t *testing.T) *store.DB {
	return map[string]func(t *testing.T) *store.DB{
		"disk":   func(t *testing.T) *store.DB { return openDir(t, t.TempDir(), store.Options{HeadSpans: 90}) },
		"memory": func(t *testing.T) *store.DB { return open(t, store.Options{HeadSpans: 90}) },
	}
}
