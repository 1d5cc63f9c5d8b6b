package store

import (
	"context"
	"math"
	"slices"

	"github.com/throughline/throughline/backend/span"
)

// SpanScan goes through all spans that fulfil a condition, each once, in no order.
type SpanScan struct {
	Where *Cond
	// Start and End are the range of unix nanoseconds that a span starts in, both
	// included; an End of 0 is no bound.
	Start, End uint64
	// Columns are the values to read of each span: of every column the first of
	// its fields for which the span has a value that is not empty. Those of events
	// and links are not among them.
	Columns [][]FieldRef
	// Number, unless it is empty, is a column of which the numbers are wanted, and
	// not what distinct ones there are.
	Number []FieldRef
	// Counts says that it is wanted how many spans each stands for.
	Counts bool
	// MaxValues bounds the distinct values of each column; 0 means 1 << 20. Beyond
	// it, or beyond 64 MiB of them, the scan ends with ErrTooManyValues.
	MaxValues int
	// Begin, unless nil, is called first, and again when all begins anew because a
	// segment was found to be damaged.
	Begin func()
	// Visit is called once for each goroutine, and what it returns for the spans,
	// up to 1024 at a time.
	Visit func() func(*SpanBatch) error
}

// SpanBatch is some spans. It is valid during the call, but Values is for as long
// as the goroutine's calls go on, and only grows.
type SpanBatch struct {
	Start, Duration []uint64
	// Number has the value of each span, if it has one that IsNumber.
	Number   []float64
	IsNumber []bool
	// Count is the [span.Span.Count] of each if counts are wanted, empty when all are 1.
	Count []uint64
	// Columns has for each column the number of each span's value; 0 is none.
	Columns [][]uint32
	// Values has for each column the distinct values by number, from 1 on.
	Values [][]span.Value
	// IDs are those of a span. They cost more than the rest.
	IDs func(i int) (span.TraceID, span.SpanID)
}

// ScanSpans runs a scan.
func (db *DB) ScanSpans(ctx context.Context, scan *SpanScan) error {
	return db.query(func(r *reading) error { return r.scanSpans(ctx, scan) })
}

func (r *reading) scanSpans(ctx context.Context, scan *SpanScan) error {
	shared, err := r.sharing(ctx)
	if err != nil {
		return err
	}
	s := &spanScan{SpanScan: scan, span: newScanRange(scan.Start, scan.End), shared: shared, max: scan.MaxValues, plans: make([]spanPlan, len(r.segments))}
	if s.max <= 0 {
		s.max = 1 << 20
	}
	s.units = r.units(s.span)
	s.several = r.sharedIDs(s.shared)
	scan.Where.refs(s.project.need)
	for _, c := range append(slices.Clip(scan.Columns), scan.Number) {
		for i := range c {
			s.project.need(&c[i])
		}
	}
	s.project.TraceState = scan.Counts
	if scan.Begin != nil {
		scan.Begin()
	}
	n := len(s.units)
	if len(s.several) > 0 {
		n++
	}
	return r.work(ctx, n, s.worker)
}

// spanScan is a SpanScan under way.
type spanScan struct {
	*SpanScan
	span    scanRange
	units   []scanUnit
	shared  *sharing
	several []span.TraceID // traces with spans in several places
	plans   []spanPlan
	project Projection
	max     int
}

// spanWorker is one goroutine of a spanScan.
type spanWorker struct {
	*spanScan
	r      *reading
	check  func() error
	visit  func(*SpanBatch) error
	batch  SpanBatch
	intern []interner // by column
	blocks []*spanBlocks
	rows   []uint16
	span   span.Span
	ids    []spanIDs // of spans that were read one by one
}

type spanIDs struct {
	trace span.TraceID
	span  span.SpanID
}

func (s *spanScan) worker(r *reading, next func() (int, bool), check func() error) (err error) {
	defer func() {
		switch p := recover(); p.(type) {
		case nil:
		case tooManyValues:
			err = ErrTooManyValues
		default:
			panic(p)
		}
	}()
	w := &spanWorker{spanScan: s, r: r, check: check, visit: s.Visit(), blocks: make([]*spanBlocks, len(r.segments))}
	for range s.Columns {
		w.intern = append(w.intern, interner{numbers: map[internKey]uint32{}, texts: map[string]uint32{}, others: map[string]uint32{}, values: make([]span.Value, 1), max: s.max})
		w.batch.Columns = append(w.batch.Columns, make([]uint32, 0, blockLen))
		w.batch.Values = append(w.batch.Values, nil)
	}
	for {
		i, ok := next()
		if !ok {
			return nil
		}
		switch {
		case i == len(s.units):
			err = w.severals()
		case s.units[i].head >= 0:
			err = w.head(&s.units[i])
		default:
			err = w.segment(&s.units[i])
		}
		if err != nil {
			return err
		}
	}
}

// flush hands out the batch.
func (w *spanWorker) flush() error {
	b := &w.batch
	if len(b.Start) == 0 {
		return nil
	}
	for i := range b.Values {
		b.Values[i] = w.intern[i].values
	}
	err := w.visit(b)
	b.Start, b.Duration, b.Number, b.IsNumber = b.Start[:0], b.Duration[:0], b.Number[:0], b.IsNumber[:0]
	b.Count = b.Count[:0]
	for i := range b.Columns {
		b.Columns[i] = b.Columns[i][:0]
	}
	return err
}

// one adds a span that was read.
func (w *spanWorker) one(sp *span.Span) error {
	b := &w.batch
	if len(b.Start) == 0 {
		w.ids = w.ids[:0]
		b.IDs = func(i int) (span.TraceID, span.SpanID) { return w.ids[i].trace, w.ids[i].span }
	}
	w.ids = append(w.ids, spanIDs{sp.TraceID, sp.SpanID})
	b.Start, b.Duration = append(b.Start, sp.StartTime), append(b.Duration, sp.EndTime-sp.StartTime)
	if len(w.Number) > 0 {
		number, state := 0.0, numberUnknown
		for j := range w.Number {
			if v, ok := w.Number[j].of(sp); ok && v.Type() != span.TypeEmpty {
				number, state = numberOfValue(v)
				break
			}
		}
		b.Number, b.IsNumber = append(b.Number, number), append(b.IsNumber, state == numberIs)
	}
	if w.Counts {
		b.Count = append(b.Count, sp.Count())
	}
	for i, refs := range w.Columns {
		n := uint32(0)
		for j := range refs {
			if v, ok := refs[j].of(sp); ok {
				if n = w.intern[i].value(v); n != 0 {
					break
				}
			}
		}
		b.Columns[i] = append(b.Columns[i], n)
	}
	if len(b.Start) == blockLen {
		return w.flush()
	}
	return nil
}

// severals visits the traces that have spans in several places.
func (w *spanWorker) severals() error {
	var p part
	for i, id := range w.several {
		if i&15 == 15 {
			if err := w.check(); err != nil {
				return err
			}
		}
		w.r.gather(id, &p)
		for j := range p.spans {
			if j&1023 == 1023 {
				if err := w.check(); err != nil {
					return err
				}
			}
			l := &p.spans[j]
			if l.start < w.spanScan.span.start || l.start > w.spanScan.span.end {
				continue
			}
			if w.r.load(id, l, &w.span); !w.Where.Fits(&w.span) {
				continue
			}
			if err := w.one(&w.span); err != nil {
				return err
			}
		}
	}
	return w.flush()
}

// head visits the rows of a head.
func (w *spanWorker) head(u *scanUnit) error {
	v, shared := w.r.heads[u.head], &w.shared.heads[u.head]
	may := v.may(w.Where)
	var failed error
	v.eachLive(func(i int, r *row) {
		if failed != nil {
			return
		}
		if i&1023 == 1023 {
			if failed = w.check(); failed != nil {
				return
			}
		}
		if may[r.series] == never || r.start < w.spanScan.span.start || r.start > w.spanScan.span.end || shared.has(uint64(r.trace)) {
			return
		}
		if w.project.Everything {
			v.span(i, &w.span)
		} else {
			v.project(i, &w.project, &w.span)
		}
		if may[r.series] == always || w.Where.Fits(&w.span) {
			failed = w.one(&w.span)
		}
	})
	if failed != nil {
		return failed
	}
	return w.flush()
}

// spanPlan is a spanScan in the terms of one segment.
type spanPlan struct {
	tracePlan
	skip []rowRange // rows of shared traces
}

// spanBlocks is what a worker keeps of a segment.
type spanBlocks struct {
	*blockScan
	plan    *spanPlan
	columns [][]columnReader
	numeric []columnReader
	counts  *countReader // nil when counts are not wanted, or all are 1
	states  [blockLen]numberState
	starts  [blockLen]uint64
	values  [blockLen]uint64
}

func (w *spanWorker) of(i int) *spanBlocks {
	if b := w.blocks[i]; b != nil {
		return b
	}
	p := &w.plans[i]
	s := w.r.segments[i]
	func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.driver != nil {
			return
		}
		p.plan = newSegmentPlan(s)
		p.skip = s.sharedRows(&w.shared.segments[i])
		p.driver = p.plan.compile(w.Where)
	}()
	b := &spanBlocks{blockScan: newBlockScan(p.plan), plan: p}
	for _, refs := range w.Columns {
		var list []columnReader
		for j := range refs {
			list = append(list, b.readers(&refs[j])...)
		}
		b.columns = append(b.columns, list)
	}
	for j := range w.Number {
		b.numeric = append(b.numeric, b.readers(&w.Number[j])...)
	}
	if w.Counts {
		b.counts = b.countReader()
	}
	w.blocks[i] = b
	return b
}

func (w *spanWorker) segment(u *scanUnit) error {
	s := w.of(u.segment)
	if s.plan.driver.op == scanNone {
		return nil
	}
	f := s.foot
	durations, ids := s.packed(f.duration), s.packed(f.id)
	inTime := f.minTime >= w.spanScan.span.start && f.traceStart.max <= math.MaxUint64-f.start.max && f.traceStart.max+f.start.max <= w.spanScan.span.end
	for b := u.to - 1; b >= u.from; b-- {
		if err := w.check(); err != nil {
			return err
		}
		first := uint64(b) << blockBits
		n := s.rowsIn(b)
		var set rowSet
		set.fill(n)
		for _, r := range s.plan.skip {
			if from, to := max(r.from, int(first)), min(r.to, int(first)+n); from < to {
				set.drop(from-int(first), to-int(first))
			}
		}
		if s.eval(s.plan.driver, b, &set); set.empty() {
			continue
		}
		starts := s.startsOf(b)
		if !inTime {
			s.between(starts, w.spanScan.span.start, w.spanScan.span.end, &set)
		}
		rows := w.rows[:0]
		set.each(func(i int) { rows = append(rows, uint16(i)) })
		w.rows = rows
		if len(rows) == 0 {
			continue
		}
		lengths := durations.unpack(b, &s.values)
		out := &w.batch
		out.IDs = func(i int) (trace span.TraceID, id span.SpanID) {
			row := first + uint64(rows[i])
			putBigEndian(id[:], ids.get(row))
			return s.traceID(s.traceOf(row)), id
		}
		if len(rows) == n {
			out.Start, out.Duration = append(out.Start, starts...), append(out.Duration, lengths...)
		} else {
			for _, i := range rows {
				out.Start, out.Duration = append(out.Start, starts[i]), append(out.Duration, lengths[i])
			}
		}
		if len(s.numeric) > 0 {
			s.numbers(b, rows, out)
		}
		if s.counts != nil {
			s.appendCounts(b, rows, out)
		}
		for k := range s.columns {
			out.Columns[k] = s.column(s.columns[k], &w.intern[k], b, rows, out.Columns[k])
		}
		if err := w.flush(); err != nil {
			return err
		}
	}
	return nil
}

// startsOf returns the starts of the spans of a block.
func (s *spanBlocks) startsOf(b int) []uint64 {
	offsets := s.packed(s.foot.start)
	starts := offsets.unpack(b, &s.starts)
	first := uint64(b) << blockBits
	rows, begin := newPick(s.packed(s.foot.traceRow)), newPick(s.packed(s.foot.traceStart))
	traces := s.traces()
	trace := s.traceOf(first)
	for i := 0; i < len(starts); trace++ {
		to := len(starts)
		if trace+1 < traces {
			to = int(min(uint64(to), rows.get(trace+1)-first))
		}
		if to <= i && trace+1 >= traces || to < i {
			s.fail("traces are not in order")
		}
		at := begin.get(trace)
		for j := i; j < to; j++ {
			starts[j] += at
		}
		i = to
	}
	return starts
}
