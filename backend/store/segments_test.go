package store_test

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
	"github.com/throughline/throughline/backend/store/storetest"
)

var ignoreClock = cmp.Options{cmpopts.EquateEmpty(), cmpopts.IgnoreFields(span.Summary{}, "LastReceived")}

// compare holds every trace and many searches against the oracle.
func compare(t *testing.T, rng *rand.Rand, db *store.DB, naive *storetest.Naive) {
	t.Helper()
	for _, id := range naive.IDs() {
		got, summary, err := db.Trace(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		want := naive.Trace(id)
		if d := cmp.Diff(want, got, ignoreClock); d != "" {
			t.Fatalf("trace (-want +got):\n%s", d)
		}
		if d := cmp.Diff(storetest.Summarize(want.Spans), summary, ignoreClock); d != "" {
			t.Fatalf("summary (-want +got):\n%s", d)
		}
	}
	for range 60 {
		f := storetest.RandomFilter(rng)
		got, err := db.Search(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(naive.Search(f), got, ignoreClock); d != "" {
			t.Fatalf("search (-want +got):\n%s", d)
		}
	}
}

// TestSegments spreads random traces over many segments and a head, closes, opens
// and reads again.
func TestSegments(t *testing.T) {
	for seed := range uint64(2) {
		rng := rand.New(rand.NewPCG(seed, 1))
		dir := t.TempDir()
		options := store.Options{HeadSpans: 50 + rng.IntN(400), Durability: store.Durability{Sync: true}}
		naive := &storetest.Naive{}
		spans := storetest.Spans(rng, 50)
		for len(spans) > 0 {
			db := openDir(t, dir, options)
			for range 1 + rng.IntN(20) {
				n := min(1+rng.IntN(60), len(spans))
				if n == 0 {
					break
				}
				naive.Append(spans[:n])
				if err := db.Append(t.Context(), &span.Batch{Spans: append([]span.Span{}, spans[:n]...)}); err != nil {
					t.Fatal(err)
				}
				spans = spans[n:]
			}
			compare(t, rng, db, naive)
			compareStatistics(t, db, naive)
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
		db := openDir(t, dir, options)
		compare(t, rng, db, naive)
		compareStatistics(t, db, naive)
		if s := db.Stats(); s.CorruptFiles != 0 || s.WALFiles != 0 || s.HeadSpans != 0 {
			t.Errorf("after a clean stop: %+v", s)
		}
	}
}
