package store

import (
	"math/bits"
)

// rowSet is some of the rows of a block.
type rowSet [blockLen / 64]uint64

func (s *rowSet) has(i int) bool { return s[i>>6]>>(i&63)&1 != 0 }

func (s *rowSet) empty() bool {
	var any uint64
	for _, w := range s {
		any |= w
	}
	return any == 0
}

// fill makes it the first n rows.
func (s *rowSet) fill(n int) {
	clear(s[:])
	for i := range n >> 6 {
		s[i] = ^uint64(0)
	}
	if n&63 != 0 {
		s[n>>6] = 1<<(n&63) - 1
	}
}

// drop takes out rows from to to.
func (s *rowSet) drop(from, to int) {
	for i := from; i < to; {
		if i&63 == 0 && to-i >= 64 {
			s[i>>6] = 0
			i += 64
			continue
		}
		s[i>>6] &^= 1 << (i & 63)
		i++
	}
}

// intersects says whether one of the rows from to to is there.
func (s *rowSet) intersects(from, to int) bool {
	for i := from; i < to; i++ {
		if s.has(i) {
			return true
		}
	}
	return false
}

// each calls f with the rows in order.
func (s *rowSet) each(f func(i int)) {
	for k, w := range s {
		for ; w != 0; w &= w - 1 {
			f(k<<6 + bits.TrailingZeros64(w))
		}
	}
}

// last returns the last row before row i, -1 when there is none.
func (s *rowSet) last(i int) int {
	for k := (i - 1) >> 6; k >= 0 && i > 0; k-- {
		w := s[k]
		if n := i - k<<6; n < 64 {
			w &= 1<<n - 1
		}
		if w != 0 {
			return k<<6 + 63 - bits.LeadingZeros64(w)
		}
	}
	return -1
}
