package store

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/throughline/throughline/backend/span"
)

// someSpans makes a request in which every kind of column occurs.
func someSpans(rng *rand.Rand, n int) []span.Span {
	resource := &span.Resource{Attributes: []span.Attribute{{Key: "service.name", Value: span.String("fuzzed")}}}
	scope := &span.Scope{Name: "scope", Version: "1"}
	var spans []span.Span
	for i := range n {
		s := span.Span{
			TraceID: span.TraceID{1, byte(i / 7)}, SpanID: span.SpanID{2, byte(i), byte(i >> 8)}, Name: []string{"a", "b"}[i%2],
			Kind: span.Kind(i % 6), StartTime: 1_790_000_000_000_000_000 + rng.Uint64N(1e9), Flags: 1, Resource: resource, Scope: scope,
			Status: span.Status{Code: span.StatusCode(i % 3), Message: []string{"", "no"}[i%2]}, TraceState: []string{"", "x=y", "ot=th:c"}[i%3],
		}
		s.EndTime = s.StartTime + rng.Uint64N(1e9)
		if i%7 > 0 {
			s.ParentSpanID = span.SpanID{2, byte(i - i%3), byte(i >> 8)}
		}
		long := make([]byte, 5000)
		for j := range long {
			long[j] = 'a' + byte(rng.IntN(26))
		}
		s.Attributes = []span.Attribute{
			{Key: "few", Value: span.Int(int64(i%3) * 100)},
			{Key: "many", Value: span.Int(int64(rng.Uint64()))},
			{Key: "yes", Value: span.Bool(i%2 == 0)},
			{Key: "float", Value: span.Float(rng.NormFloat64())},
			{Key: "word", Value: span.String([]string{"x", "yy"}[i%2])},
			{Key: "bytes", Value: span.Bytes("\x00\xff")},
			{Key: "list", Value: span.List([]span.Value{span.Int(1), {}})},
			{Key: "none"},
			{Key: "few", Value: span.String("again")},
		}
		if i%16 == 0 {
			s.Attributes = append(s.Attributes, span.Attribute{Key: "long", Value: span.String(string(long))})
		}
		if i%4 == 0 {
			s.Events = []span.Event{{Time: s.StartTime + 5, Name: "event", Attributes: []span.Attribute{{Key: "k", Value: span.String("v")}}}, {}}
			s.Links = []span.Link{{TraceID: span.TraceID{9}, SpanID: span.SpanID{9}, Flags: 3, TraceState: "t=u"}}
		}
		spans = append(spans, s)
	}
	return spans
}

// headOf makes a head.
func headOf(t testing.TB, spans []span.Span) *head {
	t.Helper()
	h := newHead()
	var stream span.Stream
	h.received = 1_790_000_000_000_000_000
	if r, err := stream.Decode(string(span.EncodeProto(spans)), h.received, h); err != nil || r.Count > 0 {
		t.Fatal(err, r.String())
	}
	h.commit(h.n)
	return h
}

// segmentOf makes the bytes of a segment.
func segmentOf(t testing.TB, spans []span.Span) []byte {
	t.Helper()
	h := headOf(t, spans)
	db := newDB("", Options{}.orDefault())
	db.head = h
	f := &memoryFile{}
	if err := sealHead(db.read(), h, f); err != nil {
		t.Fatal(err)
	}
	return f.data
}

// repair makes the checksums of a segment match its bytes.
func repair(file []byte) {
	if len(file) < headerSize+trailerSize {
		return
	}
	t := file[len(file)-trailerSize:]
	table, foot := binary.LittleEndian.Uint64(t), binary.LittleEndian.Uint64(t[8:])
	rest := uint64(len(file) - trailerSize)
	if table > rest || foot > rest || table+(table+pageSize-1)/pageSize*4 > rest {
		return
	}
	for p := uint64(0); p*pageSize < table; p++ {
		page := file[p*pageSize : min((p+1)*pageSize, table)]
		binary.LittleEndian.PutUint32(file[table+p*4:], crc32.Checksum(page, castagnoli))
	}
	sum := crc32.Update(crc32.Checksum(file[table:rest], castagnoli), castagnoli, t[:24])
	binary.LittleEndian.PutUint32(t[24:], sum)
}

// readAll asks a segment everything; damage is an error, never a panic.
func readAll(t *testing.T, file []byte) {
	s, err := openSegment("fuzzed", file, nil)
	if err != nil {
		var corrupt *CorruptError
		var version *VersionError
		if !errors.As(err, &corrupt) && !errors.As(err, &version) {
			t.Fatalf("error %v of no type", err)
		}
		return
	}
	db := newDB("", Options{Log: slog.New(slog.DiscardHandler)}.orDefault())
	db.fs = newMemory()
	ask := func(f func(r *reading) error) {
		r := &reading{db: db, segments: []*segment{s}, readers: map[*segment]*rowReader{}}
		_ = r.attempt(f)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for _, f := range []*Filter{
		{},
		{Service: new("fuzzed"), MinDuration: 1000, Limit: 3},
		{Attributes: []AttributeFilter{{"few", "100"}, {"word", "x"}}},
		{Attributes: []AttributeFilter{{"long", "no"}}},
		{Attributes: []AttributeFilter{{"few", "again"}}},
		{Attributes: []AttributeFilter{{"many", "5"}}},
		{Attributes: []AttributeFilter{{"float", "0.5"}}},
	} {
		ask(func(r *reading) error { return newSearch(ctx, r, f).run() })
	}
	// A head that has parts of the same traces, and some of the same spans.
	later := headOf(t, someSpans(rand.New(rand.NewPCG(5, 5)), 90))
	ask(func(r *reading) error {
		r.heads = []*headView{later.view(later.n)}
		r.spreadCalls(0, true, func(*spread) {})
		return nil
	})
	for i := range s.traces() {
		if i > 1000 {
			break
		}
		ask(func(r *reading) error {
			id := s.traceID(i)
			var p part
			r.gather(id, &p)
			var sp span.Span
			for j := range p.spans {
				if j > 1000 {
					break
				}
				r.load(id, &p.spans[j], &sp)
			}
			return nil
		})
	}
	ask(func(r *reading) error {
		r.operations(func(string, string, int32, int32, int, uint64) {})
		w := windowOf(0, 0)
		for i := range s.foot.oService.n {
			s.tally(s.foot.oMinutes, s.foot.oHours, int(i), w, func() func(uint32, int64) { return new(Sketch).add })
		}
		return nil
	})
	runScans(ctx, ask)
	ask(func(r *reading) error {
		return newMerge([]*segment{s, s}, &memoryFile{}, make(chan struct{})).run()
	})
}

// FuzzSegment changes bytes of a segment, with checksums that match, so that the
// readers behind them are reached.
func FuzzSegment(f *testing.F) {
	whole := segmentOf(f, someSpans(rand.New(rand.NewPCG(1, 1)), 60))
	f.Add(uint32(0), []byte{}, false)
	rng := rand.New(rand.NewPCG(2, 2))
	for range 200 {
		change := make([]byte, 1+rng.IntN(8))
		for i := range change {
			change[i] = byte(rng.Uint32())
		}
		f.Add(rng.Uint32(), change, rng.IntN(4) == 0)
	}
	f.Fuzz(func(t *testing.T, at uint32, change []byte, cut bool) {
		file := append([]byte{}, whole...)
		at %= uint32(len(file))
		copy(file[at:], change)
		if cut {
			file = file[:at]
		}
		repair(file)
		readAll(t, file)
	})
}

// TestDamage changes every part of a segment, one byte at a time.
func TestDamage(t *testing.T) {
	whole := segmentOf(t, someSpans(rand.New(rand.NewPCG(1, 1)), 60))
	step := 120
	if testing.Short() {
		step = 331
	}
	rng := rand.New(rand.NewPCG(4, 4))
	for at := 0; at < len(whole); at += 1 + rng.IntN(step) {
		file := append([]byte{}, whole...)
		file[at] ^= byte(1 + rng.IntN(255))
		repair(file)
		readAll(t, file)
	}
	// Without matching checksums every change is found.
	for at := headerSize; at < len(whole); at += 1 + rng.IntN(step) {
		file := append([]byte{}, whole...)
		file[at] ^= 1
		s, err := openSegment("damaged", file, nil)
		if err == nil {
			r := &reading{segments: []*segment{s}}
			err = r.attempt(func(*reading) error { s.bytes(0, uint64(len(s.data))); return nil })
		}
		var corrupt *CorruptError
		if !errors.As(err, &corrupt) && at < len(whole)-20 {
			t.Fatalf("a change at %d of %d is not found: %v", at, len(whole), err)
		}
	}
}

// logOf makes the bytes of a log.
func logOf(t testing.TB, requests ...string) []byte {
	t.Helper()
	fs := newMemory()
	w, err := createWAL(fs, "", 1, Durability{Sync: true})
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range requests {
		c := &commit{request: r, received: uint64(i), settle: func(error) {}}
		w.enqueue(c)
		if err := w.wait(c); err != nil {
			t.Fatal(err)
		}
	}
	return fs.files[w.name].data
}

// FuzzWAL reads any bytes behind good records: those are all there, and nothing
// panics.
func FuzzWAL(f *testing.F) {
	good := []string{"one", "", "three three three"}
	log := logOf(f, good...)
	f.Add([]byte{})
	f.Add(log)
	f.Add(log[walHeader:])
	f.Add(log[walHeader+5:])
	f.Fuzz(func(t *testing.T, tail []byte) {
		var got []string
		keep := func(_ uint64, r string) error { got = append(got, r); return nil }
		if _, err := readWAL("fuzzed", append(append([]byte{}, log...), tail...), keep); err != nil {
			t.Fatal(err)
		}
		if len(got) < len(good) {
			t.Fatalf("%d records, want at least %d", len(got), len(good))
		}
		for i, r := range good {
			if got[i] != r {
				t.Fatalf("record %d is %q", i, got[i])
			}
		}
		got = nil
		_, _ = readWAL("fuzzed", tail, keep)
	})
}

// TestLogDamage cuts and changes a log at every byte: what does not match is left
// out, and what does is there.
func TestLogDamage(t *testing.T) {
	good := []string{"first request", "second request", "third"}
	log := logOf(t, good...)
	for at := range log {
		for _, cut := range []bool{true, false} {
			file := append([]byte{}, log...)
			if file[at] ^= 0xff; cut {
				file = file[:at]
			}
			n := 0
			read, err := readWAL("damaged", file, func(_ uint64, r string) error {
				for n < len(good) && good[n] != r {
					n++
				}
				if n == len(good) {
					t.Fatalf("at %d: read %q", at, r)
				}
				n++
				return nil
			})
			if err != nil {
				t.Fatalf("at %d: %v", at, err)
			}
			if want := len(good) - 1; !cut && (read.Records < want || at < walHeader && read.Records == want) {
				t.Fatalf("at %d: read %d records of %d", at, read.Records, len(good))
			}
		}
	}
}
