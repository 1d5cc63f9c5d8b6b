package store

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"math"
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
	Detail     Projection // what FoundTrace.Load reads of a span
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
	part   *part
	worker *traceWorker
}

// Load reads a span of the trace again, with the parts that Detail names.
func (t *FoundTrace) Load(i int) { t.worker.detail(t.ID, &t.part.spans[i], &t.Spans[i]) }

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
	shared, err := r.sharing(ctx)
	if err != nil {
		return ScanResult{}, err
	}
	s := &traceScan{
		TraceScan: scan, span: newScanRange(scan.Start, scan.End), limit: math.MaxInt, shared: shared,
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
	err = r.work(ctx, n, s.worker)
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
