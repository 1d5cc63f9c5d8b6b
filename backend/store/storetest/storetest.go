// Package storetest is the contract of a store as a test: what holds for every
// implementation, and a generator of random traces to hold it on.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
)

// DB is what an implementation must do.
type DB interface {
	Append(context.Context, *span.Batch) error
	Trace(context.Context, span.TraceID) (*span.Trace, span.Summary, error)
	Search(context.Context, *store.Filter) (store.Found, error)
	Match(context.Context, []span.TraceID, *store.Filter) ([]span.Summary, error)
	Services() []store.Service
	Operations(service *string) []store.Operation
	Dependencies(ctx context.Context, start, end uint64) ([]store.Dependency, error)
	Subscribe() *store.Subscription
	Stats() store.Stats
	Close() error
}

// Run holds the contract on the stores that open makes: empty, with room for
// what the tests append, closed by the test's cleanup.
func Run(t *testing.T, open func(t *testing.T) DB) {
	t.Run("random", func(t *testing.T) { random(t, open) })
	t.Run("order", func(t *testing.T) { order(t, open) })
	t.Run("duplicates", func(t *testing.T) { duplicates(t, open) })
	t.Run("large trace", func(t *testing.T) { largeTrace(t, open) })
	t.Run("subscribe", func(t *testing.T) { subscribe(t, open) })
	t.Run("not found", func(t *testing.T) { notFound(t, open) })
	t.Run("closed", func(t *testing.T) { closed(t, open) })
	t.Run("canceled", func(t *testing.T) { canceled(t, open) })
}

// summaries leaves out what depends on the clock.
var summaries = cmp.Options{cmpopts.EquateEmpty(), cmpopts.IgnoreFields(span.Summary{}, "LastReceived")}

// random compares every answer with that of the naive store.
func random(t *testing.T, open func(t *testing.T) DB) {
	for seed := range uint64(10) {
		rng := rand.New(rand.NewPCG(seed, 7))
		db, naive := open(t), &Naive{}
		spans := Spans(rng, 40)
		for len(spans) > 0 {
			n := min(1+rng.IntN(40), len(spans))
			batch := spans[:n]
			spans = spans[n:]
			naive.Append(batch)
			appendAll(t, db, batch)
			if rng.IntN(8) > 0 && len(spans) > 0 {
				continue
			}
			for range 20 {
				f := RandomFilter(rng)
				got, err := db.Search(t.Context(), f)
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(naive.Search(f), got, summaries); d != "" {
					t.Fatalf("seed %d: search %s (-want +got):\n%s", seed, describe(f), d)
				}
				f.Limit = 0
				want := naive.Search(f).Traces
				var ids []span.TraceID
				for _, id := range naive.IDs() {
					ids = append(ids, id, span.TraceID{0xff, 1})
				}
				matched, err := db.Match(t.Context(), ids, f)
				if err != nil || len(matched) != len(want) {
					t.Fatalf("seed %d: match %s: %d, %v, want %d", seed, describe(f), len(matched), err, len(want))
				}
			}
		}
		for _, id := range naive.IDs() {
			got, summary, err := db.Trace(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(naive.Trace(id), got, cmpopts.EquateEmpty()); d != "" {
				t.Fatalf("seed %d: trace (-want +got):\n%s", seed, d)
			}
			if d := cmp.Diff(Summarize(got.Spans), summary, summaries); d != "" {
				t.Fatalf("seed %d: summary (-want +got):\n%s", seed, d)
			}
		}
		services := db.Services()
		if d := cmp.Diff(naive.Services(), services, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(store.Service{}, "LastReceived")); d != "" {
			t.Fatalf("seed %d: services (-want +got):\n%s", seed, d)
		}
		if d := cmp.Diff(naive.Operations(nil), db.Operations(nil), cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("seed %d: operations (-want +got):\n%s", seed, d)
		}
		for _, s := range services {
			if d := cmp.Diff(naive.Operations(&s.Name), db.Operations(&s.Name), cmpopts.EquateEmpty()); d != "" {
				t.Fatalf("seed %d: operations of %q (-want +got):\n%s", seed, s.Name, d)
			}
		}
		// Statistics are kept by the minute, so the range has all or nothing.
		for _, r := range [][2]uint64{{0, 0}, {base, base + uint64(2*time.Minute)}, {1, base - uint64(2*time.Minute)}} {
			got, err := db.Dependencies(t.Context(), r[0], r[1])
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(naive.Dependencies(r[0], r[1]), got, cmpopts.EquateEmpty()); d != "" {
				t.Fatalf("seed %d: dependencies (-want +got):\n%s", seed, d)
			}
		}
		if got, want := db.Stats(), naive.Spans(); got.Spans != want || got.Traces != len(naive.IDs()) {
			t.Fatalf("seed %d: stats %+v, want %d spans", seed, got, want)
		}
	}
}

// order appends the same spans in many orders and batches, and wants one answer.
func order(t *testing.T, open func(t *testing.T) DB) {
	spans := Spans(rand.New(rand.NewPCG(3, 3)), 20)
	var want []span.Summary
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 4))
		rng.Shuffle(len(spans), func(i, j int) { spans[i], spans[j] = spans[j], spans[i] })
		db := open(t)
		for from := 0; from < len(spans); {
			to := min(from+1+rng.IntN(50), len(spans))
			appendAll(t, db, spans[from:to])
			from = to
		}
		got, err := db.Search(t.Context(), &store.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = got.Traces
		}
		if d := cmp.Diff(want, got.Traces, summaries); d != "" {
			t.Fatalf("order %d (-first +this):\n%s", seed, d)
		}
	}
}

// duplicates resends, which changes nothing, and sends a later version of a span.
func duplicates(t *testing.T, open func(t *testing.T) DB) {
	db := open(t)
	spans := Spans(rand.New(rand.NewPCG(5, 5)), 3)
	appendAll(t, db, spans)
	before, size := all(t, db), db.Stats()
	for range 3 {
		appendAll(t, db, spans)
	}
	if d := cmp.Diff(before, all(t, db), summaries); d != "" {
		t.Errorf("resending changed (-before +after):\n%s", d)
	}
	after := db.Stats()
	if after.Bytes > size.Bytes+size.Bytes/10 {
		t.Errorf("resending took the store from %d to %d bytes", size.Bytes, after.Bytes)
	}
	if want := size.DuplicateSpans + uint64(3*len(spans)); after.DuplicateSpans != want {
		t.Errorf("%d duplicates counted, want %d", after.DuplicateSpans, want)
	}
	later := spans[0]
	later.EndTime += 5e9
	later.Name, later.Status.Code = "later", span.StatusError
	appendAll(t, db, []span.Span{later, spans[0]})
	trace, _, err := db.Trace(t.Context(), later.TraceID)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for i := range trace.Spans {
		if trace.Spans[i].SpanID == later.SpanID {
			found++
			if trace.Spans[i].Name != "later" {
				t.Errorf("kept %q, want the one that ends later", trace.Spans[i].Name)
			}
		}
	}
	if found != 1 {
		t.Errorf("found %d times", found)
	}
}

// largeTrace stores one trace of 100,000 spans and reads it whole.
func largeTrace(t *testing.T, open func(t *testing.T) DB) {
	const n = 100_000
	db := open(t)
	resource, scope := &span.Resource{Attributes: []span.Attribute{{Key: "service.name", Value: span.String("large")}}}, &span.Scope{}
	id := span.TraceID{9}
	var batch []span.Span
	for i := n; i > 0; i-- { // children first
		s := span.Span{
			TraceID: id, SpanID: spanID(i), Name: fmt.Sprint("step ", i%50), Kind: span.KindInternal,
			StartTime: base + uint64(i), EndTime: base + uint64(i) + 1000,
			Attributes: []span.Attribute{{Key: "i", Value: span.Int(int64(i))}},
			Resource:   resource, Scope: scope,
		}
		if i > 1 {
			s.ParentSpanID = spanID(i / 2)
		}
		if batch = append(batch, s); len(batch) == 5000 || i == 1 {
			appendAll(t, db, batch)
			batch = batch[:0]
		}
	}
	trace, summary, err := db.Trace(t.Context(), id)
	if err != nil || len(trace.Spans) != n {
		t.Fatalf("%v, %d spans", err, len(trace.Spans))
	}
	if summary.SpanCount != n || summary.OrphanCount != 0 || summary.RootName != "step 1" || !summary.HasRoot {
		t.Errorf("summary %+v", summary)
	}
	found, err := db.Search(t.Context(), &store.Filter{Attributes: []store.AttributeFilter{{Key: "i", Value: "77777"}}})
	if err != nil || len(found.Traces) != 1 {
		t.Errorf("%v, %d found by the attribute of one span", err, len(found.Traces))
	}
}

func subscribe(t *testing.T, open func(t *testing.T) DB) {
	db := open(t)
	sub := db.Subscribe()
	spans := Spans(rand.New(rand.NewPCG(6, 6)), 5)
	appendAll(t, db, spans)
	appendAll(t, db, spans[:1]) // a duplicate is no news
	if _, open := <-sub.C; !open {
		t.Fatal("closed")
	}
	ids, lagged := sub.Take()
	seen := map[span.TraceID]int{}
	for _, id := range ids {
		seen[id]++
	}
	if len(seen) != 5 || len(ids) != 5 || lagged {
		t.Errorf("%d changes of %d traces, lagged %t; want each of 5 once", len(ids), len(seen), lagged)
	}
	if ids, _ := sub.Take(); len(ids) != 0 {
		t.Errorf("taken twice: %v", ids)
	}
	sub.Close()
	appendAll(t, db, Spans(rand.New(rand.NewPCG(7, 7)), 5))
	if ids, _ := sub.Take(); len(ids) != 0 {
		t.Errorf("after Close: %v", ids)
	}
	sub.Close()
	other := db.Subscribe()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for range other.C { // ends when closed
	}
}

func notFound(t *testing.T, open func(t *testing.T) DB) {
	db := open(t)
	if _, _, err := db.Trace(t.Context(), span.TraceID{1}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
	found, err := db.Search(t.Context(), &store.Filter{Service: new("nobody")})
	if err != nil || found.Traces == nil || len(found.Traces) != 0 || found.Truncated {
		t.Errorf("got %+v, %v; want an empty list", found, err)
	}
}

func closed(t *testing.T, open func(t *testing.T) DB) {
	db := open(t)
	spans := Spans(rand.New(rand.NewPCG(8, 8)), 2)
	appendAll(t, db, spans)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Append(t.Context(), &span.Batch{Spans: spans}); !errors.Is(err, store.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}

func canceled(t *testing.T, open func(t *testing.T) DB) {
	db := open(t)
	appendAll(t, db, Spans(rand.New(rand.NewPCG(9, 9)), 3))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := db.Search(ctx, &store.Filter{}); !errors.Is(err, context.Canceled) {
		t.Errorf("search: got %v, want context.Canceled", err)
	}
	if _, err := db.Dependencies(ctx, 0, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("dependencies: got %v, want context.Canceled", err)
	}
}

// appendAll appends spans, of which the store is to reject none.
func appendAll(t *testing.T, db DB, spans []span.Span) {
	t.Helper()
	batch := span.Batch{Spans: append([]span.Span{}, spans...)}
	if err := db.Append(t.Context(), &batch); err != nil {
		t.Fatal(err)
	}
	if batch.Rejected.Count != 0 {
		t.Fatal(batch.Rejected.String())
	}
}

func all(t *testing.T, db DB) []span.Summary {
	t.Helper()
	found, err := db.Search(t.Context(), &store.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	return found.Traces
}
