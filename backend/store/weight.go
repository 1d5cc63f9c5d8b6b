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
