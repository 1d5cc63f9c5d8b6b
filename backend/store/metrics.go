package store

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"

	"github.com/throughline/throughline/backend/span"
)

// Summary of the spans of one operation with one status in a range of time.
type OperationStats struct {
	Service, Name string
	Kind          span.Kind
	Status        span.StatusCode
	Durations     Sketch
}

// Edge is an edge of the service graph in a range of time: calls from spans of
// Parent to spans of Child.
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
				s.tally(f.oMinutes, f.oHours, int(i), w, func() *Sketch {
					return get(service, unsafeString(names.at(nam.get(i))), int32(kind.get(i)), int32(status.get(i)))
				})
			}
		}
		for _, v := range r.heads {
			sketches := make([]*Sketch, len(v.series))
			v.eachLive(func(_ int, row *row) {
				if !w.has(row.start) {
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
				k.add(bucketOf(row.end-row.start), 1)
			})
		}
		list = make([]OperationStats, 0, len(all))
		for _, o := range all {
			if o.Durations.count > 0 {
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
		all := map[key]*Edge{}
		get := func(parent, child string) *Edge {
			e := all[key{parent, child}]
			if e == nil {
				e = &Edge{Parent: strings.Clone(parent), Child: strings.Clone(child)}
				all[key{e.Parent, e.Child}] = e
			}
			return e
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
				var e *Edge
				before := uint64(0)
				s.tally(f.eMinutes, f.eHours, int(i), w, func() *Sketch {
					e = get(unsafeString(services.at(parent.get(i))), unsafeString(services.at(child.get(i))))
					before = e.Durations.count
					return &e.Durations
				})
				if e != nil && span.StatusCode(status.get(i)) == span.StatusError {
					e.Errors += e.Durations.count - before
				}
			}
		}
		for _, v := range r.heads {
			r.headEdges(v, w, get)
		}
		list = make([]Edge, 0, len(all))
		for _, e := range all {
			if e.Durations.count > 0 {
				list = append(list, *e)
			}
		}
		return nil
	})
	slices.SortFunc(list, func(a, b Edge) int {
		return cmp.Or(strings.Compare(a.Parent, b.Parent), strings.Compare(a.Child, b.Child))
	})
	return list, err
}

// headEdges counts the edges of a head from its spans.
func (r *reading) headEdges(v *headView, w window, get func(parent, child string) *Edge) {
	type spanKey struct {
		trace uint32
		id    [8]byte
	}
	services := make(map[spanKey]uint32, v.n)
	v.eachLive(func(i int, row *row) {
		services[spanKey{row.trace, row.id}] = v.series[row.series].resource
	})
	v.eachLive(func(i int, row *row) {
		if row.parent == ([8]byte{}) || !w.has(row.start) {
			return
		}
		p, ok := services[spanKey{row.trace, row.parent}]
		if !ok {
			return
		}
		s := &v.series[row.series]
		e := get(v.resources[p].ServiceName(), v.resources[s.resource].ServiceName())
		e.Durations.add(bucketOf(row.end-row.start), 1)
		if span.StatusCode(s.status) == span.StatusError {
			e.Errors++
		}
	})
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

func (w *window) has(start uint64) bool {
	m := start / nanosPerMinute
	return m >= w.first && m <= w.last
}

// misses says whether a segment has no span in the window.
func (w *window) misses(f *footer) bool {
	return f.rows == 0 || f.maxTime/nanosPerMinute < w.first || f.minTime/nanosPerMinute > w.last
}

// tally adds to a sketch what a key of the rollups has in a window; sketch is
// called at most once, and only when there is something.
func (s *segment) tally(minutes, hours rollupRef, key int, w window, sketch func() *Sketch) {
	var k *Sketch
	add := func(r *rollup) func(uint64, uint64, []byte) {
		return func(_, _ uint64, buckets []byte) {
			if k == nil {
				k = sketch()
			}
			r.each(buckets, k.add)
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
