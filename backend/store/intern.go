package store

import (
	"hash/maphash"
	"math/rand/v2"

	"github.com/throughline/throughline/backend/span"
)

// The tables of a head. All of them only grow, and what lies below their length
// never changes, so that a reader that has copied the slices needs no lock.

// dict gives strings numbers in order of first appearance.
type dict struct {
	stringList
	table []uint64 // hash in the high half, number+1 in the low one
}

// stringList is strings one after the other.
type stringList struct {
	heap []byte
	ends []uint32
}

func (l *stringList) len() int { return len(l.ends) }

// at returns string i; it is part of the heap.
func (l *stringList) at(i int) []byte {
	from := uint32(0)
	if i > 0 {
		from = l.ends[i-1]
	}
	return l.heap[from:l.ends[i]]
}

func (l *stringList) push(s string) {
	l.heap = append(l.heap, s...)
	l.ends = append(l.ends, uint32(len(l.heap)))
}

// add returns the number of s and whether it is new.
func (d *dict) add(s string) (n uint32, added bool) {
	if len(d.ends)*2 >= len(d.table) {
		d.grow()
	}
	h := maphash.String(seed, s)
	mask := uint64(len(d.table) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		e := d.table[i]
		if e == 0 {
			d.push(s)
			d.table[i] = h&^(1<<32-1) | uint64(len(d.ends))
			return uint32(len(d.ends) - 1), true
		}
		if e>>32 == h>>32 {
			if n := uint32(e) - 1; string(d.at(int(n))) == s {
				return n, false
			}
		}
	}
}

// size is what the dict takes.
func (d *dict) size() int { return cap(d.heap) + 4*cap(d.ends) + 8*cap(d.table) }

func (d *dict) grow() {
	table := make([]uint64, max(16, 2*len(d.table)))
	mask := uint64(len(table) - 1)
	for n := range d.ends {
		h := maphash.Bytes(seed, d.at(n))
		i := h & mask
		for table[i] != 0 {
			i = (i + 1) & mask
		}
		table[i] = h&^(1<<32-1) | uint64(n+1)
	}
	d.table = table
}

// arena holds strings that are not interned. A place in it is one number.
type arena struct {
	chunks [][]byte
	bytes  int
}

const (
	arenaChunk = 64 << 10
	placeLen   = 26 // bits of a place that are its length, beside 37 of position
	placeFlag  = 1 << 63
	maxText    = 1<<placeLen - 1
)

// put copies s, which is at most maxText long.
func (a *arena) put(s string) (place uint64) {
	last := len(a.chunks) - 1
	if last < 0 || len(a.chunks[last])+len(s) > cap(a.chunks[last]) {
		size := max(arenaChunk, len(s))
		a.chunks = append(a.chunks, make([]byte, 0, size))
		a.bytes += size + 24
		last++
	}
	c := a.chunks[last]
	place = placeFlag | (uint64(last)<<16|uint64(len(c)))<<placeLen | uint64(len(s))
	a.chunks[last] = append(c, s...)
	return place
}

// get returns the string at a place; a chunk is read below its length at the
// time of put only.
func (a *arena) get(place uint64) []byte {
	n := place & maxText
	at := place &^ placeFlag >> placeLen
	c := a.chunks[at>>16]
	off := at & (1<<16 - 1)
	return c[off : off+n : off+n]
}

// few remembers the distinct values of a column of numbers while there are few.
type few struct {
	table  [512]uint16 // index+1 in values
	values []uint64
	over   bool
}

const maxFew = 256

func (f *few) add(v uint64) {
	if f.over {
		return
	}
	for i := (v * 0x9e3779b97f4a7c15) >> 55; ; i = (i + 1) & 511 {
		switch n := f.table[i]; {
		case n == 0:
			if len(f.values) == maxFew {
				f.over = true
				return
			}
			f.values = append(f.values, v)
			f.table[i] = uint16(len(f.values))
			return
		case f.values[n-1] == v:
			return
		}
	}
}

// traceTable gives trace ids numbers.
type traceTable struct {
	ids   []span.TraceID
	last  []uint32 // row+1 of the last span
	spans []idFilter
	table []uint32 // number+1
}

// traceKey makes the table unpredictable for those who choose the ids.
var traceKey = [2]uint64{rand.Uint64(), rand.Uint64()}

func hashTrace(id *span.TraceID) uint64 {
	return mix(load64(id[:8])^traceKey[0], load64(id[8:])^traceKey[1]|1)
}

// find returns the number of a trace, -1 when it is not there.
func (t *traceTable) find(id *span.TraceID) int {
	if len(t.table) == 0 {
		return -1
	}
	mask := uint64(len(t.table) - 1)
	for i := hashTrace(id) & mask; ; i = (i + 1) & mask {
		n := t.table[i]
		if n == 0 {
			return -1
		}
		if t.ids[n-1] == *id {
			return int(n - 1)
		}
	}
}

func (t *traceTable) add(id *span.TraceID) uint32 {
	if len(t.ids)*2 >= len(t.table) {
		t.table = make([]uint32, max(64, 2*len(t.table)))
		for n := range t.ids {
			t.insert(&t.ids[n], uint32(n+1))
		}
	}
	mask := uint64(len(t.table) - 1)
	i := hashTrace(id) & mask
	for {
		n := t.table[i]
		if n == 0 {
			break
		}
		if t.ids[n-1] == *id {
			return n - 1
		}
		i = (i + 1) & mask
	}
	t.ids = append(t.ids, *id)
	t.last = append(t.last, 0)
	t.spans = append(t.spans, idFilter{})
	t.table[i] = uint32(len(t.ids))
	return uint32(len(t.ids) - 1)
}

func (t *traceTable) insert(id *span.TraceID, n uint32) {
	mask := uint64(len(t.table) - 1)
	i := hashTrace(id) & mask
	for t.table[i] != 0 {
		i = (i + 1) & mask
	}
	t.table[i] = n
}

// series is what many spans have in common: all that a segment says once.
type series struct {
	resource, scope, name uint32
	kind, status          int32
	flags                 uint32
	shape                 uint32 // which columns the span has values in
}

type seriesTable struct {
	list  []series
	table []uint32 // number+1
}

func (s *series) hash() uint64 {
	h := mix(uint64(s.resource)<<32|uint64(s.scope)^traceKey[0], uint64(s.name)<<32|uint64(s.shape)^traceKey[1])
	return mix(h^uint64(uint32(s.kind))^uint64(uint32(s.status))<<32, uint64(s.flags)^0xe7037ed1a0b428db)
}

func (t *seriesTable) add(s series) (n uint32, added bool) {
	if len(t.list)*2 >= len(t.table) {
		t.table = make([]uint32, max(64, 2*len(t.table)))
		mask := uint64(len(t.table) - 1)
		for n := range t.list {
			i := t.list[n].hash() & mask
			for t.table[i] != 0 {
				i = (i + 1) & mask
			}
			t.table[i] = uint32(n + 1)
		}
	}
	mask := uint64(len(t.table) - 1)
	for i := s.hash() & mask; ; i = (i + 1) & mask {
		n := t.table[i]
		if n == 0 {
			t.list = append(t.list, s)
			t.table[i] = uint32(len(t.list))
			return uint32(len(t.list) - 1), true
		}
		if t.list[n-1] == s {
			return n - 1, false
		}
	}
}

// find returns the index of a value that was added.
func (f *few) find(v uint64) int {
	for i := (v * 0x9e3779b97f4a7c15) >> 55; ; i = (i + 1) & 511 {
		if n := f.table[i]; n == 0 || f.values[n-1] == v {
			return int(n) - 1
		}
	}
}

// idFilter says which span ids a trace does not have: most spans are seen to be
// new by it.
type idFilter struct {
	bits uint64
	rows uint32
}

// spanTable finds rows by trace and span id in traces of many spans; of the
// others the rows are looked at one after the other.
type spanTable struct{ at map[spanKey]uint32 } // row+1

type spanKey struct {
	trace uint32
	id    span.SpanID
}

// tableRows is the number of rows from which a trace is in the spanTable.
const tableRows = 32

// findSpan returns the row that stands for a span, -1 when there is none.
func (h *head) findSpan(trace uint32, id span.SpanID) int {
	f := &h.traces.spans[trace]
	if f.bits>>(hashSpan(&id)&63)&1 == 0 {
		return -1
	}
	if f.rows >= tableRows {
		return int(h.spans.at[spanKey{trace, id}]) - 1
	}
	// Of several rows with one id the last one that was kept stands for it.
	for next := h.traces.last[trace]; next != 0; {
		r := h.row(int(next) - 1)
		if r.id == id && !h.isReplaced(int(next)-1) && !h.isDead(int(next)-1) {
			return int(next) - 1
		}
		next = r.prev
	}
	return -1
}

// noteSpan makes row, the last one of its trace, stand for its span.
func (h *head) noteSpan(trace uint32, id span.SpanID, row int) {
	f := &h.traces.spans[trace]
	f.bits |= 1 << (hashSpan(&id) & 63)
	if f.rows++; f.rows < tableRows {
		return
	}
	if h.spans.at == nil {
		h.spans.at = map[spanKey]uint32{}
	}
	if f.rows == tableRows {
		for next := h.traces.last[trace]; next != 0; {
			r := h.row(int(next) - 1)
			k := spanKey{trace, r.id}
			if _, ok := h.spans.at[k]; !ok && !h.isReplaced(int(next)-1) {
				h.spans.at[k] = next
			}
			next = r.prev
		}
	}
	h.spans.at[spanKey{trace, id}] = uint32(row + 1)
}

func hashSpan(id *span.SpanID) uint64 {
	return mix(load64(id[:])^traceKey[0], traceKey[1]|1)
}
