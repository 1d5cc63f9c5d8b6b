package store

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/throughline/throughline/backend/span"
)

// segment is an open segment file. It is closed when nobody uses it any more and
// it is no part of the store.
type segment struct {
	source
	foot        *footer
	first, last uint64 // the logs whose spans it holds
	size        int64
	unmap       func() error

	users  atomic.Int64 // who reads it, and one for being part of the store
	remove atomic.Pointer[func() error]

	loading sync.Mutex
	tables  atomic.Pointer[segmentTables]
	used    atomic.Bool // since forget was called
}

// segmentTables is what searches need of a segment in the form they need it.
// It is made on demand and dropped when it has not been used for a while.
type segmentTables struct {
	series   []series
	services []uint32 // of each series
	shapes   [][]uint32
	columns  map[columnKey]int
	size     int64

	mu        sync.Mutex
	resources map[uint32]*span.Resource
	scopes    map[uint32]*span.Scope
}

// openSegment reads the frame and the footer. The segment takes over file.
func openSegment(name string, file []byte, unmap func() error) (s *segment, err error) {
	src, foot, err := openSource(name, file)
	if err != nil {
		return nil, err
	}
	f, ok := decodeFooter(foot)
	if !ok {
		return nil, &CorruptError{File: name, Err: fmt.Errorf("footer is not readable")}
	}
	s = &segment{foot: f, size: int64(len(file)), unmap: unmap}
	s.name, s.data, s.sums, s.verified = src.name, src.data, src.sums, src.verified
	s.users.Store(1)
	return s, nil
}

// acquire makes the segment stay open until release.
func (s *segment) acquire() bool {
	for {
		n := s.users.Load()
		if n == 0 {
			return false
		}
		if s.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (s *segment) release() error {
	if s.users.Add(-1) > 0 {
		return nil
	}
	var err error
	if s.unmap != nil {
		err = s.unmap()
	}
	if f := s.remove.Load(); f != nil {
		if e := (*f)(); err == nil {
			err = e
		}
	}
	return err
}

func (s *segment) packed(r packedRef) packed { return packed{&s.source, r} }

func (s *segment) table(r tableRef) *table { return &table{&s.source, r} }

func (s *segment) traces() uint64 { return s.foot.traceHi.n }

// load returns the tables of the segment.
func (s *segment) load() *segmentTables {
	if t := s.tables.Load(); t != nil {
		if !s.used.Load() {
			s.used.Store(true)
		}
		return t
	}
	s.loading.Lock()
	defer s.loading.Unlock()
	if t := s.tables.Load(); t != nil {
		return t
	}
	f := s.foot
	n := f.sResource.n
	t := &segmentTables{
		series: make([]series, n), services: make([]uint32, n), columns: make(map[columnKey]int, len(f.columns)),
		resources: map[uint32]*span.Resource{}, scopes: map[uint32]*span.Scope{},
	}
	each := func(r packedRef, below uint64, set func(i int, v uint64)) {
		p := s.packed(r)
		var buf [blockLen]uint64
		for b := range r.blocks() {
			for i, v := range p.unpack(b, &buf) {
				if v >= below {
					s.fail("reference beyond its table")
				}
				set(b*blockLen+i, v)
			}
		}
	}
	const any32 = 1 << 32
	each(f.sResource, f.resources.ends.n, func(i int, v uint64) { t.series[i].resource = uint32(v) })
	each(f.sScope, f.scopes.ends.n, func(i int, v uint64) { t.series[i].scope = uint32(v) })
	each(f.sName, f.names.ends.n, func(i int, v uint64) { t.series[i].name = uint32(v) })
	each(f.sKind, any32, func(i int, v uint64) { t.series[i].kind = int32(v) })
	each(f.sStatus, any32, func(i int, v uint64) { t.series[i].status = int32(v) })
	each(f.sFlags, any32, func(i int, v uint64) { t.series[i].flags = uint32(v) })
	each(f.sShape, f.shapeEnds.n, func(i int, v uint64) { t.series[i].shape = uint32(v) })
	each(f.sService, f.services.ends.n, func(i int, v uint64) { t.services[i] = uint32(v) })
	t.shapes = make([][]uint32, f.shapeEnds.n)
	columns := make([]uint32, f.shapeColumns.n)
	each(f.shapeColumns, uint64(len(f.columns)), func(i int, v uint64) { columns[i] = uint32(v) })
	from := uint64(0)
	each(f.shapeEnds, uint64(len(columns))+1, func(i int, v uint64) {
		if v < from {
			s.fail("shapes are not in order")
		}
		t.shapes[i] = columns[from:v]
		from = v
	})
	for i := range f.columns {
		t.columns[f.columns[i].columnKey] = i
	}
	t.size = int64(n)*40 + int64(len(columns))*4 + int64(len(t.shapes))*24 + int64(len(f.columns))*64
	s.tables.Store(t)
	return t
}

func (t *segmentTables) memory() int64 {
	if t == nil {
		return 0
	}
	return t.size
}

// forget drops large tables that have not been used since it was called before.
func (s *segment) forget() {
	if t := s.tables.Load(); t != nil && t.size > smallTables && !s.used.Swap(false) {
		s.tables.Store(nil)
	}
}

// smallTables are kept for as long as the segment is open.
const smallTables = 128 << 10

func (s *segment) resource(t *segmentTables, n uint32) *span.Resource {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.resources[n]; r != nil {
		return r
	}
	r := &span.Resource{}
	if err := r.ReadProto(string(s.table(s.foot.resources).at(uint64(n)))); err != nil {
		s.fail("resource is not readable")
	}
	if len(t.resources) >= 4096 {
		clear(t.resources)
	}
	t.resources[n] = r
	return r
}

func (s *segment) scope(t *segmentTables, n uint32) *span.Scope {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.scopes[n]; c != nil {
		return c
	}
	c := &span.Scope{}
	if err := c.ReadProto(string(s.table(s.foot.scopes).at(uint64(n)))); err != nil {
		s.fail("scope is not readable")
	}
	if len(t.scopes) >= 4096 {
		clear(t.scopes)
	}
	t.scopes[n] = c
	return c
}

func (s *segment) traceID(trace uint64) (id span.TraceID) {
	hi, lo := s.packed(s.foot.traceHi), s.packed(s.foot.traceLo)
	putBigEndian(id[:8], hi.get(trace))
	putBigEndian(id[8:], lo.get(trace))
	return id
}

// rowsOf returns the rows of a trace.
func (s *segment) rowsOf(trace uint64) (from, to uint64) {
	p := s.packed(s.foot.traceRow)
	from, to = p.get(trace), s.foot.rows
	if trace+1 < p.n {
		to = p.get(trace + 1)
	}
	if from > to || to > s.foot.rows {
		s.fail("trace beyond the rows")
	}
	return from, to
}

// find calls f with the number of every part that the segment has of a trace.
func (s *segment) find(id span.TraceID, f func(trace uint64)) {
	if s.traces() == 0 || !bloomHas(s.bytes(s.foot.bloom, s.foot.bloomN), hashBytes(id[:])) {
		return
	}
	order := s.packed(s.foot.traceOrder)
	lo, hi := uint64(0), order.n
	for lo < hi {
		mid := (lo + hi) / 2
		at := s.traceID(order.get(mid))
		if bytes.Compare(at[:], id[:]) < 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	for ; lo < order.n; lo++ {
		n := order.get(lo)
		if s.traceID(n) != id {
			return
		}
		f(n)
	}
}

func putBigEndian(b []byte, v uint64) {
	_ = b[7]
	b[0], b[1], b[2], b[3] = byte(v>>56), byte(v>>48), byte(v>>40), byte(v>>32)
	b[4], b[5], b[6], b[7] = byte(v>>24), byte(v>>16), byte(v>>8), byte(v)
}
