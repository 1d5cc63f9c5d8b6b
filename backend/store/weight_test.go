package store_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
	"github.com/throughline/throughline/backend/store/storetest"
)

// Sampled spans count as many times as they stand for in statistics, and once in
// what says how many are held: in heads and segments, when their trace arrives in
// parts, when they come again with the same weight or another, and after a merge.
func TestSampledSpansCountByWeight(t *testing.T) {
	for name, open := range spreadStores(t) {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(21, 22))
			db, naive := open(t), &storetest.Naive{}
			spans := calls(rng, 300, 1_790_000_000_000_000_000)
			states := []string{"", "ot=th:c", "ot=th:b333333333333", "vendor=x,ot=th:e6666666666666;rv:ffffffffffffff", "ot=th:nothing"}
			for i := range spans {
				spans[i].TraceState = states[spans[i].TraceID[5]%5]
				spans[i].SpanID = span.SpanID{byte(rng.Uint32()), byte(1 + i%2)} // weights are rounded by it
			}
			for i := 1; i < len(spans); i += 2 {
				spans[i].ParentSpanID = spans[i-1].SpanID
			}
			send := func(spans []span.Span) {
				t.Helper()
				for len(spans) > 0 {
					n := min(70, len(spans))
					naive.Append(spans[:n])
					if err := db.Append(t.Context(), &span.Batch{Spans: append([]span.Span{}, spans[:n]...)}); err != nil {
						t.Fatal(err)
					}
					spans = spans[n:]
				}
				compareStatistics(t, db, naive)
			}
			send(spans)
			again := append([]span.Span{}, spans...)
			rng.Shuffle(len(again), func(i, j int) { again[i], again[j] = again[j], again[i] })
			send(again)
			for i := range again {
				switch rng.IntN(4) {
				case 0: // supersedes, with another weight in the same bucket
					again[i].EndTime++
					again[i].TraceState = states[rng.IntN(len(states))]
				case 1:
					again[i].EndTime += 1e9
					again[i].Name = "later"
				}
			}
			send(again)
			send(again[:200])
			for deadline := time.Now().Add(30 * time.Second); db.Stats().Compacted == 0 || db.Stats().Sealing > 0; time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatalf("%+v", db.Stats())
				}
			}
			compareStatistics(t, db, naive)
		})
	}
}

// Quantiles are those of what the spans stand for: of 90 fast spans and ten slow
// ones, each of which stands for 64, the median is slow.
func TestWeightedQuantiles(t *testing.T) {
	db := open(t, store.Options{HeadSpans: 30})
	resource, scope := &span.Resource{Attributes: []span.Attribute{{Key: "service.name", Value: span.String("a")}}}, &span.Scope{}
	for i := range 100 {
		s := span.Span{
			TraceID: span.TraceID{1, byte(i)}, SpanID: span.SpanID{1}, Name: "work", StartTime: 1_790_000_000_000_000_000,
			EndTime: 1_790_000_000_001_000_000, Resource: resource, Scope: scope,
		}
		if i%10 == 0 {
			s.EndTime += 1e9
			s.TraceState = "ot=th:fc"
		}
		if err := db.Append(t.Context(), &span.Batch{Spans: []span.Span{s}}); err != nil {
			t.Fatal(err)
		}
	}
	list, err := db.OperationStats(t.Context(), 0, 0, nil)
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	d := &list[0].Durations
	if d.Count() != 90+10*64 || d.Quantile(.1) > 2e6 || d.Quantile(.5) < 9e8 {
		t.Errorf("%d spans, 10 %% below %d ns, half below %d ns", d.Count(), d.Quantile(.1), d.Quantile(.5))
	}
}

// A span that claims to stand for more than can be counts as often as is allowed,
// and costs no more memory or time than another.
func TestWeightIsBounded(t *testing.T) {
	db := open(t, store.Options{HeadSpans: 20})
	spans := calls(rand.New(rand.NewPCG(1, 1)), 60, 1_790_000_000_000_000_000)
	for i := range spans {
		spans[i].TraceState = "ot=th:ffffffffffffff"
	}
	for from := 0; from < len(spans); from += 20 {
		if err := db.Append(t.Context(), &span.Batch{Spans: spans[from : from+20]}); err != nil {
			t.Fatal(err)
		}
	}
	waitSealed(t, db)
	edges, err := db.Edges(t.Context(), 0, 0)
	if err != nil || len(edges) != 1 || edges[0].Durations.Count() != 60<<20 {
		t.Errorf("%+v, %v", edges, err)
	}
	if s := db.Stats(); s.Spans != len(spans) {
		t.Errorf("%d spans held", s.Spans)
	}
}
