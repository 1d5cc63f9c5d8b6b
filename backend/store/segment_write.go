package store

import (
	"bytes"
	"cmp"
	"math"
	"math/bits"
	"slices"

	"github.com/throughline/throughline/backend/span"
)

// columnWriter makes one column of a segment.
type columnWriter struct {
	columnKey
	enc    encoding
	values packer
	ranks  packer
	few    []uint64
	texts  *stringList
	pages  *pageWriter
	paged  []byte // of pages, while the column is not written
	n      uint64
}

// rank notes that a block of rows begins.
func (c *columnWriter) rank() { c.ranks.push(c.n) }

func (c *columnWriter) pushNumber(v uint64) {
	c.values.push(v)
	c.n++
}

func (c *columnWriter) pushText(s []byte) {
	c.pages.push(s)
	c.n++
}

// startPages makes it a column of pages, which go to sink as they are made.
func (c *columnWriter) startPages(sink func([]byte)) {
	c.enc = encPages
	if sink == nil {
		sink = func(b []byte) { c.paged = append(c.paged, b...) }
	}
	c.pages = &pageWriter{sink: sink}
}

// finish writes what is left of the column. Pages whose sink was the file
// itself began at pagesAt.
func (c *columnWriter) finish(w *fileWriter, pagesAt uint64) columnRef {
	r := columnRef{columnKey: c.columnKey, enc: c.enc, n: c.n}
	switch c.enc {
	case encNumbers:
		r.values = w.packed(&c.values)
	case encFew:
		r.values = w.packed(&c.values)
		r.few = w.numbers(c.few)
	case encTable:
		r.values = w.packed(&c.values)
		r.texts = w.table(c.texts)
	case encPages:
		c.pages.flush()
		if c.paged != nil {
			pagesAt = w.write(c.paged)
		}
		r.pages = c.pages.finish(w, pagesAt)
	}
	r.ranks = w.packed(&c.ranks)
	return r
}

// fewer says whether numbers are smaller as positions in a list of the distinct
// ones.
func fewer(distinct []uint64) bool {
	if len(distinct) == 0 {
		return false
	}
	return bits.Len64(uint64(len(distinct)-1))+1 < bits.Len64(slices.Max(distinct)-slices.Min(distinct))
}

func (w *fileWriter) numbers(values []uint64) packedRef {
	var p packer
	for _, v := range values {
		p.push(v)
	}
	return w.packed(&p)
}

// traceWriter makes the part of a segment that finds traces.
type traceWriter struct {
	ids                             []span.TraceID
	hi, lo, row, start, end, recent packer
}

func (t *traceWriter) add(id span.TraceID, firstRow, start, end, received uint64) {
	t.ids = append(t.ids, id)
	t.hi.push(bigEndian(id[:8]))
	t.lo.push(bigEndian(id[8:]))
	t.row.push(firstRow)
	t.start.push(start)
	t.end.push(end - start)
	t.recent.push(received)
}

func (t *traceWriter) finish(w *fileWriter, f *footer) {
	order := make([]uint32, len(t.ids))
	bloom := make([]byte, bloomSize(len(t.ids)))
	for i := range t.ids {
		order[i] = uint32(i)
		bloomAdd(bloom, hashBytes(t.ids[i][:]))
	}
	slices.SortFunc(order, func(a, b uint32) int {
		if c := bytes.Compare(t.ids[a][:], t.ids[b][:]); c != 0 {
			return c
		}
		return int(a) - int(b)
	})
	var p packer
	for _, n := range order {
		p.push(uint64(n))
	}
	f.traceOrder = w.packed(&p)
	f.traceHi, f.traceLo, f.traceRow = w.packed(&t.hi), w.packed(&t.lo), w.packed(&t.row)
	f.traceStart, f.traceEnd, f.received = w.packed(&t.start), w.packed(&t.end), w.packed(&t.recent)
	f.bloom, f.bloomN = w.write(bloom), uint64(len(bloom))
}

// seriesWriter writes the table of series.
func writeSeries(w *fileWriter, f *footer, list []series, service func(resource uint32) uint32) {
	var p [8]packer
	for i := range list {
		s := &list[i]
		p[0].push(uint64(s.resource))
		p[1].push(uint64(s.scope))
		p[2].push(uint64(s.name))
		p[3].push(uint64(uint32(s.kind)))
		p[4].push(uint64(uint32(s.status)))
		p[5].push(uint64(s.flags))
		p[6].push(uint64(s.shape))
		p[7].push(uint64(service(s.resource)))
	}
	for i, r := range []*packedRef{&f.sResource, &f.sScope, &f.sName, &f.sKind, &f.sStatus, &f.sFlags, &f.sShape, &f.sService} {
		*r = w.packed(&p[i])
	}
}

func writeShapes(w *fileWriter, f *footer, shapes [][]int32) {
	var columns, ends packer
	n := uint64(0)
	for _, s := range shapes {
		for _, c := range s {
			columns.push(uint64(c))
		}
		n += uint64(len(s))
		ends.push(n)
	}
	f.shapeColumns, f.shapeEnds = w.packed(&columns), w.packed(&ends)
}

// operation is what durations are counted by.
type operation struct {
	service, name uint32 // in the segment's tables
	kind, status  int32
}

// link of the service graph: an edge from the service of a parent to that of its
// child, by the status of the child.
type link struct {
	parent, child uint32
	status        int32
}

// statistics collects the operations and edges of a segment.
type statistics struct {
	operations map[operation]uint32
	opList     []operation
	opTally    tallyKeys
	held       []int64 // spans of each operation, each counted once
	edges      map[link]uint32
	edgeList   []link
	edgeTally  tallyKeys
	names      *dict
	services   *dict
}

// Beyond these the operations and services of a segment are counted under
// otherName, so that statistics stay small however many names there are.
const (
	maxOperations = 8192
	maxEdges2     = 65536
	otherName     = "(other)"
)

func newStatistics(names, services *dict) *statistics {
	return &statistics{operations: map[operation]uint32{}, edges: map[link]uint32{}, names: names, services: services}
}

func (s *statistics) operation(o operation) uint32 {
	n, ok := s.operations[o]
	if ok {
		return n
	}
	if len(s.opList) >= maxOperations {
		o.name, _ = s.names.add(otherName)
		if n, ok = s.operations[o]; ok {
			return n
		}
		if len(s.opList) >= 2*maxOperations {
			o.service, _ = s.services.add(otherName)
			o.kind = 0
			if n, ok = s.operations[o]; ok {
				return n
			}
		}
	}
	n = uint32(len(s.opList))
	s.opList = append(s.opList, o)
	s.held = append(s.held, 0)
	s.operations[o] = n
	return n
}

func (s *statistics) edge(e link) uint32 {
	n, ok := s.edges[e]
	if ok {
		return n
	}
	if len(s.edgeList) >= maxEdges2 {
		e.parent, _ = s.services.add(otherName)
		e.child = e.parent
		if n, ok = s.edges[e]; ok {
			return n
		}
	}
	n = uint32(len(s.edgeList))
	s.edgeList = append(s.edgeList, e)
	s.edges[e] = n
	return n
}

// tallyKeys are durations to be counted. A key packs what is sorted: 20 bits of
// operation or edge, 28 of minute, 16 of bucket.
type tallyKeys struct {
	once []uint64
	more []keyCount // those that count several times, or are taken out
}

type keyCount struct {
	key uint64
	n   int64
}

// add counts a duration n times, or takes it out when n is negative.
func (t *tallyKeys) add(key uint32, minuteAndBucket uint64, n int64) {
	k := uint64(key)<<44 | minuteAndBucket&(1<<44-1)
	if n == 1 {
		t.once = append(t.once, k)
	} else if n != 0 {
		t.more = append(t.more, keyCount{k, n})
	}
}

// write writes both tables.
func (s *statistics) write(w *fileWriter, f *footer) {
	r := rollupsWriter{foot: f}
	f.firstMinute = math.MaxUint64
	var tallies []tally
	s.opTally.sort()
	for k := range s.opList {
		tallies = s.opTally.next(k, tallies)
		r.add(tallies)
	}
	f.oMinutes, f.oHours = r.finish(w)
	s.edgeTally.sort()
	for k := range s.edgeList {
		tallies = s.edgeTally.next(k, tallies)
		r.add(tallies)
	}
	f.eMinutes, f.eHours = r.finish(w)
	s.writeKeys(w, f)
}

func (s *statistics) writeKeys(w *fileWriter, f *footer) {
	var p [8]packer
	for i, o := range s.opList {
		p[0].push(uint64(o.service))
		p[1].push(uint64(o.name))
		p[2].push(uint64(uint32(o.kind)))
		p[3].push(uint64(uint32(o.status)))
		p[7].push(fromInt(s.held[i]))
	}
	for _, e := range s.edgeList {
		p[4].push(uint64(e.parent))
		p[5].push(uint64(e.child))
		p[6].push(uint64(uint32(e.status)))
	}
	for i, r := range []*packedRef{&f.oService, &f.oName, &f.oKind, &f.oStatus, &f.eParent, &f.eChild, &f.eStatus, &f.oCount} {
		*r = w.packed(&p[i])
	}
}

// sort is to come before next.
func (t *tallyKeys) sort() {
	sortKeys(t.once)
	slices.SortFunc(t.more, func(a, b keyCount) int { return cmp.Compare(a.key, b.key) })
}

// next returns the tallies of a key, all of which are asked for in order.
func (t *tallyKeys) next(key int, tallies []tally) []tally {
	tallies = tallies[:0]
	add := func(at uint64, n int64) {
		if i := len(tallies); i > 0 && tallies[i-1].at == at {
			tallies[i-1].n += n
		} else {
			tallies = append(tallies, tally{at, n})
		}
	}
	for len(t.once) > 0 && t.once[0]>>44 == uint64(key) {
		add(t.once[0]&(1<<44-1), 1)
		t.once = t.once[1:]
	}
	if len(t.more) == 0 || t.more[0].key>>44 != uint64(key) {
		return tallies
	}
	for len(t.more) > 0 && t.more[0].key>>44 == uint64(key) {
		add(t.more[0].key&(1<<44-1), t.more[0].n)
		t.more = t.more[1:]
	}
	return mergeTallies(tallies)
}

// rollupsWriter makes the rollups of a table of keys, by minute and by hour.
type rollupsWriter struct {
	foot           *footer
	minutes, hours rollupWriter
	hourly         []tally
}

// add appends the tallies of the next key, which must be sorted and merged.
func (r *rollupsWriter) add(tallies []tally) {
	for _, t := range tallies {
		m := t.at >> 16
		r.foot.firstMinute, r.foot.lastMinute = min(r.foot.firstMinute, m), max(r.foot.lastMinute, m)
	}
	r.minutes.add(tallies)
	r.hourly = toHours(r.hourly, tallies)
	r.hours.add(r.hourly)
}

func (r *rollupsWriter) finish(w *fileWriter) (minutes, hours rollupRef) {
	minutes, hours = r.minutes.finish(w), r.hours.finish(w)
	r.minutes, r.hours = rollupWriter{}, rollupWriter{}
	return minutes, hours
}

func bigEndian(b []byte) uint64 {
	_ = b[7]
	return uint64(b[7]) | uint64(b[6])<<8 | uint64(b[5])<<16 | uint64(b[4])<<24 |
		uint64(b[3])<<32 | uint64(b[2])<<40 | uint64(b[1])<<48 | uint64(b[0])<<56
}

// sortKeys sorts by bytes, from the lowest to the highest, leaving out those that
// all keys share.
func sortKeys(keys []uint64) {
	if len(keys) < 256 {
		slices.Sort(keys)
		return
	}
	var differ uint64
	for _, k := range keys {
		differ |= k ^ keys[0]
	}
	from, to := keys, make([]uint64, len(keys))
	for shift := 0; shift < 64; shift += 8 {
		if differ>>shift&0xff == 0 {
			continue
		}
		var at [257]uint32
		for _, k := range from {
			at[k>>shift&0xff+1]++
		}
		for i := 1; i < len(at); i++ {
			at[i] += at[i-1]
		}
		for _, k := range from {
			d := k >> shift & 0xff
			to[at[d]] = k
			at[d]++
		}
		from, to = to, from
	}
	if &from[0] != &keys[0] {
		copy(keys, from)
	}
}
