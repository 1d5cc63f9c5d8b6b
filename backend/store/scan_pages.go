package store

import (
	"bytes"
	"sort"
)

// pageScan is what is known of the pages of a column: the last two are kept,
// since neighbouring blocks share one.
type pageScan struct {
	last [2]struct {
		number int // and 1
		page   page
		judged bool // hits is of all strings
		hits   [pageTexts]uint8
		some   bool
	}
}

// inPages sets ok of the values from to to of a column of pages, as far as rows in
// set have them; it is false when there is none.
func (s *blockScan) inPages(c *scanColumn, table, b int, from, to uint64, set *rowSet, ok []uint8) bool {
	p := pages{&s.source, c.ref.pages}
	if to > p.n {
		s.fail("position beyond the column")
	}
	scan := s.pages[c.number]
	if scan == nil {
		scan = &pageScan{}
		s.pages[c.number] = scan
	}
	some := false
	wanted := false // ok says which values are looked at
	for at, k := from, p.find(from); at < to; k++ {
		first, last := p.span(k)
		if first > at || last <= at {
			s.fail("position beyond its page")
		}
		last = min(last, to)
		part := ok[at-from : last-from]
		g := &scan.last[k&1]
		if g.number != k+1 && c.test != nil && c.test.Text != nil && !p.mayHave(k, c.hash) {
			clear(part)
			at = last
			continue
		}
		if g.number != k+1 {
			g.number = 0
			p.read(k, &g.page)
			if !g.page.has(at) || !g.page.has(last-1) {
				s.fail("position beyond its page")
			}
			g.number, g.judged, g.some = k+1, false, false
			if c.test != nil && (c.test.Text != nil || c.test.Literal != "") {
				g.some, g.judged = s.searchPage(c, &g.page, &g.hits), true
			}
		}
		i := int(at - g.page.first)
		switch {
		case g.judged && !g.some:
			clear(part)
		case g.judged:
			copy(part, g.hits[i:])
			some = true
		default:
			// Only what rows in the set have is worth calling Match for.
			if !wanted {
				s.wantedValues(c, table, b, set, ok)
				wanted = true
			}
			for j := range part {
				if part[j] != 0 {
					if c.text(g.page.at(at + uint64(j))) {
						some = true
					} else {
						part[j] = 0
					}
				}
			}
		}
		at = last
	}
	return some
}

// wantedValues sets ok of the values that rows in set have.
func (s *blockScan) wantedValues(c *scanColumn, table, b int, set *rowSet, ok []uint8) {
	keys := s.rowKeys(table, b)
	at := 0
	for i, v := range keys {
		if c.has[v] == 0 {
			continue
		}
		if at >= len(ok) {
			s.fail("more rows than values")
		}
		ok[at] = uint8(set[i>>6] >> (i & 63) & 1)
		if c.use != nil {
			ok[at] &= c.use[v]
		}
		at++
	}
}

// searchPage finds the strings of a page that contain what is looked for, all at
// once, and judges those.
func (s *blockScan) searchPage(c *scanColumn, g *page, hits *[pageTexts]uint8) bool {
	literal := c.test.Literal
	if c.test.Text != nil {
		literal = *c.test.Text
	}
	clear(hits[:])
	some := false
	if literal == "" {
		for i := range g.ends {
			if c.text(g.at(g.first + uint64(i))) {
				hits[i], some = 1, true
			}
		}
		return some
	}
	for at := 0; ; {
		i := bytes.Index(g.text[at:], unsafeBytes(literal))
		if i < 0 {
			return some
		}
		at += i
		k := sort.Search(len(g.ends), func(k int) bool { return g.ends[k] > uint32(at) })
		if text := g.at(g.first + uint64(k)); c.test.may(text) && c.text(text) {
			hits[k], some = 1, true
		}
		at = int(g.ends[k])
	}
}
