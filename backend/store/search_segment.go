package store

import (
	"math"
	"slices"

	"github.com/throughline/throughline/backend/span"
)

// segment searches a segment, from its newest trace to its oldest, block by
// block: first by series, of which there are few and of which most conditions
// speak, then by time, then by attributes, and last by whole spans.
func (s *search) segment(seg *segment) error {
	t := seg.load()
	f := seg.foot
	names := seg.table(f.names)
	services := seg.table(f.services)
	wantService, wantName := -1, -1
	if s.f.Service != nil {
		services.each(func(i int, text []byte) bool {
			if string(text) == *s.f.Service {
				wantService = i
			}
			return wantService < 0
		})
		if wantService < 0 {
			return nil
		}
	}
	if s.f.Name != nil {
		names.each(func(i int, text []byte) bool {
			if string(text) == *s.f.Name {
				wantName = i
			}
			return wantName < 0
		})
		if wantName < 0 {
			return nil
		}
	}
	yes, no := []byte{1}, []byte{0}
	filter := *s.f
	if filter.Service != nil {
		filter.Service = new(string(yes))
	}
	if filter.Name != nil {
		filter.Name = new(string(yes))
	}
	is := func(ok bool) []byte {
		if ok {
			return yes
		}
		return no
	}
	fit := filter.series(t.series,
		func(se series) []byte { return is(int(se.name) == wantName) },
		func(i int) []byte { return is(int(t.services[i]) == wantService) },
		func(se series) *span.Resource { return seg.resource(t, se.resource) })
	if fit == nil {
		return nil
	}
	if uint64(s.f.MinDuration) > f.duration.max || s.f.MaxDuration != 0 && uint64(s.f.MaxDuration) < f.duration.min {
		return nil
	}
	var attributes []*attributeScan
	for j, a := range s.f.Attributes {
		attributes = append(attributes, seg.attribute(t, a, j))
	}
	scan := segmentScan{search: s, seg: seg, t: t, fit: fit, attributes: attributes, trace: f.traceRow.n, may: make([]bool, len(fit))}
	for i := range fit {
		scan.may[i] = fit[i].may
	}
	for b := f.series.blocks() - 1; b >= 0; b-- {
		done, err := scan.block(b)
		if done || err != nil {
			return err
		}
	}
	return nil
}

// segmentScan is the search of one segment.
type segmentScan struct {
	*search
	seg        *segment
	t          *segmentTables
	fit        []seriesFit
	attributes []*attributeScan

	may    []bool // of fit
	series [blockLen]uint64
	rows   [blockLen]uint16
	trace  uint64 // the traces from it on are done with
}

// block searches one block of rows. It is done when no older trace is wanted.
func (c *segmentScan) block(b int) (done bool, err error) {
	if err := c.ctx.Err(); err != nil {
		return true, err
	}
	f := c.seg.foot
	first := uint64(b) << blockBits
	p := c.seg.packed(f.series)
	series := p.unpack(b, &c.series)
	rows := c.rows[:0]
	for i, v := range series {
		if v >= uint64(len(c.may)) {
			c.seg.fail("series beyond its table")
		}
		if c.may[v] {
			rows = append(rows, uint16(i))
		}
	}
	if len(rows) > 0 && (c.f.MinDuration > 0 || c.f.MaxDuration > 0) {
		durations := newPick(c.seg.packed(f.duration))
		least, most := uint64(c.f.MinDuration), uint64(math.MaxUint64)
		if c.f.MaxDuration != 0 {
			most = uint64(c.f.MaxDuration)
		}
		kept := rows[:0]
		for _, i := range rows {
			if d := durations.get(first + uint64(i)); d >= least && d <= most {
				kept = append(kept, i)
			}
		}
		rows = kept
	}
	for _, a := range c.attributes {
		if len(rows) > 0 {
			rows = a.filter(c, b, series, rows)
		}
	}
	starts, traceStarts := c.seg.packed(f.start), c.seg.packed(f.traceStart)
	traceRows := c.seg.packed(f.traceRow)
	if len(rows) == 0 {
		// Whether older traces are wanted is seen from the block's first one.
		return c.enough(traceStarts.get(c.traceOf(first))), nil
	}
	for k := len(rows) - 1; k >= 0; k-- {
		row := first + uint64(rows[k])
		if c.trace < traceRows.n && row >= traceRows.get(c.trace) {
			continue // another span of a trace that was a candidate
		}
		trace := c.traceOf(row)
		start := traceStarts.get(trace)
		if c.enough(start) {
			return true, nil
		}
		if c.f.StartMin > 0 || c.f.StartMax > 0 {
			if at := start + starts.get(row); at < c.f.StartMin || c.f.StartMax != 0 && at > c.f.StartMax {
				continue
			}
		}
		id := c.seg.traceID(trace)
		if c.f.Where != nil {
			var sp span.Span
			c.r.reader(c.seg).span(row, trace, traceRows.get(trace), id, &sp)
			if !c.f.Where(&sp) {
				continue
			}
		}
		c.trace = trace
		if err := c.candidate(id); err != nil {
			return true, err
		}
	}
	return false, nil
}

// traceOf returns the trace that a row belongs to.
func (c *segmentScan) traceOf(row uint64) uint64 {
	p := c.seg.packed(c.seg.foot.traceRow)
	lo, hi := uint64(0), min(c.trace+1, p.n)
	for hi-lo > 1 {
		mid := (lo + hi) / 2
		if p.get(mid) <= row {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}

// attributeScan finds the spans that have an attribute with a text.
type attributeScan struct {
	want    AttributeFilter
	bit     uint64 // of seriesFit.has
	columns []*columnScan
}

// columnScan finds a value in one column.
type columnScan struct {
	ref    *columnRef
	want   AttributeFilter
	rest   bool    // the column is that of attributes without columns
	has    []uint8 // by series, 1 when it has the column
	ids    []bool  // of positions in the dictionary, whether the value is wanted
	number uint64  // as it is packed
	hash   uint64
	values pick

	// The page that was looked at last, and the positions in it.
	from, to    uint64
	may, loaded bool
	at          int
	page        page
}

func (s *segment) attribute(t *segmentTables, want AttributeFilter, bit int) *attributeScan {
	a := &attributeScan{want: want, bit: uint64(1) << min(bit, 63)}
	if bit > 63 {
		a.bit = 0
	}
	for i := range s.foot.columns {
		ref := &s.foot.columns[i]
		rest := ref.scope == ScopeSpanField && ref.key == fieldRest
		if !rest && (ref.scope != ScopeSpan || ref.key != want.Key) {
			continue
		}
		c := &columnScan{ref: ref, want: want, rest: rest}
		if !s.wanted(c, want) {
			continue
		}
		shapes := make([]bool, len(t.shapes))
		for j, shape := range t.shapes {
			shapes[j] = slices.Contains(shape, uint32(i))
		}
		c.has = make([]uint8, len(t.series))
		for j := range t.series {
			if shapes[t.series[j].shape] {
				c.has[j] = 1
			}
		}
		c.values = newPick(s.packed(ref.values))
		a.columns = append(a.columns, c)
	}
	return a
}

// wanted prepares a scan, and says whether the column may have the value.
func (s *segment) wanted(c *columnScan, want AttributeFilter) bool {
	ref := c.ref
	switch ref.enc {
	case encNumbers:
		n, ok := numberOf(ref.typ, want.Value)
		c.number = order(ref.typ, n)
		return ok && c.number >= ref.values.min && c.number <= ref.values.max
	case encFew:
		n, ok := numberOf(ref.typ, want.Value)
		if !ok {
			return false
		}
		few := s.packed(ref.few)
		c.ids = make([]bool, few.n)
		found := false
		for i := range few.n {
			if few.get(i) == order(ref.typ, n) {
				c.ids[i], found = true, true
			}
		}
		return found
	case encTable:
		texts := s.table(ref.texts)
		c.ids = make([]bool, texts.len())
		if ref.typ == span.TypeString && !c.rest {
			at := texts.find(want.Value)
			if at >= 0 {
				c.ids[at] = true
			}
			return at >= 0
		}
		found := false
		texts.each(func(i int, text []byte) bool {
			if c.is(text) {
				c.ids[i], found = true, true
			}
			return true
		})
		return found
	}
	c.hash = hashBytes(want.Value)
	return true
}

// is compares a value with what is wanted.
func (c *columnScan) is(text []byte) bool {
	switch {
	case c.rest:
		return hasText(appendRest(nil, string(text)), c.want)
	case c.ref.typ == span.TypeString:
		return string(text) == c.want.Value
	}
	return textValue(c.ref.typ, string(text)).Text() == c.want.Value
}

// filter leaves those of the rows of block b that have the attribute.
func (a *attributeScan) filter(c *segmentScan, b int, series []uint64, rows []uint16) []uint16 {
	var found [blockLen]bool
	for _, col := range a.columns {
		col.scan(c.seg, b, series, rows, &found)
	}
	out := rows[:0]
	for _, i := range rows {
		if found[i] || a.bit != 0 && c.fit[series[i]].has&a.bit != 0 {
			out = append(out, i)
		}
	}
	return out
}

// scan marks those of the rows that have the value. The values of a block are
// those from its rank on; a row's is as far behind as rows before it have one.
func (c *columnScan) scan(s *segment, b int, series []uint64, rows []uint16, found *[blockLen]bool) {
	ranks := s.packed(c.ref.ranks)
	at := ranks.get(uint64(b))
	next := 0
	for _, row := range rows {
		for _, v := range series[next:row] {
			at += uint64(c.has[v])
		}
		next = int(row)
		if c.has[series[row]] == 0 || found[row] {
			continue
		}
		switch c.ref.enc {
		case encPages:
			found[row] = c.inPage(s, at)
		case encNumbers:
			found[row] = c.values.get(at) == c.number
		default:
			v := c.values.get(at)
			found[row] = v < uint64(len(c.ids)) && c.ids[v]
		}
	}
}

// inPage says whether the value at a position is the wanted one. The page is read
// only when its filter does not rule the value out.
func (c *columnScan) inPage(s *segment, at uint64) bool {
	p := pages{&s.source, c.ref.pages}
	if at >= p.n {
		s.fail("position beyond the column")
	}
	if at < c.from || at >= c.to {
		c.at = p.find(at)
		c.from, c.to = p.span(c.at)
		c.loaded = false
		c.may = c.rest || c.ref.typ != span.TypeString || p.mayHave(c.at, c.hash)
	}
	if !c.may {
		return false
	}
	if !c.loaded {
		p.read(c.at, &c.page)
		c.loaded = true
	}
	if !c.page.has(at) {
		s.fail("position beyond its page")
	}
	return c.is(c.page.at(at))
}

// span returns the positions of the strings in page k.
func (p *pages) span(k int) (from, to uint64) {
	first := packed{p.src, p.first}
	from, to = first.get(uint64(k)), p.n
	if uint64(k+1) < first.n {
		to = first.get(uint64(k + 1))
	}
	return from, to
}
