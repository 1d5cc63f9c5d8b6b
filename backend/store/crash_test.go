package store_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/throughline/throughline/backend/span"
	"github.com/throughline/throughline/backend/store"
	"github.com/throughline/throughline/backend/store/storetest"
)

// numbered makes request n: ten spans of one trace.
func numbered(n int) *span.Batch {
	var id span.TraceID
	binary.BigEndian.PutUint64(id[:], uint64(n)+1)
	resource := &span.Resource{Attributes: []span.Attribute{{Key: "service.name", Value: span.String(fmt.Sprint("service-", n%3))}}}
	b := &span.Batch{}
	for i := range 10 {
		s := span.Span{
			TraceID: id, SpanID: span.SpanID{byte(i + 1)}, Name: fmt.Sprint("step ", i), Kind: span.KindServer,
			StartTime: 1_790_000_000_000_000_000 + uint64(n*1000+i), EndTime: 1_790_000_000_000_000_500 + uint64(n*1000+i),
			Attributes: []span.Attribute{{Key: "request", Value: span.Int(int64(n))}, {Key: "text", Value: span.String(fmt.Sprintf("%x", uint64(n)*0x9e3779b97f4a7c15))}},
			Resource:   resource, Scope: &span.Scope{Name: "crash"},
		}
		if i > 0 {
			s.ParentSpanID = span.SpanID{1}
		}
		b.Spans = append(b.Spans, s)
	}
	return b
}

// check counts the spans of each request: all of them when it was acknowledged,
// else all or none.
func check(t *testing.T, db *store.DB, requests int, acknowledged map[int]bool) {
	t.Helper()
	traces, spans := 0, 0
	for n := range requests {
		b := numbered(n)
		trace, _, err := db.Trace(t.Context(), b.Spans[0].TraceID)
		if errors.Is(err, store.ErrNotFound) {
			if acknowledged[n] {
				t.Fatalf("request %d was acknowledged and is lost", n)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(trace.Spans) != len(b.Spans) {
			t.Fatalf("request %d: %d spans, want all %d or none", n, len(trace.Spans), len(b.Spans))
		}
		for i := range trace.Spans {
			if string(trace.Spans[i].AppendProto(nil)) != string(b.Spans[i].AppendProto(nil)) {
				t.Fatalf("request %d: span %d is %+v", n, i, trace.Spans[i])
			}
		}
		traces, spans = traces+1, spans+len(trace.Spans)
	}
	// What a crash left twice is used once.
	if s := db.Stats(); s.Traces != traces || s.Spans != spans || s.DuplicateSpans != 0 {
		t.Fatalf("%d spans of %d traces are counted, %d more than once; %d of %d are there", s.Spans, s.Traces, s.DuplicateSpans, spans, traces)
	}
	found, err := db.Search(t.Context(), &store.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Traces) != traces {
		t.Fatalf("%d traces found, want %d", len(found.Traces), traces)
	}
}

var crashOptions = store.Options{
	HeadSpans: 35, Durability: store.Durability{Sync: true}, Log: slog.New(slog.DiscardHandler), IdleSeal: time.Hour,
}

// work appends requests until the power is lost.
func work(t *testing.T, fs *storetest.CrashFS, requests int) map[int]bool {
	t.Helper()
	options := crashOptions
	options.FS = fs
	acknowledged := map[int]bool{}
	db, err := store.Open("data", options)
	if err != nil {
		return acknowledged
	}
	for n := range requests {
		if err := db.Append(t.Context(), numbered(n)); err == nil {
			acknowledged[n] = true
		} else if !errors.Is(err, store.ErrUnavailable) {
			t.Fatal(err)
		} else {
			break
		}
	}
	db.Close() // fails after the cut
	return acknowledged
}

// TestPowerLoss cuts the power at every operation that changes the disk, sealing
// and merging included, and reopens what was synced, alone and with some of what
// was not.
func TestPowerLoss(t *testing.T) {
	const requests = 50
	whole := storetest.NewCrashFS(0)
	if n := len(work(t, whole, requests)); n != requests {
		t.Fatalf("%d of %d acknowledged", n, requests)
	}
	ops := whole.Ops()
	if ops < 200 {
		t.Fatalf("only %d operations", ops)
	}
	step := 1
	if testing.Short() {
		step = 7
	}
	for cut := 1; cut <= ops; cut += step {
		fs := storetest.NewCrashFS(cut)
		acknowledged := work(t, fs, requests)
		for _, rng := range []*rand.Rand{nil, rand.New(rand.NewPCG(uint64(cut), 1))} {
			options := crashOptions
			options.FS = fs.Restart(rng)
			db, err := store.Open("data", options)
			if err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			check(t, db, requests, acknowledged)
			if err := db.Append(t.Context(), numbered(requests)); err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			if err := db.Close(); err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
		}
	}
}

// TestFailures fails every kind of operation for a while, with errors that disks
// have. What is acknowledged stays, queries are answered, and when the errors end
// appends are taken again.
func TestFailures(t *testing.T) {
	for _, c := range []struct {
		op, suffix string
		err        error
	}{
		{"write", ".wal", syscall.ENOSPC},
		{"sync", ".wal", syscall.EIO},
		{"create", ".wal", syscall.EROFS},
		{"truncate", ".wal", syscall.EIO},
		{"syncdir", "", syscall.EIO},
		{"create", ".tmp", syscall.ENOSPC},
		{"write", ".tmp", syscall.ENOSPC},
		{"sync", ".tmp", syscall.EIO},
		{"rename", ".tmp", syscall.EIO},
		{"open", ".seg", syscall.EMFILE},
		{"map", ".seg", syscall.ENOMEM},
		{"remove", ".wal", syscall.EIO},
		{"remove", ".seg", syscall.EIO},
		{"remove", ".tmp", syscall.EIO},
		{"*", "", syscall.EROFS},
		{"*", ".wal", syscall.ENOSPC},
		{"*", ".tmp", syscall.ENOSPC},
	} {
		// Appends also go on in a head that does not fill up, with another log.
		for _, spans := range []int{crashOptions.HeadSpans, 1 << 20} {
			t.Run(fmt.Sprint(c.op, c.suffix, "/", spans), func(t *testing.T) {
				t.Parallel()
				fs := storetest.NewCrashFS(0)
				options := crashOptions
				options.FS, options.HeadSpans = fs, spans
				db, err := store.Open("data", options)
				if err != nil {
					t.Fatal(err)
				}
				acknowledged, n := map[int]bool{}, 0
				appendSome := func(count int) {
					for range count {
						ctx := t.Context()
						if err := db.Append(ctx, numbered(n)); err == nil {
							acknowledged[n] = true
						} else if !errors.Is(err, store.ErrUnavailable) {
							t.Fatal(err)
						}
						n++
					}
				}
				appendSome(10)
				fs.Fail(func(op, name string) error {
					changes := op != "open" && op != "map" && op != "list"
					if (op == c.op || c.op == "*" && changes) && strings.HasSuffix(name, c.suffix) {
						return c.err
					}
					return nil
				})
				appendSome(20)
				check(t, db, n, acknowledged)
				for i := range n {
					if _, _, err := db.Trace(t.Context(), numbered(i).Spans[0].TraceID); err == nil && !acknowledged[i] {
						t.Errorf("request %d was refused and is found", i)
					}
				}
				fs.Fail(nil)
				for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
					if err := db.Append(t.Context(), numbered(n)); err == nil {
						acknowledged[n] = true
						n++
						break
					} else if time.Now().After(deadline) {
						t.Fatalf("appends are still refused: %v", err)
					}
					n++
				}
				appendSome(10)
				check(t, db, n, acknowledged)
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
				if files := fs.Abused(); len(files) > 0 {
					t.Errorf("used again after they had failed: %v", files)
				}
				options.FS = fs.Restart(nil)
				db, err = store.Open("data", options)
				if err != nil {
					t.Fatal(err)
				}
				check(t, db, n, acknowledged)
				db.Close()
			})
		}
	}
}

// TestFullDiskLeavesNoLogs refuses many appends while every write fails, and leaves
// no file of each attempt behind.
func TestFullDiskLeavesNoLogs(t *testing.T) {
	fs := storetest.NewCrashFS(0)
	options := crashOptions
	options.FS, options.HeadSpans = fs, 1000
	db, err := store.Open("data", options)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var syncs atomic.Int64
	fs.Fail(func(op, name string) error {
		// The header goes well, the records do not.
		if op == "sync" && strings.HasSuffix(name, ".wal") && syncs.Add(1)%2 == 0 {
			return syscall.ENOSPC
		}
		return nil
	})
	refused := 0
	for deadline := time.Now().Add(time.Minute); syncs.Load() < 8 && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if err := db.Append(t.Context(), numbered(refused)); errors.Is(err, store.ErrUnavailable) {
			refused++
		} else if err == nil {
			t.Fatal("acknowledged without a sync")
		}
	}
	if s := db.Stats(); s.WALFiles > 1 || s.Unwritable == nil || refused < 4 {
		t.Errorf("%d refused, %d logs, %v", refused, s.WALFiles, s.Unwritable)
	}
}

// TestSealingBehind refuses appends rather than take memory without bound while no
// segment can be written.
func TestSealingBehind(t *testing.T) {
	fs := storetest.NewCrashFS(0)
	options := crashOptions
	options.FS, options.HeadSpans = fs, 10
	db, err := store.Open("data", options)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	fs.Fail(func(op, name string) error {
		if op == "create" && strings.HasSuffix(name, ".seg.tmp") {
			return syscall.ENOSPC
		}
		return nil
	})
	refused := 0
	for n := range 20 { // each fills a head
		if err := db.Append(t.Context(), numbered(n)); errors.Is(err, store.ErrUnavailable) {
			refused++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if s := db.Stats(); s.Sealing > 2 || refused != 18 || s.Spans != 20 {
		t.Errorf("%d refused: %+v", refused, s)
	}
	fs.Fail(nil)
}

// TestWritableAgain says that it can write once it can, without an append.
func TestWritableAgain(t *testing.T) {
	for _, suffix := range []string{".wal", ".tmp", ""} {
		fs := storetest.NewCrashFS(0)
		options := crashOptions
		options.FS = fs
		db, err := store.Open("data", options)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		fs.Fail(func(op, name string) error {
			if op == "write" && (strings.HasSuffix(name, ".wal") || strings.HasSuffix(name, suffix)) {
				return syscall.ENOSPC
			}
			return nil
		})
		if err := db.Append(t.Context(), numbered(0)); !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("%q: %v", suffix, err)
		}
		if suffix != ".wal" {
			// The log can be made and not be written: the trial says no.
			fs.Fail(func(op, name string) error {
				if op == "write" && strings.HasSuffix(name, ".tmp") {
					return syscall.ENOSPC
				}
				return nil
			})
		}
		before := fs.Ops()
		for deadline := time.Now().Add(20 * time.Second); fs.Ops() == before && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		}
		if db.Stats().Unwritable == nil {
			t.Fatalf("%q: said to be writable", suffix)
		}
		fs.Fail(nil)
		for deadline := time.Now().Add(20 * time.Second); db.Stats().Unwritable != nil; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%q: %v", suffix, db.Stats().Unwritable)
			}
		}
		if err := db.Append(t.Context(), numbered(1)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReplayAsReceived replays what was accepted under other limits, and by a clock
// that was ahead.
func TestReplayAsReceived(t *testing.T) {
	fs := storetest.NewCrashFS(0)
	options := crashOptions
	ahead := time.Now().Add(10 * 24 * time.Hour)
	options.FS, options.Limits = fs, span.Limits{Depth: 32, Memory: 1 << 20}
	options.Now = func() time.Time { return ahead }
	db, err := store.Open("data", options)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	b := numbered(0)
	deep := span.Int(1)
	for range 20 {
		deep = span.List([]span.Value{deep})
	}
	for i := range b.Spans {
		b.Spans[i].StartTime, b.Spans[i].EndTime = uint64(ahead.UnixNano()), uint64(ahead.UnixNano())+1
		b.Spans[i].Attributes = []span.Attribute{{Key: "deep", Value: deep}}
	}
	if n, rejected, err := db.AppendRequest(t.Context(), string(span.EncodeProto(b.Spans))); err != nil || n != len(b.Spans) {
		t.Fatal(n, rejected, err)
	}
	options.FS, options.Limits, options.Now = fs.Restart(nil), span.Limits{Depth: 2, Memory: 1 << 10}, nil
	after, err := store.Open("data", options)
	if err != nil {
		t.Fatal(err)
	}
	defer after.Close()
	trace, _, err := after.Trace(t.Context(), b.Spans[0].TraceID)
	if err != nil || len(trace.Spans) != len(b.Spans) {
		t.Errorf("%+v, %v", trace, err)
	}
}

// TestDroppedWhileMerged drops a segment by retention while it is merged with others:
// it does not come back, and the others stay.
func TestDroppedWhileMerged(t *testing.T) {
	var now atomic.Int64
	now.Store(1_790_000_000)
	fs := storetest.NewCrashFS(0)
	options := crashOptions
	options.FS, options.HeadSpans, options.Retention = fs, 10, time.Minute
	options.Now = func() time.Time { return time.Unix(now.Load(), 0) }
	db, err := store.Open("data", options)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	wait := func(what string, until func(s store.Stats) bool) {
		for deadline := time.Now().Add(30 * time.Second); !until(db.Stats()); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Errorf("%s: %+v", what, db.Stats())
				return
			}
		}
	}
	var merging atomic.Bool
	fs.Fail(func(op, name string) error {
		var first, last int
		if n, _ := fmt.Sscanf(name, "%d-%d.seg.tmp", &first, &last); op == "sync" && n == 2 && first < last && !merging.Swap(true) {
			now.Add(15) // the first segment is too old, the others are not
			wait("nothing dropped", func(s store.Stats) bool { return s.Evicted.Spans == 10 })
		}
		return nil
	})
	const requests = 9
	acknowledged := map[int]bool{}
	for n := range requests {
		if n == 1 {
			now.Add(50)
		}
		if n == requests-1 { // the eighth of those that are left
			wait("not merged", func(store.Stats) bool { return merging.Load() })
			wait("not dropped", func(s store.Stats) bool { return s.Evicted.Spans == 10 })
		}
		if err := db.Append(t.Context(), numbered(n)); err != nil {
			t.Fatal(err)
		}
		acknowledged[n] = n > 0
	}
	wait("not merged again", func(s store.Stats) bool { return s.Compacted == requests-1 })
	check(t, db, requests, acknowledged)
	if _, _, err := db.Trace(t.Context(), numbered(0).Spans[0].TraceID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("what was dropped is back: %v", err)
	}
}

// TestInterval acknowledges at once and syncs soon: what was acknowledged survives
// the loss of power a little later. When the sync fails, a segment keeps it.
func TestInterval(t *testing.T) {
	for _, fails := range []bool{false, true} {
		fs := storetest.NewCrashFS(0)
		options := crashOptions
		options.FS, options.Durability = fs, store.Durability{Interval: 10 * time.Millisecond}
		db, err := store.Open("data", options)
		if err != nil {
			t.Fatal(err)
		}
		var created atomic.Bool
		if fails {
			fs.Fail(func(op, name string) error {
				if op == "sync" && strings.HasSuffix(name, ".wal") && created.Swap(true) {
					return syscall.EIO
				}
				return nil
			})
		}
		if err := db.Append(t.Context(), numbered(0)); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			options.FS = fs.Restart(nil)
			after, err := store.Open("data", options)
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = after.Trace(t.Context(), numbered(0).Spans[0].TraceID)
			after.Close()
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("fails %t: not durable: %v", fails, err)
			}
		}
		fs.Fail(nil)
		db.Close()
	}
}
