package store

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/throughline/throughline/backend/span"
)

// reading is the store as it was at one moment: what a query looks at. Segments
// stay open and heads' rows stay where they are until it is closed.
type reading struct {
	db       *DB
	segments []*segment // by the logs they hold
	heads    []*headView
	readers  map[*segment]*rowReader
}

// read begins a reading.
func (db *DB) read() *reading {
	r := &reading{db: db, readers: map[*segment]*rowReader{}}
	db.mu.Lock()
	defer db.mu.Unlock()
	for _, s := range db.list {
		if s.acquire() {
			r.segments = append(r.segments, s)
		}
	}
	for _, h := range append(slices.Clone(db.sealing), db.head) {
		if n := int(h.committed.Load()); n > 0 {
			r.heads = append(r.heads, h.view(n))
		}
	}
	return r
}

func (r *reading) close() {
	for _, s := range r.segments {
		_ = s.release()
	}
}

// query calls f with a reading. When f finds that a segment is damaged, the
// segment is set aside and f is called again without it.
func (db *DB) query(f func(r *reading) error) error {
	for {
		r := db.read()
		err := r.attempt(f)
		r.close()
		var corrupt *CorruptError
		if !errors.As(err, &corrupt) || !db.quarantine(corrupt) {
			return err
		}
	}
}

func (r *reading) attempt(f func(*reading) error) (err error) {
	defer faults()()
	defer guard(&err, r.segments)
	return f(r)
}

// quarantine takes a damaged segment out of the store; it is false when it was
// not part of it.
func (db *DB) quarantine(c *CorruptError) bool {
	db.mu.Lock()
	at := slices.IndexFunc(db.list, func(s *segment) bool { return s.name == c.File })
	if at < 0 {
		db.mu.Unlock()
		return false
	}
	s := db.list[at]
	db.list = slices.Delete(slices.Clone(db.list), at, at+1)
	db.mu.Unlock()
	if err := errors.Join(db.setAside(s.name, c), s.release()); err != nil {
		db.options.Log.Error("setting a file aside", "file", s.name, "error", err)
	}
	return true
}

// reader returns the reader of whole spans of a segment.
func (r *reading) reader(s *segment) *rowReader {
	rr := r.readers[s]
	if rr == nil {
		rr = s.reader()
		r.readers[s] = rr
	}
	return rr
}

// lite is what a summary needs of a span, and where it is.
type lite struct {
	id, parent [8]byte
	start, end uint64
	series     uint32
	kind       int32
	status     int32
	count      int64 // of spans that it stands for, 0 unknown: see reading.count

	segment *segment // or
	view    *headView
	row     uint64
	trace   uint64 // its number in the segment
	first   uint64 // row of the trace
}

// service is valid for as long as the reading is.
func (l *lite) service() string {
	if l.view != nil {
		return l.view.resources[l.view.series[l.series].resource].ServiceName()
	}
	t := l.segment.load()
	return unsafeString(l.segment.table(l.segment.foot.services).at(uint64(t.services[l.series])))
}

func (l *lite) name() string { return strings.Clone(l.nameText()) }

// nameText is valid for as long as the reading is.
func (l *lite) nameText() string {
	if l.view != nil {
		return unsafeString(l.view.names.at(int(l.view.series[l.series].name)))
	}
	t := l.segment.load()
	return unsafeString(l.segment.table(l.segment.foot.names).at(uint64(t.series[l.series].name)))
}

// load reads the whole span.
func (r *reading) load(id span.TraceID, l *lite, sp *span.Span) {
	if l.view != nil {
		l.view.span(int(l.row), sp)
		return
	}
	r.reader(l.segment).span(l.row, l.trace, l.first, id, sp)
}

// part is what was gathered of a trace.
type part struct {
	spans      []lite // by start, then id, each id once
	received   uint64
	duplicates bool // some ids were there more than once
}

// gather finds all spans of a trace.
func (r *reading) gather(id span.TraceID, p *part) { r.gatherFrom(id, p, r.segments, r.heads) }

// gatherFrom finds the spans of a trace in some of the reading's sources.
func (r *reading) gatherFrom(id span.TraceID, p *part, segments []*segment, heads []*headView) {
	p.spans, p.received, p.duplicates = p.spans[:0], 0, false
	for _, s := range segments {
		s.find(id, func(trace uint64) {
			t := s.load()
			received := s.packed(s.foot.received)
			p.received = max(p.received, received.get(trace))
			from, to := s.rowsOf(trace)
			for row := from; row < to; row++ {
				p.spans = append(p.spans, s.lite(t, row, trace, from))
			}
		})
	}
	for _, v := range heads {
		v.gather(r.db, id, p)
	}
	r.distinct(id, p)
	slices.SortFunc(p.spans, func(a, b lite) int {
		return cmp.Or(cmp.Compare(a.start, b.start), bytes.Compare(a.id[:], b.id[:]))
	})
}

// gather follows the rows of a trace from the last one to the first.
func (v *headView) gather(db *DB, id span.TraceID, p *part) {
	db.mu.Lock()
	n := v.h.traces.find(&id)
	next := uint32(0)
	if n >= 0 {
		next = v.h.traces.last[n]
	}
	db.mu.Unlock()
	for next != 0 {
		i := int(next - 1)
		if i >= v.n {
			// Not committed when the reading began, and maybe in a chunk that
			// the view does not know.
			db.mu.Lock()
			next = v.h.row(i).prev
			db.mu.Unlock()
			continue
		}
		row := v.row(i)
		if !v.isDead(i) {
			se := &v.series[row.series]
			p.spans = append(p.spans, lite{
				id: row.id, parent: row.parent, start: row.start, end: row.end, series: row.series,
				kind: se.kind, status: se.status, view: v, row: uint64(i),
			})
			p.received = max(p.received, row.received)
		}
		next = row.prev
	}
}

// distinct leaves one span of each id.
func (r *reading) distinct(id span.TraceID, p *part) {
	better := func(a, b *lite) bool {
		if a.end != b.end {
			return a.end > b.end
		}
		var x, y span.Span
		r.load(id, a, &x)
		r.load(id, b, &y)
		return supersedes(&x, &y)
	}
	out := p.spans[:0]
	if len(p.spans) <= manyRows {
	next:
		for _, l := range p.spans {
			for i := range out {
				if out[i].id == l.id {
					p.duplicates = true
					if better(&l, &out[i]) {
						out[i] = l
					}
					continue next
				}
			}
			out = append(out, l)
		}
	} else {
		at := make(map[[8]byte]int, len(p.spans))
		for _, l := range p.spans {
			if i, ok := at[l.id]; ok {
				p.duplicates = true
				if better(&l, &out[i]) {
					out[i] = l
				}
				continue
			}
			at[l.id] = len(out)
			out = append(out, l)
		}
	}
	p.spans = out
}

// summary makes what a list of traces says of one.
func (p *part) summary(id span.TraceID) span.Summary {
	s := span.Summary{TraceID: id, SpanCount: len(p.spans), StartTime: p.spans[0].start, LastReceived: unixNano(int64(p.received))}
	first := &p.spans[0]
	var services []span.ServiceCount
	find := p.finder()
	type key struct {
		segment *segment
		view    *headView
		series  uint32
	}
	var seen []key
	var seenAt []int
	for i := range p.spans {
		l := &p.spans[i]
		s.EndTime = max(s.EndTime, l.end)
		if l.parent == ([8]byte{}) {
			if !s.HasRoot {
				s.HasRoot, first = true, l
			}
		} else if find(l.parent) < 0 {
			s.OrphanCount++
		}
		k := key{l.segment, l.view, l.series}
		at := slices.Index(seen, k)
		if at < 0 {
			name := l.service()
			n := slices.IndexFunc(services, func(c span.ServiceCount) bool { return c.Name == name })
			if n < 0 {
				n = len(services)
				services = append(services, span.ServiceCount{Name: strings.Clone(name)})
			}
			at = len(seen)
			seen, seenAt = append(seen, k), append(seenAt, n)
		}
		c := &services[seenAt[at]]
		c.SpanCount++
		if span.StatusCode(l.status) == span.StatusError {
			c.ErrorCount++
			s.ErrorCount++
		}
	}
	s.RootService, s.RootName = strings.Clone(first.service()), first.name()
	s.RootKind, s.RootStatus = span.Kind(first.kind), span.StatusCode(first.status)
	s.Services = services
	sortServices(p, services)
	return s
}

// sortServices orders services that begin at the same time by name; otherwise
// they are in order already.
func sortServices(p *part, services []span.ServiceCount) {
	if len(services) < 2 {
		return
	}
	starts := map[string]uint64{}
	for i := range p.spans {
		if len(starts) == len(services) {
			break
		}
		if name := p.spans[i].service(); true {
			if _, ok := starts[name]; !ok {
				starts[strings.Clone(name)] = p.spans[i].start
			}
		}
	}
	slices.SortStableFunc(services, func(a, b span.ServiceCount) int {
		return cmp.Or(cmp.Compare(starts[a.Name], starts[b.Name]), strings.Compare(a.Name, b.Name))
	})
}

// finder returns a function that says where the span with an id is, -1 when it is
// not there.
func (p *part) finder() func([8]byte) int {
	if len(p.spans) <= manyRows {
		return func(id [8]byte) int {
			for i := range p.spans {
				if p.spans[i].id == id {
					return i
				}
			}
			return -1
		}
	}
	all := make(map[[8]byte]int32, len(p.spans))
	for i := range p.spans {
		all[p.spans[i].id] = int32(i)
	}
	return func(id [8]byte) int {
		if i, ok := all[id]; ok {
			return int(i)
		}
		return -1
	}
}

// Trace returns all that is held of one trace, with its summary, or ErrNotFound.
func (db *DB) Trace(ctx context.Context, id span.TraceID) (*span.Trace, span.Summary, error) {
	var out *span.Trace
	var summary span.Summary
	err := db.query(func(r *reading) error {
		var p part
		r.gather(id, &p)
		if len(p.spans) == 0 {
			return fmt.Errorf("%w: %s", ErrNotFound, id)
		}
		summary = p.summary(id)
		out = &span.Trace{ID: id, Spans: make([]span.Span, len(p.spans))}
		for i := range p.spans {
			if i%1024 == 1023 {
				if err := ctx.Err(); err != nil {
					return err
				}
			}
			r.load(id, &p.spans[i], &out.Spans[i])
		}
		return nil
	})
	if err != nil {
		return nil, span.Summary{}, err
	}
	return out, summary, nil
}
