package store_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
)

// calls makes n traces of two spans, a client and a server in another service,
// with durations over six powers of ten, from start on, one a second.
func calls(rng *rand.Rand, n int, start uint64) []span.Span {
	a := &span.Resource{Attributes: []span.Attribute{{Key: "service.name", Value: span.String("a")}}}
	b := &span.Resource{Attributes: []span.Attribute{{Key: "service.name", Value: span.String("b")}}}
	scope := &span.Scope{}
	var spans []span.Span
	for i := range n {
		id := span.TraceID{1, byte(rng.Uint32()), byte(rng.Uint32()), byte(rng.Uint32()), byte(i >> 8), byte(i)}
		at := start + uint64(i)*1e9
		d := uint64(1000 * float64(uint64(1)<<rng.IntN(20)) * (1 + rng.Float64()))
		spans = append(spans,
			span.Span{TraceID: id, SpanID: span.SpanID{1}, Name: "call", Kind: span.KindClient, StartTime: at, EndTime: at + 2*d, Resource: a, Scope: scope},
			span.Span{
				TraceID: id, SpanID: span.SpanID{2}, ParentSpanID: span.SpanID{1}, Name: fmt.Sprint("serve ", i%2), Kind: span.KindServer,
				StartTime: at, EndTime: at + d, Status: span.Status{Code: span.StatusCode(2 * (i % 2))}, Resource: b, Scope: scope,
			})
	}
	return spans
}

// TestStatistics holds quantiles and edges over windows, from rollups and from the
// head, against the spans themselves.
func TestStatistics(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	hour := uint64(1_790_000_000_000_000_000) / 3600e9 * 3600e9
	spans := calls(rng, 12_000, hour) // 3 h 20 min
	dir := t.TempDir()
	db := openDir(t, dir, store.Options{HeadSpans: 2000})
	for from := 0; from < len(spans); from += 500 {
		if err := db.Append(t.Context(), &span.Batch{Spans: spans[from : from+500]}); err != nil {
			t.Fatal(err)
		}
	}
	minute := uint64(time.Minute)
	for _, w := range [][2]uint64{
		{0, 0},
		{hour, hour + 60*minute - 1},
		{hour + 7*minute, hour + 9*minute - 1},
		{hour + 30*minute, hour + 185*minute - 1},
		{hour + 119*minute, hour + 121*minute - 1},
		{hour + 300*minute, 0},
	} {
		in := func(s *span.Span) bool { return s.StartTime >= w[0] && (w[1] == 0 || s.StartTime <= w[1]) }
		got, err := db.OperationStats(t.Context(), w[0], w[1], nil)
		if err != nil {
			t.Fatal(err)
		}
		total := 0
		for _, o := range got {
			var durations []float64
			for i := range spans {
				s := &spans[i]
				if in(s) && s.ServiceName() == o.Service && s.Name == o.Name && s.Kind == o.Kind && s.Status.Code == o.Status {
					durations = append(durations, float64(s.Duration()))
				}
			}
			total += len(durations)
			if int(o.Durations.Count()) != len(durations) {
				t.Fatalf("window %v: %s %s: %d spans, want %d", w, o.Service, o.Name, o.Durations.Count(), len(durations))
			}
			slices.Sort(durations)
			for _, q := range []float64{0, 0.5, 0.9, 0.95, 0.99, 1} {
				want := durations[max(0, int(q*float64(len(durations))+0.999999999)-1)]
				if got := float64(o.Durations.Quantile(q)); got < want*0.99 || got > want*1.01 {
					t.Errorf("window %v: %s %s: p%g is %g, want %g within 1 %%", w, o.Service, o.Name, 100*q, got, want)
				}
			}
		}
		want, errors := 0, 0
		for i := range spans {
			if in(&spans[i]) {
				want++
				if spans[i].Status.Code == span.StatusError {
					errors++
				}
			}
		}
		if total != want {
			t.Errorf("window %v: %d spans, want %d", w, total, want)
		}
		edges, err := db.Edges(t.Context(), w[0], w[1])
		if err != nil {
			t.Fatal(err)
		}
		if want == 0 {
			if len(edges) != 0 {
				t.Errorf("window %v: %d edges", w, len(edges))
			}
			continue
		}
		if len(edges) != 1 || edges[0].Parent != "a" || edges[0].Child != "b" || int(edges[0].Durations.Count()) != want/2 || int(edges[0].Errors) != errors {
			t.Errorf("window %v: edges %+v, want %d calls, %d errors", w, edges, want/2, errors)
		}
	}
}

// TestCompaction merges many small segments into few and loses nothing by it.
func TestCompaction(t *testing.T) {
	dir := t.TempDir()
	db := openDir(t, dir, store.Options{HeadSpans: 20})
	spans := calls(rand.New(rand.NewPCG(3, 4)), 1000, 1_790_000_000_000_000_000)
	for from := 0; from < len(spans); from += 20 {
		if err := db.Append(t.Context(), &span.Batch{Spans: spans[from : from+20]}); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(30 * time.Second); db.Stats().Segments >= 16 || db.Stats().Sealing > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%+v", db.Stats())
		}
	}
	s := db.Stats()
	if s.Compacted < 16 || s.Spans != len(spans) {
		t.Errorf("%+v", s)
	}
	for i := range spans {
		trace, _, err := db.Trace(t.Context(), spans[i].TraceID)
		if err != nil || len(trace.Spans) != 2 {
			t.Fatalf("trace of span %d: %v", i, err)
		}
	}
	got, err := db.OperationStats(t.Context(), 0, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	n := uint64(0)
	for _, o := range got {
		n += o.Durations.Count()
	}
	if n != uint64(len(spans)) {
		t.Errorf("%d spans in statistics, want %d", n, len(spans))
	}
}

// TestRetention drops the oldest segments by bytes and by age, and says so.
func TestRetention(t *testing.T) {
	dir := t.TempDir()
	now := time.Unix(1_790_000_000, 0)
	var said bytes.Buffer
	db := openDir(t, dir, store.Options{
		HeadSpans: 200, MaxBytes: 100 << 10, Durability: store.Durability{Sync: true}, Now: func() time.Time { return now },
		Log: slog.New(slog.NewJSONHandler(&said, nil)),
	})
	spans := calls(rand.New(rand.NewPCG(5, 6)), 5000, 1_789_990_000_000_000_000)
	for from := 0; from < len(spans); from += 100 {
		if err := db.Append(t.Context(), &span.Batch{Spans: spans[from : from+100]}); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(30 * time.Second); db.Stats().Bytes > 100<<10; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%+v", db.Stats())
		}
	}
	s := db.Stats()
	if s.Evicted.Spans == 0 || s.Evicted.Bytes == 0 || s.Evicted.OldestKept.IsZero() {
		t.Errorf("%+v", s.Evicted)
	}
	if _, _, err := db.Trace(t.Context(), spans[0].TraceID); err == nil {
		t.Error("the first trace is still there")
	}
	if _, _, err := db.Trace(t.Context(), spans[len(spans)-1].TraceID); err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	var inLog uint64
	for dec := json.NewDecoder(&said); dec.More(); {
		var line struct {
			Msg   string
			Spans uint64
		}
		if err := dec.Decode(&line); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(line.Msg, "the oldest spans were dropped") {
			inLog += line.Spans
		}
	}
	if want := db.Stats().Evicted.Spans; inLog != want {
		t.Errorf("the log says that %d spans were dropped, want %d", inLog, want)
	}
	now = now.Add(time.Hour)
	db = openDir(t, dir, store.Options{Retention: time.Minute, Now: func() time.Time { return now }})
	for deadline := time.Now().Add(30 * time.Second); db.Stats().Segments > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%+v", db.Stats())
		}
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*.seg")); len(files) > 0 {
		t.Errorf("files are left: %v", files)
	}
}

// TestRetentionOfLast keeps a segment for as long as its last span is young enough.
func TestRetentionOfLast(t *testing.T) {
	var now atomic.Int64
	now.Store(1_790_000_000)
	db := openDir(t, t.TempDir(), store.Options{HeadSpans: 20, Retention: time.Minute, Now: func() time.Time { return time.Unix(now.Load(), 0) }})
	segments := uint64(0)
	seal := func(n int, between int64) { // a segment of two requests, ten spans each
		t.Helper()
		for i := range 2 {
			now.Add(int64(i) * between)
			if err := db.Append(t.Context(), numbered(n+i)); err != nil {
				t.Fatal(err)
			}
		}
		segments++
		for deadline := time.Now().Add(30 * time.Second); db.Stats().Sealed < segments; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%+v", db.Stats())
			}
		}
	}
	seal(0, 50)
	now.Add(30) // the first is 80 s old, the last 30 s
	seal(2, 0)
	seal(4, 0) // begins after what was too old has gone
	if s := db.Stats(); s.Evicted.Spans != 0 {
		t.Errorf("dropped too early: %+v", s.Evicted)
	}
	now.Add(31)
	seal(6, 0)
	seal(8, 0)
	if s := db.Stats(); s.Evicted.Spans != 20 {
		t.Errorf("not dropped: %+v", s.Evicted)
	}
}

// TestLocked refuses a directory that is open already, in words.
func TestLocked(t *testing.T) {
	dir := t.TempDir()
	openDir(t, dir, store.Options{})
	_, err := store.Open(dir, store.Options{})
	if err == nil || err.Error() != fmt.Sprintf("opening store %q: directory is in use by another process: %s is locked", dir, filepath.Join(dir, "LOCK")) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Error(err)
	}
}
