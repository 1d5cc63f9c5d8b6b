package traceql

import (
	"cmp"
	"math"
	"slices"
)

// sketch is the distribution of values in one interval of a series. It holds
// values one by one while they are few; then it counts them in buckets, of which
// each power of two has many, so that a quantile is off by less than 0.8 %.
type sketch struct {
	exact   []float64
	weights []float64 // of exact; nil while all are 1
	counted bool      // exact is not used any more
	pending []int32   // buckets of values of weight 1 that are not in buckets yet
	buckets []bucket  // in order
	total   float64
	zero    float64 // values of 0 or less, which have no bucket
	min     float64
	max     float64
	nan     bool // some value is none, which min and max do not tell
}

// bucket is how many values fell in one.
type bucket struct {
	number int32
	count  float64
}

const (
	maxExact   = 64
	maxPending = 1024
	// perOctave is the number of buckets in each power of two.
	perOctave = 64
)

// add returns by how many bytes the sketch has grown.
func (s *sketch) add(value, weight float64) (grown int) {
	if s.total == 0 || math.IsNaN(s.min) {
		s.min, s.max = value, value
	} else if value < s.min {
		s.min = value
	} else if value > s.max {
		s.max = value
	}
	s.total += weight
	if s.counted {
		if weight == 1 && value > 0 && len(s.pending) < maxPending-1 {
			s.pending = append(s.pending, bucketOf(value))
			return 0
		}
		size := s.size()
		s.count(value, weight)
		return s.size() - size
	}
	if len(s.exact) < min(cap(s.exact), maxExact) && weight == 1 && s.weights == nil {
		s.exact = append(s.exact, value)
		return 0
	}
	size := s.size()
	switch len(s.exact) {
	case 0:
		s.exact = make([]float64, 0, maxExact/4)
	case maxExact / 4:
		s.exact = append(make([]float64, 0, maxExact), s.exact...)
	}
	if weight != 1 && s.weights == nil {
		s.weights = make([]float64, len(s.exact), maxExact)
		for i := range s.weights {
			s.weights[i] = 1
		}
	}
	if s.weights != nil {
		s.weights = append(s.weights, weight)
	}
	if s.exact = append(s.exact, value); len(s.exact) > maxExact {
		s.spill()
	}
	return s.size() - size
}

// size is about the bytes that a sketch takes beside itself. Pending values are
// counted as many as there may be.
func (s *sketch) size() int {
	n := 8*cap(s.exact) + 8*cap(s.weights) + 16*cap(s.buckets)
	if s.counted {
		n += 4 * maxPending
	}
	return n
}

// weight is that of a value of exact.
func (s *sketch) weight(i int) float64 {
	if s.weights == nil {
		return 1
	}
	return s.weights[i]
}

func (s *sketch) count(value, weight float64) {
	s.nan = s.nan || math.IsNaN(value)
	switch {
	case value <= 0:
		s.zero += weight
	case weight == 1:
		if s.pending = append(s.pending, bucketOf(value)); len(s.pending) == maxPending {
			s.fold()
		}
	default:
		s.join([]bucket{{bucketOf(value), weight}})
	}
}

// spill turns single values into buckets.
func (s *sketch) spill() {
	s.counted = true
	s.pending = make([]int32, 0, 4*maxExact)
	for i, v := range s.exact {
		s.count(v, s.weight(i))
	}
	s.exact, s.weights = nil, nil
}

// foldRange is how many buckets apart values are counted in a table.
const foldRange = 2048

// bounds are buckets that no pending value is below or above.
func (s *sketch) bounds() (lo, hi int32) {
	if s.min > 0 && !s.nan {
		return bucketOf(s.min), bucketOf(s.max)
	}
	return slices.Min(s.pending), slices.Max(s.pending)
}

// fold counts the pending values in the buckets.
func (s *sketch) fold() {
	if len(s.pending) == 0 {
		return
	}
	var found []bucket
	if lo, hi := s.bounds(); hi-lo < foldRange {
		var counts [foldRange]uint16
		n := 0
		for _, b := range s.pending {
			if counts[b-lo]++; counts[b-lo] == 1 {
				n++
			}
		}
		found = make([]bucket, 0, n)
		for i, n := range counts[:hi-lo+1] {
			if n > 0 {
				found = append(found, bucket{lo + int32(i), float64(n)})
			}
		}
	} else {
		slices.Sort(s.pending)
		for _, b := range s.pending {
			if k := len(found) - 1; k >= 0 && found[k].number == b {
				found[k].count++
			} else {
				found = append(found, bucket{b, 1})
			}
		}
	}
	s.pending = s.pending[:0]
	s.join(found)
}

// join adds buckets, which are in order and may be kept.
func (s *sketch) join(o []bucket) {
	switch {
	case len(s.buckets) == 0:
		s.buckets = o
		return
	case len(o) == 1:
		at, ok := slices.BinarySearchFunc(s.buckets, o[0], compareBuckets)
		if !ok {
			s.buckets = slices.Insert(s.buckets, at, o[0])
		} else {
			s.buckets[at].count += o[0].count
		}
		return
	}
	out := make([]bucket, 0, len(s.buckets)+len(o))
	a, b := s.buckets, o
	for len(a) > 0 && len(b) > 0 {
		switch c := compareBuckets(a[0], b[0]); {
		case c < 0:
			out, a = append(out, a[0]), a[1:]
		case c > 0:
			out, b = append(out, b[0]), b[1:]
		default:
			out = append(out, bucket{a[0].number, a[0].count + b[0].count})
			a, b = a[1:], b[1:]
		}
	}
	s.buckets = append(append(out, a...), b...)
}

func compareBuckets(a, b bucket) int { return cmp.Compare(a.number, b.number) }

// merge adds what o has, which is not to be used any more.
func (s *sketch) merge(o *sketch) {
	switch {
	case o.total == 0:
		return
	case s.total == 0:
		*s = *o
		return
	}
	if !o.counted {
		for i, v := range o.exact {
			s.add(v, o.weight(i))
		}
		return
	}
	if !s.counted {
		s.spill()
	}
	s.min, s.max = min(s.min, o.min), max(s.max, o.max)
	s.total += o.total
	s.zero += o.zero
	s.nan = s.nan || o.nan
	if len(s.buckets)+len(o.buckets) == 0 && len(s.pending)+len(o.pending) < maxPending {
		s.pending = append(s.pending, o.pending...)
		return
	}
	s.fold()
	o.fold()
	s.join(o.buckets)
}

// bucketOf numbers the buckets of positive values: linear within a power of two.
func bucketOf(value float64) int32 {
	// The exponent and the highest bits of the fraction are next to each other.
	if b := math.Float64bits(value); b>>52 > 0 {
		return int32(b>>46) - 1022*perOctave
	}
	fraction, exponent := math.Frexp(value) // 0.5 <= fraction < 1
	return int32(exponent*perOctave) + int32((fraction-0.5)*2*perOctave)
}

// middle is the value that stands for a bucket.
func middle(number int32) float64 {
	bucket := int(number)
	exponent := bucket / perOctave
	if bucket%perOctave < 0 {
		exponent--
	}
	within := bucket - exponent*perOctave
	return math.Ldexp(0.5+(float64(within)+0.5)/(2*perOctave), exponent)
}

// quantiles sets out to the quantiles, 0 where there is no value. Those of a sketch
// that is not larger than what is pending are read from a table.
func (s *sketch) quantiles(qs, out []float64) {
	if s.total > 0 && s.counted && len(s.buckets) == 0 && len(s.pending) > 0 {
		if lo, hi := s.bounds(); hi-lo < foldRange {
			var counts [foldRange]uint16
			for _, b := range s.pending {
				counts[b-lo]++
			}
			at, passed := -1, s.zero // of all values, up to bucket lo+at
			for k, q := range qs {
				rank := q * s.total
				if rank <= s.zero && s.zero > 0 {
					out[k] = min(0, s.min)
					continue
				}
				if k > 0 && q < qs[k-1] || at < 0 {
					at, passed = 0, s.zero+float64(counts[0])
				}
				for passed < rank && at < int(hi-lo) {
					at++
					passed += float64(counts[at])
				}
				out[k] = min(max(middle(lo+int32(at)), s.min), s.max)
			}
			return
		}
	}
	for k, q := range qs {
		if out[k] = 0; s.total > 0 {
			out[k] = s.quantile(q)
		}
	}
}

// quantile is the smallest value that at least that part of all is not above.
func (s *sketch) quantile(q float64) float64 {
	if s.total == 0 {
		return math.NaN()
	}
	rank := q * s.total
	if !s.counted {
		return s.exactQuantile(rank)
	}
	s.fold()
	if rank -= s.zero; rank <= 0 && s.zero > 0 {
		return min(0, s.min)
	}
	for _, b := range s.buckets {
		if rank -= b.count; rank <= 0 {
			return min(max(middle(b.number), s.min), s.max)
		}
	}
	return s.max
}

func (s *sketch) exactQuantile(rank float64) float64 {
	if s.weights == nil {
		slices.Sort(s.exact)
		return s.exact[min(max(int(math.Ceil(rank))-1, 0), len(s.exact)-1)]
	}
	order := make([]int, len(s.exact))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(s.exact[a], s.exact[b]) })
	for _, i := range order {
		if rank -= s.weights[i]; rank <= 0 {
			return s.exact[i]
		}
	}
	return s.max
}
