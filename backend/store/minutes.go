package store

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/throughline/throughline/backend/span"
)

// OperationMinutes is how many spans of one operation with one status began in
// each minute of a range, by duration. A sampled span counts as often as it says
// that it stands for.
type OperationMinutes struct {
	Service, Name string
	Kind          span.Kind
	Status        span.StatusCode
	Counts        []MinuteCount // by minute, then duration
}

// MinuteCount is the spans of one minute whose durations fall in one bucket of a
// [Sketch].
type MinuteCount struct {
	Minute      uint64 // since 1970
	Nanoseconds uint64 // the middle of the bucket
	Count       uint64
}

// ErrTooMuch is returned by a query whose answer would not fit in memory.
var ErrTooMuch = errors.New("too much data for one answer: ask for less time")

// maxMinuteCounts bounds the memory of one answer, at 16 bytes each.
const maxMinuteCounts = 4 << 20

// OperationMinutes returns counts by minute of the operations of the services
// that want selects, of the spans that start in a range of unix nanoseconds,
// widened to whole minutes. It reads rollups, not spans.
func (db *DB) OperationMinutes(ctx context.Context, start, end uint64, want func(service string) bool) (list []OperationMinutes, err error) {
	type key struct {
		service, name string
		kind, status  int32
	}
	w := windowOf(start, end)
	tallies := map[key]*[]tally{}
	err = db.query(func(r *reading) error {
		clear(tallies)
		total := 0
		add := func(k key, t []tally) error {
			if len(t) == 0 {
				return nil
			}
			all, ok := tallies[k]
			if !ok {
				// A map keeps the key of its last assignment, and k may be in a file.
				all = new([]tally)
				k.service, k.name = strings.Clone(k.service), strings.Clone(k.name)
				tallies[k] = all
			}
			total -= len(*all)
			*all = mergeTallies(append(*all, t...))
			if total += len(*all); total > maxMinuteCounts {
				return ErrTooMuch
			}
			return nil
		}
		var buf []tally
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
			minutes := &rollup{&s.source, f.oMinutes}
			for i := range f.oService.n {
				service := unsafeString(services.at(svc.get(i)))
				if !want(service) {
					continue
				}
				buf = buf[:0]
				minutes.windows(int(i), w.first, w.last, func(minute uint64, buckets []byte) {
					minutes.each(buckets, func(bucket uint32, n int64) {
						buf = append(buf, tally{minute<<16 | uint64(bucket), n})
					})
				})
				if err := add(key{service, unsafeString(names.at(nam.get(i))), int32(kind.get(i)), int32(status.get(i))}, buf); err != nil {
					return err
				}
			}
		}
		for i, v := range r.heads {
			var failed error
			r.spread(i, func(sp *spread) {
				weigh := v.weigher()
				series := make([][]tally, len(v.series))
				v.eachLive(func(_ int, row *row) {
					if !sp.has(row.trace) && w.has(row.start/nanosPerMinute) {
						series[row.series] = append(series[row.series], tally{minuteAndBucket(row.start, row.end-row.start), weigh.count(row)})
					}
				})
				for i, t := range series {
					s := &v.series[i]
					if service := v.resources[s.resource].ServiceName(); want(service) && failed == nil {
						failed = add(key{service, unsafeString(v.names.at(int(s.name))), s.kind, s.status}, t)
					}
				}
				changes := make([][]tally, len(sp.opList))
				sp.each(false, func(c *change) {
					if w.has(c.at >> 16) {
						changes[c.key] = append(changes[c.key], tally{c.at, c.n})
					}
				})
				for i, t := range changes {
					if o := &sp.opList[i]; want(o.service) && failed == nil {
						failed = add(key{o.service, o.name, o.kind, o.status}, t)
					}
				}
			})
			if failed != nil {
				return failed
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for k, t := range tallies {
		o := OperationMinutes{Service: k.service, Name: k.name, Kind: span.Kind(k.kind), Status: span.StatusCode(k.status)}
		o.Counts = make([]MinuteCount, 0, len(*t))
		for _, e := range *t {
			if e.n > 0 { // what is taken out without having been added was in a segment that is gone
				o.Counts = append(o.Counts, MinuteCount{e.at >> 16, bucketValue(uint32(e.at & 0xffff)), uint64(e.n)})
			}
		}
		if len(o.Counts) > 0 {
			list = append(list, o)
		}
	}
	slices.SortFunc(list, func(a, b OperationMinutes) int {
		return cmp.Or(strings.Compare(a.Service, b.Service), strings.Compare(a.Name, b.Name),
			cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Status, b.Status))
	})
	return list, nil
}
