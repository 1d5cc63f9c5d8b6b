package traceql

import (
	"strconv"
	"strings"
)

// Weight implements [Weighter] by the span's tracestate.
func (v *View) Weight(i int) float64 { return Weight(v.trace.Spans[i].TraceState) }

// Weight is how many spans one with that W3C tracestate stands for: the inverse of
// the probability that OpenTelemetry's entry, `ot=th:…`, says it was sampled with.
// Without the entry, or with one that is malformed, it is 1.
func Weight(tracestate string) float64 {
	for tracestate != "" {
		var member string
		member, tracestate, _ = strings.Cut(tracestate, ",")
		fields, ok := strings.CutPrefix(strings.TrimSpace(member), "ot=")
		if !ok {
			continue
		}
		for fields != "" {
			var field string
			field, fields, _ = strings.Cut(fields, ";")
			if th, ok := strings.CutPrefix(field, "th:"); ok {
				return weightOf(th)
			}
		}
	}
	return 1
}

// weightOf reads a rejection threshold: up to 14 hexadecimal digits, the first of
// 56 bits. A span was kept if its random number was not below it.
func weightOf(threshold string) float64 {
	const digits = 14
	if threshold == "" || len(threshold) > digits || strings.ContainsAny(threshold, "+-_ABCDEF") {
		return 1
	}
	n, err := strconv.ParseUint(threshold+strings.Repeat("0", digits-len(threshold)), 16, 64)
	if err != nil {
		return 1
	}
	const most = 1 << (4 * digits)
	return most / float64(most-n)
}
