package store

import (
	"github.com/throughline/throughline/backend/span"
)

// rowReader reads whole spans of a segment, in the order of their rows.
type rowReader struct {
	s     *segment
	t     *segmentTables
	spans positions
	kids  [2]positions // of events and links
	pages map[uint32]*page
}

// positions is where the next value of each column of a table of rows is.
type positions struct {
	next  []uint64
	ready []bool // the values before the block are counted in
	block uint64
	row   uint64 // the next one; 0 and no next means none was read
}

func (s *segment) reader() *rowReader {
	return &rowReader{s: s, t: s.load(), pages: map[uint32]*page{}}
}

// seek counts the values of the rows of a block that come before row.
func (r *rowReader) seek(p *positions, row uint64, shape packedRef, series bool) {
	if p.next != nil && p.row == row {
		return
	}
	if p.next == nil {
		p.next = make([]uint64, len(r.s.foot.columns))
		p.ready = make([]bool, len(r.s.foot.columns))
	} else {
		clear(p.next)
		clear(p.ready)
	}
	p.block, p.row = row>>blockBits, row
	if row&(blockLen-1) == 0 {
		return
	}
	var buf [blockLen]uint64
	q := r.s.packed(shape)
	counts := map[uint64]uint64{}
	for i, v := range q.unpack(int(p.block), &buf) {
		if uint64(i) == row&(blockLen-1) {
			break
		}
		counts[v]++
	}
	for v, n := range counts {
		for _, c := range r.shape(v, series) {
			p.next[c] += n
		}
	}
}

// shape returns the columns of a shape, or of the shape of a series.
func (r *rowReader) shape(v uint64, series bool) []uint32 {
	if series {
		if v >= uint64(len(r.t.series)) {
			r.s.fail("series beyond its table")
		}
		v = uint64(r.t.series[v].shape)
	}
	if v >= uint64(len(r.t.shapes)) {
		r.s.fail("shape beyond its table")
	}
	return r.t.shapes[v]
}

// take returns the position of the next value of a column and moves past it.
func (r *rowReader) take(p *positions, c uint32) uint64 {
	if !p.ready[c] {
		ranks := r.s.packed(r.s.foot.columns[c].ranks)
		p.next[c] += ranks.get(p.block)
		p.ready[c] = true
	}
	at := p.next[c]
	p.next[c]++
	return at
}

// number returns the bits of a value of a column of numbers.
func (s *segment) number(c *columnRef, at uint64) uint64 {
	values := s.packed(c.values)
	v := values.get(at)
	if c.enc == encFew {
		few := s.packed(c.few)
		v = few.get(v)
	}
	return unorder(c.typ, v)
}

// text returns a value of a column of strings.
func (r *rowReader) text(c uint32, at uint64) []byte {
	col := &r.s.foot.columns[c]
	if col.enc == encTable {
		values := r.s.packed(col.values)
		return r.s.table(col.texts).at(values.get(at))
	}
	g := r.pages[c]
	if g == nil {
		g = &page{}
		r.pages[c] = g
	}
	if !g.has(at) {
		if at >= col.pages.n {
			r.s.fail("position beyond the column")
		}
		p := pages{&r.s.source, col.pages}
		p.read(p.find(at), g)
		if !g.has(at) {
			r.s.fail("position beyond its page")
		}
	}
	return g.at(at)
}

func (r *rowReader) value(c uint32, at uint64) span.Value {
	col := &r.s.foot.columns[c]
	if isText(col.typ) {
		return textValue(col.typ, string(r.text(c, at)))
	}
	v := r.s.number(col, at)
	if col.typ == span.TypeEmpty {
		return span.Value{}
	}
	return span.FromNum(col.typ, v)
}

// span reads a row of a trace that begins at row first.
func (r *rowReader) span(row, trace, first uint64, id span.TraceID, sp *span.Span) {
	s, f := r.s, r.s.foot
	l := s.lite(r.t, row, trace, first)
	se := &r.t.series[l.series]
	*sp = span.Span{
		TraceID: id, SpanID: l.id, ParentSpanID: l.parent, Flags: se.flags,
		Name: string(s.table(f.names).at(uint64(se.name))), Kind: span.Kind(se.kind), StartTime: l.start, EndTime: l.end,
		Status:   span.Status{Code: span.StatusCode(se.status)},
		Resource: s.resource(r.t, se.resource), Scope: s.scope(r.t, se.scope),
	}
	r.seek(&r.spans, row, f.series, true)
	r.spans.row++
	for _, c := range r.t.shapes[se.shape] {
		col := &f.columns[c]
		at := r.take(&r.spans, c)
		switch {
		case col.scope == ScopeSpan:
			if sp.Attributes == nil {
				sp.Attributes = make([]span.Attribute, 0, len(r.t.shapes[se.shape]))
			}
			sp.Attributes = append(sp.Attributes, span.Attribute{Key: col.key, Value: r.value(c, at)})
		case col.key == fieldEvents && !isText(col.typ):
			r.children(0, col, at, f.eventShape, ScopeEvent, func(b *builder) {
				sp.Events = append(sp.Events, b.event())
			}, sp.StartTime)
		case col.key == fieldLinks && !isText(col.typ):
			r.children(1, col, at, f.linkShape, ScopeLink, func(b *builder) {
				sp.Links = append(sp.Links, b.link())
			}, sp.StartTime)
		default:
			setSpanField(sp, col.key, r.value(c, at))
		}
	}
}

// children reads the events or links whose end a column has at a position.
func (r *rowReader) children(kind int, col *columnRef, at uint64, shapes packedRef, scope Scope, f func(*builder), base uint64) {
	to, from := r.s.number(col, at), uint64(0)
	if at > 0 {
		from = r.s.number(col, at-1)
	}
	if from > to || to > shapes.n {
		r.s.fail("events or links beyond their table")
	}
	p := &r.kids[kind]
	list := r.s.packed(shapes)
	for i := from; i < to; i++ {
		r.seek(p, i, shapes, false)
		p.row++
		b := builder{base: base}
		for _, c := range r.shape(list.get(i), false) {
			col := &r.s.foot.columns[c]
			b.set(col.scope == scope, col.key, r.value(c, r.take(p, c)))
		}
		f(&b)
	}
}

// lite reads a row of a trace that begins at row first.
func (s *segment) lite(t *segmentTables, row, trace, first uint64) (l lite) {
	f := s.foot
	ids, starts, durations, parents := s.packed(f.id), s.packed(f.start), s.packed(f.duration), s.packed(f.parent)
	traceStarts, sers := s.packed(f.traceStart), s.packed(f.series)
	putBigEndian(l.id[:], ids.get(row))
	l.start = traceStarts.get(trace) + starts.get(row)
	l.end = l.start + durations.get(row)
	n := sers.get(row)
	if n >= uint64(len(t.series)) {
		s.fail("series beyond its table")
	}
	l.series, l.segment, l.row, l.trace, l.first = uint32(n), s, row, trace, first
	l.kind, l.status = t.series[n].kind, t.series[n].status
	switch p := parents.get(row); p {
	case 0:
	case 1:
		putBigEndian(l.parent[:], s.orphanParent(row))
	default:
		putBigEndian(l.parent[:], ids.get(first+p-2))
	}
	return l
}

// orphanParent finds the parent's id of a row that says it is elsewhere.
func (s *segment) orphanParent(row uint64) uint64 {
	rows := s.packed(s.foot.orphanRow)
	lo, hi := uint64(0), rows.n
	for lo < hi {
		mid := (lo + hi) / 2
		if rows.get(mid) < row {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo >= rows.n || rows.get(lo) != row {
		s.fail("parent is missing")
	}
	ids := s.packed(s.foot.orphanID)
	return ids.get(lo)
}
