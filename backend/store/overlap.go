package store

import (
	"bytes"
	"container/heap"
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/throughline/throughline/backend/span"
)

// overlaps knows which traces have spans in more than one place: in two segments,
// in a head and a segment, in two heads, or twice in a segment that was merged. Of
// all other traces the rows of one place are the spans, each once, so that they are
// counted and selected by columns. Segments do not change, so what is found of them
// is kept; of a head what it has got since is looked at. A trace may be taken for
// shared when the other place is gone, which costs time and changes no answer.
type overlaps struct {
	mu sync.Mutex
	// The traces that segments share with each other. Any two of them were compared.
	segments map[*segment][]uint32
	heads    map[headPair]*headOverlap
}

// manySegments is from how many new ones on all are compared at once.
const manySegments = 4

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
func (r *reading) sharing(ctx context.Context) (*sharing, error) {
	o := &r.db.overlaps
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.heads == nil {
		o.segments, o.heads = map[*segment][]uint32{}, map[headPair]*headOverlap{}
	}
	if err := o.compare(ctx, r.segments); err != nil {
		return nil, err
	}
	out := &sharing{segments: make([]shared, len(r.segments)), heads: make([]shared, len(r.heads))}
	segments, heads := map[*segment]bool{}, map[*head]bool{}
	for i, s := range r.segments {
		segments[s] = true
		out.segments[i].add(o.segments[s], int(s.traces()))
	}
	for i, v := range r.heads {
		heads[v.h] = true
		n := len(v.ids)
		for j, s := range r.segments {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
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
	for p := range o.heads {
		if !heads[p.h] || p.segment != nil && !segments[p.segment] || p.other != nil && !heads[p.other] {
			delete(o.heads, p)
		}
	}
	return out, nil
}

// compare makes sure that the segments were compared with each other.
func (o *overlaps) compare(ctx context.Context, segments []*segment) error {
	var fresh []*segment
	for _, s := range segments {
		if _, ok := o.segments[s]; !ok {
			fresh = append(fresh, s)
		}
	}
	if len(fresh) >= manySegments {
		found, err := compareAll(ctx, segments)
		if err == nil {
			o.segments = found
		}
		return err
	}
	for _, s := range fresh {
		list := s.twice()
		for t := range o.segments {
			if err := ctx.Err(); err != nil {
				return err
			}
			// Readings that began before may have it still, together with s.
			if !t.acquire() {
				delete(o.segments, t)
				continue
			}
			var own, others []uint32
			err := (&reading{segments: []*segment{s, t}}).attempt(func(*reading) error {
				own, others = s.overlap(t)
				return nil
			})
			_ = t.release()
			var corrupt *CorruptError
			if errors.As(err, &corrupt) && corrupt.File == t.name && !slices.Contains(segments, t) {
				delete(o.segments, t)
				continue
			}
			if err != nil {
				return err
			}
			list = append(list, own...)
			o.segments[t] = append(o.segments[t], others...)
		}
		o.segments[s] = list
	}
	return nil
}

// idCursor goes through the traces of a segment by their ids.
type idCursor struct {
	segment *segment
	order   *cursor
	at      uint64
	trace   uint64
	id      span.TraceID
}

func (c *idCursor) next() bool {
	if c.at == c.order.n {
		return false
	}
	c.trace = c.order.get(c.at)
	c.id = c.segment.traceID(c.trace)
	c.at++
	return true
}

// idHeap has the smallest id on top.
type idHeap []*idCursor

func (h idHeap) Len() int           { return len(h) }
func (h idHeap) Less(i, j int) bool { return bytes.Compare(h[i].id[:], h[j].id[:]) < 0 }
func (h idHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *idHeap) Push(x any)        { *h = append(*h, x.(*idCursor)) }
func (h *idHeap) Pop() any {
	old := *h
	c := old[len(old)-1]
	*h = old[:len(old)-1]
	return c
}

// compareAll finds the traces that segments share by going through all of their ids
// together: each is looked at once, however many segments there are.
func compareAll(ctx context.Context, segments []*segment) (map[*segment][]uint32, error) {
	found := map[*segment][]uint32{}
	var all idHeap
	for _, s := range segments {
		found[s] = nil
		if c := (&idCursor{segment: s, order: newCursor(s.packed(s.foot.traceOrder))}); c.next() {
			all = append(all, c)
		}
	}
	heap.Init(&all)
	var last idCursor // the trace before, and whether it is among those found
	some, noted := false, false
	for n := 0; len(all) > 0; n++ {
		if n&0xffff == 0 {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
		}
		c := all[0]
		if some && c.id == last.id {
			if !noted {
				found[last.segment] = append(found[last.segment], uint32(last.trace))
			}
			found[c.segment] = append(found[c.segment], uint32(c.trace))
			noted = true
		} else {
			noted = false
		}
		some, last.segment, last.trace, last.id = true, c.segment, c.trace, c.id
		if c.next() {
			heap.Fix(&all, 0)
		} else {
			heap.Pop(&all)
		}
	}
	return found, nil
}

func (o *overlaps) head(k headPair) *headOverlap {
	h := o.heads[k]
	if h == nil {
		h = &headOverlap{}
		o.heads[k] = h
	}
	return h
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

// overlap is the traces that are in both segments, by their numbers in each.
func (s *segment) overlap(o *segment) (own, others []uint32) {
	if s.traces() > o.traces() {
		others, own = o.overlap(s)
		return own, others
	}
	if s.traces() == 0 {
		return nil, nil
	}
	bloom := o.bytes(o.foot.bloom, o.foot.bloomN)
	hi, lo := newCursor(s.packed(s.foot.traceHi)), newCursor(s.packed(s.foot.traceLo))
	var id span.TraceID
	for t := range s.traces() {
		putBigEndian(id[:8], hi.get(t))
		putBigEndian(id[8:], lo.get(t))
		if !bloomHas(bloom, hashBytes(id[:])) {
			continue
		}
		n := len(others)
		o.find(id, func(trace uint64) { others = append(others, uint32(trace)) })
		if len(others) > n {
			own = append(own, uint32(t))
		}
	}
	return own, others
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
