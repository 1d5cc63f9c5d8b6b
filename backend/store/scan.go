package store

import (
	"cmp"
	"context"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// A scan goes through the places that spans are in, the newest first: heads row by
// row, segments block by block. Its work is cut into units that several goroutines
// take in turn.

// unitBlocks is how many blocks of a segment one unit has.
var unitBlocks = 32

const (
	scanAlone  = 300 * time.Microsecond // how long one goroutine works before others help
	maxWorkers = 8
)

// scanUnit is a part of one place, by its number in the reading.
type scanUnit struct {
	segment, head int    // the other one is -1
	from, to      int    // blocks, or chunks of rows
	latest        uint64 // no trace there starts after it
}

// scanRange is a range of unix nanoseconds, both ends included.
type scanRange struct{ start, end uint64 }

func newScanRange(start, end uint64) scanRange {
	if end == 0 {
		end = math.MaxUint64
	}
	return scanRange{start, end}
}

// units cuts the places into parts that may have traces which overlap a range of
// time, the newest first.
func (r *reading) units(w scanRange) (units []scanUnit) {
	for i, v := range slices.Backward(r.heads) {
		latest := uint64(0)
		for _, at := range v.latest {
			latest = max(latest, at)
		}
		if v.minTime <= w.end && v.maxTime >= w.start {
			units = append(units, scanUnit{segment: -1, head: i, to: len(v.rows), latest: latest})
		}
	}
	order := make([]int, len(r.segments))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Compare(r.segments[b].foot.traceStart.max, r.segments[a].foot.traceStart.max)
	})
	for _, i := range order {
		s := r.segments[i]
		f := s.foot
		if f.rows == 0 || f.minTime > w.end || f.maxTime < w.start {
			continue
		}
		// Traces are in the order of their start, and none is longer than the longest.
		first, last := uint64(0), s.traces()
		if longest := f.traceEnd.max; w.start > longest {
			first = s.tracesBefore(w.start - longest)
		}
		if w.end < math.MaxUint64 {
			last = s.tracesBefore(w.end + 1)
		}
		if first >= last {
			continue
		}
		from, _ := s.rowsOf(first)
		_, to := s.rowsOf(last - 1)
		lo, hi := int(from>>blockBits), int((to+blockLen-1)>>blockBits)
		starts := s.packed(f.traceStart)
		for hi > lo {
			at := max(lo, (hi-1)/unitBlocks*unitBlocks)
			end := min(uint64(hi)<<blockBits, f.rows) - 1
			units = append(units, scanUnit{segment: i, head: -1, from: at, to: hi, latest: starts.get(s.traceOf(end))})
			hi = at
		}
	}
	return units
}

// tracesBefore is how many traces of the segment start before a time.
func (s *segment) tracesBefore(start uint64) uint64 {
	p := s.packed(s.foot.traceStart)
	lo, hi := uint64(0), p.n
	for lo < hi {
		if mid := (lo + hi) / 2; p.get(mid) < start {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// traceOf returns the trace that a row belongs to.
func (s *segment) traceOf(row uint64) uint64 {
	p := s.packed(s.foot.traceRow)
	lo, hi := uint64(0), p.n
	for hi-lo > 1 {
		if mid := (lo + hi) / 2; p.get(mid) <= row {
			lo = mid
		} else {
			hi = mid
		}
	}
	return lo
}

// crew is the goroutines of one scan.
type crew struct {
	ctx    context.Context
	cancel context.CancelFunc
	group  errgroup.Group
	began  time.Time
	call   sync.Once
	more   func() // starts the others
	next   atomic.Int64
}

// work has goroutines take numbers below n until all are done, one fails or ctx
// ends. Each calls worker once, with a reading of its own, and gives it next, which
// is to be called for every number, and check, now and then in between. One works
// alone first: most scans are over before others could help.
func (r *reading) work(ctx context.Context, n int, worker func(r *reading, next func() (int, bool), check func() error) error) error {
	c := &crew{began: time.Now()}
	c.ctx, c.cancel = context.WithCancel(ctx)
	defer func() {
		c.cancel()
		_ = c.group.Wait() // when one panics, the others still read
	}()
	one := func() error {
		own := &reading{db: r.db, segments: r.segments, heads: r.heads, readers: map[*segment]*rowReader{}}
		err := own.attempt(func(own *reading) error {
			return worker(own, func() (int, bool) {
				i := int(c.next.Add(1)) - 1
				return i, i < n
			}, c.check)
		})
		if err != nil {
			c.cancel()
		}
		return err
	}
	var panicked atomic.Pointer[any]
	c.more = func() {
		for range min(runtime.GOMAXPROCS(0), maxWorkers, n) - 1 {
			c.group.Go(func() error {
				// A panic is of the goroutine that asked.
				defer func() {
					if p := recover(); p != nil {
						panicked.Store(&p)
						c.cancel()
					}
				}()
				return one()
			})
		}
	}
	err := one()
	e := c.group.Wait()
	if p := panicked.Load(); p != nil {
		panic(*p)
	}
	// What the others say is why this one was cancelled, unless ctx ended.
	if e != nil && (err == nil || ctx.Err() == nil && c.ctx.Err() == err) {
		err = e
	}
	return err
}

func (c *crew) check() error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	if time.Since(c.began) > scanAlone {
		c.call.Do(c.more)
	}
	return nil
}
