package store

import (
	"math"
	"slices"
)

// table writes the columns of the spans, the events or the links.
func (m *merge) table(table int) error {
	rows := &m.rows[table]
	if table > 0 {
		m.shapesOf(table)
	}
	for i := range m.columns {
		if int(m.columns[i].scope%3) != table {
			continue
		}
		if m.stopped() {
			return errStopped
		}
		has := make([]bool, len(m.shapes))
		for j, shape := range m.shapes {
			has[j] = slices.Contains(shape, int32(i))
		}
		m.foot.columns = append(m.foot.columns, m.column(i, rows, has))
	}
	// Columns are numbered as in shapes once all are written.
	if table == 2 {
		byKey := map[columnKey]columnRef{}
		for _, c := range m.foot.columns {
			byKey[c.columnKey] = c
		}
		m.foot.columns = m.foot.columns[:0]
		for _, k := range m.columns {
			m.foot.columns = append(m.foot.columns, byKey[k])
		}
	}
	return nil
}

// shapesOf writes the shapes of the events or links in the merged order.
func (m *merge) shapesOf(table int) {
	var p packer
	rows := &m.rows[table]
	cursors := make([]*cursor, len(m.sources))
	next := make([]uint64, len(m.sources))
	for i, s := range m.sources {
		ref := s.foot.eventShape
		if table == 2 {
			ref = s.foot.linkShape
		}
		cursors[i] = newCursor(s.packed(ref))
	}
	for _, r := range rows.runs {
		s := m.sources[r.source]
		for range r.n {
			v := cursors[r.source].get(next[r.source])
			next[r.source]++
			if v >= uint64(len(s.shapes)) {
				s.fail("shape beyond its table")
			}
			p.push(uint64(s.shapes[v]))
			rows.shape = append(rows.shape, s.shapes[v])
		}
	}
	if table == 1 {
		m.foot.eventShape = m.w.packed(&p)
	} else {
		m.foot.linkShape = m.w.packed(&p)
	}
}

// columnSource reads one column of one source, front to back.
type columnSource struct {
	ref    *columnRef
	src    *source
	values *cursor
	few    []uint64 // or
	remap  []uint32 // of positions
	texts  *table
	page   page
	at     uint64
}

// column merges one column.
func (m *merge) column(n int, rows *mergeRows, has []bool) columnRef {
	key := m.columns[n]
	w := &columnWriter{columnKey: key}
	sources := make([]*columnSource, len(m.sources))
	for i, s := range m.sources {
		if s.columns[n] >= 0 {
			c := &columnSource{ref: &s.foot.columns[s.columns[n]], src: &s.source}
			if c.ref.enc != encPages {
				c.values = newCursor(packed{c.src, c.ref.values})
			}
			if c.ref.enc == encTable {
				c.texts = &table{c.src, c.ref.texts}
			}
			if c.ref.enc == encFew {
				p := packed{c.src, c.ref.few}
				for j := range p.n {
					c.few = append(c.few, p.get(j))
				}
			}
			sources[i] = c
		}
	}
	pagesAt := m.w.off
	isEnd := key.scope == ScopeSpanField && (key.key == fieldEvents || key.key == fieldLinks) && !isText(key.typ)
	switch {
	case isText(key.typ) && !m.mergeTexts(w, sources):
		w.startPages(func(b []byte) { m.w.write(b) })
	case isText(key.typ):
	case !isEnd && mergeFew(w, sources):
	default:
		w.enc = encNumbers
	}
	end, last := uint64(0), make([]uint64, len(sources))
	row := 0
	for _, r := range rows.runs {
		c := sources[r.source]
		for range r.n {
			if row%blockLen == 0 {
				w.rank()
			}
			shape := rows.shape[row]
			row++
			if !has[shape] {
				continue
			}
			if c == nil {
				m.sources[r.source].fail("shape has a column that is not there")
			}
			switch w.enc {
			case encPages:
				w.pushText(c.text())
			case encTable, encFew:
				w.pushNumber(uint64(c.position()))
			default:
				v := c.number()
				if isEnd {
					v = unorder(key.typ, v)
					if v < last[r.source] {
						c.src.fail("events or links are not in order")
					}
					k := v - last[r.source]
					last[r.source] = v
					end += k
					table := 1
					if key.key == fieldLinks {
						table = 2
					}
					m.rows[table].add(int(r.source), k)
					v = order(key.typ, end)
				}
				w.pushNumber(v)
			}
		}
	}
	return w.finish(m.w, pagesAt)
}

// mergeTexts makes one table of the sources' tables; it is false when the column
// is better kept in pages.
func (m *merge) mergeTexts(w *columnWriter, sources []*columnSource) bool {
	size, count, values := uint64(0), uint64(0), uint64(0)
	for _, c := range sources {
		if c == nil {
			continue
		}
		if c.ref.enc != encTable {
			return false
		}
		size += c.ref.texts.size
		count += c.ref.texts.ends.n
		values += c.ref.n
	}
	if size > fanIn*maxDictHeap || count > 4*maxDict {
		return false
	}
	var d dict
	remaps := make([][]uint32, len(sources))
	for i, c := range sources {
		if c == nil {
			continue
		}
		remaps[i] = make([]uint32, c.texts.len())
		c.texts.each(func(j int, text []byte) bool {
			remaps[i][j], _ = d.add(unsafeString(text))
			return true
		})
	}
	if n := d.len(); n > maxDict || n >= dictProbation && uint64(n)*2 > values {
		return false
	}
	texts, remap := d.sorted()
	for i, c := range sources {
		if c == nil {
			continue
		}
		for j, v := range remaps[i] {
			remaps[i][j] = remap[v]
		}
		c.remap = remaps[i]
	}
	w.enc, w.texts = encTable, texts
	return true
}

// mergeFew makes one list of the distinct numbers, if all sources have one and it
// stays short.
func mergeFew(w *columnWriter, sources []*columnSource) bool {
	var all []uint64
	for _, c := range sources {
		if c == nil {
			continue
		}
		if c.ref.enc != encFew {
			return false
		}
		all = append(all, c.few...)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if len(all) > maxFew || !fewer(all) {
		return false
	}
	for _, c := range sources {
		if c == nil {
			continue
		}
		for _, v := range c.few {
			n, _ := slices.BinarySearch(all, v)
			c.remap = append(c.remap, uint32(n))
		}
	}
	w.enc, w.few = encFew, all
	return true
}

// number returns the next value of a column of numbers, as it is packed.
func (c *columnSource) number() uint64 {
	v := c.values.get(c.at)
	c.at++
	if c.ref.enc == encFew {
		if v >= uint64(len(c.few)) {
			c.src.fail("position beyond its list")
		}
		v = c.few[v]
	}
	return v
}

// position returns the next value as a position in the merged list or table.
func (c *columnSource) position() uint32 {
	v := c.values.get(c.at)
	c.at++
	if v >= uint64(len(c.remap)) {
		c.src.fail("position beyond its table")
	}
	return c.remap[v]
}

// text returns the next value of a column of strings.
func (c *columnSource) text() []byte {
	at := c.at
	c.at++
	if c.ref.enc == encTable {
		return c.texts.at(c.values.get(at))
	}
	if !c.page.has(at) {
		p := pages{c.src, c.ref.pages}
		if at >= p.n {
			c.src.fail("position beyond the column")
		}
		p.read(p.find(at), &c.page)
		if !c.page.has(at) {
			c.src.fail("position beyond its page")
		}
	}
	return c.page.at(at)
}

// rollups adds up the statistics.
func (m *merge) rollups() {
	type ref struct {
		s   *mergeSource
		key int
	}
	var operations, edges [][]ref
	for _, s := range m.sources {
		f := s.foot
		svc, nam, kind, status := s.packed(f.oService), s.packed(f.oName), s.packed(f.oKind), s.packed(f.oStatus)
		held := newCursor(s.packed(f.oCount))
		for i := range f.oService.n {
			n := m.stats.operation(operation{
				s.renumber(s.services, svc.get(i)), s.renumber(s.names, nam.get(i)), int32(kind.get(i)), int32(status.get(i)),
			})
			for len(operations) <= int(n) {
				operations = append(operations, nil)
			}
			operations[n] = append(operations[n], ref{s, int(i)})
			m.stats.held[n] += toInt(held.get(i))
		}
		parent, child, estatus := s.packed(f.eParent), s.packed(f.eChild), s.packed(f.eStatus)
		for i := range f.eParent.n {
			n := m.stats.edge(link{s.renumber(s.services, parent.get(i)), s.renumber(s.services, child.get(i)), int32(estatus.get(i))})
			for len(edges) <= int(n) {
				edges = append(edges, nil)
			}
			edges[n] = append(edges[n], ref{s, int(i)})
		}
	}
	out := rollupsWriter{foot: &m.foot}
	m.foot.firstMinute = math.MaxUint64
	write := func(keys [][]ref, minutes func(*footer) rollupRef) (rollupRef, rollupRef) {
		var tallies []tally
		for _, refs := range keys {
			tallies = tallies[:0]
			for _, k := range refs {
				r := &rollup{&k.s.source, minutes(k.s.foot)}
				r.windows(k.key, 0, 1<<47, func(window uint64, buckets []byte) {
					r.each(buckets, func(bucket uint32, n int64) { tallies = append(tallies, tally{window<<16 | uint64(bucket), n}) })
				})
			}
			tallies = mergeTallies(tallies)
			out.add(tallies)
		}
		return out.finish(m.w)
	}
	f := &m.foot
	f.oMinutes, f.oHours = write(operations, func(f *footer) rollupRef { return f.oMinutes })
	f.eMinutes, f.eHours = write(edges, func(f *footer) rollupRef { return f.eMinutes })
	m.stats.writeKeys(m.w, f)
}

func (s *mergeSource) renumber(remap []uint32, v uint64) uint32 {
	if v >= uint64(len(remap)) {
		s.fail("reference beyond its table")
	}
	return remap[v]
}
