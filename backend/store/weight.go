package store

import "github.com/throughline/throughline/backend/span"

// Statistics count a span as many times as it stands for ([span.Span.Count]): more
// than once where it was sampled, which its trace state says.

// weigher says how many spans the rows of a head stand for. What it costs where no
// span was sampled is a comparison for each row.
type weigher struct {
	v      *headView
	states *headColumn // nil when no span has a trace state
	column int32
	at     []int32 // by series: 0 unknown, 1 no trace state, else its place among the slots and 2
	slot   uint64  // that weight is of, when that is not 0
	weight float64
}

func (v *headView) weigher() *weigher {
	w := &weigher{v: v}
	for i, c := range v.columns {
		if c.isTraceState() {
			w.states, w.column = c, int32(i)
			w.at = make([]int32, len(v.series))
			break
		}
	}
	return w
}

func (k *columnKey) isTraceState() bool { return k.scope == ScopeSpanField && k.key == fieldTraceState }

// count is how many spans a row stands for.
func (w *weigher) count(r *row) int64 {
	if w.states == nil {
		return 1
	}
	at := w.at[r.series]
	if at == 0 {
		at = 1
		for i, c := range w.v.shapes[w.v.series[r.series].shape] {
			if c == w.column {
				at = int32(i) + 2
			}
		}
		w.at[r.series] = at
	}
	if at == 1 {
		return 1
	}
	slot := w.v.slots[r.slots>>slotBits][r.slots&(slotChunk-1):][at-2]
	if w.weight == 0 || slot != w.slot {
		w.slot, w.weight = slot, span.WeightOf(unsafeString(w.states.slotText(slot)))
	}
	return int64(span.CountOf(w.weight, r.id))
}

// countReader reads how many spans those of a segment stand for.
type countReader struct {
	projected
	few []float64 // weights by position in the dictionary, 0 unknown
	ids pick
}

// countReader is nil when no span has a trace state.
func (s *spanBlocks) countReader() *countReader {
	for i := range s.foot.columns {
		ref := &s.foot.columns[i]
		if !ref.isTraceState() || ref.typ != span.TypeString {
			continue
		}
		c := &countReader{
			projected: projected{scanColumn: s.segmentPlan.reading(i), values: newPick(s.packed(ref.values))},
			ids:       newPick(s.packed(s.foot.id)),
		}
		if ref.enc == encTable {
			c.few = make([]float64, s.room(ref.texts.ends.n))
		}
		return c
	}
	return nil
}

// appendCounts appends those of rows of a block.
func (s *spanBlocks) appendCounts(b int, rows []uint16, out *SpanBatch) {
	c, keys := s.counts, s.rowKeys(0, b)
	first := uint64(b) << blockBits
	for _, i := range rows {
		n := uint64(1)
		if c.has[keys[i]] != 0 {
			row := first + uint64(i)
			var id span.SpanID
			putBigEndian(id[:], c.ids.get(row))
			n = span.CountOf(s.weightAt(c, c.at(s.blockScan, row)), id)
		}
		out.Count = append(out.Count, n)
	}
}

func (s *spanBlocks) weightAt(c *countReader, at uint64) float64 {
	if c.ref.enc == encPages {
		return span.WeightOf(unsafeString(s.pageText(c.ref, &c.pages, at)))
	}
	v := c.values.get(at)
	if v >= uint64(len(c.few)) {
		s.fail("position beyond the dictionary")
	}
	if c.few[v] == 0 {
		c.few[v] = span.WeightOf(unsafeString(s.table(c.ref.texts).at(v)))
	}
	return c.few[v]
}

// count is how many spans one of a trace stands for.
func (r *reading) count(id span.TraceID, l *lite) int64 {
	if l.count == 0 {
		l.count = 1
		if l.hasTraceState() {
			var sp span.Span
			r.load(id, l, &sp)
			l.count = int64(sp.Count())
		}
	}
	return l.count
}

func (l *lite) hasTraceState() bool {
	if v := l.view; v != nil {
		for _, c := range v.shapes[v.series[l.series].shape] {
			if v.columns[c].isTraceState() {
				return true
			}
		}
		return false
	}
	t := l.segment.load()
	for _, c := range t.shapes[t.series[l.series].shape] {
		if l.segment.foot.columns[c].isTraceState() {
			return true
		}
	}
	return false
}
