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
	for i := range groups {
		if err := ctx.Err(); err != nil {
			return err
		}
		g := &groups[i]
		g.encode()
		added, err := db.appendGroup(g, batch)
		if err != nil {
			return fmt.Errorf("appending to trace %s: %w", g.id, err)
		}
		if added {
			changed = append(changed, g.id)
		}
	}
	db.subscribers.notify(changed)
	db.announce()
	return nil
}

// group is spans of one trace, encoded outside the lock.
type group struct {
	id    span.TraceID
	spans []*span.Span
	buf   []byte
	ends  []int    // of the spans in buf
	keys  []string // of the origins: resource, scope of each span
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

func (g *group) encode() {
	var resource *span.Resource
	var scope *span.Scope
	var resourceKey, scopeKey string
	for _, s := range g.spans {
		g.buf = s.AppendProto(g.buf)
		g.ends = append(g.ends, len(g.buf))
		if s.Resource != resource || resourceKey == "" {
			resource = s.Resource
			resourceKey = string(orEmpty(resource).AppendProto(nil))
		}
		if s.Scope != scope || scopeKey == "" {
			scope = s.Scope
			scopeKey = string(orEmpty(scope).AppendProto(nil))
		}
		g.keys = append(g.keys, resourceKey, scopeKey)
	}
}

func orEmpty[T any](p *T) *T {
	if p == nil {
		return new(T)
	}
	return p
}

// appendGroup adds spans to their trace and evicts what there is no room for.
func (db *DB) appendGroup(g *group, batch *span.Batch) (added bool, err error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return false, ErrClosed
	}
	t := db.traces[g.id]
	if t == nil {
		t = &trace{id: g.id, root: -1, earliest: -1, start: math.MaxUint64}
	}
	if len(g.buf) > math.MaxUint32 {
		return false, fmt.Errorf("%d bytes of spans at once", len(g.buf))
	}
	a := appending{db: db, trace: t, oldStart: t.start, oldEnd: t.end, oldServices: len(t.services.list), oldOps: len(t.ops.list)}
	if t.entries == nil {
		t.entries = make([]entry, 0, len(g.spans))
	}
	from := 0
	for i, s := range g.spans {
		data := g.buf[from:g.ends[i]]
		from = g.ends[i]
		if t.size+int64(len(a.chunk)+len(data)) > db.options.MaxBytes/2 {
			batch.Rejected.Add(fmt.Sprintf("trace has %d bytes, half of what the store may hold", t.size), s)
			continue
		}
		if err := a.span(s, data, g.keys[2*i], g.keys[2*i+1]); err != nil {
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
	db.evict()
	return a.changed, nil
}
