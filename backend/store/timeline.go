package store

import (
	"slices"
	"sort"
)

// timeline holds traces by start time, in blocks, so that an insertion moves
// little, a search for "the newest before" is two binary searches, and traces
// that end too early are skipped by the block. It is a B-tree of two levels.
type timeline struct {
	blocks []block
}

// block holds sorted keys and an upper bound of when their traces end.
type block struct {
	keys   []key
	maxEnd uint64
}

// key orders traces by start time and, where those are equal, by their number.
// The start is that under which the trace was inserted.
type key struct {
	start uint64
	trace *trace
}

const maxBlock = 512

func (k key) less(o key) bool {
	if k.start != o.start {
		return k.start < o.start
	}
	return k.trace.number < o.trace.number
}

// find returns the block that k belongs in: the last that begins at or before it.
func (l *timeline) find(k key) int {
	i := sort.Search(len(l.blocks), func(i int) bool { return k.less(l.blocks[i].keys[0]) })
	return max(i-1, 0)
}

func (b *block) find(k key) int {
	return sort.Search(len(b.keys), func(i int) bool { return !b.keys[i].less(k) })
}

func (l *timeline) insert(k key, end uint64) {
	if len(l.blocks) == 0 {
		l.blocks = append(l.blocks, block{keys: []key{k}, maxEnd: end})
		return
	}
	i := l.find(k)
	b := &l.blocks[i]
	at := b.find(k)
	if len(b.keys) == maxBlock {
		if at == maxBlock && i == len(l.blocks)-1 {
			// Newer than all, the common case: leave the block full.
			l.blocks = append(l.blocks, block{keys: []key{k}, maxEnd: end})
			return
		}
		tail := block{keys: slices.Clone(b.keys[maxBlock/2:]), maxEnd: b.maxEnd}
		b.keys = slices.Clip(slices.Delete(b.keys, maxBlock/2, maxBlock))
		l.blocks = slices.Insert(l.blocks, i+1, tail)
		if b = &l.blocks[i]; at > maxBlock/2 {
			b, at = &l.blocks[i+1], at-maxBlock/2
		}
	}
	b.keys = slices.Insert(b.keys, at, k)
	b.maxEnd = max(b.maxEnd, end)
}

// extend tells that the trace of k ends later than it did.
func (l *timeline) extend(k key, end uint64) {
	if len(l.blocks) > 0 {
		b := &l.blocks[l.find(k)]
		b.maxEnd = max(b.maxEnd, end)
	}
}

func (l *timeline) remove(k key) {
	if len(l.blocks) == 0 {
		return
	}
	i := l.find(k)
	b := &l.blocks[i]
	at := b.find(k)
	if at == len(b.keys) || b.keys[at] != k {
		return
	}
	if len(b.keys) == 1 {
		l.blocks = slices.Delete(l.blocks, i, i+1)
		return
	}
	b.keys = slices.Delete(b.keys, at, at+1)
	if len(b.keys) < cap(b.keys)/4 {
		b.keys = slices.Clone(b.keys)
	}
}

// before appends to page the traces that come before k, newest first, until it
// is full. Blocks in which every trace ends before minEnd are skipped; a single
// trace that does may still be in the page.
func (l *timeline) before(k key, minEnd uint64, page []key) []key {
	if len(l.blocks) == 0 {
		return page
	}
	i := l.find(k)
	at := l.blocks[i].find(k)
	for {
		if b := &l.blocks[i]; b.maxEnd >= minEnd {
			for at > 0 && len(page) < cap(page) {
				at--
				page = append(page, b.keys[at])
			}
			if len(page) == cap(page) {
				return page
			}
		}
		if i--; i < 0 {
			return page
		}
		at = len(l.blocks[i].keys)
	}
}
