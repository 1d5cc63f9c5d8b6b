package bench

import (
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func jsonBody(s string) io.Reader { return strings.NewReader(s) }

// ratio reports the time of first over that of second: the median of the ratios of short turns, one after the other so
// that the machine's noise meets both, and the 95 % interval of that median.
func ratio(b *testing.B, first, second func()) {
	const calls = 20
	turn := func(f func()) float64 {
		start := time.Now()
		for range calls {
			f()
		}
		return float64(time.Since(start))
	}
	var ratios []float64
	for i := 0; b.Loop(); i++ {
		// Neither is always the one to run in the other's cache.
		if i%2 == 0 {
			t := turn(first)
			ratios = append(ratios, t/turn(second))
		} else {
			t := turn(second)
			ratios = append(ratios, turn(first)/t)
		}
	}
	slices.Sort(ratios)
	n := float64(len(ratios))
	// The ranks between which the median lies, by the normal approximation of the binomial distribution.
	half := 1.96 * math.Sqrt(n) / 2
	rank := func(x float64) float64 { return ratios[min(max(int(x), 0), len(ratios)-1)] }
	b.ReportMetric(rank(n/2), "ratio")
	b.ReportMetric(rank(n/2-half), "ratio-low")
	b.ReportMetric(rank(n/2+half), "ratio-high")
	b.ReportMetric(0, "ns/op")
}
