package span

import (
	"encoding/binary"
	"math"
	"strconv"
	"strings"
)

// thresholdBits are those of a sampling threshold, which is the share of traces
// that were not kept: 14 hexadecimal digits.
const thresholdBits = 56

// Weight is how many spans this one stands for: 10 where a sampler kept one
// trace of ten and said so in the tracestate (`ot=th:…`, OpenTelemetry's
// "TraceState: Probability Sampling"), and 1 where nothing, or nothing that can
// be read, is said. It is at least 1 and at most 1<<56, so a sum of weights wants
// a float64 or a bound.
func (s *Span) Weight() float64 { return WeightOf(s.TraceState) }

// WeightOf is [Span.Weight] of the spans with a tracestate.
func WeightOf(tracestate string) float64 {
	th, ok := samplingThreshold(tracestate)
	if !ok {
		return 1
	}
	const all = 1 << thresholdBits
	return all / float64(all-th)
}

// maxCount bounds what one span may claim to stand for, so that sums of counts
// stay sums: a sampler that keeps one of a million is within it.
const maxCount = 1 << 20

// Count is Weight as a whole number, for sums that count in integers. A weight
// between two of them is the lower for some spans and the higher for others, by
// the span's id, in such shares that sums are right on average; the same span
// always gives the same.
func (s *Span) Count() uint64 { return CountOf(s.Weight(), s.SpanID) }

// CountOf is [Span.Count] of the span with a weight and an id.
func CountOf(weight float64, id SpanID) uint64 {
	whole, rest := math.Modf(math.Min(weight, maxCount))
	n := uint64(whole)
	if rest > 0 && math.Ldexp(float64(binary.BigEndian.Uint64(id[:])), -64) < rest {
		n++
	}
	return n
}

func samplingThreshold(tracestate string) (uint64, bool) {
	if tracestate == "" { // the rule
		return 0, false
	}
	for member := range strings.SplitSeq(tracestate, ",") {
		ot, ok := strings.CutPrefix(strings.TrimSpace(member), "ot=")
		if !ok {
			continue
		}
		for sub := range strings.SplitSeq(ot, ";") {
			if th, ok := strings.CutPrefix(sub, "th:"); ok {
				return parseThreshold(th)
			}
		}
		return 0, false
	}
	return 0, false
}

// parseThreshold reads lower-case hexadecimal digits whose trailing zeros are left out.
func parseThreshold(th string) (uint64, bool) {
	const digits = thresholdBits / 4
	if len(th) > digits || strings.ContainsFunc(th, func(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'f') }) {
		return 0, false
	}
	n, err := strconv.ParseUint(th, 16, thresholdBits)
	if err != nil {
		return 0, false
	}
	return n << (4 * (digits - len(th))), true
}
