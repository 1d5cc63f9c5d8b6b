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

	bytes     int64     // about what the head takes
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

// records is the events or the links: which shape, and where the slots are.
type records struct {
	chunks [][]uint64 // shape in the high half, position of the slots in the low one
	n      int
}

func (r *records) push(shape, slots uint32) {
	if r.n%rowChunk == 0 {
		r.chunks = append(r.chunks, make([]uint64, 0, rowChunk))
	}
	last := len(r.chunks) - 1
	r.chunks[last] = append(r.chunks[last], uint64(shape)<<32|uint64(slots))
	r.n++
}

func (r *records) at(i int) (shape, slots uint32) {
	v := r.chunks[i/rowChunk][i%rowChunk]
	return uint32(v >> 32), uint32(v)
}

// node is a place in the tree of shapes: the values so far, in order. Nodes 0 to
// 2 are the roots of spans, events and links.
type node struct {
	edges []edge
	more  map[columnKey]int32 // index in edges, once they are many
	last  int32               // index in edges of the one taken last
	ends  []edge              // to the fields, which come after the attributes
	up    int32
	col   int32 // column of the value that led here
	shape int32 // -1 until a span, event or link ends here
}

// edge leads to the node for one more value. A value that has no column, because
// its key was there already, has column -1.
type edge struct {
	key  string
	typ  span.Type
	col  int32
	next int32
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
		h.bytes += int64(6*len(o.Message) + 600)
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
		h.bytes += int64(6*len(o.Message) + 500)
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
	traces := len(h.traces.ids)
	trace := h.traces.add(&s.TraceID)
	if len(h.traces.ids) > traces {
		h.bytes += 80
	}
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
	name, added := h.names.add(s.Name)
	if added {
		h.bytes += int64(len(s.Name) + 24)
	}
	n, added := h.series.add(series{
		resource: h.resource, scope: h.scope, name: name, kind: int32(s.Kind), status: int32(s.Status.Code),
		flags: s.Flags, shape: uint32(h.shape(at)),
	})
	if added {
		h.bytes += 80
	}
	if h.n%rowChunk == 0 {
		h.rows = append(h.rows, make([]row, 0, rowChunk))
		h.latest = append(h.latest, 0)
		h.bytes += rowChunk * int64(unsafe.Sizeof(row{})+16)
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

// children appends the events and links, and to buf where they end.
func (h *head) children(at int32, s *span.Span) int32 {
	span, rest := h.buf, h.rest
	h.buf = nil
	for i := range s.Events {
		e := &s.Events[i]
		h.buf, h.rest = h.buf[:0], h.rest[:0]
		n := h.attributes(1, ScopeEvent, e.Attributes)
		n = h.fieldNumber(n, ScopeEventField, fieldTime, e.Time-s.StartTime)
		n = h.fieldText(n, ScopeEventField, fieldName, e.Name)
		n = h.fieldCount(n, ScopeEventField, fieldDropped, e.DroppedAttributesCount)
		n = h.restOf(n, ScopeEventField)
		h.events.push(uint32(h.shape(n)), h.place(h.buf))
		h.bytes += 8
	}
	for i := range s.Links {
		l := &s.Links[i]
		h.buf, h.rest = h.buf[:0], h.rest[:0]
		n := h.attributes(2, ScopeLink, l.Attributes)
		if !l.TraceID.IsZero() {
			n = h.fieldBytes(n, ScopeLinkField, fieldTraceID, string(l.TraceID[:]))
		}
		if !l.SpanID.IsZero() {
			n = h.fieldBytes(n, ScopeLinkField, fieldSpanID, string(l.SpanID[:]))
		}
		if l.TraceState != "" {
			n = h.fieldText(n, ScopeLinkField, fieldTraceState, l.TraceState)
		}
		n = h.fieldCount(n, ScopeLinkField, fieldFlags, l.Flags)
		n = h.fieldCount(n, ScopeLinkField, fieldDropped, l.DroppedAttributesCount)
		n = h.restOf(n, ScopeLinkField)
		h.links.push(uint32(h.shape(n)), h.place(h.buf))
		h.bytes += 8
	}
	h.buf, h.rest = span, rest
	// In a head the slot is where they end and how many they are; in a segment
	// the one before says where they begin.
	if k := len(s.Events); k > 0 {
		at = h.fieldNumber(at, ScopeSpanField, fieldEvents, uint64(h.events.n)<<24|uint64(min(k, maxChildren)))
	}
	if k := len(s.Links); k > 0 {
		at = h.fieldNumber(at, ScopeSpanField, fieldLinks, uint64(h.links.n)<<24|uint64(min(k, maxChildren)))
	}
	return at
}

// maxChildren is more events or links than the memory limit of a request allows.
const maxChildren = 1<<24 - 1

// attributes appends the values of attributes that have a column to buf, the
// others to rest, and returns the node that it ends at.
func (h *head) attributes(at int32, scope Scope, attributes []span.Attribute) int32 {
	for i := range attributes {
		a := &attributes[i]
		typ := a.Value.Type()
		n := &h.nodes[at]
		var e *edge
		if int(n.last) < len(n.edges) {
			if e = &n.edges[n.last]; e.typ != typ || e.key != a.Key {
				e = nil
			}
		}
		if e == nil {
			if e = h.edge(at, scope, a.Key, typ); e == nil {
				h.rest = append(h.rest, *a)
				continue
			}
		}
		if e.col < 0 {
			h.rest = append(h.rest, *a)
			continue
		}
		at = e.next
		c := h.columns[e.col]
		switch typ {
		case span.TypeString, span.TypeBytes:
			slot, grown := c.text(a.Value.Str())
			h.bytes += int64(grown)
			h.buf = append(h.buf, slot)
		case span.TypeList, span.TypeMap:
			h.proto = a.Value.AppendProto(h.proto[:0])
			slot, grown := c.text(unsafe.String(unsafe.SliceData(h.proto), len(h.proto)))
			h.bytes += int64(grown)
			h.buf = append(h.buf, slot)
		default:
			c.number(a.Value.Num())
			h.buf = append(h.buf, a.Value.Num())
		}
	}
	return at
}

// maxEdges is how many edges of a node are searched one by one.
const maxEdges = 12

// edge finds or makes the edge for a value, nil when it has no column because
// there are too many.
func (h *head) edge(at int32, scope Scope, key string, typ span.Type) *edge {
	n := &h.nodes[at]
	k := columnKey{scope, key, typ}
	if n.more != nil {
		if i, ok := n.more[k]; ok {
			n.last = i
			return &n.edges[i]
		}
	} else {
		for i := range n.edges {
			if e := &n.edges[i]; e.typ == typ && e.key == key {
				n.last = int32(i)
				return e
			}
		}
	}
	if len(key) > maxKey || len(h.nodes) >= maxNodes {
		return nil
	}
	col, ok := h.columnAt[k]
	if !ok {
		if h.perScope[scope] == maxColumns {
			return nil
		}
		k.key = string([]byte(key))
		col = h.addColumn(k)
	}
	e := edge{key: h.columns[col].key, typ: typ, col: col}
	for up := at; up >= 0; up = h.nodes[up].up {
		if c := h.nodes[up].col; c >= 0 && h.columns[c].scope == scope && h.columns[c].key == key {
			e.col = -1 // the first value of a key is the one that counts
		}
	}
	if e.col >= 0 {
		e.next = int32(len(h.nodes))
		h.nodes = append(h.nodes, node{up: at, col: col, shape: -1})
		n = &h.nodes[at]
	}
	n.last = int32(len(n.edges))
	n.edges = append(n.edges, e)
	h.bytes += 160
	if len(n.edges) > maxEdges {
		if n.more == nil {
			n.more = map[columnKey]int32{}
			for i, e := range n.edges {
				n.more[columnKey{scope, e.key, e.typ}] = int32(i)
			}
		}
		n.more[columnKey{scope, e.key, e.typ}] = n.last
	}
	return &n.edges[n.last]
}

func (h *head) addColumn(k columnKey) int32 {
	c := &headColumn{columnKey: k}
	if k.typ == span.TypeInt || k.typ == span.TypeFloat {
		c.few = &few{}
	}
	col := int32(len(h.columns))
	h.columns = append(h.columns, c)
	h.columnAt[k] = col
	h.perScope[k.scope]++
	h.bytes += 512
	return col
}

// field walks the edge of a field and returns its column.
func (h *head) field(at int32, scope Scope, key string, typ span.Type) (int32, *headColumn) {
	n := &h.nodes[at]
	for i := range n.ends {
		if e := &n.ends[i]; e.key == key {
			return e.next, h.columns[e.col]
		}
	}
	col, ok := h.columnAt[columnKey{scope, key, typ}]
	if !ok {
		col = h.addColumn(columnKey{scope, key, typ})
	}
	next := int32(len(h.nodes))
	h.nodes = append(h.nodes, node{up: at, col: col, shape: -1})
	h.nodes[at].ends = append(h.nodes[at].ends, edge{key: key, typ: typ, col: col, next: next})
	h.bytes += 160
	return next, h.columns[col]
}

func (h *head) fieldText(at int32, scope Scope, key, text string) int32 {
	return h.fieldString(at, scope, key, text, span.TypeString)
}

func (h *head) fieldBytes(at int32, scope Scope, key, text string) int32 {
	return h.fieldString(at, scope, key, text, span.TypeBytes)
}

func (h *head) fieldString(at int32, scope Scope, key, text string, typ span.Type) int32 {
	next, c := h.field(at, scope, key, typ)
	slot, grown := c.text(text)
	h.bytes += int64(grown)
	h.buf = append(h.buf, slot)
	return next
}

func (h *head) fieldNumber(at int32, scope Scope, key string, v uint64) int32 {
	next, c := h.field(at, scope, key, span.TypeInt)
	c.number(v)
	h.buf = append(h.buf, v)
	return next
}

func (h *head) fieldCount(at int32, scope Scope, key string, n uint32) int32 {
	if n == 0 {
		return at
	}
	return h.fieldNumber(at, scope, key, uint64(n))
}

// restOf keeps the attributes that have no column.
func (h *head) restOf(at int32, scope Scope) int32 {
	if len(h.rest) == 0 {
		return at
	}
	h.proto = span.AppendAttributes(h.proto[:0], h.rest)
	return h.fieldBytes(at, scope, fieldRest, unsafe.String(unsafe.SliceData(h.proto), len(h.proto)))
}

// place copies slots to where they stay.
func (h *head) place(slots []uint64) uint32 {
	last := len(h.slots) - 1
	if last < 0 || len(h.slots[last])+len(slots) > slotChunk {
		h.slots = append(h.slots, make([]uint64, 0, max(slotChunk, len(slots))))
		h.bytes += slotChunk * 8
		last++
	}
	c := h.slots[last]
	h.slots[last] = append(c, slots...)
	return uint32(last)<<slotBits | uint32(len(c))
}

// shape returns the number of the shape that ends at a node.
func (h *head) shape(at int32) int32 {
	n := &h.nodes[at]
	if n.shape < 0 {
		var columns []int32
		for up := at; h.nodes[up].col >= 0; up = h.nodes[up].up {
			columns = append(columns, h.nodes[up].col)
		}
		for i, j := 0, len(columns)-1; i < j; i, j = i+1, j-1 {
			columns[i], columns[j] = columns[j], columns[i]
		}
		n.shape = int32(len(h.shapes))
		h.shapes = append(h.shapes, columns)
		h.bytes += int64(24 + 4*len(columns))
	}
	return n.shape
}
