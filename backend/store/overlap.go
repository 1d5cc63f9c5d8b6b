package store

import (
	"bytes"
	"slices"
	"sync"

	"github.com/throughline/throughline/backend/span"
)

// overlaps knows which traces have spans in more than one place: in two segments,
// in a head and a segment, in two heads, or twice in a segment that was merged. Of
// all other traces the rows of one place are the spans, each once, so that they are
// counted and selected by columns. Segments do not change, so what is found of two
// of them is kept; of a head what it has got since is looked at.
type overlaps struct {
	mu    sync.Mutex
	twice map[*segment][]uint32
	pairs map[segmentPair]*pairOverlap
	heads map[headPair]*headOverlap
}

type segmentPair struct{ a, b *segment }

// pairOverlap is the numbers that the traces of both have in each.
type pairOverlap struct{ a, b []uint32 }

type headPair struct {
	h       *head
	segment *segment // or
	other   *head
}

type headOverlap struct {
	checked int // traces of the head
	own     []uint32
	others  []uint32
}

// shared is the traces of one place that are in another one too.
type shared struct {
	bits []uint64
	any  bool
}

func (s *shared) has(trace uint64) bool {
	return s.any && trace>>6 < uint64(len(s.bits)) && s.bits[trace>>6]>>(trace&63)&1 != 0
}

func (s *shared) add(traces []uint32, n int) {
	for _, t := range traces {
		if s.bits == nil {
			s.bits = make([]uint64, (n+63)/64)
		}
		if int(t>>6) < len(s.bits) {
			s.bits[t>>6] |= 1 << (t & 63)
			s.any = true
		}
	}
}

// sharing is what a reading knows of all its places.
type sharing struct {
	segments []shared
	heads    []shared
}

// sharing finds the traces that are in several of the reading's places.
func (r *reading) sharing() *sharing {
	o := &r.db.overlaps
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.pairs == nil {
		o.twice, o.pairs, o.heads = map[*segment][]uint32{}, map[segmentPair]*pairOverlap{}, map[headPair]*headOverlap{}
	}
	out := &sharing{segments: make([]shared, len(r.segments)), heads: make([]shared, len(r.heads))}
	segments, heads := map[*segment]bool{}, map[*head]bool{}
	for i, a := range r.segments {
		segments[a] = true
		list, ok := o.twice[a]
		if !ok {
			list = a.twice()
			o.twice[a] = list
		}
		out.segments[i].add(list, int(a.traces()))
		for j, b := range r.segments[:i] {
			p := o.pairs[segmentPair{a, b}]
			if p == nil {
				p = a.overlap(b)
				o.pairs[segmentPair{a, b}] = p
			}
			out.segments[i].add(p.a, int(a.traces()))
			out.segments[j].add(p.b, int(b.traces()))
		}
	}
	for i, v := range r.heads {
		heads[v.h] = true
		n := len(v.ids)
		for j, s := range r.segments {
			h := o.head(headPair{h: v.h, segment: s})
			h.look(v.ids, s)
			out.heads[i].add(h.own, n)
			out.segments[j].add(h.others, int(s.traces()))
		}
		// Only the last head is appended to, and the others are read without a lock.
		for j, w := range r.heads[:i] {
			h := o.head(headPair{h: v.h, other: w.h})
			for ; h.checked < n; h.checked++ {
				if t := w.h.traces.find(&v.ids[h.checked]); t >= 0 {
					h.own, h.others = append(h.own, uint32(h.checked)), append(h.others, uint32(t))
				}
			}
			out.heads[i].add(h.own, n)
			out.heads[j].add(h.others, len(w.ids))
		}
	}
	o.forget(segments, heads)
	return out
}

func (o *overlaps) head(k headPair) *headOverlap {
	h := o.heads[k]
	if h == nil {
		h = &headOverlap{}
		o.heads[k] = h
	}
	return h
}

// forget drops what is of segments and heads that are gone.
func (o *overlaps) forget(segments map[*segment]bool, heads map[*head]bool) {
	for s := range o.twice {
		if !segments[s] {
			delete(o.twice, s)
		}
	}
	for p := range o.pairs {
		if !segments[p.a] || !segments[p.b] {
			delete(o.pairs, p)
		}
	}
	for p := range o.heads {
		if !heads[p.h] || p.segment != nil && !segments[p.segment] || p.other != nil && !heads[p.other] {
			delete(o.heads, p)
		}
	}
}

// look looks for the traces of a head that came since it looked last.
func (h *headOverlap) look(ids []span.TraceID, s *segment) {
	if h.checked >= len(ids) || s.traces() == 0 {
		return
	}
	bloom := s.bytes(s.foot.bloom, s.foot.bloomN)
	for ; h.checked < len(ids); h.checked++ {
		id := ids[h.checked]
		if !bloomHas(bloom, hashBytes(id[:])) {
			continue
		}
		n := len(h.others)
		s.find(id, func(trace uint64) { h.others = append(h.others, uint32(trace)) })
		if len(h.others) > n {
			h.own = append(h.own, uint32(h.checked))
		}
	}
}

// twice is the traces that the segment has in more than one part.
func (s *segment) twice() (list []uint32) {
	order := newCursor(s.packed(s.foot.traceOrder))
	var last span.TraceID
	before := uint64(0)
	for i := range order.n {
		n := order.get(i)
		id := s.traceID(n)
		if i > 0 && id == last {
			list = append(list, uint32(before), uint32(n))
		}
		last, before = id, n
	}
	return list
}

// overlap is the traces that are in both segments.
func (s *segment) overlap(o *segment) *pairOverlap {
	p := &pairOverlap{}
	if s.traces() == 0 || o.traces() == 0 {
		return p
	}
	few, many := s, o
	if few.traces() > many.traces() {
		few, many = many, few
	}
	bloom := many.bytes(many.foot.bloom, many.foot.bloomN)
	var a, b []uint32
	hi, lo := newCursor(few.packed(few.foot.traceHi)), newCursor(few.packed(few.foot.traceLo))
	var id span.TraceID
	for t := range few.traces() {
		putBigEndian(id[:8], hi.get(t))
		putBigEndian(id[8:], lo.get(t))
		if !bloomHas(bloom, hashBytes(id[:])) {
			continue
		}
		n := len(b)
		many.find(id, func(trace uint64) { b = append(b, uint32(trace)) })
		if len(b) > n {
			a = append(a, uint32(t))
		}
	}
	if p.a, p.b = a, b; few != s {
		p.a, p.b = b, a
	}
	return p
}

// sharedRows is the rows of a segment's shared traces, in order.
func (s *segment) sharedRows(of *shared) (ranges []rowRange) {
	if !of.any {
		return nil
	}
	for k, w := range of.bits {
		for i := uint64(k) << 6; w != 0; i, w = i+1, w>>1 {
			if w&1 != 0 {
				from, to := s.rowsOf(i)
				ranges = append(ranges, rowRange{int(from), int(to)})
			}
		}
	}
	slices.SortFunc(ranges, func(a, b rowRange) int { return a.from - b.from })
	return ranges
}

// sharedIDs is all traces that are in several places, each once.
func (r *reading) sharedIDs(in *sharing) (ids []span.TraceID) {
	for i := range in.segments {
		s := r.segments[i]
		in.segments[i].each(func(t uint64) { ids = append(ids, s.traceID(t)) })
	}
	for i := range in.heads {
		v := r.heads[i]
		in.heads[i].each(func(t uint64) { ids = append(ids, v.ids[t]) })
	}
	slices.SortFunc(ids, func(a, b span.TraceID) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(ids)
}

func (s *shared) each(f func(trace uint64)) {
	if !s.any {
		return
	}
	for k, w := range s.bits {
		for i := uint64(k) << 6; w != 0; i, w = i+1, w>>1 {
			if w&1 != 0 {
				f(i)
			}
		}
	}
}
