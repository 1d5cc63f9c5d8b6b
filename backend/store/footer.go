package store

import (
	"encoding/binary"
	"unsafe"

	"github.com/throughline/throughline/backend/span"
)

// footer says what a segment holds and where.
type footer struct {
	rows, events, links uint64
	minTime, maxTime    uint64 // earliest start and latest end, unix nanoseconds
	minReceived         uint64
	maxReceived         uint64

	// What older segments did not have, when this one was made: see spread.go.
	newSpans, newTraces     uint64
	firstMinute, lastMinute uint64 // of the rollups; the first is above the last when they are empty

	// Spans, in the order of their traces. A trace may be there twice.
	id, start, duration, series, parent packedRef
	received                            packedRef // of each trace
	orphanRow, orphanID                 packedRef // spans whose parent is not in their trace here

	// Traces by start.
	traceHi, traceLo, traceRow, traceStart, traceEnd, traceOrder packedRef
	bloom, bloomN                                                uint64

	names, services, resources, scopes tableRef
	// Of series.
	sResource, sScope, sName, sKind, sStatus, sFlags, sShape, sService packedRef
	// Shapes: their columns one after the other, and where each ends.
	shapeColumns, shapeEnds packedRef
	eventShape, linkShape   packedRef // of each event and link

	columns []columnRef

	// Operations: service, span name, kind, status.
	oService, oName, oKind, oStatus, oCount packedRef
	oMinutes, oHours                        rollupRef
	// Edges: services of parent and child, status of the child.
	eParent, eChild, eStatus packedRef
	eMinutes, eHours         rollupRef
}

type encoding uint8

const (
	encNumbers  encoding = 1 // packed
	encFew      encoding = 2 // positions in a sorted list of numbers
	encTable    encoding = 3 // positions in a sorted table of strings
	encPages    encoding = 4 // pages of strings
	maxEncoding          = encPages
)

// columnRef is a column: the values of those spans (or events, or links) whose
// shape has it, in their order.
type columnRef struct {
	columnKey
	enc    encoding
	n      uint64
	ranks  packedRef // how many values are before each block of rows
	values packedRef // numbers or positions
	few    packedRef
	texts  tableRef
	pages  pagesRef
}

// coder writes or reads a footer, the same way, so that both agree.
type coder struct {
	out []byte // written
	in  []byte // read, when reading is set
	bad bool
	rd  bool
}

func (c *coder) u(v *uint64) {
	if !c.rd {
		c.out = binary.AppendUvarint(c.out, *v)
		return
	}
	n, k := binary.Uvarint(c.in)
	if k <= 0 {
		c.bad, c.in = true, nil
		return
	}
	*v, c.in = n, c.in[k:]
}

func (c *coder) text(s *string) {
	n := uint64(len(*s))
	c.u(&n)
	if !c.rd {
		c.out = append(c.out, *s...)
		return
	}
	if n > uint64(len(c.in)) {
		c.bad, c.in = true, nil
		return
	}
	*s, c.in = string(c.in[:n]), c.in[n:]
}

func (c *coder) packed(refs ...*packedRef) {
	for _, r := range refs {
		c.u(&r.n)
		if r.n == 0 {
			continue
		}
		c.u(&r.data)
		c.u(&r.dir)
		c.u(&r.size)
		c.u(&r.min)
		c.u(&r.max)
	}
}

func (c *coder) table(t *tableRef) {
	c.packed(&t.ends)
	c.u(&t.heap)
	c.u(&t.size)
}

func (c *coder) rollup(r *rollupRef) {
	c.packed(&r.ends)
	c.u(&r.data)
	c.u(&r.size)
}

func (c *coder) pages(p *pagesRef) {
	c.packed(&p.first, &p.ends, &p.bloomAt)
	c.u(&p.data)
	c.u(&p.size)
	c.u(&p.blooms)
	c.u(&p.bloomsN)
	c.u(&p.n)
}

func (c *coder) column(r *columnRef) {
	scope, typ, enc := uint64(r.scope), uint64(r.typ), uint64(r.enc)
	c.u(&scope)
	c.u(&typ)
	c.u(&enc)
	if scope >= uint64(scopeCount) || typ > uint64(span.TypeMap) || enc == 0 || enc > uint64(maxEncoding) {
		c.bad, c.in = true, nil
		return
	}
	r.scope, r.typ, r.enc = Scope(scope), span.Type(typ), encoding(enc)
	if isText(r.typ) != (r.enc >= encTable) {
		c.bad, c.in = true, nil
		return
	}
	c.text(&r.key)
	c.u(&r.n)
	c.packed(&r.ranks)
	switch r.enc {
	case encNumbers:
		c.packed(&r.values)
	case encFew:
		c.packed(&r.values, &r.few)
	case encTable:
		c.packed(&r.values)
		c.table(&r.texts)
	case encPages:
		c.pages(&r.pages)
	}
}

func (c *coder) footer(f *footer) {
	for _, v := range []*uint64{
		&f.rows, &f.events, &f.links, &f.minTime, &f.maxTime, &f.minReceived, &f.maxReceived,
		&f.newSpans, &f.newTraces, &f.firstMinute, &f.lastMinute, &f.bloom, &f.bloomN,
	} {
		c.u(v)
	}
	c.packed(&f.id, &f.start, &f.duration, &f.series, &f.parent, &f.received, &f.orphanRow, &f.orphanID,
		&f.traceHi, &f.traceLo, &f.traceRow, &f.traceStart, &f.traceEnd, &f.traceOrder,
		&f.sResource, &f.sScope, &f.sName, &f.sKind, &f.sStatus, &f.sFlags, &f.sShape, &f.sService,
		&f.shapeColumns, &f.shapeEnds, &f.eventShape, &f.linkShape,
		&f.oService, &f.oName, &f.oKind, &f.oStatus, &f.oCount, &f.eParent, &f.eChild, &f.eStatus)
	for _, t := range []*tableRef{&f.names, &f.services, &f.resources, &f.scopes} {
		c.table(t)
	}
	for _, r := range []*rollupRef{&f.oMinutes, &f.oHours, &f.eMinutes, &f.eHours} {
		c.rollup(r)
	}
	n := uint64(len(f.columns))
	c.u(&n)
	if n > 1<<16 {
		c.bad = true
		return
	}
	if c.rd {
		f.columns = make([]columnRef, n)
	}
	for i := range f.columns {
		c.column(&f.columns[i])
	}
}

// size is what the footer takes in memory.
func (f *footer) size() int64 {
	return int64(unsafe.Sizeof(*f)) + int64(len(f.columns))*int64(unsafe.Sizeof(columnRef{})+16)
}

func (f *footer) encode() []byte {
	var c coder
	c.footer(f)
	return c.out
}

// decodeFooter checks the counts that readers rely on; what lies where is
// checked when it is read.
func decodeFooter(b []byte) (*footer, bool) {
	c := coder{in: b, rd: true}
	f := &footer{}
	c.footer(f)
	traces := f.traceHi.n
	series := f.sResource.n
	ok := !c.bad && len(c.in) == 0 && f.rows < 1<<32 && f.newSpans <= f.rows && f.newTraces <= traces &&
		f.id.n == f.rows && f.start.n == f.rows && f.duration.n == f.rows && f.series.n == f.rows && f.parent.n == f.rows &&
		f.orphanID.n == f.orphanRow.n && f.received.n == traces &&
		f.traceLo.n == traces && f.traceRow.n == traces && f.traceStart.n == traces && f.traceEnd.n == traces && f.traceOrder.n == traces &&
		f.sScope.n == series && f.sName.n == series && f.sKind.n == series && f.sStatus.n == series && f.sFlags.n == series &&
		f.sShape.n == series && f.sService.n == series && series < 1<<32 &&
		f.eventShape.n == f.events && f.linkShape.n == f.links &&
		f.oName.n == f.oService.n && f.oKind.n == f.oService.n && f.oStatus.n == f.oService.n && f.oCount.n == f.oService.n &&
		f.oMinutes.ends.n == f.oService.n && f.oHours.ends.n == f.oService.n &&
		f.eChild.n == f.eParent.n && f.eStatus.n == f.eParent.n && f.eMinutes.ends.n == f.eParent.n && f.eHours.ends.n == f.eParent.n
	return f, ok
}
