package store

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/throughline/throughline/backend/span"
)

// snapshot is a trace as it was at one moment, still encoded.
type snapshot struct {
	id      span.TraceID
	entries []entry
	chunks  []string
	origins []*origin
	ops     []*operation
}

// snapshot copies what may change; the lock must be held.
func (t *trace) snapshot() snapshot {
	return snapshot{t.id, slices.Clone(t.entries), slices.Clone(t.chunks), slices.Clone(t.origins.list), slices.Clone(t.ops.list)}
}

// Trace returns all that is held of one trace, with its summary, or ErrNotFound.
func (db *DB) Trace(ctx context.Context, id span.TraceID) (*span.Trace, span.Summary, error) {
	db.mu.RLock()
	t := db.traces[id]
	if t == nil {
		db.mu.RUnlock()
		return nil, span.Summary{}, fmt.Errorf("%w: %s", ErrNotFound, id)
	}
	held, summary := t.snapshot(), t.summary()
	db.mu.RUnlock()
	out, err := held.decode(ctx)
	return out, summary, err
}

func (s *snapshot) decode(ctx context.Context) (*span.Trace, error) {
	out := &span.Trace{ID: s.id, Spans: make([]span.Span, len(s.entries))}
	slices.SortFunc(s.entries, func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.start, b.start), bytes.Compare(a.id[:], b.id[:]))
	})
	for i := range s.entries {
		if i%1024 == 1023 {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
		}
		e := &s.entries[i]
		o := s.origins[e.origin]
		sp := &out.Spans[i]
		sp.Resource, sp.Scope = o.resource.value, o.scope
		if err := sp.ReadProto(s.chunks[e.chunk][e.off:][:e.size]); err != nil {
			return nil, fmt.Errorf("reading span %s of trace %s: %w", e.id, s.id, err)
		}
	}
	return out, nil
}

// Dependency is an edge of the service graph: spans of Child whose parent is a
// span of Parent. Calls inside one service are an edge from it to itself.
type Dependency struct {
	Parent, Child string
	CallCount     int
	ErrorCount    int // of the child's spans
}

// Dependencies returns the edges of the traces that overlap the range of unix
// nanoseconds, by parent and child. A bound of 0 is none.
func (db *DB) Dependencies(ctx context.Context, start, end uint64) ([]Dependency, error) {
	type edge struct{ parent, child string }
	edges := map[edge]*Dependency{}
	last := key{start: math.MaxUint64, trace: &trace{number: math.MaxUint64}}
	if end != 0 {
		last.start = end
	}
	page := make([]key, 0, pageTraces)
	at := map[span.SpanID]int32{}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var snapshots []snapshot
		looked := 0
		db.mu.RLock()
		page = db.timeline.before(last, start, page[:0])
		for _, k := range page {
			if looked > pageEntries {
				break
			}
			last = k
			looked += len(k.trace.entries)
			if k.trace.end >= start {
				snapshots = append(snapshots, k.trace.snapshot())
			}
		}
		db.mu.RUnlock()
		if len(page) == 0 {
			break
		}
		for _, s := range snapshots {
			if len(at) > pageEntries { // clearing costs what it once held
				at = map[span.SpanID]int32{}
			}
			clear(at)
			for i := range s.entries {
				at[s.entries[i].id] = int32(i)
			}
			for i := range s.entries {
				e := &s.entries[i]
				p, ok := at[e.parent]
				if !ok {
					continue
				}
				k := edge{s.ops[s.entries[p].op].service.name, s.ops[e.op].service.name}
				d := edges[k]
				if d == nil {
					d = &Dependency{Parent: k.parent, Child: k.child}
					edges[k] = d
				}
				d.CallCount++
				if e.status == span.StatusError {
					d.ErrorCount++
				}
			}
		}
	}
	list := make([]Dependency, 0, len(edges))
	for _, d := range edges {
		list = append(list, *d)
	}
	slices.SortFunc(list, func(a, b Dependency) int {
		return cmp.Or(cmp.Compare(a.Parent, b.Parent), cmp.Compare(a.Child, b.Child))
	})
	return list, nil
}
