package store

import (
	"cmp"
	"slices"
)

// sealing writes a head, which does not change any more, as a segment.
type sealing struct {
	h     *head
	v     *headView
	w     *fileWriter
	foot  footer
	stats *statistics

	services []uint32 // of each resource
	ops      []uint32 // operation of each series, +1
	columns  []*columnWriter
	sources  []sealColumn
	byTable  [3][]*columnWriter

	id, start, duration, series, parent packer
	orphanRow, orphanID                 packer
	eventShape, linkShape               packer
	traces                              traceWriter
	rows                                uint64
	events, links                       uint64

	weigh *weigher

	ids []uint64         // of the trace's spans
	at  map[uint64]int32 // their places, in traces of many spans
}

// sealColumn says how the slots of a head's column become values of a segment's.
type sealColumn struct {
	c     *headColumn
	remap []uint32 // of the dictionary, or of few
	ends  bool     // the slots are of events or links
}

// sealHead writes the spans of h that are not dead to f; h is the reading's first
// head, and nobody appends to it any more.
func sealHead(r *reading, h *head, f File) error {
	s := &sealing{h: h, v: h.view(h.n), w: newFileWriter(f)}
	s.weigh = s.v.weigher()
	s.plan()
	r.spread(0, func(sp *spread) {
		s.walk(sp)
		s.spread(sp)
	})
	return s.finish()
}

// plan decides the encoding of every column.
func (s *sealing) plan() {
	h := s.h
	services := &dict{}
	s.services = make([]uint32, len(h.resources.list))
	for i, r := range h.resources.list {
		s.services[i], _ = services.add(r.ServiceName())
	}
	names := h.names // grows apart from the head's, which others may be reading
	s.stats = newStatistics(&names, services)
	s.ops = make([]uint32, len(h.series.list))
	s.columns = make([]*columnWriter, len(h.columns))
	s.sources = make([]sealColumn, len(h.columns))
	for i, c := range h.columns {
		w := &columnWriter{columnKey: c.columnKey, enc: encNumbers}
		src := sealColumn{c: c}
		switch {
		case isText(c.typ):
			if c.long {
				w.startPages(nil)
			} else {
				w.enc = encTable
				w.texts, src.remap = c.dict.sorted()
			}
		case c.scope == ScopeSpanField && (c.key == fieldEvents || c.key == fieldLinks):
			src.ends = true
		case c.few != nil && !c.few.over:
			distinct := make([]uint64, len(c.few.values))
			for j, v := range c.few.values {
				distinct[j] = order(c.typ, v)
			}
			if fewer(distinct) {
				w.enc = encFew
				w.few = slices.Sorted(slices.Values(distinct))
				src.remap = make([]uint32, len(distinct))
				for j, v := range distinct {
					n, _ := slices.BinarySearch(w.few, v)
					src.remap[j] = uint32(n)
				}
			}
		}
		s.columns[i], s.sources[i] = w, src
		s.byTable[c.scope%3] = append(s.byTable[c.scope%3], w)
	}
}

// traceRows is the rows of one trace, while the traces are brought into order.
type traceRows struct {
	number   uint32
	from, to uint32 // in the order of rows
	start    uint64
}

// byTrace returns the rows that may be read, one trace after the other, and where
// the rows of each trace begin; its last element is the number of rows.
func (v *headView) byTrace() (order, from []uint32) {
	from = make([]uint32, len(v.ids)+1)
	v.eachLive(func(_ int, r *row) { from[r.trace+1]++ })
	for i := 1; i < len(from); i++ {
		from[i] += from[i-1]
	}
	order = make([]uint32, from[len(v.ids)])
	next := slices.Clone(from)
	v.eachLive(func(i int, r *row) {
		order[next[r.trace]] = uint32(i)
		next[r.trace]++
	})
	return order, from
}

// walk writes the rows, trace by trace.
func (s *sealing) walk(sp *spread) {
	h := s.h
	order, ends := s.v.byTrace()
	traces := make([]traceRows, 0, len(h.traces.ids))
	for i := range h.traces.ids {
		if ends[i] < ends[i+1] {
			traces = append(traces, traceRows{number: uint32(i), from: ends[i], to: ends[i+1]})
		}
	}
	for i := range traces {
		t := &traces[i]
		rows := order[t.from:t.to]
		slices.SortFunc(rows, func(a, b uint32) int {
			x, y := h.row(int(a)), h.row(int(b))
			return cmp.Or(cmp.Compare(x.start, y.start), cmp.Compare(bigEndian(x.id[:]), bigEndian(y.id[:])))
		})
		t.start = h.row(int(rows[0])).start
	}
	slices.SortFunc(traces, func(a, b traceRows) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.number, b.number))
	})
	for i := range traces {
		t := &traces[i]
		s.trace(t, order[t.from:t.to], !sp.has(t.number))
	}
}

// spread counts what the traces add that older segments have a part of.
func (s *sealing) spread(sp *spread) {
	operations := make([]uint32, len(sp.opList))
	for i, o := range sp.opList {
		service, _ := s.stats.services.add(o.service)
		name, _ := s.stats.names.add(o.name)
		operations[i] = s.stats.operation(operation{service, name, o.kind, o.status})
	}
	edges := make([]uint32, len(sp.edgeList))
	for i, e := range sp.edgeList {
		parent, _ := s.stats.services.add(e.parent)
		child, _ := s.stats.services.add(e.child)
		edges[i] = s.stats.edge(link{parent, child, e.status})
	}
	sp.each(false, func(c *change) {
		s.stats.opTally.add(operations[c.key], c.at, c.n)
		s.stats.held[operations[c.key]] += int64(c.held)
	})
	sp.each(true, func(c *change) { s.stats.edgeTally.add(edges[c.key], c.at, c.n) })
	traces, rows, spans := sp.counts()
	s.foot.newSpans = s.rows - uint64(rows-spans)
	s.foot.newTraces = s.traces.row.count() - uint64(traces)
}

// manyRows is where a map becomes faster than looking at one after the other.
const manyRows = 48

// trace writes the rows of one trace, which are in order, and counts them unless
// the trace is spread.
func (s *sealing) trace(t *traceRows, rows []uint32, count bool) {
	h := s.h
	id := &h.traces.ids[t.number]
	first := s.rows
	many := len(rows) > manyRows
	s.ids = s.ids[:0]
	for _, n := range rows {
		s.ids = append(s.ids, bigEndian(h.row(int(n)).id[:]))
	}
	if many {
		s.at = make(map[uint64]int32, len(rows))
		for i, id := range s.ids {
			s.at[id] = int32(i)
		}
	}
	var end, received uint64
	for _, n := range rows {
		r := h.row(int(n))
		if s.rows%blockLen == 0 {
			for _, c := range s.byTable[0] {
				c.rank()
			}
		}
		end, received = max(end, r.end), max(received, r.received)
		s.bounds(r)
		s.id.push(bigEndian(r.id[:]))
		s.start.push(r.start - t.start)
		s.duration.push(r.end - r.start)
		s.series.push(uint64(r.series))
		se := &h.series.list[r.series]
		at := minuteAndBucket(r.start, r.end-r.start)
		if count {
			op := s.ops[r.series]
			if op == 0 {
				op = 1 + s.stats.operation(operation{s.services[se.resource], se.name, se.kind, se.status})
				s.ops[r.series] = op
			}
			s.stats.opTally.add(op-1, at, s.weigh.count(r))
			s.stats.held[op-1]++
		}

		// The parent: 0 none, 1 not here, else its place in the trace and 2.
		parent := uint64(0)
		if r.parent != ([8]byte{}) {
			parent = 1
			pid := bigEndian(r.parent[:])
			if many {
				if at, ok := s.at[pid]; ok {
					parent = uint64(at) + 2
				}
			} else {
				for j, id := range s.ids {
					if id == pid {
						parent = uint64(j) + 2
						break
					}
				}
			}
			if parent == 1 {
				s.orphanRow.push(s.rows)
				s.orphanID.push(pid)
			} else if count {
				from := s.services[h.series.list[h.row(int(rows[parent-2])).series].resource]
				s.stats.edgeTally.add(s.stats.edge(link{from, s.services[se.resource], se.status}), at, s.weigh.count(r))
			}
		}
		s.parent.push(parent)
		s.values(int32(se.shape), r.slots)
		s.rows++
	}
	s.traces.add(*id, first, t.start, end, received)
}

func (s *sealing) bounds(r *row) {
	f := &s.foot
	if s.rows == 0 {
		f.minTime, f.minReceived = r.start, r.received
	}
	f.minTime, f.maxTime = min(f.minTime, r.start), max(f.maxTime, r.end)
	f.minReceived, f.maxReceived = min(f.minReceived, r.received), max(f.maxReceived, r.received)
}

// values writes the slots of one span, event or link.
func (s *sealing) values(shape int32, at uint32) {
	columns := s.h.shapes[shape]
	slots := s.h.slotsAt(at, len(columns))
	for i, col := range columns {
		w, src := s.columns[col], &s.sources[col]
		v := slots[i]
		switch w.enc {
		case encTable:
			w.pushNumber(uint64(src.remap[v]))
		case encPages:
			w.pushText(src.c.slotText(v))
		case encFew:
			w.pushNumber(uint64(src.remap[src.c.few.find(v)]))
		default:
			if src.ends {
				v = s.children(src.c.key == fieldEvents, v)
			}
			w.pushNumber(order(w.typ, v))
		}
	}
}

// children writes the events or links that a slot stands for, and returns where
// they end.
func (s *sealing) children(events bool, slot uint64) uint64 {
	list, shapes, done, table := &s.h.links, &s.linkShape, &s.links, 2
	if events {
		list, shapes, done, table = &s.h.events, &s.eventShape, &s.events, 1
	}
	end, n := int(slot>>24), int(slot&maxChildren)
	for i := end - n; i < end; i++ {
		if *done%blockLen == 0 {
			for _, c := range s.byTable[table] {
				c.rank()
			}
		}
		shape, slots := list.at(i)
		shapes.push(uint64(shape))
		s.values(int32(shape), slots)
		*done++
	}
	return *done
}

func (s *sealing) finish() error {
	h, w, f := s.h, s.w, &s.foot
	f.rows, f.events, f.links = s.rows, s.events, s.links
	s.traces.finish(w, f)
	for p, r := range map[*packer]*packedRef{
		&s.id: &f.id, &s.start: &f.start, &s.duration: &f.duration, &s.series: &f.series, &s.parent: &f.parent,
		&s.orphanRow: &f.orphanRow, &s.orphanID: &f.orphanID, &s.eventShape: &f.eventShape, &s.linkShape: &f.linkShape,
	} {
		*r = w.packed(p)
	}
	for _, c := range s.columns {
		f.columns = append(f.columns, c.finish(w, 0))
	}
	s.stats.write(w, f) // may add to names and services
	f.names, f.services = w.table(&s.stats.names.stringList), w.table(&s.stats.services.stringList)
	f.resources, f.scopes = w.table(listOf(h.resources.keys)), w.table(listOf(h.scopes.keys))
	writeSeries(w, f, h.series.list, func(r uint32) uint32 { return s.services[r] })
	writeShapes(w, f, h.shapes)
	return w.finish(f.encode())
}

func listOf(strings []string) *stringList {
	l := &stringList{}
	for _, s := range strings {
		l.push(s)
	}
	return l
}
