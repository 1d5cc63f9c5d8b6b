package store

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"math"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/throughline/throughline/backend/span"
)

// TraceScan looks for traces, the newest first.
type TraceScan struct {
	// Select says which traces Judge is asked about. Traces that it does not
	// select may be among them: those with spans in several places are judged
	// whenever one of their spans could be the one.
	Select *Select
	// IDs, unless nil, are the only traces that are looked at.
	IDs []span.TraceID
	// Start and End are the range of unix nanoseconds that a trace overlaps, both
	// included; 0 is no bound.
	Start, End uint64
	Limit      int // of the traces found, 0 is none
	Project    Projection
	// Begin, unless nil, is called first, and again when all begins anew because a
	// segment was found to be damaged.
	Begin func()
	// Judge is called once for each goroutine, and what it returns for each trace,
	// whole and without duplicates: whether it is one of those looked for, and what
	// the answer is to hold of it.
	Judge func() func(*FoundTrace) (value any, ok bool, err error)
	// Drop, unless nil, is told of values that newer ones push out.
	Drop func(value any)
}

// FoundTrace is a trace that is judged. It is valid during the call, with all
// strings in it.
type FoundTrace struct {
	span.Trace
	part *part
}

// Summary is that of the whole trace, and stays valid.
func (t *FoundTrace) Summary() span.Summary { return t.part.summary(t.ID) }

// Scanned is a trace that was found, as Judge has it.
type Scanned struct {
	ID    span.TraceID
	Start uint64
	Value any
}

// ScanResult is what a TraceScan found.
type ScanResult struct {
	Traces    []Scanned // newest start first
	Truncated bool      // more traces fit than the limit
	Judged    int       // traces
	Spans     int       // of those
}

// ScanTraces runs a scan. It stops when nothing newer than what was found can come.
func (db *DB) ScanTraces(ctx context.Context, scan *TraceScan) (result ScanResult, err error) {
	err = db.query(func(r *reading) error {
		result, err = r.scanTraces(ctx, scan)
		return err
	})
	return result, err
}

func (r *reading) scanTraces(ctx context.Context, scan *TraceScan) (ScanResult, error) {
	s := &traceScan{
		TraceScan: scan, span: newScanRange(scan.Start, scan.End), limit: math.MaxInt, shared: r.sharing(),
		plans: make([]tracePlan, len(r.segments)), project: scan.Project.clone(), driver: scan.Select.driver(),
	}
	if scan.Limit > 0 && scan.Limit < math.MaxInt {
		s.limit = scan.Limit + 1
	}
	s.units = r.units(s.span)
	scan.Select.refs(s.project.need)
	if scan.Begin != nil {
		scan.Begin()
	}
	n := len(s.units)
	if scan.IDs != nil {
		n = len(scan.IDs)
	}
	err := r.work(ctx, n, s.worker)
	return s.result(), err
}

// refs calls f with every field that is looked at.
func (s *Select) refs(f func(*FieldRef)) {
	for _, c := range []*Cond{s.Left, s.Right} {
		if c != nil {
			c.refs(f)
		}
	}
	for _, of := range slices.Concat(s.And, s.Or) {
		of.refs(f)
	}
}

// traceScan is a TraceScan under way.
type traceScan struct {
	*TraceScan
	span    scanRange
	project Projection
	limit   int // one more than asked for
	units   []scanUnit
	driver  *Cond
	shared  *sharing
	plans   []tracePlan

	oldest atomic.Uint64 // start of the oldest of limit traces, else 0

	mu     sync.Mutex
	newest scannedHeap
	seen   map[span.TraceID]struct{} // of those with spans in several places
	judged int
	spans  int
}

// tracePlan is a traceScan in the terms of one segment.
type tracePlan struct {
	mu     sync.Mutex
	plan   *segmentPlan
	driver *scanNode
	sel    *selectPlan
	sets   int // numbers given

	driverSet int // its number
}

// selectPlan is a Select in the terms of one segment.
type selectPlan struct {
	right, left *scanNode
	sets        [2]int // where their results are kept
	relation    Relation
	and, or     []*selectPlan
}

func (p *tracePlan) compile(s *segment, scan *traceScan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sel != nil {
		return
	}
	p.plan = newSegmentPlan(s)
	p.driver = p.plan.compile(scan.driver)
	p.driverSet = p.sets
	p.sets++
	p.sel = p.selection(scan.Select)
}

func (p *tracePlan) selection(s *Select) *selectPlan {
	out := &selectPlan{relation: s.Relation, sets: [2]int{p.sets, p.sets + 1}}
	p.sets += 2
	switch {
	case len(s.And) > 0:
		for _, of := range s.And {
			out.and = append(out.and, p.selection(of))
		}
	case len(s.Or) > 0:
		for _, of := range s.Or {
			out.or = append(out.or, p.selection(of))
		}
	default:
		out.right = allNode
		if s.Right != nil {
			out.right = p.plan.compile(s.Right)
		}
		if s.Left != nil {
			out.left = p.plan.compile(s.Left)
		}
	}
	return out
}

// possible says whether a trace of this segment alone may be selected.
func (s *selectPlan) possible() bool {
	not := func(of *selectPlan) bool { return !of.possible() }
	switch {
	case s.and != nil:
		return !slices.ContainsFunc(s.and, not)
	case s.or != nil:
		return slices.ContainsFunc(s.or, (*selectPlan).possible)
	}
	return s.right.op != scanNone && (s.left == nil || s.left.op != scanNone)
}

// scannedHeap has the oldest trace on top.
type scannedHeap []Scanned

func (h scannedHeap) Len() int           { return len(h) }
func (h scannedHeap) Less(i, j int) bool { return newer(&h[j], &h[i]) < 0 }
func (h scannedHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *scannedHeap) Push(x any)        { *h = append(*h, x.(Scanned)) }
func (h *scannedHeap) Pop() any {
	old := *h
	s := old[len(old)-1]
	old[len(old)-1] = Scanned{}
	*h = old[:len(old)-1]
	return s
}

// newer orders the newest first.
func newer(a, b *Scanned) int {
	return cmp.Or(cmp.Compare(b.Start, a.Start), bytes.Compare(b.ID[:], a.ID[:]))
}

func (s *traceScan) result() ScanResult {
	slices.SortFunc(s.newest, func(a, b Scanned) int { return newer(&a, &b) })
	r := ScanResult{Traces: append([]Scanned{}, s.newest...), Judged: s.judged, Spans: s.spans}
	if len(r.Traces) == s.limit {
		r.Traces, r.Truncated = r.Traces[:s.limit-1], true
	}
	return r
}

// enough says whether traces that start at start or before cannot be among those
// that are asked for.
func (s *traceScan) enough(start uint64) bool { return start < s.oldest.Load() }

// take adds a trace that was found.
func (s *traceScan) take(t Scanned) {
	s.mu.Lock()
	defer s.mu.Unlock()
	heap.Push(&s.newest, t)
	if len(s.newest) > s.limit {
		old := heap.Pop(&s.newest).(Scanned)
		if s.Drop != nil {
			s.Drop(old.Value)
		}
	}
	if len(s.newest) == s.limit {
		s.oldest.Store(s.newest[0].Start)
	}
}

// first says whether a trace with spans in several places comes for the first time.
func (s *traceScan) first(id span.TraceID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = map[span.TraceID]struct{}{}
	}
	if _, ok := s.seen[id]; ok {
		return false
	}
	s.seen[id] = struct{}{}
	return true
}

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
	sets    [][4]keptSet // by number
	trace   uint64       // the traces from it on are done with
	known   []uint8      // scratch of selects, as the next
	path    []uint64
}

// keptSet is the rows of a block that fit.
type keptSet struct {
	block int // and 1
	set   rowSet
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

// last returns the last row before row i, -1 when there is none.
func (s *rowSet) last(i int) int {
	for k := (i - 1) >> 6; k >= 0 && i > 0; k-- {
		w := s[k]
		if n := i - k<<6; n < 64 {
			w &= 1<<n - 1
		}
		if w != 0 {
			return k<<6 + 63 - bits.LeadingZeros64(w)
		}
	}
	return -1
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
	t.ID, t.part = id, p
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
		if b != nil && b.project != nil {
			b.project.arena = b.project.arena[:0]
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

// selects says whether a trace whose spans are all in these rows is selected.
func (s *traceBlocks) selects(p *selectPlan, from, to uint64) bool {
	switch {
	case p.and != nil:
		for _, of := range p.and {
			if !s.selects(of, from, to) {
				return false
			}
		}
		return true
	case p.or != nil:
		for _, of := range p.or {
			if s.selects(of, from, to) {
				return true
			}
		}
		return false
	}
	if p.left == nil {
		return s.anyRow(p.right, p.sets[0], from, to)
	}
	if p.relation == Anyhow {
		return s.anyRow(p.right, p.sets[0], from, to) && s.anyRow(p.left, p.sets[1], from, to)
	}
	// One of the two is below the other.
	low, high, lowSet, highSet := p.right, p.left, p.sets[0], p.sets[1]
	if p.relation == ParentOf || p.relation == AncestorOf {
		low, high, lowSet, highSet = high, low, highSet, lowSet
	}
	if !s.anyRow(high, highSet, from, to) {
		return false
	}
	parents := s.packed(s.foot.parent)
	near := p.relation == ChildOf || p.relation == ParentOf
	// What is known of rows by their place: 0 nothing, 1 that nothing above is high,
	// 2 that it is being looked at. So every row is passed once, however deep the tree.
	s.known = append(s.known[:0], make([]uint8, to-from)...)
	for row := from; row < to; row++ {
		if !s.fits(low, lowSet, row) {
			continue
		}
		s.path = s.path[:0]
		for at := row; s.known[at-from] == 0; {
			if !near {
				s.known[at-from] = 2
				s.path = append(s.path, at-from)
			}
			parent := parents.get(at)
			if parent < 2 {
				break
			}
			if at = from + parent - 2; at >= to {
				s.fail("parent beyond its trace")
			}
			if s.fits(high, highSet, at) {
				return true
			}
			if near {
				break
			}
		}
		for _, k := range s.path {
			s.known[k] = 1
		}
	}
	return false
}

// set returns the rows of a block that fit; four blocks are kept.
func (s *traceBlocks) set(n *scanNode, number, b int) *rowSet {
	k := &s.sets[number][b&3]
	if k.block != b+1 {
		k.set.fill(s.rowsIn(b))
		s.eval(n, b, &k.set)
		k.block = b + 1
	}
	return &k.set
}

func (s *traceBlocks) fits(n *scanNode, number int, row uint64) bool {
	return s.set(n, number, int(row>>blockBits)).has(int(row & (blockLen - 1)))
}

func (s *traceBlocks) anyRow(n *scanNode, number int, from, to uint64) bool {
	for from < to {
		b := from >> blockBits
		if s.set(n, number, int(b)).intersects(int(from&(blockLen-1)), int(min(blockLen, to-b<<blockBits))) {
			return true
		}
		from = (b + 1) << blockBits
	}
	return false
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
