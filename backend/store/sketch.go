package store

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// Durations are counted in buckets that divide each power of two in 64, so that
// the middle of a bucket is within 1/128 (0.79 %) of every duration in it, the
// sums of counts are exact, and buckets of powers of two can be had from them.

const (
	subBuckets  = 64
	bucketCount = subBuckets + 58*subBuckets
)

// bucketOf returns the bucket of a duration in nanoseconds.
func bucketOf(d uint64) uint32 {
	if d < subBuckets {
		return uint32(d)
	}
	e := bits.Len64(d) - 7
	return uint32(subBuckets*e) + uint32(d>>e)
}

// bucketValue is the middle of a bucket, in nanoseconds.
func bucketValue(b uint32) uint64 {
	if b < 2*subBuckets {
		return uint64(b)
	}
	e := b/subBuckets - 1
	return uint64(b%subBuckets+subBuckets)<<e + 1<<e/2
}

// Sketch counts durations. Quantiles have a relative error of at most 0.79 %.
type Sketch struct {
	counts []int64 // by bucket, as long as needed
	count  int64
	taken  bool // some were taken out
}

// Add counts n durations of so many nanoseconds.
func (k *Sketch) Add(nanoseconds, n uint64) { k.add(bucketOf(nanoseconds), int64(n)) }

// add adds n durations, or takes them out when n is negative; settle is to follow.
func (k *Sketch) add(bucket uint32, n int64) {
	if int(bucket) >= len(k.counts) {
		k.grow(int(bucket))
	}
	k.counts[bucket] += n
	k.count += n
	k.taken = k.taken || n < 0
}

func (k *Sketch) grow(bucket int) {
	counts := make([]int64, max(2*len(k.counts), bucket+1+subBuckets))
	copy(counts, k.counts)
	k.counts = counts
}

// settle ends a sum in which some were taken out. What is taken out without
// having been added was in a segment that is gone.
func (k *Sketch) settle() {
	if !k.taken {
		return
	}
	k.count, k.taken = 0, false
	for b, n := range k.counts {
		k.counts[b] = max(n, 0)
		k.count += k.counts[b]
	}
}

// Merge adds what o has counted.
func (k *Sketch) Merge(o *Sketch) {
	for b, n := range o.counts {
		if n > 0 {
			k.add(uint32(b), n)
		}
	}
}

// Count is how many durations were counted.
func (k *Sketch) Count() uint64 { return uint64(k.count) }

// Mean is their mean in nanoseconds, 0 when there are none.
func (k *Sketch) Mean() float64 {
	if k.count == 0 {
		return 0
	}
	sum := 0.0
	k.Each(func(nanoseconds, n uint64) { sum += float64(nanoseconds) * float64(n) })
	return sum / float64(k.count)
}

// Quantile returns the duration in nanoseconds that a share q of the durations
// does not exceed: of the sorted durations that at position ⌈q·n⌉. It is 0 when
// there are none.
func (k *Sketch) Quantile(q float64) uint64 {
	if k.count == 0 {
		return 0
	}
	rank := int64(max(1, min(float64(k.count), ceil(q*float64(k.count)))))
	for b, n := range k.counts {
		if rank <= n {
			return bucketValue(uint32(b))
		}
		rank -= n
	}
	return bucketValue(uint32(len(k.counts) - 1))
}

func ceil(x float64) float64 {
	n := float64(int64(x))
	if n < x {
		n++
	}
	return n
}

// Each calls f with the middle of every bucket that is not empty and its count.
func (k *Sketch) Each(f func(nanoseconds, n uint64)) {
	for b, n := range k.counts {
		if n > 0 {
			f(bucketValue(uint32(b)), uint64(n))
		}
	}
}

// A rollup holds for every key of a table how many durations fell in each bucket
// in each window: minute or hour since 1970. FORMAT.md has its bytes.

// tally is how many durations fell in one bucket in one window; negative when
// more were taken out than added.
type tally struct {
	at uint64 // window in the high bits, bucket in the low 16
	n  int64
}

// minuteAndBucket is where a tally by minutes counts a duration.
func minuteAndBucket(start, duration uint64) uint64 {
	return start/nanosPerMinute<<16 | uint64(bucketOf(duration))
}

const nanosPerMinute = 60_000_000_000

type rollupRef struct {
	ends packedRef // of each key in the data
	data uint64
	size uint64
}

type rollupWriter struct {
	ends packer
	data []byte
	buf  []byte
}

// add appends the tallies of the next key, which must be sorted and merged.
func (w *rollupWriter) add(tallies []tally) {
	last := uint64(0)
	for len(tallies) > 0 {
		window := tallies[0].at >> 16
		n := 0
		w.buf = w.buf[:0]
		bucket := uint64(0)
		for n < len(tallies) && tallies[n].at>>16 == window {
			t := tallies[n]
			w.buf = binary.AppendUvarint(w.buf, t.at&0xffff-bucket)
			w.buf = binary.AppendVarint(w.buf, t.n)
			bucket = t.at & 0xffff
			n++
		}
		w.data = binary.AppendUvarint(w.data, window-last)
		w.data = binary.AppendUvarint(w.data, uint64(len(w.buf)))
		w.data = append(w.data, w.buf...)
		last = window
		tallies = tallies[n:]
	}
	w.ends.push(uint64(len(w.data)))
}

func (w *rollupWriter) finish(f *fileWriter) rollupRef {
	return rollupRef{data: f.write(w.data), size: uint64(len(w.data)), ends: f.packed(&w.ends)}
}

// mergeTallies sorts and adds up in place, and leaves out what comes to nothing.
func mergeTallies(t []tally) []tally {
	slices.SortFunc(t, func(a, b tally) int {
		switch {
		case a.at < b.at:
			return -1
		case a.at > b.at:
			return 1
		}
		return 0
	})
	out := t[:0]
	for _, e := range t {
		k := len(out)
		if k > 0 && out[k-1].at == e.at {
			if out[k-1].n += e.n; out[k-1].n == 0 {
				out = out[:k-1]
			}
		} else {
			out = append(out, e)
		}
	}
	return out
}

// toHours gives the tallies of hours for those of minutes; dst is used again.
func toHours(dst, minutes []tally) []tally {
	dst = dst[:0]
	for _, t := range minutes {
		dst = append(dst, tally{t.at>>16/60<<16 | t.at&0xffff, t.n})
	}
	return mergeTallies(dst)
}

type rollup struct {
	src *source
	rollupRef
}

func (r *rollup) key(k int) []byte {
	ends := packed{r.src, r.ends}
	from, to := uint64(0), ends.get(uint64(k))
	if k > 0 {
		from = ends.get(uint64(k - 1))
	}
	if from > to || to > r.size {
		r.src.fail("rollup beyond its table")
	}
	return r.src.bytes(r.data+from, to-from)
}

// windows calls f with the buckets of every window of key k from first to last, to
// be read with each.
func (r *rollup) windows(k int, first, last uint64, f func(window uint64, buckets []byte)) {
	data := r.key(k)
	window := uint64(0)
	for len(data) > 0 {
		window += r.uvarint(&data)
		size := r.uvarint(&data)
		if size > uint64(len(data)) {
			r.src.fail("window beyond its rollup")
		}
		if window > last {
			return
		}
		if window >= first {
			f(window, data[:size])
		}
		data = data[size:]
	}
}

// each calls f with the buckets of a window.
func (r *rollup) each(buckets []byte, f func(bucket uint32, n int64)) {
	bucket := uint64(0)
	for at := 0; at < len(buckets); {
		var v [2]uint64 // most are of one byte
		for i := range v {
			if at < len(buckets) && buckets[at] < 0x80 {
				v[i] = uint64(buckets[at])
				at++
				continue
			}
			rest := buckets[at:]
			v[i] = r.uvarint(&rest)
			at = len(buckets) - len(rest)
		}
		if bucket += v[0]; bucket >= bucketCount {
			r.src.fail("bucket out of range")
		}
		f(uint32(bucket), int64(v[1]>>1)^-int64(v[1]&1))
	}
}

func (r *rollup) uvarint(data *[]byte) uint64 {
	if d := *data; len(d) > 0 && d[0] < 0x80 {
		*data = d[1:]
		return uint64(d[0])
	}
	n, k := binary.Uvarint(*data)
	if k <= 0 {
		r.src.fail("number in rollup is not readable")
	}
	*data = (*data)[k:]
	return n
}
