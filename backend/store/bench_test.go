package store_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
)

// BenchmarkAppend appends batches of 512 spans to a full store; ns/span is the figure.
func BenchmarkAppend(b *testing.B) {
	db := open(b, store.Options{MaxBytes: 64 << 20})
	l := newLoad(1)
	var batches []*span.Batch
	spans := 0
	for range 200 {
		batch := l.batch(512)
		batches = append(batches, batch)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		batch := batches[i%len(batches)]
		spans += len(batch.Spans)
		for j := range batch.Spans {
			// A resent span would be a duplicate.
			batch.Spans[j].TraceID[8] += 1
		}
		if err := db.Append(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(spans), "ns/span")
}

func BenchmarkSearch(b *testing.B) {
	db := open(b, store.Options{})
	l := newLoad(1)
	for db.Stats().Spans < 400_000 {
		if err := db.Append(b.Context(), l.batch(512)); err != nil {
			b.Fatal(err)
		}
	}
	last := l.batch(1).Spans[0]
	for name, f := range map[string]*store.Filter{
		"recent":              {Limit: 20},
		"service":             {Limit: 20, Service: new("service-3")},
		"operation":           {Limit: 20, Service: new("service-3"), Name: new("GET /things/7")},
		"service, duration":   {Limit: 20, Service: new("service-3"), MinDuration: 9900 * time.Microsecond},
		"service, error":      {Limit: 20, Service: new("service-3"), Status: new(span.StatusError)},
		"attribute":           {Limit: 20, Attributes: []store.AttributeFilter{{Key: "thread.id", Value: "7"}}},
		"attribute, none":     {Limit: 20, Attributes: []store.AttributeFilter{{Key: "thread.id", Value: "none"}}},
		"attribute key, none": {Limit: 20, Attributes: []store.AttributeFilter{{Key: "no.such.key", Value: "none"}}},
		"old range":           {Limit: 20, Start: last.StartTime - 40_000_000_000, End: last.StartTime - 39_000_000_000},
		"unknown service":     {Limit: 20, Service: new("nobody")},
		"duration, none":      {Limit: 20, MinDuration: time.Hour},
		"everything":          {},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				if _, err := db.Search(b.Context(), f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("dependencies", func(b *testing.B) {
		for range b.N {
			if _, err := db.Dependencies(b.Context(), 0, 0); err != nil {
				b.Fatal(err)
			}
		}
	})
	found, err := db.Search(b.Context(), &store.Filter{Limit: 1})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("trace by id", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			if _, _, err := db.Trace(b.Context(), found.Traces[0].TraceID); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkAppendWhileReading reports the longest that one append of 100 spans
// waited while searches through everything and reads of a trace of 100,000 spans
// go on, beside the longest without them.
func BenchmarkAppendWhileReading(b *testing.B) {
	db := open(b, store.Options{})
	l := newLoad(1)
	large := span.TraceID{1}
	for i := range 100 {
		batch := l.batch(1000)
		for j := range batch.Spans {
			batch.Spans[j].TraceID = large
			batch.Spans[j].SpanID = span.SpanID{1, byte(i), byte(j >> 8), byte(j)}
		}
		if err := db.Append(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	for db.Stats().Spans < 400_000 {
		if err := db.Append(b.Context(), l.batch(512)); err != nil {
			b.Fatal(err)
		}
	}
	measure := func(b *testing.B) {
		var longest time.Duration
		for range b.N {
			batch := l.batch(100)
			began := time.Now()
			if err := db.Append(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
			longest = max(longest, time.Since(began))
			time.Sleep(time.Millisecond)
		}
		b.ReportMetric(float64(longest.Microseconds())/1000, "longest-ms")
	}
	b.Run("alone", measure)
	b.Run("reading", func(b *testing.B) {
		ctx, cancel := context.WithCancel(b.Context())
		var readers sync.WaitGroup
		readers.Go(func() {
			for ctx.Err() == nil {
				db.Search(ctx, &store.Filter{Attributes: []store.AttributeFilter{{Key: "thread.id", Value: "none"}}})
				db.Trace(ctx, large)
				db.Dependencies(ctx, 0, 0)
			}
		})
		measure(b)
		cancel()
		readers.Wait()
	})
}
