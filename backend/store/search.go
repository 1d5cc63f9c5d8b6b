package store

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"math"
	"slices"

	"github.com/throughline/throughline/backend/span"
)

// Found is the answer to a search.
type Found struct {
	Traces    []span.Summary // newest start first
	Truncated bool           // more traces fit than the limit
}

// Search finds traces, newest first. It reads segments from the newest trace to
// the oldest and stops when the limit is reached and nothing newer can come, at
// the start of the range, or when ctx ends.
func (db *DB) Search(ctx context.Context, f *Filter) (found Found, err error) {
	err = db.query(func(r *reading) error {
		s := newSearch(ctx, r, f)
		if err := s.run(); err != nil {
			return err
		}
		found = s.found()
		return nil
	})
	return found, err
}

// Match returns the summaries of those of the traces that fit f, in the order of
// ids, without those that are not held.
func (db *DB) Match(ctx context.Context, ids []span.TraceID, f *Filter) (list []span.Summary, err error) {
	err = db.query(func(r *reading) error {
		list = []span.Summary{}
		var p part
		var sp span.Span
		for _, id := range ids {
			if err := ctx.Err(); err != nil {
				return err
			}
			if f.Limit > 0 && len(list) == f.Limit {
				return nil
			}
			r.gather(id, &p)
			if len(p.spans) == 0 {
				continue
			}
			s := p.summary(id)
			if s.EndTime < f.Start || s.StartTime > f.latest() {
				continue
			}
			for i := range p.spans {
				l := &p.spans[i]
				if !f.inTime(l.start, l.end-l.start) || f.Status != nil && int32(*f.Status) != l.status {
					continue
				}
				if r.load(id, l, &sp); f.Fits(&sp) {
					list = append(list, s)
					break
				}
			}
		}
		return nil
	})
	return list, err
}

// search is one search under way: the newest traces found so far.
type search struct {
	ctx    context.Context
	r      *reading
	f      *Filter
	limit  int // one more than asked for
	newest hits
	seen   map[span.TraceID]struct{}
	part   part
	looked int
}

// hits is a heap with the oldest trace on top.
type hits []span.Summary

func (h hits) Len() int           { return len(h) }
func (h hits) Less(i, j int) bool { return older(&h[i], &h[j]) }
func (h hits) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *hits) Push(x any)        { *h = append(*h, x.(span.Summary)) }
func (h *hits) Pop() any {
	old := *h
	s := old[len(old)-1]
	*h = old[:len(old)-1]
	return s
}

func older(a, b *span.Summary) bool {
	if a.StartTime != b.StartTime {
		return a.StartTime < b.StartTime
	}
	return bytes.Compare(a.TraceID[:], b.TraceID[:]) < 0
}

func newSearch(ctx context.Context, r *reading, f *Filter) *search {
	s := &search{ctx: ctx, r: r, f: f, limit: math.MaxInt, seen: map[span.TraceID]struct{}{}}
	if f.Limit > 0 && f.Limit < math.MaxInt {
		s.limit = f.Limit + 1
	}
	return s
}

func (s *search) found() Found {
	slices.SortFunc(s.newest, func(a, b span.Summary) int {
		return cmp.Or(cmp.Compare(b.StartTime, a.StartTime), bytes.Compare(b.TraceID[:], a.TraceID[:]))
	})
	found := Found{Traces: append([]span.Summary{}, s.newest...)}
	if len(found.Traces) == s.limit {
		found.Traces, found.Truncated = found.Traces[:s.limit-1], true
	}
	return found
}

func (s *search) run() error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	for _, v := range slices.Backward(s.r.heads) {
		if err := s.head(v); err != nil {
			return err
		}
	}
	segments := slices.Clone(s.r.segments)
	slices.SortFunc(segments, func(a, b *segment) int { return cmp.Compare(b.foot.traceStart.max, a.foot.traceStart.max) })
	for _, seg := range segments {
		f := seg.foot
		if f.rows == 0 || f.minTime > s.f.latest() || f.maxTime < max(s.f.Start, s.f.StartMin) {
			continue
		}
		if s.enough(f.traceStart.max) {
			break
		}
		if err := s.segment(seg); err != nil {
			return err
		}
	}
	return nil
}

// enough says whether traces that start at start or before cannot be among those
// that are asked for.
func (s *search) enough(start uint64) bool {
	return len(s.newest) == s.limit && start < s.newest[0].StartTime
}

// candidate takes a trace that has a span that fits, as far as one source knows.
func (s *search) candidate(id span.TraceID) error {
	if s.looked++; s.looked%64 == 0 {
		if err := s.ctx.Err(); err != nil {
			return err
		}
	}
	if _, ok := s.seen[id]; ok {
		return nil
	}
	s.seen[id] = struct{}{}
	s.r.gather(id, &s.part)
	if len(s.part.spans) == 0 {
		return nil
	}
	start := s.part.spans[0].start
	if start > s.f.latest() || s.enough(start) {
		return nil
	}
	if s.part.duplicates && !s.fits(id) {
		return nil
	}
	t := s.part.summary(id)
	if t.EndTime < s.f.Start {
		return nil
	}
	if heap.Push(&s.newest, t); len(s.newest) > s.limit {
		heap.Pop(&s.newest)
	}
	return nil
}

// fits looks at the spans of a trace as they are without duplicates.
func (s *search) fits(id span.TraceID) bool {
	var sp span.Span
	return slices.ContainsFunc(s.part.spans, func(l lite) bool {
		s.r.load(id, &l, &sp)
		return s.f.Fits(&sp)
	})
}

// head searches a head, from the rows that arrived last to the first. Those are
// in no order, but a chunk of them knows its latest start, which no trace that
// has a span in it starts after.
func (s *search) head(v *headView) error {
	fit := s.f.series(v.series,
		func(se series) []byte { return v.names.at(int(se.name)) },
		func(i int) []byte { return unsafeBytes(v.resources[v.series[i].resource].ServiceName()) },
		func(se series) *span.Resource { return v.resources[se.resource] })
	if fit == nil {
		return nil
	}
	before := make([]uint64, len(v.rows)+1) // latest start of the chunks before
	for i := range v.rows {
		before[i+1] = max(before[i], v.latest[i])
	}
	byTime := s.f.byTime()
	need := uint64(1)<<min(len(s.f.Attributes), 63) - 1
	var matches []match
	var sp span.Span
	for k := len(v.rows) - 1; k >= 0; k-- {
		if err := s.ctx.Err(); err != nil {
			return err
		}
		if s.enough(before[k+1]) {
			return nil
		}
		if s.enough(v.latest[k]) {
			continue
		}
		matches = matches[:0]
		for j := range v.rows[k] {
			i := k*rowChunk + j
			if i >= v.n {
				break
			}
			r := &v.rows[k][j]
			fits := fit[r.series]
			if !fits.may || byTime && !s.f.inTime(r.start, r.end-r.start) ||
				fits.has&need != need && !v.hasAttributes(r, s.f.Attributes, fits.has) || v.isDead(i) {
				continue
			}
			if s.f.Where != nil {
				if v.span(i, &sp); !s.f.Where(&sp) {
					continue
				}
			}
			matches = append(matches, match{r.trace, r.start})
		}
		slices.SortFunc(matches, func(a, b match) int { return cmp.Compare(b.start, a.start) })
		for _, m := range matches {
			if s.enough(m.start) {
				break
			}
			if err := s.candidate(v.ids[m.trace]); err != nil {
				return err
			}
		}
	}
	return nil
}

// match is a row of a head that fits: its trace, and its start, before or at
// which the trace starts.
type match struct {
	trace uint32
	start uint64
}

// hasAttributes looks for those attributes that the resource does not have.
func (v *headView) hasAttributes(r *row, want []AttributeFilter, has uint64) bool {
	shape := v.shapes[v.series[r.series].shape]
	if len(shape) == 0 {
		return false
	}
	slots := v.slots[r.slots>>slotBits][r.slots&(slotChunk-1):]
	for j, a := range want {
		if j < 64 && has>>j&1 != 0 {
			continue
		}
		found := false
		for k, col := range shape {
			c := v.columns[col]
			if c.scope == ScopeSpan && c.key == a.Key {
				if c.typ == span.TypeString {
					found = string(c.slotText(slots[k])) == a.Value
				} else {
					found = c.slotValue(slots[k]).Text() == a.Value
				}
			} else if c.scope == ScopeSpanField && c.key == fieldRest {
				found = hasText(appendRest(nil, string(c.slotText(slots[k]))), a)
			}
			if found {
				break
			}
		}
		if !found {
			return false
		}
	}
	return true
}
