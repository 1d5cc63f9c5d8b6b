package store

import (
	"math"
	"slices"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/throughline/throughline/backend/span"
)

// head is the spans that are not in a segment yet, in columns that grow. A span
// is a row and as many slots as it has values; its shape says which columns they
// belong to. Appending needs the lock of the DB, reading a view of it (see
// view.go). What is appended can be seen once it is committed.
type head struct {
	limits span.Limits

	rows   [][]row
	latest []uint64 // start in each chunk of rows
	n      int      // rows
	slots  [][]uint64
	events records
	links  records

	columns  []*headColumn
	columnAt map[columnKey]int32
	perScope [scopeCount]int
	nodes    []node
	shapes   [][]int32 // columns of a shape, in the order of its slots

	series    seriesTable
	names     dict
	resources origins[span.Resource]
	scopes    origins[span.Scope]
	traces    traceTable
	spans     spanTable

	bytes     int64     // what the head takes, as of the end of the last append
	origins   int64     // what its resources and scopes take, beside their lists
	tree      int64     // what the edges of its nodes and its shapes take
	first     time.Time // of the first append, zero while empty
	lastAdd   time.Time
	minTime   uint64 // earliest start
	maxTime   uint64 // latest end
	received  uint64 // of the request being appended
	resource  uint32 // of the spans being appended
	scope     uint32
	buf       []uint64
	rest      []span.Attribute
	proto     []byte
	committed atomic.Int64 // rows below it may be read
	// What must not be read; guarded by the DB's lock. Both are sorted by row.
	dead     []rowRange // was refused
	replaced []replaced // arrived again, differently

	duplicates uint64
	deadRows   int
	spread     spread

	wals []*wal // the last one is written to; guarded by the DB's lock
}

// row is one span. 56 bytes, no pointers.
type row struct {
	id, parent [8]byte
	start, end uint64
	received   uint64
	trace      uint32 // number
	prev       uint32 // row+1 of the trace's span before this
	series     uint32
	slots      uint32 // position
}

type rowRange struct{ from, to int }

// replaced is a row whose span arrived again as row by, which supersedes it.
type replaced struct{ row, by int }

const (
	rowChunk  = 4096
	slotBits  = 15
	slotChunk = 1 << slotBits

	maxColumns = 1024    // of one scope; further keys go to the rest
	maxNodes   = 1 << 16 // of the tree of shapes
	maxKey     = 256     // bytes; longer keys go to the rest
)

// firstChunk is the capacity that a chunk begins with: the first one grows, so that
// a head with few spans is small.
func firstChunk(chunks, size int) int {
	if chunks == 0 {
		return size / 64
	}
	return size
}

// records is the events or the links: which shape, and where the slots are.
type records struct {
	chunks [][]uint64 // shape in the high half, position of the slots in the low one
	n      int
}

func (r *records) push(shape, slots uint32) {
	if r.n%rowChunk == 0 {
		r.chunks = append(r.chunks, make([]uint64, 0, firstChunk(len(r.chunks), rowChunk)))
	}
	last := len(r.chunks) - 1
	r.chunks[last] = append(r.chunks[last], uint64(shape)<<32|uint64(slots))
	r.n++
}

func (r *records) at(i int) (shape, slots uint32) {
	v := r.chunks[i/rowChunk][i%rowChunk]
	return uint32(v >> 32), uint32(v)
}

// origins is the distinct resources or scopes.
type origins[T any] struct {
	list []*T
	keys []string // AppendProto of each
	at   map[span.Origin]uint32
}

func newHead() *head {
	h := &head{limits: replayLimits, columnAt: map[columnKey]int32{}, minTime: math.MaxUint64}
	for range 3 {
		h.nodes = append(h.nodes, node{up: -1, col: -1, shape: -1})
	}
	h.resources.at = map[span.Origin]uint32{}
	h.scopes.at = map[span.Origin]uint32{}
	return h
}

// Resource is of span.Sink.
func (h *head) Resource(o span.Origin) error {
	n, ok := h.resources.at[o]
	if !ok {
		r, err := o.Resource(h.limits)
		if err != nil {
			return err
		}
		key := string(r.AppendProto(nil)) // the strings of r are parts of the request
		if err := r.ReadProto(key); err != nil {
			return err
		}
		n = h.resources.add(o, r, key)
		h.origins += originBytes(o, key, r.Attributes) + int64(unsafe.Sizeof(*r))
	}
	h.resource = n
	return nil
}

// Scope is of span.Sink.
func (h *head) Scope(o span.Origin) error {
	n, ok := h.scopes.at[o]
	if !ok {
		c, err := o.Scope(h.limits)
		if err != nil {
			return err
		}
		key := string(c.AppendProto(nil))
		if err := c.ReadProto(key); err != nil {
			return err
		}
		n = h.scopes.add(o, c, key)
		h.origins += originBytes(o, key, c.Attributes) + int64(unsafe.Sizeof(*c))
	}
	h.scope = n
	return nil
}

func (l *origins[T]) add(o span.Origin, v *T, key string) uint32 {
	n := uint32(len(l.list))
	l.list = append(l.list, v)
	l.keys = append(l.keys, key)
	l.at[span.Origin{Message: string([]byte(o.Message)), SchemaURL: string([]byte(o.SchemaURL))}] = n
	return n
}

// Span is of span.Sink: it appends a row, unless the span is there already.
func (h *head) Span(s *span.Span) error {
	trace := h.traces.add(&s.TraceID)
	old, newer := h.findSpan(trace, s.SpanID), true
	if old >= 0 && h.isDead(old) {
		old = -1
	}
	if old >= 0 {
		h.duplicates++
		var held span.Span
		h.direct().span(old, &held)
		newer = supersedes(s, &held)
		// What is not committed yet may be refused, and this one not.
		if !newer && old < int(h.committed.Load()) {
			return nil
		}
	}
	h.append(s, trace)
	if old >= 0 && newer {
		h.replace(old, h.n-1)
	} else if old >= 0 {
		h.replace(h.n-1, old)
	}
	if newer {
		h.noteSpan(trace, s.SpanID, h.n-1)
	}
	return nil
}

func (h *head) append(s *span.Span, trace uint32) {
	at := int32(0)
	h.buf, h.rest = h.buf[:0], h.rest[:0]
	at = h.attributes(at, ScopeSpan, s.Attributes)
	if s.TraceState != "" {
		at = h.fieldText(at, ScopeSpanField, fieldTraceState, s.TraceState)
	}
	if s.Status.Message != "" {
		at = h.fieldText(at, ScopeSpanField, fieldStatusMessage, s.Status.Message)
	}
	at = h.fieldCount(at, ScopeSpanField, fieldDropped, s.DroppedAttributesCount)
	at = h.fieldCount(at, ScopeSpanField, fieldDroppedEvents, s.DroppedEventsCount)
	at = h.fieldCount(at, ScopeSpanField, fieldDroppedLinks, s.DroppedLinksCount)
	at = h.restOf(at, ScopeSpanField)
	if len(s.Events)+len(s.Links) > 0 {
		at = h.children(at, s)
	}
	name, _ := h.names.add(s.Name)
	n, _ := h.series.add(series{
		resource: h.resource, scope: h.scope, name: name, kind: int32(s.Kind), status: int32(s.Status.Code),
		flags: s.Flags, shape: uint32(h.shape(at)),
	})
	if h.n%rowChunk == 0 {
		h.rows = append(h.rows, make([]row, 0, firstChunk(len(h.rows), rowChunk)))
		h.latest = append(h.latest, 0)
	}
	chunk := &h.rows[len(h.rows)-1]
	*chunk = append(*chunk, row{
		id: s.SpanID, parent: s.ParentSpanID, start: s.StartTime, end: s.EndTime, received: h.received,
		trace: trace, prev: h.traces.last[trace], series: n, slots: h.place(h.buf),
	})
	h.n++
	h.latest[len(h.latest)-1] = max(h.latest[len(h.latest)-1], s.StartTime)
	h.traces.last[trace] = uint32(h.n)
	h.minTime, h.maxTime = min(h.minTime, s.StartTime), max(h.maxTime, s.EndTime)
}

// mapEntry is what a map takes for each entry beside key and value: a control
// byte, and the slots that are empty.
const mapEntry = 1.5

// originBytes is what an entry of origins takes, beside the value itself.
func originBytes(o span.Origin, key string, attributes []span.Attribute) int64 {
	n := len(key) + len(o.Message) + len(o.SchemaURL) + cap(attributes)*int(unsafe.Sizeof(span.Attribute{}))
	for i := range attributes {
		if t := attributes[i].Value.Type(); t == span.TypeList || t == span.TypeMap {
			n += 4 * len(key) // the values of a list take more than their encoding
		}
	}
	return int64(n) + int64(mapEntry*float64(unsafe.Sizeof(o)+4))
}

// size is what the head takes.
func (h *head) size() int64 {
	n := cap(h.rows)*24 + cap(h.latest)*8
	for _, c := range h.rows {
		n += cap(c) * int(unsafe.Sizeof(row{}))
	}
	for _, c := range h.slots {
		n += cap(c) * 8
	}
	for _, c := range slices.Concat(h.events.chunks, h.links.chunks) {
		n += cap(c) * 8
	}
	for _, c := range h.columns {
		n += c.size()
	}
	n += cap(h.nodes)*int(unsafe.Sizeof(node{})) + cap(h.shapes)*24
	n += cap(h.series.list)*int(unsafe.Sizeof(series{})) + cap(h.series.table)*4
	n += h.names.size()
	n += (cap(h.resources.list)+cap(h.scopes.list))*8 + (cap(h.resources.keys)+cap(h.scopes.keys))*16
	t := &h.traces
	n += cap(t.ids)*16 + cap(t.last)*4 + cap(t.spans)*int(unsafe.Sizeof(idFilter{})) + cap(t.table)*4
	n += int(mapEntry * float64(len(h.spans.at)*int(unsafe.Sizeof(spanKey{})+4)))
	n += (cap(h.dead) + cap(h.replaced)) * 16
	return int64(n) + h.origins + h.tree + h.spread.bytes.Load()
}

// replace notes that a row must not be read once row by can be.
func (h *head) replace(row, by int) {
	at, _ := slices.BinarySearchFunc(h.replaced, row, func(r replaced, row int) int { return r.row - row })
	h.replaced = slices.Insert(h.replaced, at, replaced{row, by})
}

// kill takes back rows that were not committed.
func (h *head) kill(from, to int) {
	if from >= to {
		return
	}
	at, _ := slices.BinarySearchFunc(h.dead, from, func(d rowRange, from int) int { return d.from - from })
	h.dead = slices.Insert(slices.Clone(h.dead), at, rowRange{from, to})
	h.deadRows += to - from
}

func (h *head) isReplaced(i int) bool {
	if len(h.replaced) == 0 {
		return false
	}
	_, ok := slices.BinarySearchFunc(h.replaced, i, func(r replaced, i int) int { return r.row - i })
	return ok
}

func (h *head) isDead(i int) bool { return inRanges(h.dead, i) }

func inRanges(ranges []rowRange, i int) bool {
	if len(ranges) == 0 {
		return false
	}
	at, ok := slices.BinarySearchFunc(ranges, i, func(d rowRange, i int) int { return d.from - i })
	return ok || at > 0 && i < ranges[at-1].to
}
