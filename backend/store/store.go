// Package store keeps the spans that were received and answers questions about
// them.
//
// A [DB] holds everything in memory, bounded in bytes: when Append goes past the
// bound, the traces that have waited longest for a new span go, and it says so in
// [Stats] and, at most once a minute, in the log. A stop of the process loses all.
// Spans are kept encoded, a few hundred bytes each, beside a small pointer-free
// entry that searches read, and counted as what they really take.
//
// Spans of a trace may arrive in any order, late, twice or never, so a trace is
// never complete and readers get what has arrived. Of spans with the same trace
// id and span id one is kept, and which one does not depend on their order: that
// which ends last, then that with the longer encoding, then the greater bytes.
//
// All methods may be called at the same time. An append is visible when it
// returns, and part of it may be visible before. Readers hold the lock only in
// short steps; what they return is theirs.
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/throughline/throughline/backend/span"
)

// DefaultMaxBytes bounds a store that is not told otherwise.
const DefaultMaxBytes = 256 << 20

// ErrClosed is returned by Append after Close.
var ErrClosed = errors.New("store is closed")

// ErrNotFound is returned for a trace of which no span is held.
var ErrNotFound = errors.New("trace not found")

// Options are the settings of a [DB].
type Options struct {
	// MaxBytes bounds the memory of what is held; 0 means DefaultMaxBytes.
	// One trace may take half of it, and its further spans are rejected.
	MaxBytes int64
	// Retention is how long a trace stays after its last span; 0 means for as
	// long as there is room.
	Retention time.Duration
	// Log is told about evictions; nil means slog.Default.
	Log *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// DB is a store in memory. Make it with New and end it with Close.
type DB struct {
	options Options

	mu         sync.RWMutex // guards everything down to the blank line
	closed     bool
	traces     map[span.TraceID]*trace
	oldest     *trace // by time of the last span
	newest     *trace
	timeline   timeline // all traces
	services   map[string]*service
	resources  map[string]*resource
	origins    map[originKey]*origin
	bytes      int64
	spans      int
	number     uint64 // of the last new trace
	duplicates uint64
	evicted    Evicted

	subscribers subscribers
	announcer   announcer
	stop        func()
}

// New makes an empty store.
func New(options Options) *DB {
	if options.MaxBytes <= 0 {
		options.MaxBytes = DefaultMaxBytes
	}
	if options.Log == nil {
		options.Log = slog.Default()
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	db := &DB{
		options:   options,
		traces:    map[span.TraceID]*trace{},
		services:  map[string]*service{},
		resources: map[string]*resource{},
		origins:   map[originKey]*origin{},
	}
	done := make(chan struct{})
	var background sync.WaitGroup
	background.Go(func() { db.maintain(done) })
	db.stop = sync.OnceFunc(func() {
		close(done)
		background.Wait()
	})
	return db
}

// Close ends the store's background work and subscriptions; Append then returns
// ErrClosed. What is held can still be read.
func (db *DB) Close() error {
	db.mu.Lock()
	db.closed = true
	db.mu.Unlock()
	db.stop()
	db.subscribers.close()
	return nil
}

// Append stores the spans of a batch that was validated. Spans it has no room for
// are counted in batch.Rejected; an error is about the whole batch. It keeps
// nothing of the batch. A context that ends stops it between traces.
func (db *DB) Append(ctx context.Context, batch *span.Batch) error {
	groups := groupByTrace(batch.Spans)
	changed := make([]span.TraceID, 0, len(groups))
	defer func() {
		db.subscribers.notify(changed)
		db.announce()
	}()
	var e encoder
	for i := range groups {
		if err := ctx.Err(); err != nil {
			return err
		}
		g := &groups[i]
		e.encode(g)
		added, err := db.appendGroup(g, &e, batch)
		if err != nil {
			return fmt.Errorf("appending to trace %s: %w", g.id, err)
		}
		if added {
			changed = append(changed, g.id)
		}
	}
	return nil
}

// group is spans of one trace.
type group struct {
	id    span.TraceID
	spans []*span.Span
}

// maxGroup bounds how many spans are added under one hold of the lock.
const maxGroup = 1024

func groupByTrace(spans []span.Span) []group {
	var groups []group
	at := make(map[span.TraceID]int)
	for i := range spans {
		s := &spans[i]
		j, ok := at[s.TraceID]
		if !ok || len(groups[j].spans) == maxGroup {
			j = len(groups)
			at[s.TraceID] = j
			groups = append(groups, group{id: s.TraceID})
		}
		groups[j].spans = append(groups[j].spans, s)
	}
	return groups
}

// encoder holds one encoded group, outside the lock; its memory serves the next.
type encoder struct {
	buf   []byte
	ends  []int       // of the spans in buf
	keys  [][2]string // of the resource and the scope of each span
	last  span.Span   // whose resource and scope known is of
	known [2]string
	chunk []byte // for appendGroup
}

func (e *encoder) encode(g *group) {
	e.buf, e.ends, e.keys = e.buf[:0], e.ends[:0], e.keys[:0]
	for _, s := range g.spans {
		e.buf = s.AppendProto(e.buf)
		e.ends = append(e.ends, len(e.buf))
		if s.Resource != e.last.Resource || e.known[0] == "" {
			e.last.Resource = s.Resource
			e.known[0] = string(orEmpty(s.Resource).AppendProto(nil))
		}
		if s.Scope != e.last.Scope || e.known[1] == "" {
			e.last.Scope = s.Scope
			e.known[1] = string(orEmpty(s.Scope).AppendProto(nil))
		}
		e.keys = append(e.keys, e.known)
	}
}

func orEmpty[T any](p *T) *T {
	if p == nil {
		return new(T)
	}
	return p
}

// appendGroup adds spans to their trace and evicts what there is no room for.
func (db *DB) appendGroup(g *group, e *encoder, batch *span.Batch) (added bool, err error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return false, ErrClosed
	}
	t := db.traces[g.id]
	if t == nil {
		t = &trace{id: g.id, root: -1, earliest: -1, start: math.MaxUint64}
	}
	if len(e.buf) > math.MaxUint32 {
		return false, fmt.Errorf("%d bytes of spans at once", len(e.buf))
	}
	a := appending{db: db, trace: t, chunk: e.chunk[:0], oldStart: t.start, oldEnd: t.end, oldServices: len(t.services.list), oldOps: len(t.ops.list)}
	if t.entries == nil {
		t.entries = make([]entry, 0, len(g.spans))
	}
	from := 0
	for i, s := range g.spans {
		data := e.buf[from:e.ends[i]]
		from = e.ends[i]
		if t.size+int64(len(a.chunk)+len(data)) > db.options.MaxBytes/2 {
			batch.Rejected.Add(fmt.Sprintf("trace has %d bytes, half of what the store may hold", t.size), s)
			continue
		}
		if err := a.span(s, data, e.keys[i][0], e.keys[i][1]); err != nil {
			return false, err
		}
	}
	if len(t.entries) == 0 { // all of them rejected
		return false, nil
	}
	if db.traces[g.id] == nil {
		db.number++
		t.number = db.number
		db.traces[g.id] = t
	}
	a.finish()
	e.chunk = a.chunk
	db.evict()
	return a.changed, nil
}
