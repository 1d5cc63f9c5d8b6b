package store

import (
	"encoding/binary"
)

// blockScan evaluates conditions on the blocks of one segment. One goroutine uses
// it.
type blockScan struct {
	*segmentPlan
	keys   [3]rowKeys // of spans, events and links
	values [blockLen]uint64
	ok     [blockLen + 1]uint8
	pages  []*pageScan // by column number
	kids   []childSets // by node number
}

// rowKeys is the series of the spans of a block, or the shapes of its events or
// links.
type rowKeys struct {
	block int // and 1
	keys  []uint64
	buf   [blockLen]uint64
}

// childSets is the events or links that fit, of the two blocks last looked at.
type childSets [2]struct {
	block int // and 1
	set   rowSet
}

func newBlockScan(p *segmentPlan) *blockScan {
	return &blockScan{segmentPlan: p, pages: make([]*pageScan, p.columns), kids: make([]childSets, p.nodes)}
}

// rowKeys returns the keys of a block of a table.
func (s *blockScan) rowKeys(table, b int) []uint64 {
	k := &s.keys[table]
	if k.block != b+1 {
		ref, limit := s.foot.series, len(s.t.series)
		switch table {
		case 1:
			ref, limit = s.foot.eventShape, len(s.t.shapes)
		case 2:
			ref, limit = s.foot.linkShape, len(s.t.shapes)
		}
		p := s.packed(ref)
		k.keys, k.block = p.unpack(b, &k.buf), b+1
		for _, v := range k.keys {
			if v >= uint64(limit) {
				k.block = 0
				s.fail("series or shape beyond its table")
			}
		}
	}
	return k.keys
}

// rowsIn is how many rows block b of spans has.
func (s *blockScan) rowsIn(b int) int {
	return int(min(blockLen, s.foot.rows-uint64(b)*blockLen))
}

// eval leaves those rows of block b in set for which a condition holds.
func (s *blockScan) eval(n *scanNode, b int, set *rowSet) {
	switch n.op {
	case scanAll:
	case scanNone:
		clear(set[:])
	case scanAnd:
		for _, of := range n.of {
			if s.eval(of, b, set); set.empty() {
				return
			}
		}
	case scanOr:
		var all rowSet
		for _, of := range n.of {
			some := *set
			s.eval(of, b, &some)
			for i, w := range some {
				all[i] |= w
				set[i] &^= w
			}
			if set.empty() {
				break
			}
		}
		*set = all
	case scanNot:
		some := *set
		s.eval(n.of[0], b, &some)
		for i, w := range some {
			set[i] &^= w
		}
	case scanSeries:
		lut := n.lut
		keys := s.rowKeys(0, b)
		for i := 0; i < len(keys); i += 64 {
			if set[i>>6] == 0 {
				continue
			}
			var w uint64
			for j, v := range keys[i:min(i+64, len(keys))] {
				w |= uint64(lut[v]) << j
			}
			set[i>>6] &= w
		}
	case scanColumns:
		if len(n.columns) == 1 {
			s.column(n.columns[0], 0, b, set)
			return
		}
		var all rowSet
		for _, c := range n.columns {
			some := *set
			s.column(c, 0, b, &some)
			for i, w := range some {
				all[i] |= w
			}
		}
		*set = all
	case scanChildren:
		s.children(n, b, set)
	case scanDuration:
		p := s.packed(s.foot.duration)
		base, width, _, _ := p.block(b)
		if base > n.hi || width < 64 && base+(1<<width-1) < n.lo {
			clear(set[:])
			return
		}
		s.between(p.unpack(b, &s.values), n.lo, n.hi, set)
	case scanRoots:
		p := s.packed(s.foot.parent)
		s.between(p.unpack(b, &s.values), 0, 0, set)
	}
}

// between leaves rows whose value is in a range.
func (s *blockScan) between(values []uint64, lo, hi uint64, set *rowSet) {
	hi -= lo
	for i := 0; i < len(values); i += 64 {
		if set[i>>6] == 0 {
			continue
		}
		var w uint64
		for j, v := range values[i:min(i+64, len(values))] {
			if v-lo <= hi {
				w |= 1 << j
			}
		}
		set[i>>6] &= w
	}
}

// positions returns which values of a column are those of block b.
func (s *blockScan) positions(c *scanColumn, b int) (from, to uint64) {
	if c.has == nil {
		from = uint64(b) * blockLen
		return from, min(from+blockLen, c.ref.n)
	}
	ranks := s.packed(c.ref.ranks)
	from, to = ranks.get(uint64(b)), c.ref.n
	if uint64(b)+1 < ranks.n {
		to = ranks.get(uint64(b) + 1)
	}
	if from > to || to > c.ref.n || to-from > blockLen {
		s.fail("ranks are not in order")
	}
	return from, to
}

// slice unpacks values from to to, at most a block's worth, into dst.
func (p *packed) slice(from, to uint64, dst *[blockLen]uint64) []uint64 {
	if to > p.n {
		p.src.fail("position beyond the column")
	}
	out := dst[:0]
	for from < to {
		base, width, data, n := p.block(int(from >> blockBits))
		i := int(from & (blockLen - 1))
		k := min(n-i, int(to-from))
		part := out[len(out) : len(out)+k]
		switch width {
		case 0:
			for j := range part {
				part[j] = base
			}
		case 64:
			for j := range part {
				part[j] = base + binary.LittleEndian.Uint64(data[(i+j)*8:])
			}
		default:
			mask := uint64(1)<<width - 1
			bit := uint(i) * width
			for j := range part {
				part[j] = base + binary.LittleEndian.Uint64(data[bit>>3:])>>(bit&7)&mask
				bit += width
			}
		}
		out = out[:len(out)+k]
		from += uint64(k)
	}
	return out
}

// column leaves rows of block b of a table that have a wanted value.
func (s *blockScan) column(c *scanColumn, table, b int, set *rowSet) {
	from, to := s.positions(c, b)
	n := int(to - from)
	if n == 0 {
		clear(set[:])
		return
	}
	ok := s.ok[:n]
	var some uint8
	switch {
	case c.any:
		for i := range ok {
			ok[i] = 1
		}
		some = 1
	case c.ref.enc == encPages:
		if !s.inPages(c, table, b, from, to, set, ok) {
			clear(set[:])
			return
		}
		some = 1
	default:
		p := s.packed(c.ref.values)
		values := p.slice(from, to, &s.values)
		switch {
		case c.lut != nil:
			lut := c.lut
			for i, v := range values {
				if v >= uint64(len(lut)) {
					s.fail("position beyond the dictionary")
				}
				ok[i] = lut[v]
				some |= ok[i]
			}
		case c.match != nil:
			for i, v := range values {
				ok[i] = 0
				if c.match(v) {
					ok[i], some = 1, 1
				}
			}
		default:
			for i, v := range values {
				ok[i] = 0
				if v-c.lo <= c.hi-c.lo {
					ok[i], some = 1, 1
				}
			}
		}
	}
	if some == 0 {
		clear(set[:])
		return
	}
	s.spread(c, table, b, n, set)
}

// spread leaves rows whose value is ok.
func (s *blockScan) spread(c *scanColumn, table, b, n int, set *rowSet) {
	if c.has == nil {
		for i := range n {
			if s.ok[i] == 0 {
				set[i>>6] &^= 1 << (i & 63)
			}
		}
		return
	}
	keys := s.rowKeys(table, b)
	has, use := c.has, c.use
	s.ok[n] = 0
	at := 0
	for i := 0; i < len(keys); i += 64 {
		var w uint64
		for j, v := range keys[i:min(i+64, len(keys))] {
			h := has[v]
			hit := h & s.ok[at]
			if use != nil {
				hit &= use[v]
			}
			w |= uint64(hit) << j
			at += int(h)
			if at > n {
				s.fail("more rows than values")
			}
		}
		set[i>>6] &= w
	}
	clear(set[(len(keys)+63)>>6:])
}

// children leaves spans that have an event or a link that fits.
func (s *blockScan) children(n *scanNode, b int, set *rowSet) {
	from, to := s.positions(n.ends, b)
	if from == to {
		clear(set[:])
		return
	}
	c := n.ends
	end := func(at uint64) uint64 { return s.number(c.ref, at) }
	total := s.foot.events
	if n.table == 2 {
		total = s.foot.links
	}
	first := uint64(0)
	if from > 0 {
		first = end(from - 1)
	}
	keys := s.rowKeys(0, b)
	at := from
	for i, v := range keys {
		if c.has[v] == 0 {
			set[i>>6] &^= 1 << (i & 63)
			continue
		}
		if at >= to {
			s.fail("more rows than values")
		}
		last := end(at)
		at++
		if last < first || last > total {
			s.fail("events or links beyond their table")
		}
		if set.has(i) && !s.anyChild(n, first, last) {
			set[i>>6] &^= 1 << (i & 63)
		}
		first = last
	}
}

// anyChild says whether one of the events or links from to to fits.
func (s *blockScan) anyChild(n *scanNode, from, to uint64) bool {
	for from < to {
		b := int(from >> blockBits)
		k := &s.kids[n.number][b&1]
		if k.block != b+1 {
			total := s.foot.events
			if n.table == 2 {
				total = s.foot.links
			}
			var all, full rowSet
			full.fill(int(min(blockLen, total-uint64(b)*blockLen)))
			for _, c := range n.columns {
				some := full
				s.column(c, n.table, b, &some)
				for i, w := range some {
					all[i] |= w
				}
			}
			k.set, k.block = all, b+1
		}
		i := int(from & (blockLen - 1))
		j := int(min(blockLen, to-uint64(b)<<blockBits))
		if k.set.intersects(i, j) {
			return true
		}
		from = uint64(b+1) << blockBits
	}
	return false
}
