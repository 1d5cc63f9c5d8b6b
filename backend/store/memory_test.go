package store_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
	"github.com/throughline/throughline/backend/store/storetest"
)

// load makes batches of spans like those of real services: eight attributes, some
// twelve spans a trace, names of few operations. The strings of a batch are new,
// as those of a decoded request are.
type load struct {
	rng       *rand.Rand
	trace     uint64
	resources []*span.Resource
	scope     *span.Scope
}

func newLoad(seed uint64) *load {
	l := &load{rng: rand.New(rand.NewPCG(seed, 1)), trace: seed << 32, scope: &span.Scope{Name: "net/http", Version: "1.0.0"}}
	for i := range 10 {
		l.resources = append(l.resources, &span.Resource{Attributes: []span.Attribute{
			{Key: "service.name", Value: span.String(fmt.Sprint("service-", i))},
			{Key: "service.instance.id", Value: span.String(fmt.Sprint("instance-", i))},
			{Key: "telemetry.sdk.language", Value: span.String("go")},
		}})
	}
	return l
}

// batch makes n spans of whole traces.
func (l *load) batch(n int) *span.Batch {
	b := &span.Batch{Spans: make([]span.Span, 0, n+24)}
	for len(b.Spans) < n {
		l.trace++
		var id span.TraceID
		binary.BigEndian.PutUint64(id[:], l.trace)
		binary.BigEndian.PutUint64(id[8:], l.trace*0x9e3779b97f4a7c15)
		start := uint64(1_790_000_000_000_000_000) + l.trace*1_000_000
		for i := range 1 + l.rng.IntN(23) {
			s := span.Span{
				TraceID: id, Name: fmt.Sprint("GET /things/", l.rng.IntN(20)), Kind: span.Kind(1 + l.rng.IntN(3)), Flags: 1,
				StartTime: start + uint64(i)*1000, EndTime: start + uint64(i)*1000 + l.rng.Uint64N(1e7),
				Resource: l.resources[l.rng.IntN(len(l.resources))], Scope: l.scope,
				Attributes: []span.Attribute{
					{Key: "http.request.method", Value: span.String("GET")},
					{Key: "http.response.status_code", Value: span.Int(200)},
					{Key: "http.route", Value: span.String("/things/{id}")},
					{Key: "url.path", Value: span.String(fmt.Sprintf("/things/%016x", l.rng.Uint64()))},
					{Key: "server.address", Value: span.String("127.0.0.1")},
					{Key: "server.port", Value: span.Int(8080)},
					{Key: "user_agent.original", Value: span.String("Mozilla/5.0 (X11; Linux x86_64)")},
					{Key: "thread.id", Value: span.Int(l.rng.Int64N(64))},
				},
			}
			binary.BigEndian.PutUint64(s.SpanID[:], uint64(i+1)|l.trace<<16)
			if i > 0 {
				binary.BigEndian.PutUint64(s.ParentSpanID[:], uint64(i)|l.trace<<16)
			}
			if l.rng.IntN(100) == 0 {
				s.Status.Code = span.StatusError
			}
			b.Spans = append(b.Spans, s)
		}
	}
	return b
}

// heap is what is reachable.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A million spans stay within the bound, by the store's account and by the
// heap's. Where they do not fit, the oldest traces are those that are gone.
func TestMillionSpans(t *testing.T) {
	for _, c := range []struct {
		name     string
		spans    int
		perMsg   int // spans per append
		maxBytes int64
		evicts   bool
	}{
		{"all held", 1_000_000, 512, store.DefaultMaxBytes, false},
		{"batches of 512", 500_000, 512, 16 << 20, true},
		{"the least", 60_000, 100, store.MinMemory, true},
		{"traces in pieces", 300_000, 7, 8 << 20, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log bytes.Buffer
			before := heap()
			db := open(t, store.Options{MaxBytes: c.maxBytes, Log: slog.New(slog.NewTextHandler(&log, nil))})
			l := newLoad(1)
			var first, last span.TraceID
			most := int64(0)
			for sent := 0; sent < c.spans; {
				b := l.batch(512)
				if first.IsZero() {
					first = b.Spans[0].TraceID
				}
				last = b.Spans[len(b.Spans)-1].TraceID
				sent += len(b.Spans)
				for from := 0; from < len(b.Spans); from += c.perMsg {
					part := &span.Batch{Spans: b.Spans[from:min(from+c.perMsg, len(b.Spans))]}
					if err := db.Append(t.Context(), part); err != nil || part.Rejected.Count > 0 {
						t.Fatal(err, part.Rejected.String())
					}
				}
				s := db.Stats()
				if s.Bytes > s.MaxBytes {
					t.Fatalf("%d bytes after %d spans, the bound is %d", s.Bytes, sent, s.MaxBytes)
				}
				most = max(most, s.Bytes)
			}
			waitSealed(t, db)
			s := db.Stats()
			grown := heap() - before
			t.Logf("%d spans in %d traces held: %d bytes accounted, heap grew by %d (%.2f), %d bytes a span",
				s.Spans, s.Traces, s.Bytes, grown, float64(grown)/float64(s.Bytes), s.Bytes/int64(s.Spans))
			if c.evicts && most < s.MaxBytes*9/10-128<<10 { // the least head goes as one
				t.Errorf("at most %d of %d bytes were used", most, s.MaxBytes)
			}
			const fixed = 128 << 10 // of the store without spans
			if r := float64(grown) / float64(s.Bytes); r < 0.8 || float64(grown-fixed) > 1.1*float64(s.Bytes) {
				t.Errorf("the heap grew by %d bytes, %.2f of what is accounted for", grown, r)
			}
			if evicted := s.Evicted.Traces > 0 && s.Evicted.Spans > 0 && !s.Evicted.Last.IsZero(); evicted != c.evicts {
				t.Errorf("evicted: %+v", s.Evicted)
			}
			if _, _, err := db.Trace(t.Context(), first); (err != nil) != c.evicts {
				t.Errorf("the first trace: %v", err)
			}
			if _, _, err := db.Trace(t.Context(), last); err != nil {
				t.Errorf("the last trace: %v", err)
			}
			if n := strings.Count(log.String(), "dropped"); c.evicts != (n > 0) || n > 2 && testing.CoverMode() == "" {
				t.Errorf("evictions were logged %d times:\n%s", n, log.String())
			}
			runtime.KeepAlive(db)
		})
	}
}

// Whatever is appended, once all is evicted nothing is accounted for and nothing is left.
func TestEvictionLeavesNothing(t *testing.T) {
	now := time.Unix(1_790_000_000, 0)
	var mu sync.Mutex
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	db := open(t, store.Options{Retention: 20 * time.Millisecond, Now: clock})
	for seed := range uint64(5) {
		spans := storetest.Spans(rand.New(rand.NewPCG(seed, 2)), 50)
		if err := db.Append(t.Context(), &span.Batch{Spans: spans}); err != nil {
			t.Fatal(err)
		}
	}
	held := db.Stats()
	mu.Lock()
	now = now.Add(time.Hour)
	mu.Unlock()
	deadline := time.Now().Add(10 * time.Second)
	for db.Stats().Traces > 0 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	s := db.Stats()
	if s.Traces != 0 || s.Spans != 0 || s.Bytes != 0 || s.Evicted.Spans != uint64(held.Spans) || !s.OldestReceived.IsZero() {
		t.Errorf("after the retention: %+v, before it: %+v", s, held)
	}
	found, err := db.Search(t.Context(), &store.Filter{})
	if err != nil || len(found.Traces)+len(db.Services())+len(db.Operations(nil)) != 0 {
		t.Errorf("%v, %d traces, %d services, %d operations", err, len(found.Traces), len(db.Services()), len(db.Operations(nil)))
	}
}

// New names, services and resources for every span stay within the bound too.
func TestCardinality(t *testing.T) {
	before := heap()
	db := open(t, store.Options{MaxBytes: 32 << 20})
	for i := range 200_000 {
		var id span.TraceID
		binary.BigEndian.PutUint64(id[:], uint64(i+1))
		unique := fmt.Sprintf("value-%032d", i)
		s := span.Span{
			TraceID: id, SpanID: span.SpanID{1}, Name: unique, StartTime: 1_790_000_000_000_000_000, EndTime: 1_790_000_000_000_000_001,
			Resource: &span.Resource{Attributes: []span.Attribute{{Key: "service.name", Value: span.String(unique)}}},
			Scope:    &span.Scope{Name: unique},
		}
		if err := db.Append(t.Context(), &span.Batch{Spans: []span.Span{s}}); err != nil {
			t.Fatal(err)
		}
	}
	s := db.Stats()
	grown := heap() - before
	t.Logf("%d spans: %d bytes accounted, heap grew by %d (%.2f)", s.Spans, s.Bytes, grown, float64(grown)/float64(s.Bytes))
	if s.Bytes > s.MaxBytes || float64(grown) > 1.15*float64(s.MaxBytes) {
		t.Errorf("%d bytes accounted, heap grew by %d, the bound is %d", s.Bytes, grown, s.MaxBytes)
	}
	runtime.KeepAlive(db)
}

// Appends, searches, reads, subscriptions, sealing, merges and evictions at the
// same time.
func TestConcurrent(t *testing.T) {
	t.Run("memory", func(t *testing.T) { concurrent(t, open(t, store.Options{MaxBytes: 2 << 20})) })
	t.Run("disk", func(t *testing.T) {
		concurrent(t, openDir(t, t.TempDir(), store.Options{MaxBytes: 1 << 20, HeadSpans: 700}))
	})
}

func concurrent(t *testing.T, db *store.DB) {
	ctx, cancel := context.WithCancel(t.Context())
	var readers, writers sync.WaitGroup
	for seed := range uint64(2) {
		writers.Go(func() {
			rng := rand.New(rand.NewPCG(seed, 9))
			l := newLoad(seed + 1)
			for range 60 {
				b := l.batch(200)
				rng.Shuffle(len(b.Spans), func(i, j int) { b.Spans[i], b.Spans[j] = b.Spans[j], b.Spans[i] })
				for from := 0; from < len(b.Spans); from += 50 {
					part := &span.Batch{Spans: b.Spans[from:min(from+50, len(b.Spans))]}
					if err := db.Append(ctx, part); err != nil {
						t.Error(err)
					}
				}
			}
		})
		readers.Go(func() {
			rng := rand.New(rand.NewPCG(seed, 10))
			sub := db.Subscribe()
			defer sub.Close()
			for ctx.Err() == nil {
				found, err := db.Search(t.Context(), storetest.RandomFilter(rng))
				if err != nil {
					t.Error(err)
				}
				all, err := db.Search(t.Context(), &store.Filter{Limit: 5, Attributes: []store.AttributeFilter{{Key: "thread.id", Value: "3"}}})
				if err != nil {
					t.Error(err)
				}
				for _, s := range append(found.Traces, all.Traces...) {
					if trace, _, err := db.Trace(t.Context(), s.TraceID); err == nil && len(trace.Spans) == 0 {
						t.Error("a trace without spans")
					}
				}
				ids, _ := sub.Take()
				if _, err := db.Match(t.Context(), ids, &store.Filter{}); err != nil {
					t.Error(err)
				}
				db.Services()
				db.Operations(nil)
				db.Stats()
				if _, err := db.Dependencies(t.Context(), 0, 0); err != nil {
					t.Error(err)
				}
				if _, err := db.OperationStats(t.Context(), 0, 0, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	cancel()
	readers.Wait()
}
