package store

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/throughline/throughline/backend/span"
)

// A trace is spread when spans of it are in a head and in older segments or heads
// too: it was in flight when a head became full, or a client sent it again. What
// such a trace adds to the head's statistics is the difference between what all
// of its spans come to and what the older ones came to. So the sum over all heads
// and segments counts every span once, the one that readers see, and every call
// whose ends arrived apart, without reading spans.

const (
	// spreadWindow is how long before the first span of a head a segment has
	// received its last one to be taken for older than the head. It bounds where
	// traces are looked for, however much is stored.
	spreadWindow = time.Hour
	// A trace with more older spans than the first, or one beyond the second of
	// all traces of a head, is counted as if it were new, which bounds the work.
	maxSpreadTrace = 50_000
	maxSpreadSpans = 1_000_000
)

// spread is the spread traces of a head. It is brought up to date by who needs
// it: queries, and sealing.
type spread struct {
	mu      sync.Mutex
	checked int    // traces with lower numbers have been looked for
	shown   int    // traces with lower numbers are in the view of who holds mu
	is      []bool // by trace
	list    []spreadTrace
	older   int // spans of the list's traces in older sources

	operations map[spreadOperation]uint32
	opList     []spreadOperation
	edges      map[spreadEdge]uint32
	edgeList   []spreadEdge
	calls      calls        // of the other traces
	changes    []change     // of the trace at hand
	bytes      atomic.Int64 // about what it takes
}

type spreadOperation struct {
	service, name string
	kind, status  int32
}

type spreadEdge struct {
	parent, child string
	status        int32
}

// spreadTrace is what a trace adds.
type spreadTrace struct {
	number  uint32 // in the head
	known   bool   // older sources have spans of it
	last    uint32 // row+1 of its last span as of then, 0 when it is to be looked at
	rows    int    // of the head
	spans   int    // that older sources do not have
	changes []change
}

// change is how many spans or calls are added to a bucket, or taken out.
type change struct {
	at   uint64 // minute and bucket, as in tally
	n    int64  // as many as they stand for
	held int32  // of spans, each counted once
	key  uint32 // in opList or edgeList
	edge bool
}

// olderSources is what is older than a head.
type olderSources struct {
	segments []*segment
	filters  [][]byte // bloom filters of the segments
	heads    []*headView
}

// olderThan returns what is older than the head that is number i of the reading's.
func (r *reading) olderThan(i int) olderSources {
	o := olderSources{heads: r.heads[:i]}
	since := r.heads[i].row(0).received - min(r.heads[i].row(0).received, uint64(spreadWindow))
	for _, s := range r.segments {
		if s.foot.maxReceived >= since && s.traces() > 0 {
			o.segments = append(o.segments, s)
			o.filters = append(o.filters, s.bytes(s.foot.bloom, s.foot.bloomN))
		}
	}
	return o
}

// spans is how many spans the sources have of a trace, roughly.
func (o *olderSources) spans(id *span.TraceID) int {
	n, hash := 0, hashBytes(id[:])
	for i, s := range o.segments {
		if bloomHas(o.filters[i], hash) {
			s.find(*id, func(trace uint64) {
				from, to := s.rowsOf(trace)
				n += int(to - from)
			})
		}
	}
	for _, v := range o.heads { // which nobody appends to any more
		if t := v.h.traces.find(id); t >= 0 {
			n += max(1, int(v.h.traces.spans[t].rows))
		}
	}
	return n
}

// spread calls f with the spread traces of head number i of the reading.
func (r *reading) spread(i int, f func(s *spread)) { r.spreadCalls(i, false, f) }

// spreadCalls is spread, with the calls of the other traces if they are wanted.
func (r *reading) spreadCalls(i int, calls bool, f func(s *spread)) {
	v := r.heads[i]
	s := &v.h.spread
	s.mu.Lock()
	defer s.mu.Unlock()
	o := r.olderThan(i)
	for ; s.checked < len(v.ids); s.checked++ {
		n := o.spans(&v.ids[s.checked])
		s.is = append(s.is, false)
		if n > 0 && n <= maxSpreadTrace && s.older+n <= maxSpreadSpans {
			s.older += n
			s.mark(uint32(s.checked))
			s.list[len(s.list)-1].known = true
		}
	}
	s.shown = len(v.ids)
	if calls {
		s.calls.count(r, s, v)
	}
	r.updateAll(s, &o, v)
	s.bytes.Store(s.size())
	f(s)
}

// updateAll computes what those of the traces add that have changed.
func (r *reading) updateAll(s *spread, o *olderSources, v *headView) {
	if len(s.list) == 0 {
		return
	}
	last := make([]uint32, len(s.list))
	r.db.mu.Lock()
	for k := range s.list {
		last[k] = v.h.traces.last[s.list[k].number]
	}
	r.db.mu.Unlock()
	var p part // not kept: it refers to older heads
	for k := range s.list {
		// Another query may have had a later view, with more rows and traces.
		t := &s.list[k]
		if int(t.number) < len(v.ids) && (t.last != last[k] || int(t.last) > v.n) {
			r.update(s, t, o, v, &p)
			if t.last = last[k]; int(t.last) > v.n {
				t.last = 0 // there is more than the view shows
			}
		}
	}
}

// mark makes a trace one of the list.
func (s *spread) mark(trace uint32) {
	s.is[trace] = true
	s.list = append(s.list, spreadTrace{number: trace})
}

func (s *spread) size() int64 {
	n := cap(s.is) + cap(s.list)*int(unsafe.Sizeof(spreadTrace{}))
	for i := range s.list {
		n += cap(s.list[i].changes) * int(unsafe.Sizeof(change{}))
	}
	for i := range s.opList {
		n += len(s.opList[i].service) + len(s.opList[i].name)
	}
	n += int((1 + mapEntry) * float64(len(s.opList)*int(unsafe.Sizeof(spreadOperation{}))+len(s.edgeList)*int(unsafe.Sizeof(spreadEdge{}))))
	n += s.calls.size()
	return int64(n + cap(s.changes)*int(unsafe.Sizeof(change{})))
}

// update computes what a trace adds.
func (r *reading) update(s *spread, t *spreadTrace, o *olderSources, v *headView, p *part) {
	id := v.ids[t.number]
	s.changes = s.changes[:0]
	r.gatherFrom(id, p, o.segments, o.heads)
	s.tally(r, id, p, -1)
	before := len(p.spans)
	v.gather(r.db, id, p)
	t.rows = len(p.spans) - before
	r.distinct(id, p)
	s.tally(r, id, p, 1)
	t.spans = len(p.spans) - before
	slices.SortFunc(s.changes, func(a, b change) int {
		return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.at, b.at), boolCompare(a.edge, b.edge))
	})
	t.changes = t.changes[:0]
	for _, c := range s.changes {
		if k := len(t.changes) - 1; k >= 0 && t.changes[k].key == c.key && t.changes[k].at == c.at && t.changes[k].edge == c.edge {
			t.changes[k].n += c.n
			t.changes[k].held += c.held
		} else {
			t.changes = append(t.changes, c)
		}
	}
	t.changes = slices.Clip(slices.DeleteFunc(t.changes, func(c change) bool { return c.n == 0 && c.held == 0 }))
	if cap(s.changes) > maxSpreadTrace/10 {
		s.changes = nil
	}
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// tally adds the spans of a part, and the calls among them, or takes them out when
// sign is -1.
func (s *spread) tally(r *reading, id span.TraceID, p *part, sign int32) {
	parent := p.finder()
	for i := range p.spans {
		l := &p.spans[i]
		at := minuteAndBucket(l.start, l.end-l.start)
		n := int64(sign) * r.count(id, l)
		s.changes = append(s.changes, change{at, n, sign, s.operation(spreadOperation{l.service(), l.nameText(), l.kind, l.status}), false})
		if l.parent == ([8]byte{}) {
			continue
		}
		if k := parent(l.parent); k >= 0 {
			s.changes = append(s.changes, change{at, n, 0, s.edge(spreadEdge{p.spans[k].service(), l.service(), l.status}), true})
		}
	}
}

func (s *spread) operation(o spreadOperation) uint32 {
	n, ok := s.operations[o]
	if !ok {
		if s.operations == nil {
			s.operations = map[spreadOperation]uint32{}
		}
		o.service, o.name = strings.Clone(o.service), strings.Clone(o.name)
		n = uint32(len(s.opList))
		s.opList = append(s.opList, o)
		s.operations[o] = n
	}
	return n
}

func (s *spread) edge(e spreadEdge) uint32 {
	n, ok := s.edges[e]
	if !ok {
		if s.edges == nil {
			s.edges = map[spreadEdge]uint32{}
		}
		e.parent, e.child = strings.Clone(e.parent), strings.Clone(e.child)
		n = uint32(len(s.edgeList))
		s.edgeList = append(s.edgeList, e)
		s.edges[e] = n
	}
	return n
}

// has says whether a trace of the head is spread.
func (s *spread) has(trace uint32) bool { return s.is[trace] }

// each calls f with the changes of operations, or with those of edges.
func (s *spread) each(edges bool, f func(c *change)) {
	for i := range s.list {
		if int(s.list[i].number) >= s.shown {
			continue
		}
		for k := range s.list[i].changes {
			if c := &s.list[i].changes[k]; c.edge == edges {
				f(c)
			}
		}
	}
}

// counts returns how many of the traces are known to older sources, how many rows
// of the head all of them have, and how many spans they add.
func (s *spread) counts() (traces, rows, spans int) {
	for i := range s.list {
		if int(s.list[i].number) >= s.shown {
			continue
		}
		if s.list[i].known && s.list[i].rows > 0 {
			traces++
		}
		rows += s.list[i].rows
		spans += s.list[i].spans
	}
	return traces, rows, spans
}
