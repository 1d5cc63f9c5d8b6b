package store

import (
	"unsafe"

	"github.com/throughline/throughline/backend/span"
)

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
			h.buf = append(h.buf, c.text(a.Value.Str()))
		case span.TypeList, span.TypeMap:
			h.proto = a.Value.AppendProto(h.proto[:0])
			h.buf = append(h.buf, c.text(unsafe.String(unsafe.SliceData(h.proto), len(h.proto))))
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
	n.edges = h.addEdge(n.edges, e)
	if len(n.edges) > maxEdges {
		if n.more == nil {
			n.more = map[columnKey]int32{}
			for i, e := range n.edges {
				n.more[columnKey{scope, e.key, e.typ}] = int32(i)
			}
		}
		n.more[columnKey{scope, e.key, e.typ}] = n.last
		h.tree += int64(mapEntry * float64(unsafe.Sizeof(columnKey{})+4))
	}
	return &n.edges[n.last]
}

func (h *head) addEdge(edges []edge, e edge) []edge {
	before := cap(edges)
	edges = append(edges, e)
	h.tree += int64(cap(edges)-before) * int64(unsafe.Sizeof(e))
	return edges
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
	h.nodes[at].ends = h.addEdge(h.nodes[at].ends, edge{key: key, typ: typ, col: col, next: next})
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
	h.buf = append(h.buf, c.text(text))
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
		h.slots = append(h.slots, make([]uint64, 0, max(firstChunk(len(h.slots), slotChunk), len(slots))))
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
		h.tree += int64(4 * cap(columns))
	}
	return n.shape
}
