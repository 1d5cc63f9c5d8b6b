package store

import (
	"strings"
	"unsafe"

	"github.com/throughline/throughline/backend/span"
)

// trace is what is held of one trace. All of it is guarded by DB.mu, except
// that the strings in chunks never change: a reader copies the headers under
// the lock and decodes without it.
type trace struct {
	id     span.TraceID
	number uint64 // of arrival, unique

	entries  []entry  // one per span id, in order of arrival
	chunks   []string // encoded spans; an entry says where its span is
	origins  set[*origin]
	ops      set[*operation]
	stats    []opStats // of ops
	services set[*service]
	index    *spanIndex // nil while linear searches are as fast

	start, end  uint64
	maxDuration uint64 // of a span
	root        int32  // index of the entry, -1 while there is none
	earliest    int32
	orphans     int32
	errors      int32
	live        int   // bytes of chunks that entries refer to
	stored      int   // bytes of chunks
	size        int64 // bytes accounted for
	received    int64 // unix nanoseconds of the last span

	older, newer *trace // by received
}

// entry is what searches need of a span without decoding it. It has no
// pointers, so that the garbage collector does not look at entries.
type entry struct {
	id, parent       span.SpanID
	start, end       uint64
	chunk, off, size uint32
	op, origin       uint32 // indexes in trace.ops and trace.origins
	status           span.StatusCode
}

// opStats counts the spans of one operation in one trace.
type opStats struct {
	spans, errors uint32
	first         uint64 // earliest start
}

// spanIndex finds spans in a trace of many.
type spanIndex struct {
	byID     map[span.SpanID]int32
	children map[span.SpanID]int32 // how many entries name this parent
}

// indexFrom is the number of spans at which a trace gets its spanIndex.
const indexFrom = 33

// set is a small set with positions, with a map once it is not small.
type set[T comparable] struct {
	list []T
	at   map[T]uint32
}

func (s *set[T]) add(x T) (at uint32, added bool) {
	if s.at != nil {
		if at, ok := s.at[x]; ok {
			return at, false
		}
	} else {
		for i, y := range s.list {
			if x == y {
				return uint32(i), false
			}
		}
	}
	at = uint32(len(s.list))
	s.list = append(s.list, x)
	if s.at != nil {
		s.at[x] = at
	} else if len(s.list) == indexFrom {
		s.at = make(map[T]uint32, 2*indexFrom)
		for i, y := range s.list {
			s.at[y] = uint32(i)
		}
	}
	return at, true
}

func (s *set[T]) bytes() int {
	return cap(s.list)*int(unsafe.Sizeof(*new(T))) + len(s.at)*40
}

// find returns the index of the entry with that id, -1 when there is none.
func (t *trace) find(id span.SpanID) int32 {
	if t.index != nil {
		if i, ok := t.index.byID[id]; ok {
			return i
		}
		return -1
	}
	for i := range t.entries {
		if t.entries[i].id == id {
			return int32(i)
		}
	}
	return -1
}

// children counts the entries that name id as their parent.
func (t *trace) children(id span.SpanID) int32 {
	if t.index != nil {
		return t.index.children[id]
	}
	n := int32(0)
	for i := range t.entries {
		if t.entries[i].parent == id {
			n++
		}
	}
	return n
}

// add appends an entry whose id is new and keeps the figures of the trace.
func (t *trace) add(e entry) {
	t.orphans -= t.children(e.id)
	at := int32(len(t.entries))
	t.entries = append(t.entries, e)
	if t.index != nil {
		t.index.byID[e.id] = at
		if !e.parent.IsZero() {
			t.index.children[e.parent]++
		}
	} else if len(t.entries) == indexFrom {
		t.buildIndex()
	}
	if !e.parent.IsZero() && t.find(e.parent) < 0 {
		t.orphans++
	}
	t.count(at)
}

// count takes the entry at i into the figures that do not depend on others.
func (t *trace) count(i int32) {
	e := &t.entries[i]
	st := &t.stats[e.op]
	if st.spans == 0 || e.start < st.first {
		st.first = e.start
	}
	st.spans++
	if e.status == span.StatusError {
		st.errors++
		t.errors++
	}
	t.end = max(t.end, e.end)
	t.maxDuration = max(t.maxDuration, e.end-e.start)
	if t.earliest < 0 || t.entries[t.earliest].after(e) {
		t.earliest = i
		t.start = e.start
	}
	if e.parent.IsZero() && (t.root < 0 || t.entries[t.root].after(e)) {
		t.root = i
	}
}

// after orders entries by start and id, so that the order of arrival decides nothing.
func (e *entry) after(o *entry) bool {
	if e.start != o.start {
		return e.start > o.start
	}
	return string(e.id[:]) > string(o.id[:])
}

func (t *trace) buildIndex() {
	t.index = &spanIndex{
		byID:     make(map[span.SpanID]int32, 2*len(t.entries)),
		children: make(map[span.SpanID]int32, len(t.entries)),
	}
	for i := range t.entries {
		t.index.byID[t.entries[i].id] = int32(i)
		if p := t.entries[i].parent; !p.IsZero() {
			t.index.children[p]++
		}
	}
}

// reparent tells the index that an entry has another parent.
func (t *trace) reparent(from, to span.SpanID) {
	if t.index == nil {
		return
	}
	if !from.IsZero() {
		if t.index.children[from]--; t.index.children[from] == 0 {
			delete(t.index.children, from)
		}
	}
	if !to.IsZero() {
		t.index.children[to]++
	}
}

// recount makes the figures anew after an entry was replaced, and the number of
// orphans too when parents have changed.
func (t *trace) recount(parents bool) {
	clear(t.stats)
	t.start, t.end, t.maxDuration, t.errors = 0, 0, 0, 0
	t.root, t.earliest = -1, -1
	for i := range t.entries {
		t.count(int32(i))
	}
	if !parents {
		return
	}
	t.orphans = 0
	for i := range t.entries {
		if p := t.entries[i].parent; !p.IsZero() && t.find(p) < 0 {
			t.orphans++
		}
	}
}

// compact drops the bytes of replaced spans once they are most of the trace.
func (t *trace) compact() {
	if t.stored < 4096 || t.live > t.stored/2 {
		return
	}
	var b strings.Builder
	b.Grow(t.live)
	for i := range t.entries {
		e := &t.entries[i]
		data := t.data(e)
		e.chunk, e.off = 0, uint32(b.Len())
		b.WriteString(data)
	}
	t.chunks = []string{b.String()}
	t.stored = t.live
}

// data is the encoded span of an entry.
func (t *trace) data(e *entry) string { return t.chunks[e.chunk][e.off:][:e.size] }

// account returns the bytes that the trace takes: what it holds, its place in
// the maps and timelines, and the allocator's rounding.
func (t *trace) account() int64 {
	n := int(unsafe.Sizeof(*t)) + 64 // the map of traces and the timeline of all
	n += cap(t.entries) * int(unsafe.Sizeof(entry{}))
	n += cap(t.chunks)*int(unsafe.Sizeof("")) + t.stored + t.stored/16 + 8*len(t.chunks)
	n += t.origins.bytes() + t.ops.bytes() + t.services.bytes()
	n += cap(t.stats) * int(unsafe.Sizeof(opStats{}))
	n += (len(t.ops.list) + len(t.services.list)) * 24 // their timelines
	if t.index != nil {
		n += (len(t.index.byID) + len(t.index.children)) * 36
	}
	return int64(n)
}

func (t *trace) summary() span.Summary {
	first := &t.entries[t.earliest]
	if t.root >= 0 {
		first = &t.entries[t.root]
	}
	op := t.ops.list[first.op]
	return span.Summary{
		TraceID: t.id,
		HasRoot: t.root >= 0, RootService: op.service.name, RootName: op.name, RootKind: op.kind, RootStatus: first.status,
		StartTime: t.start, EndTime: t.end,
		SpanCount: len(t.entries), ErrorCount: int(t.errors), OrphanCount: int(t.orphans),
		Services:     t.serviceCounts(),
		LastReceived: unixNano(t.received),
	}
}
