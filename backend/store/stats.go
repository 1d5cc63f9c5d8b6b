package store

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/throughline/throughline/backend/span"
)

// Stats is the state of a store.
type Stats struct {
	Traces, Spans  int    // held, each counted once
	Bytes          int64  // on disk, or in memory
	MaxBytes       int64  // 0 is no bound
	DuplicateSpans uint64 // received under the id of one that was held
	Evicted        Evicted
	OldestReceived time.Time // of what goes next, zero when empty

	Memory       bool // nothing is on disk
	Segments     int
	SegmentBytes int64
	WALFiles     int
	WALBytes     int64
	HeadSpans    int
	HeadBytes    int64 // memory of heads
	Sealing      int   // heads that wait to become segments

	// Since the store was opened.
	Appends, Refused, Syncs, Sealed, Compacted uint64
	CorruptFiles                               uint64
	RecoveredRequests                          uint64
	SealTime, CompactTime                      time.Duration

	// Unwritable is why appends are refused, nil while they are not.
	Unwritable error
}

// Stats returns the present figures.
func (db *DB) Stats() Stats {
	s := db.figures()
	var traces, spans, again int
	_ = db.query(func(r *reading) error {
		traces, spans, again = 0, 0, 0
		for _, seg := range r.segments {
			spans += int(seg.foot.newSpans)
			traces += int(seg.foot.newTraces)
		}
		for i, v := range r.heads {
			r.spread(i, func(sp *spread) {
				known, rows, added := sp.counts()
				again += rows - added
				spans += v.n - v.hiddenRows() - rows + added
				traces += v.liveTraces() - known
			})
		}
		return nil
	})
	s.Spans, s.Traces = spans, traces
	s.DuplicateSpans += uint64(again)
	return s
}

// hiddenRows counts those of the view's rows that must not be read.
func (v *headView) hiddenRows() int {
	n := 0
	for _, d := range v.dead {
		n += min(d.to, v.n) - min(d.from, v.n)
	}
	return n
}

// liveTraces counts the traces that have spans that may be read.
func (v *headView) liveTraces() int {
	if len(v.dead) == 0 {
		return len(v.ids)
	}
	n := 0
	_, from := v.byTrace()
	for i := range v.ids {
		if from[i] < from[i+1] {
			n++
		}
	}
	return n
}

// figures are those that need no reading.
func (db *DB) figures() Stats {
	db.mu.Lock()
	defer db.mu.Unlock()
	c := &db.counters
	s := Stats{
		Bytes: db.bytes(), MaxBytes: db.options.MaxBytes, DuplicateSpans: db.duplicates.Load(), Evicted: db.evicted,
		OldestReceived: db.oldest(), Memory: db.memory, Segments: len(db.list), Sealing: len(db.sealing),
		Appends: c.appends.Load(), Refused: c.refused.Load(), Syncs: c.fsyncs.Load(), Sealed: c.sealed.Load(),
		Compacted: c.compacted.Load(), CorruptFiles: c.corrupt.Load(), RecoveredRequests: c.recoveredRecords.Load(),
		SealTime: time.Duration(c.sealNanos.Load()), CompactTime: time.Duration(c.compactNanos.Load()),
		Unwritable: cmp.Or(db.lastErr, db.sealErr),
	}
	for _, seg := range db.list {
		s.SegmentBytes += seg.size
	}
	for _, h := range append(slices.Clone(db.sealing), db.head) {
		s.DuplicateSpans += h.duplicates
		s.HeadSpans += h.n
		s.HeadBytes += h.bytes
		s.WALFiles += len(h.wals)
		for _, w := range h.wals {
			s.WALBytes += w.size()
		}
	}
	return s
}

// Service is a service name with what is held of it, each span counted once.
type Service struct {
	Name         string
	SpanCount    int
	ErrorCount   int
	LastReceived time.Time
}

// Operation is a (service, span name, kind) with what is held of it, each span counted
// once.
type Operation struct {
	Service    string
	Name       string
	Kind       span.Kind
	SpanCount  int
	ErrorCount int
}

// Services lists the services of the spans held, by name.
func (db *DB) Services() []Service {
	counts := map[string]*Service{}
	_ = db.query(func(r *reading) error {
		clear(counts)
		r.operations(func(service, _ string, _, status int32, n int, received uint64) {
			s := counts[service]
			if s == nil {
				s = &Service{Name: strings.Clone(service)}
				counts[s.Name] = s
			}
			s.SpanCount += n
			if span.StatusCode(status) == span.StatusError {
				s.ErrorCount += n
			}
			if at := unixNano(int64(received)); at.After(s.LastReceived) {
				s.LastReceived = at
			}
		})
		return nil
	})
	list := make([]Service, 0, len(counts))
	for _, s := range counts {
		if s.SpanCount > 0 {
			s.ErrorCount = max(s.ErrorCount, 0)
			list = append(list, *s)
		}
	}
	slices.SortFunc(list, func(a, b Service) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Operations lists the operations of one service, or of all when service is
// nil, by service, name and kind.
func (db *DB) Operations(service *string) []Operation {
	type key struct {
		service, name string
		kind          int32
	}
	counts := map[key]*Operation{}
	_ = db.query(func(r *reading) error {
		clear(counts)
		r.operations(func(svc, name string, kind, status int32, n int, _ uint64) {
			if service != nil && *service != svc {
				return
			}
			op := counts[key{svc, name, kind}]
			if op == nil {
				op = &Operation{Service: strings.Clone(svc), Name: strings.Clone(name), Kind: span.Kind(kind)}
				counts[key{op.Service, op.Name, kind}] = op
			}
			op.SpanCount += n
			if span.StatusCode(status) == span.StatusError {
				op.ErrorCount += n
			}
		})
		return nil
	})
	list := make([]Operation, 0, len(counts))
	for _, op := range counts {
		if op.SpanCount > 0 {
			op.ErrorCount = max(op.ErrorCount, 0)
			list = append(list, *op)
		}
	}
	slices.SortFunc(list, func(a, b Operation) int {
		return cmp.Or(strings.Compare(a.Service, b.Service), strings.Compare(a.Name, b.Name), cmp.Compare(a.Kind, b.Kind))
	})
	return list
}

// operations calls f with the count of every operation of every source, whose sum
// is what is held; the strings are valid during the call.
func (r *reading) operations(f func(service, name string, kind, status int32, n int, received uint64)) {
	for _, s := range r.segments {
		t := s.foot
		services, names := s.table(t.services), s.table(t.names)
		svc, nam, kind := newCursor(s.packed(t.oService)), newCursor(s.packed(t.oName)), newCursor(s.packed(t.oKind))
		status, count := newCursor(s.packed(t.oStatus)), newCursor(s.packed(t.oCount))
		for i := range t.oService.n {
			f(unsafeString(services.at(svc.get(i))), unsafeString(names.at(nam.get(i))),
				int32(kind.get(i)), int32(status.get(i)), int(toInt(count.get(i))), t.maxReceived)
		}
	}
	for i, v := range r.heads {
		r.spread(i, func(sp *spread) {
			counts := make([]int, len(v.series))
			latest := make([]uint64, len(v.series))
			v.eachLive(func(_ int, row *row) {
				if !sp.has(row.trace) {
					counts[row.series]++
				}
				latest[row.series] = max(latest[row.series], row.received)
			})
			for i, n := range counts {
				if latest[i] > 0 {
					s := &v.series[i]
					f(v.resources[s.resource].ServiceName(), unsafeString(v.names.at(int(s.name))), s.kind, s.status, n, latest[i])
				}
			}
			counts = make([]int, len(sp.opList))
			sp.each(false, func(c *change) { counts[c.key] += int(c.held) })
			for i, n := range counts {
				if o := &sp.opList[i]; n != 0 {
					f(o.service, o.name, o.kind, o.status, n, 0)
				}
			}
		})
	}
}

// eachLive calls f with every row that may be read.
func (v *headView) eachLive(f func(i int, r *row)) {
	i := 0
	dead := v.dead
	for _, c := range v.rows {
		for j := range c {
			if i >= v.n {
				return
			}
			for len(dead) > 0 && i >= dead[0].to {
				dead = dead[1:]
			}
			if len(dead) == 0 || i < dead[0].from {
				f(i, &c[j])
			}
			i++
		}
	}
}

// Dependency is an edge of the service graph: spans of Child whose parent is a
// span of Parent, as [Edge] counts them. Calls inside one service are an edge from
// it to itself.
type Dependency struct {
	Parent, Child string
	CallCount     int
	ErrorCount    int // of the child's spans
}

// Dependencies returns the edges whose child's span starts in the range of unix
// nanoseconds, by whole minutes, by parent and child. A bound of 0 is none.
func (db *DB) Dependencies(ctx context.Context, start, end uint64) ([]Dependency, error) {
	list, err := db.Edges(ctx, start, end)
	if err != nil {
		return nil, err
	}
	out := make([]Dependency, 0, len(list))
	for _, e := range list {
		out = append(out, Dependency{e.Parent, e.Child, int(e.Durations.Count()), int(e.Errors)})
	}
	return out, nil
}
