package store

import (
	"slices"

	"github.com/throughline/throughline/backend/span"
)

// headView is a head as it was at one moment: copies of its slices' headers,
// whose elements do not change any more.
type headView struct {
	rows      [][]row
	latest    []uint64 // start in each chunk of rows
	n         int
	dead      []rowRange
	slots     [][]uint64
	events    [][]uint64
	links     [][]uint64
	columns   []*headColumn
	shapes    [][]int32
	series    []series
	names     stringList
	resources []*span.Resource
	scopes    []*span.Scope
	ids       []span.TraceID
	minTime   uint64
	maxTime   uint64
	h         *head // to be locked
}

// view returns the first n rows; the DB's lock must be held, unless nothing is
// appended any more.
func (h *head) view(n int) *headView {
	v := &headView{
		rows: slices.Clone(h.rows), latest: slices.Clone(h.latest), n: n, dead: h.hidden(n), slots: slices.Clone(h.slots),
		events: slices.Clone(h.events.chunks), links: slices.Clone(h.links.chunks),
		columns: make([]*headColumn, len(h.columns)), shapes: h.shapes, series: h.series.list,
		names: h.names.stringList, resources: h.resources.list, scopes: h.scopes.list, ids: h.traces.ids,
		minTime: h.minTime, maxTime: h.maxTime, h: h,
	}
	for i, c := range h.columns {
		v.columns[i] = &headColumn{columnKey: c.columnKey, dict: dict{stringList: c.dict.stringList}, arena: arena{chunks: slices.Clone(c.arena.chunks)}}
	}
	return v
}

// direct is a view of all rows that is good until the next append.
func (h *head) direct() *headView {
	return &headView{
		rows: h.rows, n: h.n, slots: h.slots, events: h.events.chunks, links: h.links.chunks, columns: h.columns,
		shapes: h.shapes, series: h.series.list, names: h.names.stringList, resources: h.resources.list,
		scopes: h.scopes.list, ids: h.traces.ids,
	}
}

func (h *head) row(i int) *row { return &h.rows[i/rowChunk][i%rowChunk] }

func (h *head) slotsAt(at uint32, n int) []uint64 {
	return h.slots[at>>slotBits][at&(slotChunk-1):][:n]
}

func (v *headView) row(i int) *row { return &v.rows[i/rowChunk][i%rowChunk] }

func (v *headView) isDead(i int) bool { return inRanges(v.dead, i) }

// hidden is the rows that a view of the first n leaves out.
func (h *head) hidden(n int) []rowRange {
	if len(h.replaced) == 0 {
		return h.dead // a new slice with every change
	}
	list := slices.Clone(h.dead)
	for _, r := range h.replaced {
		// The other one may have been refused, or not be committed yet.
		if r.row < n && r.by < n && !inRanges(h.dead, r.by) && !inRanges(h.dead, r.row) {
			list = append(list, rowRange{r.row, r.row + 1})
		}
	}
	slices.SortFunc(list, func(a, b rowRange) int { return a.from - b.from })
	return list
}

// span fills sp, whose strings are its own.
func (v *headView) span(i int, sp *span.Span) {
	r := v.row(i)
	se := &v.series[r.series]
	*sp = span.Span{
		TraceID: v.ids[r.trace], SpanID: r.id, ParentSpanID: r.parent, Flags: se.flags,
		Name: string(v.names.at(int(se.name))), Kind: span.Kind(se.kind), StartTime: r.start, EndTime: r.end,
		Status:   span.Status{Code: span.StatusCode(se.status)},
		Resource: v.resources[se.resource], Scope: v.scopes[se.scope],
	}
	shape := v.shapes[se.shape]
	if len(shape) == 0 {
		return
	}
	slots := v.slots[r.slots>>slotBits][r.slots&(slotChunk-1):]
	sp.Attributes = make([]span.Attribute, 0, len(shape))
	for j, col := range shape {
		c := v.columns[col]
		if c.scope == ScopeSpan {
			sp.Attributes = append(sp.Attributes, span.Attribute{Key: c.key, Value: c.slotValue(slots[j])})
			continue
		}
		switch c.key {
		case fieldEvents:
			v.eachChild(v.events, slots[j], func(shape []int32, slots []uint64) {
				var f builder
				f.base = sp.StartTime
				v.fill(&f, ScopeEvent, shape, slots)
				sp.Events = append(sp.Events, f.event())
			})
		case fieldLinks:
			v.eachChild(v.links, slots[j], func(shape []int32, slots []uint64) {
				var f builder
				v.fill(&f, ScopeLink, shape, slots)
				sp.Links = append(sp.Links, f.link())
			})
		default:
			setSpanField(sp, c.key, c.slotValue(slots[j]))
		}
	}
}

func (v *headView) eachChild(chunks [][]uint64, slot uint64, f func(shape []int32, slots []uint64)) {
	end, n := int(slot>>24), int(slot&maxChildren)
	for i := end - n; i < end; i++ {
		ref := chunks[i/rowChunk][i%rowChunk]
		at := uint32(ref)
		f(v.shapes[ref>>32], v.slots[at>>slotBits][at&(slotChunk-1):])
	}
}

func (v *headView) fill(f *builder, scope Scope, shape []int32, slots []uint64) {
	for j, col := range shape {
		c := v.columns[col]
		f.set(c.scope == scope, c.key, c.slotValue(slots[j]))
	}
}

// supersedes says whether a is kept rather than b, which has the same id: that
// which ends last, then that with the longer encoding, then the greater bytes,
// so that the order of arrival decides nothing.
func supersedes(a, b *span.Span) bool {
	if a.EndTime != b.EndTime {
		return a.EndTime > b.EndTime
	}
	x, y := a.AppendProto(nil), b.AppendProto(nil)
	if len(x) != len(y) {
		return len(x) > len(y)
	}
	return string(x) > string(y)
}

// builder collects the parts of an event or a link.
type builder struct {
	base       uint64 // start of the span
	attributes []span.Attribute
	time       uint64
	name       string
	dropped    uint32
	traceID    span.TraceID
	spanID     span.SpanID
	state      string
	flags      uint32
}

func (f *builder) set(attribute bool, key string, v span.Value) {
	if attribute {
		f.attributes = append(f.attributes, span.Attribute{Key: key, Value: v})
		return
	}
	switch key {
	case fieldTime:
		f.time = f.base + uint64(v.Int())
	case fieldName:
		f.name = v.Str()
	case fieldDropped:
		f.dropped = uint32(v.Int())
	case fieldTraceID:
		copy(f.traceID[:], v.Str())
	case fieldSpanID:
		copy(f.spanID[:], v.Str())
	case fieldTraceState:
		f.state = v.Str()
	case fieldFlags:
		f.flags = uint32(v.Int())
	case fieldRest:
		f.attributes = appendRest(f.attributes, v.Str())
	}
}

func (f *builder) event() span.Event {
	return span.Event{Time: f.time, Name: f.name, Attributes: f.attributes, DroppedAttributesCount: f.dropped}
}

func (f *builder) link() span.Link {
	return span.Link{
		TraceID: f.traceID, SpanID: f.spanID, TraceState: f.state, Flags: f.flags,
		Attributes: f.attributes, DroppedAttributesCount: f.dropped,
	}
}

// setSpanField sets what is kept in a column of ScopeSpanField.
func setSpanField(sp *span.Span, key string, v span.Value) {
	switch key {
	case fieldTraceState:
		sp.TraceState = v.Str()
	case fieldStatusMessage:
		sp.Status.Message = v.Str()
	case fieldDropped:
		sp.DroppedAttributesCount = uint32(v.Int())
	case fieldDroppedEvents:
		sp.DroppedEventsCount = uint32(v.Int())
	case fieldDroppedLinks:
		sp.DroppedLinksCount = uint32(v.Int())
	case fieldRest:
		sp.Attributes = appendRest(sp.Attributes, v.Str())
	}
}

// appendRest reads attributes that had no column; what cannot be read is left out.
func appendRest(dst []span.Attribute, rest string) []span.Attribute {
	dst, _ = span.ReadAttributes(dst, rest)
	return dst
}
