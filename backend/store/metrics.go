package store

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"

	"github.com/throughline/throughline/backend/span"
)

// OperationStats is a summary of the spans of one operation with one status in a
// range of time. A sampled span counts as often as it says that it stands for.
type OperationStats struct {
	Service, Name string
	Kind          span.Kind
	Status        span.StatusCode
	Durations     Sketch
}

// Edge is an edge of the service graph in a range of time: calls from spans of
// Parent to spans of Child. A sampled one counts as often as its child's span says
// that it stands for.
type Edge struct {
	Parent, Child string
	Errors        uint64 // of the child's spans
	Durations     Sketch // of the child's spans
}

// OperationStats returns counts and durations by service, span name, kind and
// status of the spans that start in a range of unix nanoseconds, widened to whole
// minutes; a bound of 0 is none. It reads rollups, not spans: of hours where the
// range has whole ones, of minutes at its ends. want, unless it is nil, selects
// by service.
func (db *DB) OperationStats(ctx context.Context, start, end uint64, want func(service string) bool) (list []OperationStats, err error) {
	type key struct {
		service, name string
		kind, status  int32
	}
	err = db.query(func(r *reading) error {
		all := map[key]*OperationStats{}
		get := func(service, name string, kind, status int32) *Sketch {
			o := all[key{service, name, kind, status}]
			if o == nil {
				o = &OperationStats{Service: strings.Clone(service), Name: strings.Clone(name), Kind: span.Kind(kind), Status: span.StatusCode(status)}
				all[key{o.Service, o.Name, kind, status}] = o
			}
			return &o.Durations
		}
		w := windowOf(start, end)
		for _, s := range r.segments {
			f := s.foot
			if err := ctx.Err(); err != nil {
				return err
			}
			if w.misses(f) {
				continue
			}
			services, names := s.table(f.services), s.table(f.names)
			svc, nam := newCursor(s.packed(f.oService)), newCursor(s.packed(f.oName))
			kind, status := newCursor(s.packed(f.oKind)), newCursor(s.packed(f.oStatus))
			for i := range f.oService.n {
				service := unsafeString(services.at(svc.get(i)))
				if want != nil && !want(service) {
					continue
				}
				s.tally(f.oMinutes, f.oHours, int(i), w, func() func(uint32, int64) {
					return get(service, unsafeString(names.at(nam.get(i))), int32(kind.get(i)), int32(status.get(i))).add
				})
			}
		}
		for i, v := range r.heads {
			r.spread(i, func(sp *spread) {
				weigh := v.weigher()
				sketches := make([]*Sketch, len(v.series))
				v.eachLive(func(_ int, row *row) {
					if sp.has(row.trace) || !w.has(row.start/nanosPerMinute) {
						return
					}
					k := sketches[row.series]
					if k == nil {
						s := &v.series[row.series]
						service := v.resources[s.resource].ServiceName()
						if want != nil && !want(service) {
							return
						}
						k = get(service, unsafeString(v.names.at(int(s.name))), s.kind, s.status)
						sketches[row.series] = k
					}
					k.add(bucketOf(row.end-row.start), weigh.count(row))
				})
				sketches = make([]*Sketch, len(sp.opList))
				sp.each(false, func(c *change) {
					if !w.has(c.at >> 16) {
						return
					}
					k := sketches[c.key]
					if k == nil {
						o := &sp.opList[c.key]
						if want != nil && !want(o.service) {
							return
						}
						k = get(o.service, o.name, o.kind, o.status)
						sketches[c.key] = k
					}
					k.add(uint32(c.at&0xffff), c.n)
				})
			})
		}
		list = make([]OperationStats, 0, len(all))
		for _, o := range all {
			if o.Durations.settle(); o.Durations.count > 0 {
				list = append(list, *o)
			}
		}
		return nil
	})
	slices.SortFunc(list, func(a, b OperationStats) int {
		return cmp.Or(strings.Compare(a.Service, b.Service), strings.Compare(a.Name, b.Name),
			cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Status, b.Status))
	})
	return list, err
}

// Edges returns the service graph of the calls whose child starts in a range of
// unix nanoseconds, widened to whole minutes, by parent and child; a bound of 0
// is none.
func (db *DB) Edges(ctx context.Context, start, end uint64) (list []Edge, err error) {
	type key struct{ parent, child string }
	err = db.query(func(r *reading) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		all := map[key]*[2]Sketch{} // of all, and of errors
		get := func(parent, child string, status int32) func(bucket uint32, n int64) {
			e := all[key{parent, child}]
			if e == nil {
				e = &[2]Sketch{}
				all[key{strings.Clone(parent), strings.Clone(child)}] = e
			}
			if span.StatusCode(status) != span.StatusError {
				return e[0].add
			}
			return func(bucket uint32, n int64) {
				e[0].add(bucket, n)
				e[1].add(bucket, n)
			}
		}
		w := windowOf(start, end)
		for _, s := range r.segments {
			f := s.foot
			if err := ctx.Err(); err != nil {
				return err
			}
			if w.misses(f) {
				continue
			}
			services := s.table(f.services)
			parent, child, status := newCursor(s.packed(f.eParent)), newCursor(s.packed(f.eChild)), newCursor(s.packed(f.eStatus))
			for i := range f.eParent.n {
				s.tally(f.eMinutes, f.eHours, int(i), w, func() func(uint32, int64) {
					return get(unsafeString(services.at(parent.get(i))), unsafeString(services.at(child.get(i))), int32(status.get(i)))
				})
			}
		}
		for i := range r.heads {
			r.spreadCalls(i, true, func(sp *spread) {
				adds := make([]func(uint32, int64), len(sp.edgeList))
				add := func(edge uint32, at uint64, n int64) {
					if n == 0 || !w.has(at>>16) {
						return
					}
					if adds[edge] == nil {
						e := &sp.edgeList[edge]
						adds[edge] = get(e.parent, e.child, e.status)
					}
					adds[edge](uint32(at&0xffff), n)
				}
				for k, n := range sp.calls.counts {
					add(k.edge, k.at, n)
				}
				sp.each(true, func(c *change) { add(c.key, c.at, c.n) })
			})
		}
		list = make([]Edge, 0, len(all))
		for k, e := range all {
			e[0].settle()
			if e[1].settle(); e[0].count > 0 {
				list = append(list, Edge{k.parent, k.child, e[1].Count(), e[0]})
			}
		}
		return nil
	})
	slices.SortFunc(list, func(a, b Edge) int {
		return cmp.Or(strings.Compare(a.Parent, b.Parent), strings.Compare(a.Child, b.Child))
	})
	return list, err
}

// window is a range of minutes, both ends included, and the whole hours in it.
type window struct {
	first, last         uint64
	firstHour, lastHour uint64 // none when first is above last
}

func windowOf(start, end uint64) window {
	w := window{first: start / nanosPerMinute, last: math.MaxUint64 / nanosPerMinute}
	if end != 0 {
		w.last = end / nanosPerMinute
	}
	w.firstHour = (w.first + 59) / 60
	if w.last+1 >= 60 {
		w.lastHour = (w.last+1)/60 - 1
	} else {
		w.firstHour, w.lastHour = 1, 0
	}
	return w
}

func (w *window) has(minute uint64) bool { return minute >= w.first && minute <= w.last }

// misses says whether a segment's rollups have nothing in the window.
func (w *window) misses(f *footer) bool {
	return f.firstMinute > f.lastMinute || f.lastMinute < w.first || f.firstMinute > w.last
}

// tally gives what a key of the rollups has in a window to the function that to
// returns; to is called at most once, and only when there is something.
func (s *segment) tally(minutes, hours rollupRef, key int, w window, to func() func(bucket uint32, n int64)) {
	var f func(uint32, int64)
	add := func(r *rollup) func(uint64, []byte) {
		return func(_ uint64, buckets []byte) {
			if f == nil {
				f = to()
			}
			r.each(buckets, f)
		}
	}
	m, h := &rollup{&s.source, minutes}, &rollup{&s.source, hours}
	if w.firstHour > w.lastHour {
		m.windows(key, w.first, w.last, add(m))
		return
	}
	h.windows(key, w.firstHour, w.lastHour, add(h))
	if from := w.firstHour * 60; w.first < from {
		m.windows(key, w.first, from-1, add(m))
	}
	if to := w.lastHour*60 + 59; w.last > to {
		m.windows(key, to+1, w.last, add(m))
	}
}
