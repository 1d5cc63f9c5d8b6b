package store

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/throughline/throughline/backend/span"
)

// traceWorker is one goroutine of a traceScan.
type traceWorker struct {
	*traceScan
	r      *reading
	check  func() error
	judge  func(*FoundTrace) (any, bool, error)
	blocks []*traceBlocks // by segment
	part   part
	found  FoundTrace
	looked int
	spans  int // of those
}

// traceBlocks is what a worker keeps of a segment.
type traceBlocks struct {
	*blockScan
	plan    *tracePlan
	project *projector
	detail  *projector
	sets    [][4]keptSet // by number
	trace   uint64       // the traces from it on are done with
	known   []uint8      // scratch of selects, as the next
	path    []uint64
}

func (s *traceScan) worker(r *reading, next func() (int, bool), check func() error) error {
	w := &traceWorker{traceScan: s, r: r, check: check, judge: s.Judge(), blocks: make([]*traceBlocks, len(r.segments))}
	for {
		i, ok := next()
		if !ok {
			break
		}
		if s.IDs != nil {
			if err := w.several(s.IDs[i]); err != nil {
				return err
			}
			continue
		}
		u := &s.units[i]
		if s.enough(u.latest) {
			continue // what follows may be newer: segments overlap
		}
		var err error
		if u.head >= 0 {
			err = w.head(u)
		} else {
			err = w.segment(u)
		}
		if err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.judged += w.looked
	s.spans += w.spans
	return nil
}

// of returns what the worker keeps of a segment.
func (w *traceWorker) of(i int) *traceBlocks {
	b := w.blocks[i]
	if b == nil {
		p := &w.plans[i]
		p.compile(w.r.segments[i], w.traceScan)
		b = &traceBlocks{blockScan: newBlockScan(p.plan), plan: p, sets: make([][4]keptSet, p.sets)}
		w.blocks[i] = b
	}
	return b
}

func (w *traceWorker) segment(u *scanUnit) error {
	s, shared := w.of(u.segment), &w.shared.segments[u.segment]
	if s.plan.driver.op == scanNone || !shared.any && !s.plan.sel.possible() {
		return nil
	}
	starts, rows := newPick(s.packed(s.foot.traceStart)), newPick(s.packed(s.foot.traceRow))
	s.trace = s.traces()
	below := min(uint64(u.to)<<blockBits, s.foot.rows) // rows from it on are done with
	// A trace that goes on in the unit after this one was judged there if it has a
	// row there.
	if trace := s.traceOf(below - 1); below < s.foot.rows {
		if from, to := s.rowsOf(trace); to > below && s.anyRow(s.plan.driver, s.plan.driverSet, below, to) {
			below = from
		}
	}
	for b := u.to - 1; b >= u.from; b-- {
		if err := w.check(); err != nil {
			return err
		}
		set := s.set(s.plan.driver, s.plan.driverSet, b)
		if set.empty() {
			continue
		}
		first := uint64(b) << blockBits
		if below <= first {
			continue
		}
		for i := set.last(int(min(blockLen, below-first))); i >= 0; {
			row := first + uint64(i)
			trace := s.traceBefore(&rows, row)
			s.trace = trace
			if w.enough(starts.get(trace)) {
				return nil // so are all before
			}
			from := rows.get(trace)
			if err := w.candidate(s, shared, trace, from, starts.get(trace)); err != nil {
				return err
			}
			if below = from; below <= first {
				break
			}
			i = set.last(int(below - first))
		}
	}
	return nil
}

// traceBefore returns the trace of a row, which is at most s.trace.
func (s *traceBlocks) traceBefore(rows *pick, row uint64) uint64 {
	hi := min(s.trace+1, s.traces())
	// It is close by, most of the time.
	lo, step := hi, uint64(1)
	for {
		lo -= min(step, lo)
		if lo == 0 || rows.get(lo) <= row {
			break
		}
		hi, step = lo, step*2
	}
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; rows.get(mid) <= row {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}

// candidate judges a trace of a segment, unless it is seen not to be selected.
func (w *traceWorker) candidate(s *traceBlocks, shared *shared, trace, from, start uint64) error {
	if shared.has(trace) {
		return w.several(s.traceID(trace))
	}
	_, to := s.rowsOf(trace)
	ends := s.packed(s.foot.traceEnd)
	if start > w.span.end || start+ends.get(trace) < w.span.start || !s.selects(s.plan.sel, from, to) {
		return nil
	}
	if s.project == nil {
		s.project = newProjector(s.blockScan, &w.project)
	}
	received := s.packed(s.foot.received)
	p := &w.part
	p.spans, p.duplicates, p.received = p.spans[:0], false, received.get(trace)
	for row := from; row < to; row++ {
		p.spans = append(p.spans, s.project.lite(row, trace, from, start))
	}
	return w.judgePart(s.traceID(trace))
}

// several judges a trace with spans in several places.
func (w *traceWorker) several(id span.TraceID) error {
	if !w.first(id) {
		return nil
	}
	if w.r.gather(id, &w.part); len(w.part.spans) == 0 {
		return nil
	}
	return w.judgePart(id)
}

func (w *traceWorker) judgePart(id span.TraceID) error {
	p := &w.part
	start, end := p.spans[0].start, uint64(0)
	for i := range p.spans {
		end = max(end, p.spans[i].end)
	}
	if start > w.span.end || end < w.span.start || w.enough(start) {
		return nil
	}
	t := &w.found
	t.ID, t.part, t.worker = id, p, w
	t.Spans = slices.Grow(t.Spans[:0], len(p.spans))[:len(p.spans)]
	for i := range p.spans {
		if i&1023 == 1023 {
			if err := w.check(); err != nil {
				return err
			}
		}
		w.load(id, &p.spans[i], &t.Spans[i])
	}
	w.spans += len(p.spans)
	if w.looked++; w.looked&15 == 0 {
		if err := w.check(); err != nil {
			return err
		}
	}
	value, ok, err := w.judge(t)
	for _, b := range w.blocks {
		if b != nil {
			b.project.forget()
			b.detail.forget()
		}
	}
	if err != nil || !ok {
		return err
	}
	w.take(Scanned{ID: id, Start: start, Value: value})
	return nil
}

// load reads the parts of a span that are asked for.
func (w *traceWorker) load(id span.TraceID, l *lite, sp *span.Span) {
	switch {
	case w.project.Everything:
		w.r.load(id, l, sp)
	case l.view != nil:
		l.view.project(int(l.row), &w.project, sp)
	default:
		s := w.of(slices.Index(w.r.segments, l.segment))
		if s.project == nil {
			s.project = newProjector(s.blockScan, &w.project)
		}
		s.project.span(l, id, sp)
	}
}

// detail reads the parts of a span that Detail names.
func (w *traceWorker) detail(id span.TraceID, l *lite, sp *span.Span) {
	switch {
	case w.Detail.Everything:
		w.r.load(id, l, sp)
	case l.view != nil:
		l.view.project(int(l.row), &w.Detail, sp)
	default:
		s := w.of(slices.Index(w.r.segments, l.segment))
		if s.detail == nil {
			s.detail = newProjector(s.blockScan, &w.Detail)
		}
		s.detail.span(l, id, sp)
	}
}

// head judges the traces of a head, from the rows that arrived last to the first.
// Those are in no order, but a chunk knows its latest start.
func (w *traceWorker) head(u *scanUnit) error {
	v, shared := w.r.heads[u.head], &w.shared.heads[u.head]
	may := v.may(w.driver)
	var sp span.Span
	seen := make([]uint64, (len(v.ids)+63)/64)
	for k := u.to - 1; k >= u.from; k-- {
		if w.enough(v.latest[k]) {
			continue
		}
		rows := v.rows[k]
		for j := len(rows) - 1; j >= 0; j-- {
			if j&255 == 255 {
				if err := w.check(); err != nil {
					return err
				}
			}
			i := k*rowChunk + j
			r := &rows[j]
			if i >= v.n || may[r.series] == never || seen[r.trace>>6]>>(r.trace&63)&1 != 0 || w.enough(r.start) || v.isDead(i) {
				continue
			}
			if may[r.series] == perhaps {
				if w.project.Everything {
					v.span(i, &sp)
				} else {
					v.project(i, &w.project, &sp)
				}
				if !w.driver.Fits(&sp) {
					continue
				}
			}
			seen[r.trace>>6] |= 1 << (r.trace & 63)
			id := v.ids[r.trace]
			if shared.has(uint64(r.trace)) {
				if err := w.several(id); err != nil {
					return err
				}
				continue
			}
			w.part.spans, w.part.received, w.part.duplicates = w.part.spans[:0], 0, false
			v.gather(w.r.db, id, &w.part)
			slices.SortFunc(w.part.spans, func(a, b lite) int {
				return cmp.Or(cmp.Compare(a.start, b.start), bytes.Compare(a.id[:], b.id[:]))
			})
			if err := w.judgePart(id); err != nil {
				return err
			}
		}
	}
	return nil
}

// may says for every series of a head whether a condition holds for its spans.
func (v *headView) may(c *Cond) []maybe {
	out := make([]maybe, len(v.series))
	for i := range v.series {
		s := &v.series[i]
		out[i] = c.ofSeries(func(r *FieldRef) (span.Value, bool) {
			return r.common(unsafeString(v.names.at(int(s.name))), span.Kind(s.kind), span.StatusCode(s.status), v.resources[s.resource], v.scopes[s.scope])
		})
	}
	return out
}
