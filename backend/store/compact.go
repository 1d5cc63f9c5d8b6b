package store

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"time"
)

// Compaction merges neighbours in the order of their logs, so that the name of
// what it makes covers the names of what it was made of. A span is rewritten once
// for each tier, and a tier has eight times the spans of the one below.
const (
	fanIn          = 8
	tierSpans      = 4096      // of tier 0
	maxMerged      = 2_000_000 // spans; what is larger is not merged again
	maxMergedKeys  = 8192      // columns
	compactBackoff = time.Minute
)

func tier(s *segment) int {
	t := 0
	for n := s.foot.rows; n > tierSpans; n /= fanIn {
		t++
	}
	return t
}

// mergeable returns neighbours to merge, nil when there are none; the smallest
// come first.
func mergeable(list []*segment, maxBytes int64) []*segment {
	for t := range 8 {
		for from := 0; from < len(list); {
			to, rows, bytes := from, uint64(0), int64(0)
			keys := keySet{}
			for to < len(list) && to-from < 2*fanIn && tier(list[to]) <= t && rows+list[to].foot.rows <= maxMerged &&
				bytes+list[to].size <= maxBytes && keys.fits(list[to].foot.columns) {
				rows += list[to].foot.rows
				bytes += list[to].size
				to++
			}
			if to-from >= fanIn {
				return slices.Clone(list[from:to])
			}
			from = max(to, from+1)
		}
	}
	return nil
}

// keySet is the columns of the segments of a group.
type keySet struct {
	sum int // of their numbers, which is enough to know while it is small
	set map[columnKey]struct{}
	all [][]columnRef
}

// fits adds the columns of a segment unless they become too many.
func (k *keySet) fits(columns []columnRef) bool {
	k.all = append(k.all, columns)
	if k.sum += len(columns); k.sum <= maxMergedKeys {
		return true
	}
	if k.set == nil {
		k.set = map[columnKey]struct{}{}
	}
	for _, list := range k.all {
		for i := range list {
			k.set[list[i].columnKey] = struct{}{}
		}
	}
	k.all = nil
	return len(k.set) <= maxMergedKeys
}

// compactor merges segments until done; it is told by compactWake when there are
// new ones.
func (db *DB) compactor(done <-chan struct{}) {
	var retry time.Time
	for {
		select {
		case <-done:
			return
		case <-db.compactWake:
		}
		for time.Now().After(retry) {
			again, err := db.compactOnce(done)
			if err != nil {
				retry = time.Now().Add(compactBackoff)
				db.options.Log.Error("merging segments", "error", err)
			}
			if !again {
				break
			}
		}
	}
}

var errStopped = errors.New("stopped")

// compactOnce merges one group of segments when there is one.
func (db *DB) compactOnce(done <-chan struct{}) (again bool, err error) {
	r := &reading{db: db, readers: map[*segment]*rowReader{}}
	db.mu.Lock()
	most := int64(math.MaxInt64)
	if db.memory {
		most = db.options.MaxBytes / (2 * memoryReserve)
	}
	for _, s := range mergeable(db.list, most) {
		if s.acquire() {
			r.segments = append(r.segments, s)
		}
	}
	db.mu.Unlock()
	defer r.close()
	if len(r.segments) < 2 {
		return false, nil
	}
	began := time.Now()
	first, last := r.segments[0].first, r.segments[len(r.segments)-1].last
	name := filepath.Join(db.dir, segmentName(first, last))
	var merged *segment
	err = r.attempt(func(*reading) error {
		var err error
		merged, err = db.writeSegment(name, first, last, func(f File) error {
			return r.attempt(func(*reading) error { return newMerge(r.segments, f, done).run() })
		})
		return err
	})
	var corrupt *CorruptError
	switch {
	case errors.Is(err, errStopped):
		return false, nil
	case errors.As(err, &corrupt):
		return db.quarantine(corrupt), nil
	case err != nil:
		return false, err
	}
	db.mu.Lock()
	at := slices.Index(db.list, r.segments[0])
	whole := at >= 0 && at+len(r.segments) <= len(db.list) && slices.Equal(db.list[at:at+len(r.segments)], r.segments)
	if whole {
		db.list = slices.Replace(slices.Clone(db.list), at, at+len(r.segments), merged)
	}
	db.mu.Unlock()
	if !whole {
		// Some were dropped meanwhile, and are not to come back.
		db.discard(merged)
		return true, nil
	}
	for _, s := range r.segments {
		db.discard(s)
	}
	db.counters.compacted.Add(uint64(len(r.segments)))
	db.counters.compactNanos.Add(uint64(time.Since(began)))
	db.options.Log.Debug("segments merged", "segments", len(r.segments), "spans", merged.foot.rows, "bytes", merged.size, "took", time.Since(began))
	return true, nil
}

// merge writes several segments as one, column by column, so that it needs the
// memory of one column and a few numbers for each span. The rows of each source
// stay in their order, which makes reading them sequential.
type merge struct {
	w       *fileWriter
	foot    footer
	done    <-chan struct{}
	sources []*mergeSource
	stats   *statistics

	parts   []mergePart // traces by start
	rows    [3]mergeRows
	series  seriesTable
	columns []columnKey
	colAt   map[columnKey]uint32
	shapes  [][]int32
	shapeAt map[string]uint32
	service []uint32 // of each resource
}

// mergeSource is a segment with what its numbers become.
type mergeSource struct {
	*segment
	t                                          *segmentTables
	names, services, resources, scopes, shapes []uint32
	series                                     []uint32
	columns                                    []int // of the merged columns, the source's, -1 when it has none
}

// mergePart is a trace of one source.
type mergePart struct {
	start  uint64
	trace  uint32
	source uint16
}

// mergeRows is a table of rows in the merged order: which shape each has, and
// from which source runs of them come.
type mergeRows struct {
	shape []uint32
	runs  []mergeRun
}

type mergeRun struct {
	source uint32
	n      uint32
}

func (m *mergeRows) add(source int, n uint64) {
	if k := len(m.runs); k > 0 && int(m.runs[k-1].source) == source && uint64(m.runs[k-1].n)+n < 1<<32 {
		m.runs[k-1].n += uint32(n)
	} else {
		m.runs = append(m.runs, mergeRun{uint32(source), uint32(n)})
	}
}

func newMerge(segments []*segment, f File, done <-chan struct{}) *merge {
	m := &merge{w: newFileWriter(f), done: done, colAt: map[columnKey]uint32{}, shapeAt: map[string]uint32{}}
	for _, s := range segments {
		m.sources = append(m.sources, &mergeSource{segment: s, t: s.load()})
	}
	return m
}

func (m *merge) run() error {
	m.tables()
	m.order()
	if err := m.fixed(); err != nil {
		return err
	}
	// Spans first: the ends of their events and links say how those are ordered.
	for table := range 3 {
		if err := m.table(table); err != nil {
			return err
		}
	}
	m.rollups()
	return m.finish()
}

// tables merges what is kept once for all spans.
func (m *merge) tables() {
	var names, services, resources, scopes dict
	add := func(d *dict, s *segment, r tableRef) []uint32 {
		remap := make([]uint32, r.ends.n)
		s.table(r).each(func(i int, text []byte) bool {
			remap[i], _ = d.add(unsafeString(text))
			return true
		})
		return remap
	}
	for _, s := range m.sources {
		f := s.foot
		s.names, s.services = add(&names, s.segment, f.names), add(&services, s.segment, f.services)
		s.resources, s.scopes = add(&resources, s.segment, f.resources), add(&scopes, s.segment, f.scopes)
		remap := make([]int32, len(f.columns))
		for i := range f.columns {
			k := f.columns[i].columnKey
			n, ok := m.colAt[k]
			if !ok {
				n = uint32(len(m.columns))
				m.colAt[k] = n
				m.columns = append(m.columns, k)
			}
			remap[i] = int32(n)
		}
		for _, shape := range s.t.shapes {
			columns := make([]int32, len(shape))
			var key []byte
			for i, c := range shape {
				columns[i] = remap[c]
				key = append(key, byte(columns[i]), byte(columns[i]>>8))
			}
			n, ok := m.shapeAt[string(key)]
			if !ok {
				n = uint32(len(m.shapes))
				m.shapeAt[string(key)] = n
				m.shapes = append(m.shapes, columns)
			}
			s.shapes = append(s.shapes, n)
		}
		for i, se := range s.t.series {
			service := s.services[s.t.services[i]]
			se.resource, se.scope, se.name, se.shape = s.resources[se.resource], s.scopes[se.scope], s.names[se.name], s.shapes[se.shape]
			n, _ := m.series.add(se)
			s.series = append(s.series, n)
			for len(m.service) <= int(se.resource) {
				m.service = append(m.service, 0)
			}
			m.service[se.resource] = service
		}
		m.foot.resources, m.foot.scopes = tableRef{}, tableRef{}
	}
	for _, s := range m.sources {
		s.columns = make([]int, len(m.columns))
		for i, k := range m.columns {
			s.columns[i] = -1
			if at, ok := s.t.columns[k]; ok {
				s.columns[i] = at
			}
		}
	}
	m.foot.resources, m.foot.scopes = m.w.table(&resources.stringList), m.w.table(&scopes.stringList)
	m.stats = newStatistics(&names, &services)
}

// order merges the traces of the sources, each of which has them by start.
func (m *merge) order() {
	f := &m.foot
	for i, s := range m.sources {
		starts := newCursor(s.packed(s.foot.traceStart))
		for t := range s.traces() {
			m.parts = append(m.parts, mergePart{starts.get(t), uint32(t), uint16(i)})
		}
		if i == 0 {
			f.minTime, f.minReceived = s.foot.minTime, s.foot.minReceived
		}
		f.rows += s.foot.rows
		f.newSpans += s.foot.newSpans
		f.newTraces += s.foot.newTraces
		f.events += s.foot.events
		f.links += s.foot.links
		f.minTime, f.maxTime = min(f.minTime, s.foot.minTime), max(f.maxTime, s.foot.maxTime)
		f.minReceived, f.maxReceived = min(f.minReceived, s.foot.minReceived), max(f.maxReceived, s.foot.maxReceived)
	}
	// Stable: a source's traces that start together stay in its order.
	slices.SortStableFunc(m.parts, func(a, b mergePart) int { return cmp.Compare(a.start, b.start) })
}

// fixed writes the columns that every span has, and the traces.
func (m *merge) fixed() error {
	w, f := m.w, &m.foot
	var traces traceWriter
	row := uint64(0)
	for _, p := range m.parts {
		s := m.sources[p.source]
		from, to := s.rowsOf(uint64(p.trace))
		ends, received := s.packed(s.foot.traceEnd), s.packed(s.foot.received)
		traces.add(s.traceID(uint64(p.trace)), row, p.start, p.start+ends.get(uint64(p.trace)), received.get(uint64(p.trace)))
		m.rows[0].add(int(p.source), to-from)
		row += to - from
	}
	if row != f.rows {
		return fmt.Errorf("traces have %d spans, want %d", row, f.rows)
	}
	m.parts = nil
	traces.finish(w, f)

	m.rows[0].shape = make([]uint32, 0, f.rows)
	var series packer
	if err := m.eachRow(func(s *mergeSource) packedRef { return s.foot.series }, func(s *mergeSource, v uint64) {
		if v >= uint64(len(s.series)) {
			s.fail("series beyond its table")
		}
		n := s.series[v]
		series.push(uint64(n))
		m.rows[0].shape = append(m.rows[0].shape, m.series.list[n].shape)
	}); err != nil {
		return err
	}
	f.series = w.packed(&series)

	var parents, orphanRow, orphanID packer
	orphans := map[*mergeSource]*cursor{}
	taken := map[*mergeSource]uint64{}
	row = 0
	if err := m.eachRow(func(s *mergeSource) packedRef { return s.foot.parent }, func(s *mergeSource, v uint64) {
		parents.push(v)
		if v == 1 {
			if orphans[s] == nil {
				orphans[s] = newCursor(s.packed(s.foot.orphanID))
			}
			orphanRow.push(row)
			orphanID.push(orphans[s].get(taken[s]))
			taken[s]++
		}
		row++
	}); err != nil {
		return err
	}
	f.parent, f.orphanRow, f.orphanID = w.packed(&parents), w.packed(&orphanRow), w.packed(&orphanID)

	for _, c := range []struct {
		to   *packedRef
		from func(s *mergeSource) packedRef
	}{
		{&f.id, func(s *mergeSource) packedRef { return s.foot.id }},
		{&f.start, func(s *mergeSource) packedRef { return s.foot.start }},
		{&f.duration, func(s *mergeSource) packedRef { return s.foot.duration }},
	} {
		var p packer
		if err := m.eachRow(c.from, func(_ *mergeSource, v uint64) { p.push(v) }); err != nil {
			return err
		}
		*c.to = w.packed(&p)
	}
	return nil
}

// eachRow calls f with a column that every span has, in the merged order.
func (m *merge) eachRow(column func(*mergeSource) packedRef, f func(*mergeSource, uint64)) error {
	cursors := make([]*cursor, len(m.sources))
	next := make([]uint64, len(m.sources))
	for i, s := range m.sources {
		cursors[i] = newCursor(s.packed(column(s)))
	}
	for i, r := range m.rows[0].runs {
		if i%4096 == 0 && m.stopped() {
			return errStopped
		}
		s, c := m.sources[r.source], cursors[r.source]
		for range r.n {
			f(s, c.get(next[r.source]))
			next[r.source]++
		}
	}
	return nil
}

func (m *merge) stopped() bool {
	select {
	case <-m.done:
		return true
	default:
		return false
	}
}

// finish writes the tables and the footer.
func (m *merge) finish() error {
	w, f := m.w, &m.foot
	f.names, f.services = w.table(&m.stats.names.stringList), w.table(&m.stats.services.stringList)
	writeSeries(w, f, m.series.list, func(r uint32) uint32 { return m.service[r] })
	writeShapes(w, f, m.shapes)
	return w.finish(f.encode())
}
