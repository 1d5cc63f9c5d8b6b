package traceql

import (
	"math"
	"slices"
)

// sketch is the distribution of values in one interval of a series. It holds
// values one by one while they are few; then it counts them in buckets, of which
// each power of two has many, so that a quantile is off by less than 0.8 %.
type sketch struct {
	exact   []weighted
	buckets map[int]float64 // nil while exact
	total   float64
	zero    float64 // values of 0 or less, which have no bucket
	min     float64
	max     float64
}

type weighted struct{ value, weight float64 }

const (
	maxExact = 64
	// perOctave is the number of buckets in each power of two.
	perOctave = 64
)

func (s *sketch) add(value, weight float64) {
	if s.total == 0 {
		s.min, s.max = value, value
	}
	s.min, s.max = min(s.min, value), max(s.max, value)
	s.total += weight
	if s.buckets == nil {
		if s.exact = append(s.exact, weighted{value, weight}); len(s.exact) > maxExact {
			s.spill()
		}
		return
	}
	s.count(value, weight)
}

func (s *sketch) count(value, weight float64) {
	if value <= 0 {
		s.zero += weight
		return
	}
	s.buckets[bucketOf(value)] += weight
}

// spill turns single values into buckets.
func (s *sketch) spill() {
	s.buckets = map[int]float64{}
	for _, w := range s.exact {
		s.count(w.value, w.weight)
	}
	s.exact = nil
}

func (s *sketch) merge(o *sketch) {
	if o.total == 0 {
		return
	}
	if o.buckets == nil {
		for _, w := range o.exact {
			s.add(w.value, w.weight)
		}
		return
	}
	if s.total == 0 {
		s.min, s.max = o.min, o.max
	}
	if s.buckets == nil {
		s.spill()
	}
	s.min, s.max = min(s.min, o.min), max(s.max, o.max)
	s.total += o.total
	s.zero += o.zero
	for b, n := range o.buckets {
		s.buckets[b] += n
	}
}

// bucketOf numbers the buckets: linear within a power of two.
func bucketOf(value float64) int {
	fraction, exponent := math.Frexp(value) // 0.5 <= fraction < 1
	return exponent*perOctave + int((fraction-0.5)*2*perOctave)
}

// middle is the value that stands for a bucket.
func middle(bucket int) float64 {
	exponent := bucket / perOctave
	if bucket%perOctave < 0 {
		exponent--
	}
	within := bucket - exponent*perOctave
	return math.Ldexp(0.5+(float64(within)+0.5)/(2*perOctave), exponent)
}

// quantile is the smallest value that at least that part of all is not above.
func (s *sketch) quantile(q float64) float64 {
	if s.total == 0 {
		return math.NaN()
	}
	rank := q * s.total
	if s.buckets == nil {
		slices.SortFunc(s.exact, func(a, b weighted) int {
			switch {
			case a.value < b.value:
				return -1
			case a.value > b.value:
				return 1
			}
			return 0
		})
		for _, w := range s.exact {
			if rank -= w.weight; rank <= 0 {
				return w.value
			}
		}
		return s.max
	}
	if rank -= s.zero; rank <= 0 && s.zero > 0 {
		return min(0, s.min)
	}
	keys := make([]int, 0, len(s.buckets))
	for b := range s.buckets {
		keys = append(keys, b)
	}
	slices.Sort(keys)
	for _, b := range keys {
		if rank -= s.buckets[b]; rank <= 0 {
			return min(max(middle(b), s.min), s.max)
		}
	}
	return s.max
}
