package store

import (
	"unsafe"

	"github.com/throughline/throughline/backend/span"
)

// Scope says what a column belongs to.
type Scope uint8

// The scopes of columns. Those of fields hold what OTLP says of a span, an event
// or a link beside its attributes, where that is not the same for most of them.
const (
	ScopeSpan Scope = iota
	ScopeEvent
	ScopeLink
	ScopeSpanField
	ScopeEventField
	ScopeLinkField
	scopeCount
)

// columnKey identifies a column of a head or a segment: values of one type under
// one key.
type columnKey struct {
	scope Scope
	key   string
	typ   span.Type
}

// The keys of the fields' columns.
const (
	fieldTraceState    = "trace_state"        // spans, links: string
	fieldStatusMessage = "status_message"     // spans: string
	fieldDropped       = "dropped_attributes" // spans, events, links: int
	fieldDroppedEvents = "dropped_events"     // spans: int
	fieldDroppedLinks  = "dropped_links"      // spans: int
	fieldEvents        = "events"             // spans: int, the end of the span's events
	fieldLinks         = "links"              // spans: int, the end of the span's links
	fieldRest          = "rest"               // spans, events, links: bytes, attributes without a column
	fieldTime          = "time"               // events: int, nanoseconds since the span's start
	fieldName          = "name"               // events: string
	fieldTraceID       = "trace_id"           // links: bytes
	fieldSpanID        = "span_id"            // links: bytes
	fieldFlags         = "flags"              // links: int
)

// isText says whether values of a type are kept as strings; the others are numbers.
func isText(t span.Type) bool {
	return t == span.TypeString || t == span.TypeBytes || t == span.TypeList || t == span.TypeMap
}

// order translates the bits of a value of type t to a number of the same order.
func order(t span.Type, v uint64) uint64 {
	switch t {
	case span.TypeInt:
		return fromInt(int64(v))
	case span.TypeFloat:
		return fromFloatBits(v)
	}
	return v
}

// unorder is the inverse of order.
func unorder(t span.Type, u uint64) uint64 {
	switch t {
	case span.TypeInt:
		return uint64(toInt(u))
	case span.TypeFloat:
		return toFloatBits(u)
	}
	return u
}

// textValue makes a value of a column of strings.
func textValue(t span.Type, text string) span.Value {
	switch t {
	case span.TypeString:
		return span.String(text)
	case span.TypeBytes:
		return span.Bytes(text)
	}
	var v span.Value
	if v.ReadProto(text) != nil {
		return span.Bytes(text)
	}
	return v
}

// headColumn is a column of a head.
type headColumn struct {
	columnKey
	dict  dict
	arena arena
	raw   bool // values go to the arena
	long  bool // some value is in the arena
	seen  int  // values
	few   *few // numbers
}

// A dictionary ends when more than half of its column's values are in it, at so
// many entries, or at so many bytes: from then on the values are kept as they
// are, which bounds the table and costs less than looking for what is not there.
const (
	dictProbation = 4096
	maxDict       = 1 << 16
	maxDictHeap   = 4 << 20
	maxDictText   = 4096 // longer values are not interned
)

// size is what the column takes.
func (c *headColumn) size() int {
	n := int(unsafe.Sizeof(*c)+unsafe.Sizeof(few{})) + 100 + c.dict.size() + c.arena.bytes
	if c.few != nil {
		n += cap(c.few.values) * 8
	}
	return n
}

// text adds a string and returns its slot.
func (c *headColumn) text(s string) uint64 {
	c.seen++
	if c.raw || len(s) > maxDictText {
		c.long = true
		return c.arena.put(s)
	}
	n, added := c.dict.add(s)
	if added {
		if k := c.dict.len(); k >= dictProbation && k*2 > c.seen || k == maxDict || len(c.dict.heap) > maxDictHeap {
			c.raw = true
		}
	}
	return uint64(n)
}

// number adds a number.
func (c *headColumn) number(v uint64) {
	c.seen++
	if c.few != nil {
		c.few.add(v)
	}
}

// slotText returns the string of a slot.
func (c *headColumn) slotText(slot uint64) []byte {
	if slot&placeFlag != 0 {
		return c.arena.get(slot)
	}
	return c.dict.at(int(slot))
}

// slotValue returns the value of a slot; its strings are copies.
func (c *headColumn) slotValue(slot uint64) span.Value {
	if isText(c.typ) {
		return textValue(c.typ, string(c.slotText(slot)))
	}
	if c.typ == span.TypeEmpty {
		return span.Value{}
	}
	return span.FromNum(c.typ, slot)
}
