package store

import (
	"slices"

	"github.com/throughline/throughline/backend/span"
)

// projector reads those parts of spans of one segment that a projection has. Its
// strings are parts of the segment or of arena, and valid until the next trace.
type projector struct {
	s       *blockScan
	columns []projected
	shapes  [][]int // by shape, the columns it has, in order
	arena   []byte
	sources [5]pick // id, start, duration, series, parent
}

// projected is a column that is read.
type projected struct {
	*scanColumn
	block  int // and 1
	from   uint64
	before [blockLen]uint16 // values of the block before each row
	pages  [2]page
	values pick
}

func newProjector(s *blockScan, want *Projection) *projector {
	p := &projector{s: s, shapes: make([][]int, len(s.t.shapes))}
	byColumn := map[uint32]int{}
	for i := range s.foot.columns {
		ref := &s.foot.columns[i]
		switch {
		case ref.scope == ScopeSpan && want.attribute(ref.key):
		case ref.scope == ScopeSpanField && ref.key == fieldRest && want.attributes():
		case ref.scope == ScopeSpanField && ref.key == fieldStatusMessage && want.StatusMessage:
		case ref.isTraceState() && want.TraceState:
		default:
			continue
		}
		byColumn[uint32(i)] = len(p.columns)
		c := s.segmentPlan.reading(i)
		p.columns = append(p.columns, projected{scanColumn: c, values: newPick(s.packed(ref.values))})
	}
	for i, shape := range s.t.shapes {
		for _, c := range shape {
			if k, ok := byColumn[c]; ok {
				p.shapes[i] = append(p.shapes[i], k)
			}
		}
	}
	f := s.foot
	for i, ref := range []packedRef{f.id, f.start, f.duration, f.series, f.parent} {
		p.sources[i] = newPick(s.packed(ref))
	}
	return p
}

// attribute says whether attributes with a key are read.
func (p *Projection) attribute(key string) bool {
	return p.AllAttributes || slices.Contains(p.Attributes, key)
}

// attributes says whether any are.
func (p *Projection) attributes() bool { return p.AllAttributes || len(p.Attributes) > 0 }

// reading is a column that is not looked for but read.
func (p *segmentPlan) reading(i int) *scanColumn {
	return &scanColumn{ref: &p.foot.columns[i], has: p.hasColumn(i, 0)}
}

// forget ends the use of the strings that were read.
func (p *projector) forget() {
	if p != nil {
		p.arena = p.arena[:0]
	}
}

// lite is segment.lite, faster where rows follow each other.
func (p *projector) lite(row, trace, first, start uint64) (l lite) {
	s := p.s
	id := p.sources[0].get(row)
	putBigEndian(l.id[:], id)
	l.start = start + p.sources[1].get(row)
	l.end = l.start + p.sources[2].get(row)
	n := p.sources[3].get(row)
	if n >= uint64(len(s.t.series)) {
		s.fail("series beyond its table")
	}
	l.series, l.segment, l.row, l.trace, l.first = uint32(n), s.segment, row, trace, first
	l.kind, l.status = s.t.series[n].kind, s.t.series[n].status
	switch parent := p.sources[4].get(row); parent {
	case 0:
	case 1:
		putBigEndian(l.parent[:], s.orphanParent(row))
	default:
		putBigEndian(l.parent[:], p.sources[0].get(first+parent-2))
	}
	return l
}

// span fills sp, whose Attributes are used again.
func (p *projector) span(l *lite, id span.TraceID, sp *span.Span) {
	s := p.s
	se := &s.t.series[l.series]
	*sp = span.Span{
		TraceID: id, SpanID: l.id, ParentSpanID: l.parent, Flags: se.flags,
		Name: unsafeString(s.table(s.foot.names).at(uint64(se.name))), Kind: span.Kind(se.kind), StartTime: l.start, EndTime: l.end,
		Status:   span.Status{Code: span.StatusCode(se.status)},
		Resource: s.resource(s.t, se.resource), Scope: s.scope(s.t, se.scope), Attributes: sp.Attributes[:0],
	}
	for _, k := range p.shapes[se.shape] {
		c := &p.columns[k]
		v := p.value(c, c.at(s, l.row))
		switch {
		case c.ref.scope == ScopeSpan:
			sp.Attributes = append(sp.Attributes, span.Attribute{Key: c.ref.key, Value: v})
		default:
			setSpanField(sp, c.ref.key, v)
		}
	}
}

// at returns the position of the value of a row that has one.
func (c *projected) at(s *blockScan, row uint64) uint64 {
	b := int(row >> blockBits)
	if c.block != b+1 {
		c.from, _ = s.positions(c.scanColumn, b)
		n := uint16(0)
		for i, v := range s.rowKeys(0, b) {
			c.before[i] = n
			n += uint16(c.has[v])
		}
		c.block = b + 1
	}
	return c.from + uint64(c.before[row&(blockLen-1)])
}

func (p *projector) value(c *projected, at uint64) span.Value {
	ref := c.ref
	switch ref.enc {
	case encNumbers, encFew:
		v := c.values.get(at)
		if ref.enc == encFew {
			few := p.s.packed(ref.few)
			v = few.get(v)
		}
		return numberValue(ref.typ, unorder(ref.typ, v))
	case encTable:
		return textValue(ref.typ, unsafeString(p.s.table(ref.texts).at(c.values.get(at))))
	}
	text := p.s.pageText(ref, &c.pages, at)
	n := len(p.arena)
	p.arena = append(p.arena, text...)
	return textValue(ref.typ, unsafeString(p.arena[n:len(p.arena):len(p.arena)]))
}

// pageText returns string at of a column of pages, of which two are kept.
func (s *segment) pageText(ref *columnRef, kept *[2]page, at uint64) []byte {
	for i := range kept {
		if kept[i].has(at) {
			return kept[i].at(at)
		}
	}
	if at >= ref.pages.n {
		s.fail("position beyond the column")
	}
	p := pages{&s.source, ref.pages}
	k := p.find(at)
	g := &kept[k&1]
	g.ends = g.ends[:0]
	p.read(k, g)
	if !g.has(at) {
		s.fail("position beyond its page")
	}
	return g.at(at)
}

// project fills sp with the parts that a projection has; its strings are those of
// the head.
func (v *headView) project(i int, want *Projection, sp *span.Span) {
	r := v.row(i)
	se := &v.series[r.series]
	*sp = span.Span{
		TraceID: v.ids[r.trace], SpanID: r.id, ParentSpanID: r.parent, Flags: se.flags,
		Name: unsafeString(v.names.at(int(se.name))), Kind: span.Kind(se.kind), StartTime: r.start, EndTime: r.end,
		Status:   span.Status{Code: span.StatusCode(se.status)},
		Resource: v.resources[se.resource], Scope: v.scopes[se.scope], Attributes: sp.Attributes[:0],
	}
	shape := v.shapes[se.shape]
	if len(shape) == 0 || !want.attributes() && !want.StatusMessage && !want.TraceState {
		return
	}
	slots := v.slots[r.slots>>slotBits][r.slots&(slotChunk-1):]
	for j, col := range shape {
		c := v.columns[col]
		switch {
		case c.scope == ScopeSpan:
			if want.attribute(c.key) {
				sp.Attributes = append(sp.Attributes, span.Attribute{Key: c.key, Value: c.slotValueShared(slots[j])})
			}
		case c.key == fieldRest || c.key == fieldStatusMessage || c.key == fieldTraceState:
			setSpanField(sp, c.key, c.slotValueShared(slots[j]))
		}
	}
}

// slotValueShared is slotValue with strings that are those of the head.
func (c *headColumn) slotValueShared(slot uint64) span.Value {
	if isText(c.typ) {
		return textValue(c.typ, unsafeString(c.slotText(slot)))
	}
	return numberValue(c.typ, slot)
}
